"use strict";
// The page: one song with its history, what is selected in it, and what the buttons do.
const $ = id => document.getElementById(id);
const LENGTHS = [ // in quarters; a list has those that are whole steps
  [1 / 4, "sixteenths"], [1 / 3, "triplet eighths"], [1 / 2, "eighths"], [2 / 3, "triplet quarters"],
  [3 / 4, "dotted eighths"], [1, "quarters"], [3 / 2, "dotted quarters"], [2, "halves"],
];
const inSteps = (length, quarter) => Math.round(length * quarter);
const LEVELS = [.25, .8, 1.35, 2.0]; // bits for each step of a bar from which on it is more surprising
const LOCK = '<svg viewBox="0 0 12 14"><path d="M2 6V4a4 4 0 0 1 8 0v2h1v8H1V6zm2 0h4V4a2 2 0 0 0-4 0z"/></svg>';
const WORDS = ["as expected", "hardly surprising", "somewhat surprising", "surprising", "very surprising"];

const App = {
  about: null, history: null, chosen: [], anchor: 0, focus: 0, bits: { tokens: null, levels: [] }, kept: [],
  busy: false, recording: null, dialogue: null, latency: .2,

  get song() { return this.history.now; },
  get model() { return this.about.models.find(model => model.steps === this.song.steps); },
  get beat() { return beatOf(this.song.metre, this.model.quarter); },
  can(what) { return this.about.ready.includes(`${this.song.steps} ${what}`); },

  // A new song of which the old one can be had back.
  change(song, chosen = this.chosen) {
    this.history.push(song);
    this.chosen = chosen;
    this.render();
  },
  // The same, and says which bars were changed how.
  done(song, how, bars = this.chosen, chosen = this.chosen) {
    const which = barsText(this.song, bars);
    this.change(song, chosen);
    this.say(`${which[0].toUpperCase()}${which.slice(1)} ${bars.length === 1 ? "is" : "are"} ${how}.`);
  },
  say(line, wrong = false) {
    $("said").textContent = line;
    $("said").classList.toggle("wrong", wrong);
  },
  look() {
    return { quarter: this.model.quarter, beat: this.beat, scale: scaleOf(this.song.key), chosen: new Set(this.chosen),
             length: inSteps($("length").value, this.model.quarter) };
  },

  render() {
    const { song } = this, count = Song.count(song);
    this.chosen = this.chosen.filter(n => n < count);
    this.focus = Math.min(this.focus, count - 1);
    Bars.draw(song);
    Roll.draw(song, this.look());
    for (const [id, field] of [["title", "title"], ["metre", "metre"], ["tempo", "tempo"], ["key", "key"], ["instrument", "program"]])
      if (id !== "title" || document.activeElement !== $(id)) $(id).value = song[field];
    document.title = `${song.title} · Studio`;
    $("undo").disabled = !this.history.canUndo;
    $("redo").disabled = !this.history.canRedo;
    this.able();
    const chosen = this.chosen;
    $("chosen").textContent = chosen.length ? `${barsText(song, chosen)} selected` : "";
    for (const id of ["lock", "empty", "remove"]) $(id).disabled = !chosen.length;
    $("lock").textContent = chosen.length && chosen.every(n => song.locked[n]) ? "Unlock" : "Lock";
    Store.save();
    Surprise.soon();
    Score.soon();
  },
  able() {
    const free = !this.busy && !this.dialogue && !this.recording;
    $("record").disabled = Boolean(this.dialogue);
    for (const what of ["continue", "fill", "vary"]) {
      $(what).disabled = !free || !this.can(what);
      $(what).hidden = !this.model.can.includes(what);
    }
    const { answer } = this.song, last = answer && answer.numbers[answer.numbers.length - 1] < Song.count(this.song);
    $("another").disabled = !free || !last || !this.can(answer.what) || !this.can("fill") && this.song.locked.some(Boolean);
    $("dialogue").disabled = !this.dialogue && (!free || !this.can("continue"));
  },

  play(from = 0, to = this.song.tokens.length) {
    const beat = $("metronome").checked ? this.beat : 0;
    Player.play(this.song, this.model.quarter, { from, to, beat, ended: () => this.playing(false) });
    this.playing(true);
  },
  playing(is) {
    $("play").setAttribute("aria-pressed", is);
    $("play").querySelector(".text").textContent = is ? "Stop" : "Play";
    $("play").firstElementChild.textContent = is ? "■" : "▶";
  },
  stop() {
    Player.stop();
    this.playing(false);
  },
  toggle() {
    if (this.recording) return this.record();
    if (this.dialogue) return Dialogue.end("");
    if (Player.isPlaying) return this.stop();
    const from = this.chosen.length ? this.chosen[0] : 0, end = Song.sounding(this.song);
    if (!end) return this.say("There is nothing to hear yet: draw or play a few notes.");
    this.play((from < end ? from : 0) * this.song.steps, end * this.song.steps);
  },

  // Asks the model and puts its answer into the song.
  async ask(make, words) {
    if (this.busy) return;
    let asked;
    try {
      asked = make();
      if (Math.max(...asked.numbers) >= this.about.most_bars) throw new Error(`A song has ${this.about.most_bars} bars at most.`);
    } catch (error) {
      return this.say(error.message, true);
    }
    Sound.wake();
    this.busy = true;
    this.able();
    this.say("Listening …");
    const before = this.song, started = performance.now();
    try {
      const { bars } = await Server.answer(asked.message);
      this.latency = (performance.now() - started) / 1000;
      if (this.song !== before) throw new Error("The song has changed meanwhile; ask once more.");
      this.busy = false;
      this.change(asked.put(bars), asked.numbers);
      const which = barsText(this.song, asked.numbers), verb = words[asked.numbers.length === 1 ? 0 : 1];
      this.say(`${which[0].toUpperCase()}${which.slice(1)} ${verb}. Another gives others; lock what you like.`);
      const first = Math.max(0, asked.numbers[0] - 1), last = asked.numbers[asked.numbers.length - 1] + 1;
      Roll.show(asked.numbers[0]);
      this.play(first * this.song.steps, last * this.song.steps);
    } catch (error) {
      this.say(error.message, true);
    }
    this.busy = false;
    this.able();
  },

  undo() { this.step(() => this.history.undo(), "Undone."); },
  redo() { this.step(() => this.history.redo(), "Done again."); },
  step(go, line) {
    const before = this.song;
    go();
    this.stop();
    this.render();
    if (this.song !== before) this.say(line);
  },

  setting(fields) {
    const playing = Player.isPlaying;
    if (playing) this.stop();
    this.change(Song.with(this.song, fields));
  },
  setMetre() {
    const metre = $("metre").value, model = this.about.models.find(each => each.metres.includes(metre));
    const song = Song.with(Song.rebarred(this.song, model.steps), { metre });
    if (Song.count(song) > this.about.most_bars) {
      this.say(`In ${metre} the song would have more than ${this.about.most_bars} bars.`, true);
      return this.render();
    }
    this.stop();
    this.change(song, []);
    Facts.draw();
  },

  // A bar of clicks, then what is played is written from the selected bar on, or after the song.
  record() {
    if (this.recording) {
      const { take, timer } = this.recording;
      clearInterval(timer);
      this.recording = null;
      $("record").setAttribute("aria-pressed", "false");
      $("record").querySelector(".text").textContent = "Record";
      Sound.silence();
      Roll.follow(null);
      const end = take.end(this.song);
      this.able();
      if (!end) return this.say("Nothing was played.");
      this.change(take.into(this.song, end));
      return this.say("What you played is in the grid. Continue goes on from it.");
    }
    if (this.dialogue) return;
    this.stop();
    const { song } = this, { quarter } = this.model, bar = this.chosen.length ? this.chosen[0] : Song.sounding(song);
    if (bar >= this.about.most_bars) return this.say("The song is full.", true);
    const start = Clicks.bar(song, quarter, this.beat, Sound.now() + .1);
    const take = new Recording(song, quarter, bar, start);
    let next = start;
    const tick = () => {
      if (next < Sound.now() + .5) next = Clicks.bar(song, quarter, this.beat, next);
      Roll.follow(Math.max(take.start, Math.min((Sound.now() - start) / take.each + take.start, song.tokens.length)));
      if ((next - start) / take.each / song.steps > Math.min(65, this.about.most_bars - bar)) this.record();
    };
    this.recording = { take, timer: setInterval(tick, 40) };
    this.able();
    $("record").setAttribute("aria-pressed", "true");
    $("record").querySelector(".text").textContent = "Stop";
    this.say(`One bar of clicks, then play: it is written from bar ${Song.number(song, bar)} on.`);
  },
  pressed(pitch) {
    Sound.press(pitch, this.song.program);
    this.recording?.take.press(pitch);
    this.dialogue?.take?.press(pitch);
  },
  released(pitch) {
    Sound.release(pitch);
    this.recording?.take.release(pitch);
    this.dialogue?.take?.release(pitch);
  },

  choose(n, extend) {
    if (extend) {
      const [from, to] = [Math.min(this.anchor, n), Math.max(this.anchor, n)];
      this.chosen = Array.from({ length: to - from + 1 }, (_, each) => from + each);
    } else {
      this.chosen = this.chosen.length === 1 && this.chosen[0] === n ? [] : [n];
      this.anchor = n;
    }
    this.focus = n;
    this.render();
  },
  lock() {
    const all = this.chosen.every(n => this.song.locked[n]), locked = [...this.song.locked];
    for (const n of this.chosen) locked[n] = !all;
    if (this.chosen.length) this.done(Song.with(this.song, { locked }), all ? "unlocked" : "locked");
  },
  unlocked() {
    const free = this.chosen.filter(n => !this.song.locked[n]);
    if (!free.length && this.chosen.length) this.say("These bars are locked.", true);
    return free;
  },
  empty() {
    const free = this.unlocked();
    if (free.length) this.done(Song.emptied(this.song, free), "empty", free);
  },
  remove() {
    const free = this.unlocked();
    if (free.length) this.done(Song.without(this.song, free), "taken out", free, []);
  },
  more() {
    const count = Song.count(this.song);
    if (count < this.about.most_bars) this.change(Song.resized(this.song, count + 1));
    Roll.show(count);
  },
};

