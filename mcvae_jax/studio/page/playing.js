"use strict";
// Time: playing a song, writing down what is played, and playing in turns. All of it goes by the clock of the sound.
const stepSeconds = (song, quarter) => 60 / (song.tempo * quarter);
const until = time => new Promise(done => {
  const look = () => {
    const left = time - Sound.now();
    left <= .004 ? done() : setTimeout(look, Math.max(1, left * 1000 - 4));
  };
  look();
});

const Player = {
  timer: null, frame: 0,

  get isPlaying() { return this.timer !== null; },

  // From a step to another; beat: steps from click to click, 0 for none; follows: whether the line in the roll moves;
  // ended: called when it has come to its end by itself.
  play(song, quarter, { from = 0, to = song.tokens.length, at = Sound.now() + .08, beat = 0, follows = true,
                        ended = () => {} } = {}) {
    this.stop();
    const each = stepSeconds(song, quarter), time = step => at + (step - from) * each;
    const notes = Song.notes(song.tokens).filter(note => note.end > from && note.start < to);
    const clicks = beat ? Array.from({ length: Math.ceil((to - from) / beat) }, (_, n) => from + n * beat) : [];
    let note = 0, click = 0;
    const plan = () => {
      const soon = Sound.now() + 1.6;
      for (; note < notes.length && time(notes[note].start) < soon; note++) {
        const { start, end, pitch } = notes[note];
        Sound.plan(pitch, time(Math.max(start, from)), time(Math.min(end, to)), song.program);
      }
      for (; click < clicks.length && time(clicks[click]) < soon; click++)
        Sound.click(time(clicks[click]), clicks[click] % song.steps === 0);
    };
    plan();
    this.timer = setInterval(plan, 200);
    const step = () => {
      const now = from + (Sound.now() - at) / each;
      if (now >= to) { this.stop(false); ended(); return; }
      if (follows) Roll.follow(Math.max(from, now));
      this.frame = requestAnimationFrame(step);
    };
    this.frame = requestAnimationFrame(step);
  },
  stop(silent = true) {
    clearInterval(this.timer);
    cancelAnimationFrame(this.frame);
    if (this.isPlaying) Roll.follow(null);
    this.timer = null;
    if (silent) Sound.silence();
  },
};

// What is played, as notes of the song, from a moment on.
class Recording {
  constructor(song, quarter, bar, time) {
    Object.assign(this, { start: bar * song.steps, time, each: stepSeconds(song, quarter), notes: [], held: null });
  }
  step(time) { return Math.round((time - this.time) / this.each) + this.start; }
  press(pitch, time = Sound.now()) {
    const step = this.step(time);
    if (step < this.start) return;
    this.close(step);
    this.held = { start: step, end: step + 1, pitch };
  }
  release(pitch, time = Sound.now()) { if (this.held && this.held.pitch === pitch) this.close(this.step(time)); }
  close(step) {
    if (!this.held) return;
    const note = { ...this.held, end: Math.max(this.held.start + 1, step) };
    this.notes = [...this.notes.filter(each => each.start !== note.start), note];
    this.held = null;
  }
  // The step of the bar line after what was played until now; 0 where nothing was.
  end(song) {
    const played = [...this.notes, ...this.held ? [this.held] : []];
    return Math.ceil(Math.max(0, ...played.map(note => note.end)) / song.steps) * song.steps;
  }
  // The song with what was played until now, in bars from `start` to `end`, whatever stood there.
  into(song, end) {
    const held = this.held ? [{ ...this.held, end: Math.max(this.held.start + 1, end) }] : [];
    const played = [...this.notes, ...held].filter(note => note.start < end)
      .map(note => ({ ...note, end: Math.min(note.end, end) }));
    let made = Song.resized(song, Math.max(Song.count(song), Math.ceil(end / song.steps)));
    const bars = [];
    for (let n = this.start / song.steps; n * song.steps < end; n++) bars.push(n);
    made = Song.emptied(made, bars.filter(n => !made.locked[n]));
    for (const note of played) {
      const more = Song.add(made, note);
      if (Song.broken(made, more) < 0) made = more;
    }
    return made;
  }
}

