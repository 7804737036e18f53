"use strict";
// The parts of the page beside the song: kept songs, files, facts, what a reload finds again, and playing in turns.
const Kept = {
  draw() {
    $("favourites").hidden = !App.kept.length;
    $("shelf").replaceChildren(...App.kept.map((kept, n) => {
      const card = document.createElement("article"), head = document.createElement("h3"), picture = document.createElement("div");
      head.textContent = kept.name;
      picture.className = "picture";
      picture.innerHTML = thumbnail(kept.song);
      const acts = document.createElement("div");
      acts.className = "transport";
      acts.append(this.button("▶ Play", `Play ${kept.name}`, () => this.play(kept)),
                  this.button("Use", `Go on with ${kept.name}`, () => { this.use(kept); }),
                  this.button("✕", `Forget ${kept.name}`, () => this.forget(kept)));
      card.className = "kept";
      card.append(head, picture, acts);
      return card;
    }));
  },
  button(text, label, act) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    button.setAttribute("aria-label", label);
    button.addEventListener("click", act);
    return button;
  },
  keep() {
    if (!Song.sounding(App.song)) return App.say("There is nothing to keep yet.", true);
    const number = 1 + Math.max(0, ...App.kept.map(kept => kept.number));
    App.kept = [...App.kept, { name: `${App.song.title} ${number}`, number, song: App.song }];
    this.draw();
    Store.save();
    App.say("Kept, further below. Change the song as you like: this one stays.");
  },
  forget(kept) {
    App.kept = App.kept.filter(each => each !== kept);
    this.draw();
    Store.save();
    App.say(`${kept.name} is no longer kept.`);
  },
  play({ song }) {
    const { quarter } = App.about.models.find(model => model.steps === song.steps);
    Player.play(song, quarter, { to: Song.sounding(song) * song.steps, follows: false, ended: () => App.playing(false) });
    App.playing(true);
  },
  use(kept) {
    App.stop();
    App.change(kept.song, []);
    App.say(`${kept.name} is in the grid again.`);
  },
};

const Files = {
  async drop(file) {
    if (!file) return;
    if (file.size > App.about.most_dropped) return App.say(`${file.name} is larger than ${App.about.most_dropped / 2 ** 20} MB.`, true);
    App.say(`Reading ${file.name} …`);
    try {
      const found = await Server.drop(file), model = App.about.models.find(each => each.steps === found.steps);
      const metre = model.metres.includes(found.metre) ? found.metre : model.metres[0];
      const { title, key, program, first } = found, tempo = Math.round(found.tempo);
      App.stop();
      App.change(Song.put(Song.empty(found.steps, found.bars.length, { title, key, program, first, tempo, metre }), 0, found.bars, false), []);
      App.say(`${found.title}: ${found.bars.length} bars.`);
      this.told(found.notes);
      Facts.draw();
    } catch (error) {
      App.say(error.message, true);
    }
  },
  // What a musician should know of how the file was read, below the line that says what happens.
  told(notes) {
    $("notes").replaceChildren(...notes.map(line => {
      const item = document.createElement("li");
      item.textContent = `${line[0].toUpperCase()}${line.slice(1)}`;
      return item;
    }));
  },
  // The song up to its last note, as a file; null where there is no note.
  async made(suffix) {
    const { song } = App, count = Song.sounding(song);
    if (!count) return null;
    return Server.export({ suffix, steps: song.steps, bars: Song.bars(song, 0, count), tempo: song.tempo,
      composed: song.composed.slice(0, count), title: song.title, metre: song.metre, key: song.key, program: song.program });
  },
  async save(suffix) {
    try {
      const data = await this.made(suffix);
      if (!data) return App.say("There is nothing to save yet.", true);
      const link = document.createElement("a");
      link.href = URL.createObjectURL(data);
      link.download = (App.song.title.replace(/[^\p{L}\p{N} ._-]+/gu, "").trim() || "song") + suffix;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
      App.say(`Saved as ${link.download}, among your downloads.`);
    } catch (error) {
      App.say(error.message, true);
    }
  },
};

// The song as sheet music, drawn anew a moment after it has changed, where that can be drawn and is unfolded.
const Score = {
  timer: 0, drawn: null,
  soon() {
    clearTimeout(this.timer);
    $("score").hidden = !App.about.formats.some(({ suffix }) => suffix === ".svg");
    if ($("score").open) this.timer = setTimeout(() => this.draw(), 300);
  },
  async draw() {
    const { song } = App, image = $("score").querySelector("img");
    if (this.drawn === song) return;
    try {
      const data = await Files.made(".svg");
      if (App.song !== song) return;
      URL.revokeObjectURL(image.src);
      image.hidden = !data;
      if (data) image.src = URL.createObjectURL(data);
      this.drawn = song;
    } catch (error) {
      App.say(error.message, true);
    }
  },
};

