"use strict";
// Songs as values: nothing here changes what it is given. A song's tokens are those of the server, one for each step:
// 0 to 127 a pitch that begins, OFF the end of a note, HOLD neither (a note goes on, or silence does).
const OFF = 128, HOLD = 129;

const Song = {
  empty: (steps, bars, setting) => Song.of({ title: "My song", tempo: 110, key: "", program: 0, first: 1, ...setting, steps,
    tokens: new Array(steps * bars).fill(HOLD), locked: new Array(bars).fill(false),
    composed: new Array(bars).fill(false), answer: null }),

  of: fields => Object.freeze(fields),
  with: (song, fields) => Object.freeze({ ...song, ...fields }),
  count: song => song.tokens.length / song.steps,
  number: (song, n) => n + song.first, // as printed: a pickup is bar 0
  bar: (song, n) => song.tokens.slice(n * song.steps, (n + 1) * song.steps),
  bars: (song, from = 0, to = Song.count(song)) => {
    const found = [];
    for (let n = from; n < to; n++) found.push(Song.bar(song, n));
    return found;
  },

  // Notes as {start, end, pitch}, in steps.
  notes: tokens => {
    const found = [];
    let sounding = null;
    tokens.forEach((token, step) => {
      if (token > OFF) return;
      if (sounding) { sounding.end = step; found.push(sounding); }
      sounding = token < OFF ? { start: step, end: tokens.length, pitch: token } : null;
    });
    if (sounding) found.push(sounding);
    return found;
  },

  tokens: (notes, length) => {
    const tokens = new Array(length).fill(HOLD);
    for (const note of notes) if (note.end < length) tokens[note.end] = OFF;
    for (const note of notes) tokens[note.start] = note.pitch;
    return tokens;
  },

  // One note more, which cuts those that it meets: a melody has one voice.
  add: (song, note) => {
    const rest = [];
    for (const other of Song.notes(song.tokens)) {
      if (other.start >= note.start && other.start < note.end) continue;
      rest.push(other.start < note.start && other.end > note.start ? { ...other, end: note.start } : other);
    }
    return Song.edited(song, [...rest, note], note);
  },
  take: (song, note) => Song.edited(song, Song.notes(song.tokens).filter(each => each.start !== note.start), note),
  edited: (song, notes, note) => {
    const composed = [...song.composed], last = Math.floor((note.end - 1) / song.steps);
    for (let n = Math.floor(note.start / song.steps); n <= last; n++) composed[n] = false;
    return Song.with(song, { tokens: Song.tokens(notes, song.tokens.length), composed });
  },
  at: (song, step) => Song.notes(song.tokens).find(note => note.start <= step && step < note.end),

  // The song with `bars` in place of those from `at` on; beyond its end it grows.
  put: (song, at, bars, composed) => {
    const count = Math.max(Song.count(song), at + bars.length);
    const grown = Song.resized(song, count), tokens = [...grown.tokens], made = [...grown.composed];
    bars.forEach((bar, n) => {
      if (grown.locked[at + n]) return;
      bar.forEach((token, step) => { tokens[(at + n) * song.steps + step] = token; });
      made[at + n] = composed;
    });
    return Song.with(grown, { tokens: Song.ended(song, tokens, at, bars.length), composed: made });
  },
  // Tokens in which the bars that were not put sound as before, whatever the note that came into them has become.
  ended: (song, tokens, at, count) => {
    const made = [...tokens], before = Song.sound(song.tokens);
    for (let n = at + 1; n <= at + count; n++) {
      const step = n * song.steps, wasPut = n < at + count && !song.locked[n];
      if (wasPut || step >= song.tokens.length) continue;
      made[step] = Song.first(song, n);
      if (made[step] === HOLD && Song.sound(made)[step] !== before[step]) made[step] = before[step];
    }
    return made;
  },
  // The pitch that sounds in each step, -1 for silence.
  sound: tokens => {
    let now = -1;
    return tokens.map(token => { if (token <= OFF) now = token < OFF ? token : -1; return now; });
  },
  // The first locked bar that sounds otherwise in another version of the song; -1 for none.
  broken: (song, other) => {
    const [before, after] = [Song.sound(song.tokens), Song.sound(other.tokens)];
    const differs = n => Array.from({ length: song.steps }, (_, k) => n * song.steps + k).some(step =>
      before[step] !== after[step] || (song.tokens[step] < OFF) !== (other.tokens[step] < OFF));
    return song.locked.findIndex((is, n) => is && differs(n));
  },
  // The first token of a bar, which says also where it is silence that goes on.
  first: (song, n) => {
    const step = n * song.steps, token = song.tokens[step];
    return token === HOLD && !Song.at(song, step) ? OFF : token;
  },
  resized: (song, count) => {
    const fit = (list, filler, each = 1) => {
      const kept = list.slice(0, count * each);
      return kept.concat(new Array(count * each - kept.length).fill(filler));
    };
    const tokens = fit(song.tokens, HOLD, song.steps), old = song.tokens.length;
    if (tokens.length > old && Song.notes(song.tokens).some(note => note.end === old)) tokens[old] = OFF;
    return Song.with(song, { tokens, locked: fit(song.locked, false), composed: fit(song.composed, false) });
  },
  without: (song, numbers) => {
    const stay = (_, n) => !numbers.includes(n);
    const kept = Song.bars(song).map((bar, n) => [Song.first(song, n), ...bar.slice(1)]).filter(stay);
    if (!kept.length) return Song.empty(song.steps, 1, { ...song, first: 1 });
    return Song.with(song, { tokens: kept.flat(), locked: song.locked.filter(stay),
                             composed: song.composed.filter(stay), answer: null, first: numbers.includes(0) ? 1 : song.first });
  },
  emptied: (song, numbers) => numbers.reduce((made, n) => {
    const silence = new Array(song.steps).fill(HOLD);
    silence[0] = OFF;
    return Song.put(made, n, [silence], false);
  }, song),

  // Bars up to the last in which a note sounds.
  sounding: song => Math.ceil(Math.max(0, ...Song.notes(song.tokens).map(note => note.end)) / song.steps),

  // The same notes between other bar lines.
  rebarred: (song, steps) => {
    if (steps === song.steps) return song;
    const count = Math.max(1, Math.ceil(song.tokens.length / steps));
    const tokens = song.tokens.concat(new Array(count * steps - song.tokens.length).fill(HOLD));
    const made = n => song.composed[Math.min(Math.floor(n * steps / song.steps), song.composed.length - 1)];
    return Song.with(song, { steps, tokens, locked: new Array(count).fill(false),
                             composed: Array.from({ length: count }, (_, n) => made(n)), answer: null, first: 1 });
  },
};