// The buttons above the bars.
const Bars = {
  draw(song) {
    const strip = $("bars"), count = Song.count(song);
    while (strip.children.length > count) strip.lastElementChild.remove();
    while (strip.children.length < count) {
      const button = document.createElement("button"), n = strip.children.length;
      button.type = "button";
      button.className = "bar";
      button.innerHTML = `<span class="number"></span><span class="sign" aria-hidden="true"></span>`;
      button.addEventListener("click", event => App.choose(n, event.shiftKey));
      button.addEventListener("keydown", event => this.key(event, n));
      strip.append(button);
    }
    requestAnimationFrame(() => [...strip.children].forEach(each => { each.style.width = `${Roll.bar}px`; }));
    const levels = App.bits.levels;
    [...strip.children].forEach((button, n) => {
      const level = levels[n] ?? -1, locked = song.locked[n], chosen = App.chosen.includes(n);
      const facts = [song.composed[n] ? "the answer" : "yours", locked ? "locked" : "", level >= 0 ? WORDS[level] : ""];
      button.className = `bar level${level}`;
      button.classList.toggle("is-locked", locked);
      button.setAttribute("aria-pressed", chosen);
      button.querySelector(".number").textContent = Song.number(song, n);
      button.title = [`Bar ${Song.number(song, n)}`, ...facts.filter(Boolean)].join(", ");
      button.setAttribute("aria-label", button.title);
      button.querySelector(".sign").innerHTML = locked ? LOCK : "";
      button.tabIndex = n === App.focus ? 0 : -1;
    });
  },
  key(event, n) {
    const last = Song.count(App.song) - 1;
    const to = { ArrowRight: Math.min(last, n + 1), ArrowLeft: Math.max(0, n - 1), Home: 0, End: last }[event.key];
    if (to !== undefined) {
      if (event.shiftKey) {
        if (!App.chosen.length) App.anchor = n;
        App.choose(to, true);
      }
      App.focus = to;
      [...$("bars").children].forEach((each, k) => { each.tabIndex = k === to ? 0 : -1; });
      $("bars").children[to].focus();
      Roll.show(to);
    } else if (event.key.toLowerCase() === "l") {
      if (!App.chosen.includes(n)) App.chosen = [n];
      App.lock();
    } else if (event.key === "Delete" || event.key === "Backspace") {
      if (!App.chosen.includes(n)) App.chosen = [n];
      App.empty();
    } else return;
    event.preventDefault();
  },
};