// How surprising each bar is, asked for when the song has been left alone for a moment.
const Surprise = {
  timer: 0,
  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), 250);
  },
  async ask() {
    const { song } = App, count = Song.sounding(song);
    if (App.bits.tokens === song.tokens || App.busy || App.dialogue || !App.can("surprise")) return;
    try {
      const { bits } = count ? await Server.answer({ what: "surprise", steps: song.steps, bars: Song.bars(song, 0, count) }) : { bits: [] };
      if (App.song.tokens !== song.tokens) return;
      const level = each => LEVELS.filter(from => each / song.steps >= from).length;
      App.bits = { tokens: song.tokens, levels: bits.map(level), bits };
      Bars.draw(App.song);
      Facts.draw();
    } catch (error) {
      App.bits = { tokens: song.tokens, levels: [] };
    }
  },
};

const Facts = {
  draw() {
    const { bits, tokens } = App.bits, facts = { ...App.model.facts, studio: App.about.version };
    if (bits && tokens === App.song.tokens) facts["bits of each bar"] = bits.map(each => each.toFixed(1)).join(", ");
    $("facts").replaceChildren(...Object.entries(facts).flatMap(([name, text]) => {
      const term = document.createElement("dt"), fact = document.createElement("dd");
      term.textContent = name;
      fact.textContent = text;
      return [term, fact];
    }));
  },
};

// What a reload of the page finds again; it lasts as long as the tab.
const Store = {
  save() {
    try {
      sessionStorage.setItem("studio", JSON.stringify({ song: App.song, kept: App.kept, take: Asking.take }));
    } catch { /* there is no room, or it is not allowed */ }
  },
  load() {
    try {
      const found = JSON.parse(sessionStorage.getItem("studio"));
      if (!found || !App.about.models.some(model => model.steps === found.song.steps)) return;
      App.history = new History(Song.of(found.song));
      App.kept = found.kept;
      Asking.take = found.take;
    } catch { /* another version's */ }
  },
};

// Call and response: a turn of yours, then as long an answer, and again, all by one clock.
const Dialogue = {
  async run() {
    if (App.dialogue) return this.end("");
    App.stop();
    const turn = this.turn = App.dialogue = { take: null, going: true };
    $("dialogue").textContent = "Stop";
    $("dialogue").setAttribute("aria-pressed", "true");
    App.able();
    App.say("One bar of clicks, then it is your turn.");
    let time = Clicks.bar(App.song, App.model.quarter, App.beat, Sound.now() + .15), trouble = "";
    try {
      while (turn.going) {
        time = await this.yourTurn(turn, time);
        if (!turn.going || turn.silent) break;
      }
      trouble = turn.silent ? "You played nothing in your turn, so this ends." : "";
    } catch (error) {
      trouble = error.message;
    }
    if (App.dialogue === turn) this.end(trouble);
  },
  end(line) {
    const turn = App.dialogue;
    turn.going = false;
    App.dialogue = null;
    App.stop();
    const played = turn.take && turn.take.end(App.song);
    if (played) App.change(turn.take.into(App.song, played));
    $("dialogue").textContent = "Start";
    $("dialogue").setAttribute("aria-pressed", "false");
    App.render();
    App.say(line || "That was it. All that was played is in the grid.");
  },
  // Returns when the next turn begins.
  async yourTurn(turn, time) {
    const { song } = App, { quarter } = App.model, count = Number($("turn").value), at = turn.next ?? Song.sounding(song);
    const each = stepSeconds(song, quarter), bar = song.steps * each, end = time + count * bar;
    if (at + 2 * count > App.about.most_bars) throw new Error("The song is full.");
    turn.take = new Recording(song, quarter, at, time);
    for (let n = 0, next = time; n < count; n++) {
      next = Clicks.bar(song, quarter, App.beat, next);
      await until(Math.min(next, end - this.lead()) - (n < count - 1 ? .3 : 0));
      if (!turn.going) return end;
      if (n === 0) App.say("Your turn.");
    }
    const last = (at + count) * song.steps, phrase = turn.take.into(song, last);
    if (!turn.take.notes.length && !turn.take.held) { turn.silent = true; return end; }
    const started = performance.now();
    const asked = Server.answer(Asking.continue(phrase, count, true, at + count).message);
    const [{ bars }] = await Promise.all([asked.then(found => {
      App.latency = (performance.now() - started) / 1000;
      return found;
    }), until(end - .03)]);
    if (!turn.going) return end;
    return this.answer(turn, song, at, count, bars, end);
  },
  async answer(turn, song, at, count, bars, end) {
    const bar = song.steps * stepSeconds(song, App.model.quarter), late = Math.max(0, Math.ceil((Sound.now() - end - .05) / bar));
    const begin = end + late * bar, numbers = Array.from({ length: count }, (_, n) => at + count + n);
    const phrase = turn.take.into(song, (at + count) * song.steps);
    turn.take = null;
    App.change(Song.with(Song.put(phrase, at + count, bars, true), { answer: { what: "continue", numbers, ending: true } }), numbers);
    turn.next = at + 2 * count;
    App.say("The answer.");
    Player.play(App.song, App.model.quarter, { from: numbers[0] * song.steps, at: Math.max(begin, Sound.now()),
                                               beat: $("metronome").checked ? App.beat : 0 });
    App.playing(true);
    await until(begin + count * bar - .12);
    return begin + count * bar;
  },
  lead() { return Math.max(.15, 1.5 * App.latency + .08); },
};
