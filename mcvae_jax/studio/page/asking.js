"use strict";
// What can be asked of the model, and where its answer goes: each returns {message, put, bars, said}, or throws an Error
// that says what is missing. message: for the server; put: its bars -> the song; bars: the numbers of those that change.
const Asking = {
  take: 0,

  sliders() {
    const value = id => Number(document.getElementById(id).value);
    return { plainness: value("plainness"), repetition: value("repetition"), distance: value("distance") };
  },
  drawn(song, what, fields) {
    return { what, steps: song.steps, take: ++Asking.take, sliders: Asking.sliders(), ...fields };
  },

  continue(song, wanted, ending, from = Song.sounding(song)) {
    const before = Song.bars(song, 0, from), numbers = Array.from({ length: wanted }, (_, n) => from + n);
    const put = bars => Song.with(Song.put(song, from, bars, true), { answer: { what: "continue", numbers, ending } });
    return { message: Asking.drawn(song, "continue", { bars: before, wanted, ending }), put, numbers };
  },

  fill(song, chosen, what = "fill", numbers = chosen) {
    const free = chosen.filter(n => !song.locked[n]);
    if (!free.length) throw new Error(chosen.length ? "These bars are locked." : "Select the bars that are to be filled anew: click on their numbers.");
    const put = bars => Song.with(Asking.placed(song, free, bars), { answer: { what, numbers } });
    return { message: Asking.drawn(song, "fill", { bars: Song.bars(song), chosen: free }), put, numbers: free };
  },

  vary(song, chosen, original = song) {
    const sounding = chosen.length ? chosen : Array.from({ length: Song.sounding(song) }, (_, n) => n);
    const free = sounding.filter(n => !song.locked[n]);
    if (!free.length) throw new Error(sounding.length ? "These bars are locked." : "There is nothing to vary yet: draw or play a few notes.");
    const put = bars => Song.with(Asking.placed(song, free, bars), { answer: { what: "vary", numbers: free, original: Song.with(original, { answer: null }) } });
    return { message: Asking.drawn(song, "vary", { bars: Song.bars(original), chosen: free }), put, numbers: free };
  },

  // Another answer in the place of the last one; of bars that were locked since, the others.
  another(song) {
    const { what, numbers, ending, original } = song.answer, locked = numbers.some(n => song.locked[n]);
    if (what === "vary") return Asking.vary(song, numbers, original);
    const isEnd = numbers[numbers.length - 1] >= Song.sounding(song) - 1;
    if (what === "continue" && !locked && isEnd) return Asking.continue(song, numbers.length, ending, numbers[0]);
    return Asking.fill(song, numbers, what, numbers);
  },

  placed: (song, numbers, bars) => numbers.reduce((made, n) => Song.put(made, n, [bars[n]], true), song),
};

// Bars by number in words: "bar 3", "bars 5 to 8", "bars 1, 2 and 7".
const barsText = (song, numbers) => {
  const from = Song.number(song, numbers[0]), to = Song.number(song, numbers[numbers.length - 1]);
  if (numbers.length === 1) return `bar ${from}`;
  if (to - from === numbers.length - 1) return `bars ${from} to ${to}`;
  return `bars ${numbers.slice(0, -1).map(n => Song.number(song, n)).join(", ")} and ${to}`;
};
