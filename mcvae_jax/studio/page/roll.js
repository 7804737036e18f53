"use strict";
// The piano roll: draws a song, and turns what the pointer and the arrow keys do in it into other songs.
const Roll = {
  row: 13, low: 55, high: 84, bar: 160, cursor: { step: 0, pitch: 67 }, song: null, look: null, drag: null,
  heard: () => {}, changed: () => {}, said: () => {},

  begin(actions) {
    Object.assign(this, actions);
    this.box = document.getElementById("roll");
    this.strip = document.getElementById("bars");
    this.scroller = document.getElementById("scroller");
    this.box.innerHTML = `<svg aria-hidden="true"></svg><div class="playhead" hidden></div>`;
    this.svg = this.box.querySelector("svg");
    this.head = this.box.querySelector(".playhead");
    this.box.addEventListener("pointerdown", event => this.down(event));
    this.box.addEventListener("pointermove", event => this.move(event));
    this.box.addEventListener("pointerup", event => this.up(event));
    this.box.addEventListener("pointercancel", () => { this.drag = null; this.draw(this.song, this.look); });
    this.box.addEventListener("keydown", event => this.key(event));
    document.getElementById("keys").addEventListener("pointerdown", event => {
      const rect = event.currentTarget.getBoundingClientRect();
      this.heard(this.high - Math.floor((event.clientY - rect.top - this.strip.offsetHeight) / this.row));
    });
  },

  step() { return this.bar / this.song.steps; },
  x(step) { return step * this.step(); },
  y(pitch) { return (this.high - pitch) * this.row; },

  // look: {quarter, beat, scale, chosen: Set of bars, levels: of surprise, one for each bar}
  draw(song, look) {
    this.song = song;
    this.look = look;
    const notes = Song.notes(song.tokens), pitches = notes.map(note => note.pitch), count = Song.count(song);
    this.low = Math.min(55, ...pitches.map(pitch => pitch - 2));
    this.high = Math.max(84, ...pitches.map(pitch => pitch + 2));
    const room = this.scroller.clientWidth - 46;
    this.row = room < 500 ? 11 : 13;
    this.bar = Math.max(room < 500 ? 132 : 112, Math.min(320, Math.floor(room / count)));
    this.cursor.step = Math.min(this.cursor.step, song.tokens.length - 1);
    const width = this.bar * count, height = (this.high - this.low + 1) * this.row;
    this.svg.setAttribute("width", width + 1);
    this.svg.setAttribute("height", height);
    this.svg.innerHTML = this.ground(song, look, width, height) + notes.map(note => this.note(song, note)).join("")
      + `<rect class="cursor" x="${this.x(this.cursor.step)}" y="${this.y(this.cursor.pitch)}" width="${this.step()}" height="${this.row}" rx="2"/>`;
    this.drawKeys(look, height);
  },

  note(song, note) {
    const made = song.composed[Math.floor(note.start / song.steps)];
    const width = Math.max(3, this.x(note.end - note.start) - 1.5);
    return `<rect class="note ${made ? "made" : "own"}" x="${this.x(note.start) + .75}" y="${this.y(note.pitch) + .75}" width="${width}" height="${this.row - 1.5}" rx="3"/>`;
  },

  ground(song, look, width, height) {
    const parts = [], lines = { octave: "", grid: "", beat: "", line: `M${width + .5} 0V${height}` };
    for (let pitch = this.low; pitch <= this.high; pitch++) {
      const kind = !look.scale.has(pitch % 12) ? "outside" : NAMES[pitch % 12].length > 1 ? "black" : "";
      if (kind) parts.push(`<rect class="${kind}" y="${this.y(pitch)}" width="${width}" height="${this.row}"/>`);
      if (pitch % 12 === 0) lines.octave += `M0 ${this.y(pitch) + this.row - .5}H${width}`;
    }
    for (let step = 0; step < song.tokens.length; step++) {
      const within = step % song.steps, kind = !within ? "line" : within % look.beat ? "grid" : "beat";
      if (kind !== "grid" || this.step() >= 7) lines[kind] += `M${this.x(step) + .5} 0V${height}`;
    }
    for (const [kind, path] of Object.entries(lines)) parts.push(`<path class="${kind}" d="${path}"/>`);
    song.locked.forEach((locked, n) => {
      const whole = `x="${n * this.bar}" width="${this.bar}" height="${height}"`;
      if (look.chosen.has(n)) parts.push(`<rect class="chosen" ${whole}/>`);
      if (locked) parts.push(`<rect class="locked" ${whole}/>`);
    });
    return parts.join("");
  },

  drawKeys(look, height) {
    const keys = document.getElementById("keys"), top = this.strip.offsetHeight;
    const state = `${this.low} ${this.high} ${top} ${this.row}`;
    if (keys.dataset.state === state) return;
    keys.dataset.state = state;
    let drawn = "";
    for (let pitch = this.low; pitch <= this.high; pitch++) {
      const black = NAMES[pitch % 12].length > 1, y = top + this.y(pitch);
      drawn += `${black ? `<rect class="under" y="${y}" width="44" height="${this.row}"/>` : ""}<rect class="${black ? "ebony" : "ivory"}" y="${y}" width="${black ? 28 : 44}" height="${this.row}"/>`;
      if (pitch % 12 === 0) drawn += `<text x="24" y="${y + this.row - 3}">C${pitch / 12 - 1}</text>`;
    }
    keys.innerHTML = `<svg width="45" height="${top + height}">${drawn}</svg>`;
  },

  // Where the music is; null hides it. The view follows it.
  follow(step) {
    this.head.hidden = step === null;
    if (step === null) return;
    const x = this.x(step);
    this.head.style.transform = `translateX(${x}px)`;
    const left = this.scroller.scrollLeft, room = this.scroller.clientWidth - 60;
    if (x < left || x > left + room) this.scroller.scrollLeft = Math.max(0, x - room * .15);
  },
  show(bar) {
    const x = bar * this.bar, left = this.scroller.scrollLeft, room = this.scroller.clientWidth - 50;
    if (x < left || x + this.bar > left + room) this.scroller.scrollLeft = Math.max(0, x - room * .4);
  },

  place(event) {
    const rect = this.svg.getBoundingClientRect(), x = event.clientX - rect.left, y = event.clientY - rect.top;
    const step = Math.min(this.song.tokens.length - 1, Math.max(0, Math.floor(x / this.step())));
    return { step, pitch: this.high - Math.floor(y / this.row), x };
  },

  down(event) {
    if (event.button !== 0 || !this.song) return;
    const at = this.place(event), found = Song.at(this.song, at.step);
    const note = found && found.pitch === at.pitch ? found : null;
    this.drag = { at, note, from: this.song, touch: event.pointerType === "touch", moved: false,
                  edge: note && this.x(note.end) - at.x < Math.min(7, this.step() / 2) };
    this.cursor = { step: at.step, pitch: at.pitch };
    if (this.drag.touch) return;
    this.box.setPointerCapture(event.pointerId);
    if (!note) this.preview(this.drawn(at.step));
  },
  move(event) {
    const drag = this.drag;
    if (!drag || drag.touch) return;
    const to = this.place(event);
    if (to.step === drag.at.step && to.pitch === drag.at.pitch && !drag.moved) return;
    drag.moved = true;
    if (!drag.note) this.preview(this.drawn(to.step));
    else this.preview(drag.edge ? { ...drag.note, end: Math.max(drag.note.start + 1, to.step + 1) } : this.moved(to));
  },
  up() {
    const drag = this.drag;
    if (!drag) return;
    const made = drag.shown && this.made(drag.shown);
    this.drag = null;
    if (drag.note && !drag.moved) return this.commit(Song.take(drag.from, drag.note));
    if (drag.touch) return this.write(drag.at.step, drag.at.pitch);
    if (made) this.commit(made);
    this.heard((drag.shown || drag.at).pitch);
  },

  // A new note as long as new notes are, but it leaves the one that follows alone.
  fresh(step, pitch) {
    const next = Song.notes(this.song.tokens).find(note => note.start > step);
    return { start: step, end: Math.min(step + this.look.length, next ? next.start : this.song.tokens.length), pitch };
  },
  // The note that is drawn from where the pointer went down, to where it is.
  drawn(to) {
    const { step, pitch } = this.drag.at;
    return to > step ? { start: step, end: to + 1, pitch } : this.fresh(step, pitch);
  },
  moved(to) {
    const { at, note } = this.drag, length = note.end - note.start;
    const start = Math.max(0, Math.min(note.start + to.step - at.step, this.song.tokens.length - length));
    return { start, end: start + length, pitch: Math.max(0, Math.min(127, note.pitch + to.pitch - at.pitch)) };
  },
  made(note) {
    const { from, note: old } = this.drag;
    return Song.add(old ? Song.take(from, old) : from, note);
  },
  preview(note) {
    this.drag.shown = note;
    this.draw(this.made(note), this.look);
    this.song = this.drag.from;
  },
  commit(song) {
    const broken = Song.broken(this.song, song);
    if (broken >= 0) {
      this.said(`Bar ${Song.number(song, broken)} is locked.`, true);
      return this.draw(this.song, this.look);
    }
    this.changed(song);
  },
  write(step, pitch) {
    const note = this.fresh(step, pitch);
    this.heard(pitch);
    this.commit(Song.add(this.song, note));
  },

  key(event) {
    if (event.ctrlKey && !event.key.startsWith("Arrow") || event.metaKey || event.altKey) return;
    const { step, pitch } = this.cursor, far = event.ctrlKey, found = Song.at(this.song, step);
    const note = found && found.pitch === pitch ? found : null;
    const moves = { ArrowRight: [far ? this.song.steps : 1, 0], ArrowLeft: [far ? -this.song.steps : -1, 0],
                    ArrowUp: [0, far ? 12 : 1], ArrowDown: [0, far ? -12 : -1] };
    if (event.shiftKey && note && ["ArrowRight", "ArrowLeft"].includes(event.key)) {
      const end = note.end + (event.key === "ArrowRight" ? 1 : -1);
      if (end > note.start && end <= this.song.tokens.length) {
        const longer = { ...note, end };
        this.commit(Song.add(Song.take(this.song, note), longer));
      }
    } else if (event.key in moves) {
      const [right, up] = moves[event.key];
      this.cursor = { step: Math.max(0, Math.min(this.song.tokens.length - 1, step + right)),
                      pitch: Math.max(this.low, Math.min(this.high, pitch + up)) };
      if (up) this.heard(this.cursor.pitch);
    } else if (event.key === "Enter") {
      if (note) this.commit(Song.take(this.song, note));
      else this.write(step, pitch);
    } else return;
    event.preventDefault();
    this.draw(this.song, this.look);
    this.show(Math.floor(this.cursor.step / this.song.steps));
    this.tell();
  },
  tell() {
    const { step, pitch } = this.cursor, { steps } = this.song, { quarter } = this.look, found = Song.at(this.song, step);
    const within = step % steps, beat = Math.floor(within / this.look.beat) + 1, rest = within % this.look.beat;
    const what = found ? found.pitch === pitch ? ", a note" : `, under ${pitchName(found.pitch, this.song.key)}` : "";
    document.getElementById("spot").textContent =
      `${pitchName(pitch, this.song.key)}, bar ${Song.number(this.song, Math.floor(step / steps))}, beat ${beat}${rest ? ` and ${rest} ${quarter === 4 ? "sixteenth" : "step"}${rest > 1 ? "s" : ""}` : ""}${what}`;
  },
};

// A song as a small picture of its notes.
const thumbnail = (song, width = 220, height = 64) => {
  const notes = Song.notes(song.tokens), pitches = notes.map(note => note.pitch);
  const low = Math.min(...pitches, 127), high = Math.max(...pitches, 0), span = Math.max(12, high - low + 1);
  const x = step => (step / song.tokens.length * width).toFixed(1), y = pitch => ((high - pitch + .5) / span * (height - 6)).toFixed(1);
  const drawn = notes.map(note => `<rect class="note ${song.composed[Math.floor(note.start / song.steps)] ? "made" : "own"}" x="${x(note.start)}" y="${y(note.pitch)}" width="${Math.max(1.5, x(note.end) - x(note.start) - .6).toFixed(1)}" height="3.4" rx="1.2"/>`);
  return `<svg viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" aria-hidden="true">${drawn.join("")}</svg>`;
};