// Every song that there was, in order; undo and redo go through them.
class History {
  constructor(song) { this.songs = [song]; this.place = 0; }
  get now() { return this.songs[this.place]; }
  get canUndo() { return this.place > 0; }
  get canRedo() { return this.place < this.songs.length - 1; }
  push(song) { this.songs = [...this.songs.slice(0, this.place + 1), song]; this.place++; }
  undo() { if (this.canUndo) this.place--; }
  redo() { if (this.canRedo) this.place++; }
}

const NAMES = ["C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"];
const FLATS = ["C", "D♭", "D", "E♭", "E", "F", "G♭", "G", "A♭", "A", "B♭", "B"];
const FLAT_KEYS = new Set(["F", "Bb", "Eb", "Ab", "Db", "Gb", "Cb", "Dm", "Gm", "Cm", "Fm", "Bbm", "Ebm", "Abm"]);
const pitchName = (pitch, key) => (FLAT_KEYS.has(key) ? FLATS : NAMES)[pitch % 12] + (Math.floor(pitch / 12) - 1);

// The seven pitch classes of a key, or all twelve where there is none.
const scaleOf = key => {
  if (!key) return new Set(Array.from({ length: 12 }, (_, n) => n));
  const minor = key.endsWith("m"), tonic = minor ? key.slice(0, -1) : key;
  const start = { C: 0, D: 2, E: 4, F: 5, G: 7, A: 9, B: 11 }[tonic[0]] + (tonic[1] === "#" ? 1 : tonic[1] === "b" ? 11 : 0);
  return new Set((minor ? [0, 2, 3, 5, 7, 8, 10] : [0, 2, 4, 5, 7, 9, 11]).map(step => (start + step) % 12));
};
const keyText = key => key.replace("#", "♯").replace(/^(.)b/, "$1♭").replace(/m$/, " minor") + (key.endsWith("m") ? "" : " major");

// The steps of a bar on which beats fall: dotted quarters where the metre counts eighths in threes.
const beatOf = (metre, quarter) => {
  const [above, below] = metre.split("/").map(Number);
  if (below === 8) return above % 3 === 0 ? 3 * quarter / 2 : quarter / 2;
  return 4 * quarter / below;
};
