"use strict";
// What is heard: notes by WebAudio, on one clock, `Sound.now()`, in seconds.
const INSTRUMENTS = [
  { name: "Piano", program: 0, partials: [1, .5, .22, .16, .07, .05], attack: .004, fall: 1.1, rest: .0 },
  { name: "Flute", program: 73, partials: [1, .18, .06, .02], attack: .05, fall: 9, rest: .8 },
  { name: "Violin", program: 40, partials: [1, .6, .45, .3, .2, .14, .1], attack: .07, fall: 9, rest: .8 },
  { name: "Clarinet", program: 71, partials: [1, .02, .5, .03, .28, .02, .14], attack: .03, fall: 9, rest: .8 },
  { name: "Guitar", program: 24, partials: [1, .7, .4, .25, .12, .08], attack: .003, fall: .7, rest: .0 },
  { name: "Accordion", program: 21, partials: [1, .7, .5, .5, .3, .25, .15, .1], attack: .04, fall: 9, rest: .9 },
  { name: "Tin whistle", program: 78, partials: [1, .1, .12, .02], attack: .02, fall: 9, rest: .8 },
];

const Sound = {
  context: null, master: null, waves: new Map(), live: new Map(), planned: new Set(),

  // Browsers want a click before there is sound.
  wake() {
    if (!this.context) {
      this.context = new AudioContext({ latencyHint: "interactive" });
      this.master = this.context.createDynamicsCompressor();
      this.master.connect(this.context.destination);
    }
    if (this.context.state === "suspended") this.context.resume();
    return this.context;
  },
  now() { return this.wake().currentTime; },
  of(program) { return INSTRUMENTS.find(each => each.program === program) || INSTRUMENTS[0]; },

  wave(instrument) {
    if (!this.waves.has(instrument)) {
      const imag = new Float32Array([0, ...instrument.partials]);
      this.waves.set(instrument, this.context.createPeriodicWave(new Float32Array(imag.length), imag));
    }
    return this.waves.get(instrument);
  },

  // A voice from `time` on; it returns how to end it.
  voice(pitch, time, program) {
    const instrument = this.of(program), tone = this.context.createOscillator(), gain = this.context.createGain();
    tone.setPeriodicWave(this.wave(instrument));
    tone.frequency.value = 440 * 2 ** ((pitch - 69) / 12);
    gain.gain.setValueAtTime(0, time);
    gain.gain.linearRampToValueAtTime(.28, time + instrument.attack);
    gain.gain.setTargetAtTime(.28 * instrument.rest, time + instrument.attack, instrument.fall * (60 / pitch));
    tone.connect(gain).connect(this.master);
    tone.start(time);
    const end = at => {
      gain.gain.setTargetAtTime(0, Math.max(at, time + .01), .03);
      tone.stop(Math.max(at, time + .01) + .25);
    };
    tone.onended = () => { gain.disconnect(); this.planned.delete(entry); };
    const entry = { tone, gain, end };
    return entry;
  },

  // A note between two times; `silence` takes it back.
  plan(pitch, start, end, program) {
    const voice = this.voice(pitch, start, program);
    voice.end(end - .012);
    this.planned.add(voice);
  },
  click(time, strong) {
    const tone = this.context.createOscillator(), gain = this.context.createGain();
    tone.frequency.value = strong ? 1760 : 1175;
    gain.gain.setValueAtTime(strong ? .2 : .12, time);
    gain.gain.exponentialRampToValueAtTime(.0005, time + .05);
    tone.connect(gain).connect(this.master);
    tone.start(time);
    tone.stop(time + .06);
    const entry = { tone, gain };
    tone.onended = () => this.planned.delete(entry);
    this.planned.add(entry);
  },
  silence() {
    for (const { tone, gain } of this.planned) {
      gain.gain.cancelScheduledValues(0);
      gain.gain.setTargetAtTime(0, this.now(), .015);
      try { tone.stop(this.now() + .1); } catch { /* it has ended */ }
    }
    this.planned.clear();
  },

  press(pitch, program) {
    this.release(pitch);
    this.live.set(pitch, this.voice(pitch, this.now(), program));
  },
  release(pitch) {
    const voice = this.live.get(pitch);
    if (voice) voice.end(this.now());
    this.live.delete(pitch);
  },
  touch(pitch, program) {
    const now = this.now();
    this.voice(pitch, now, program).end(now + .3);
  },
};