const Clicks = {
  // One bar of clicks at a time, from a moment on; returns when that bar ends.
  bar(song, quarter, beat, time) {
    for (let step = 0; step < song.steps; step += beat)
      Sound.click(time + step * stepSeconds(song, quarter), step === 0);
    return time + song.steps * stepSeconds(song, quarter);
  },
};

// The piano of the page, the keys of the keyboard, and MIDI keyboards, which all press and release pitches.
const Piano = {
  base: 60, down: new Map(), pressed: () => {}, released: () => {},
  codes: ["KeyA", "KeyW", "KeyS", "KeyE", "KeyD", "KeyF", "KeyT", "KeyG", "KeyY", "KeyH", "KeyU", "KeyJ", "KeyK"],

  begin(actions) {
    Object.assign(this, actions);
    this.box = document.getElementById("piano");
    this.draw();
    const pitchAt = event => Number(document.elementFromPoint(event.clientX, event.clientY)?.closest?.("[data-pitch]")?.dataset.pitch);
    this.box.addEventListener("pointerdown", event => {
      const pitch = Number(event.target.closest("[data-pitch]")?.dataset.pitch);
      if (pitch) this.press(`pointer ${event.pointerId}`, pitch);
    });
    this.box.addEventListener("pointermove", event => {
      const source = `pointer ${event.pointerId}`, pitch = pitchAt(event);
      if (this.down.has(source) && pitch && pitch !== this.down.get(source)) this.press(source, pitch);
    });
    for (const kind of ["pointerup", "pointercancel"])
      document.addEventListener(kind, event => this.release(`pointer ${event.pointerId}`));
    document.addEventListener("keydown", event => this.key(event));
    document.addEventListener("keyup", event => this.release(event.code));
    window.addEventListener("blur", () => [...this.down.keys()].forEach(source => this.release(source)));
    document.getElementById("lower").addEventListener("click", () => this.shift(-12));
    document.getElementById("higher").addEventListener("click", () => this.shift(12));
  },
  draw() {
    const letters = Object.fromEntries(this.codes.map((code, n) => [n, code.slice(3)]));
    this.box.replaceChildren(...Array.from({ length: 25 }, (_, n) => {
      const key = document.createElement("button"), pitch = this.base + n;
      key.type = "button";
      key.tabIndex = -1;
      key.dataset.pitch = pitch;
      key.className = `${NAMES[pitch % 12].length > 1 ? "ebony" : "ivory"} ${n > 16 ? "far" : ""}`;
      key.setAttribute("aria-label", pitchName(pitch, ""));
      key.textContent = letters[n] || "";
      return key;
    }));
    this.light();
  },
  shift(by) {
    [...this.down.keys()].forEach(source => this.release(source));
    this.base = Math.max(24, Math.min(84, this.base + by));
    this.draw();
  },
  light() {
    const on = new Set(this.down.values());
    for (const key of this.box.children) key.classList.toggle("down", on.has(Number(key.dataset.pitch)));
  },
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || typesIn(event.target)) return;
    if (event.code === "KeyZ" || event.code === "KeyX") return this.shift(event.code === "KeyZ" ? -12 : 12);
    const n = this.codes.indexOf(event.code);
    if (n >= 0) this.press(event.code, this.base + n);
  },
  press(source, pitch) {
    this.release(source);
    this.down.set(source, pitch);
    this.pressed(pitch);
    this.light();
  },
  release(source) {
    const pitch = this.down.get(source);
    if (pitch === undefined) return;
    this.down.delete(source);
    this.released(pitch);
    this.light();
  },
  async connect() {
    if (!navigator.requestMIDIAccess) throw new Error("This browser has no MIDI; Chrome, Edge and Firefox have.");
    const access = await navigator.requestMIDIAccess();
    const listen = () => {
      for (const input of access.inputs.values())
        input.onmidimessage = ({ data: [status, pitch, velocity] }) => {
          const kind = status & 0xf0, source = `midi ${input.id} ${pitch}`;
          if (kind === 0x90 && velocity) this.press(source, pitch);
          else if (kind === 0x80 || kind === 0x90) this.release(source);
        };
      return [...access.inputs.values()].map(input => input.name);
    };
    access.onstatechange = listen;
    return listen();
  },
};

// Whether letters that are typed here mean text.
const typesIn = element => element.matches?.("input:not([type=range]):not([type=checkbox]), select, textarea") ?? false;
