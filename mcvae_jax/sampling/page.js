"use strict";
// One song sounds at a time; a playhead follows it over its piano roll, where a click or the arrow keys seek. The page
// holds notes alone: a song's sound is made of them, as preview.py makes it, when the song comes near the window.
const players = [...document.querySelectorAll("audio")];

// A struck tone without its release, within TONE.level; high partials and notes die away sooner.
const toneOf = (pitch, samples) => {
  const { rate, partials, level, attack } = TONE, tone = new Float32Array(samples);
  let frequency = 440 * 2 ** ((pitch - 69) / 12);
  while (frequency > 0.47 * rate) frequency /= 2;
  partials.forEach((amplitude, n) => {
    const k = n + 1, turn = 2 * Math.PI * frequency * k / rate;
    if (k * frequency >= 0.47 * rate) return;
    const fade = Math.exp(-(0.7 + 0.8 * n) * (frequency / 440) ** 0.4 / rate);
    for (let i = 0, loud = amplitude * level; i < samples; i++, loud *= fade) tone[i] += loud * Math.sin(turn * i);
  });
  const rise = Math.min(Math.round(attack * rate), samples >> 2);
  for (let i = 0; i < rise; i++) tone[i] *= rise > 1 ? i / (rise - 1) : 0;
  return tone;
};

// 16 bits of the notes [start, end, pitch], in steps of so many samples.
const soundOf = (notes, step, samples) => {
  const sound = new Int16Array(samples), tones = new Map(), longest = new Map();
  const rows = notes.map(([start, end, pitch]) => [Math.round(start * step), Math.round(end * step), pitch]);
  for (const [start, end, pitch] of rows) longest.set(pitch, Math.max(longest.get(pitch) ?? 0, end - start));
  for (const [start, end, pitch] of rows) {
    if (!tones.has(pitch)) tones.set(pitch, toneOf(pitch, longest.get(pitch)));
    const tone = tones.get(pitch), length = end - start, fade = Math.min(Math.round(TONE.release * TONE.rate), length >> 2);
    for (let i = 0; i < length && start + i < samples; i++) {
      const left = i - (length - fade), share = left < 0 ? 1 : fade > 1 ? 1 - left / (fade - 1) : 1;
      sound[start + i] = Math.round(32767 * tone[i] * share);
    }
  }
  return sound;
};

const wavOf = sound => {
  const head = new DataView(new ArrayBuffer(44)), bytes = 2 * sound.length;
  const text = (at, letters) => [...letters].forEach((letter, i) => head.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF"); head.setUint32(4, 36 + bytes, true); text(8, "WAVEfmt "); head.setUint32(16, 16, true);
  head.setUint16(20, 1, true); head.setUint16(22, 1, true); head.setUint32(24, TONE.rate, true);
  head.setUint32(28, 2 * TONE.rate, true); head.setUint16(32, 2, true); head.setUint16(34, 16, true);
  text(36, "data"); head.setUint32(40, bytes, true);
  return new Blob([head, sound], { type: "audio/wav" });
};

const load = audio => {
  if (audio.src) return;
  const { notes, seconds, steps } = audio.closest(".song").querySelector(".roll").dataset;
  const flat = notes ? notes.split(",").map(Number) : [], rows = [];
  for (let i = 0; i < flat.length; i += 3) rows.push(flat.slice(i, i + 3));
  const samples = Math.round(Number(seconds) * TONE.rate);
  audio.src = URL.createObjectURL(wavOf(soundOf(rows, Number(seconds) * TONE.rate / Number(steps), samples)));
};
const near = new IntersectionObserver(entries => {
  for (const entry of entries) if (entry.isIntersecting) load(entry.target);
}, { rootMargin: "2000px" });

for (const audio of players) {
  const song = audio.closest(".song"), roll = song.querySelector(".roll"), head = song.querySelector(".playhead");
  const field = song.querySelector(".field"), from = song.querySelector(".from");
  const seconds = Number(roll.dataset.seconds), bars = Number(roll.dataset.bars);
  const names = JSON.parse(roll.dataset.names); // [printed number of the first bar, printed bars in a bar]

  const show = () => {
    const share = Math.min(audio.currentTime / seconds, 1);
    const bar = Math.min(bars - 1, Math.floor(share * bars + 1e-3));
    const number = Math.max(0, names[0] + Math.floor(bar * names[1]));
    head.style.left = `${100 * share}%`;
    roll.setAttribute("aria-valuenow", bar + 1);
    roll.setAttribute("aria-valuetext", `bar ${number}`);
  };
  const step = () => {
    show();
    if (!audio.paused) requestAnimationFrame(step);
  };
  const seek = time => { load(audio); audio.currentTime = Math.max(0, Math.min(time, seconds - 0.01)); };

  near.observe(audio);
  audio.addEventListener("play", () => {
    for (const other of players) if (other !== audio) other.pause();
    song.classList.add("playing");
    step();
  });
  audio.addEventListener("pause", () => song.classList.remove("playing"));
  audio.addEventListener("ended", () => song.classList.remove("playing"));
  audio.addEventListener("seeking", show);
  roll.addEventListener("click", event => {
    const box = field.getBoundingClientRect();
    seek((event.clientX - box.left) / box.width * seconds);
    audio.play();
  });
  from?.addEventListener("click", () => {
    seek(Number(from.dataset.bar) / bars * seconds);
    audio.play();
  });
  roll.addEventListener("keydown", event => {
    const bar = seconds / bars, now = audio.currentTime;
    const targets = { ArrowRight: now + bar, ArrowUp: now + bar, ArrowLeft: now - bar, ArrowDown: now - bar,
                      Home: 0, End: seconds - bar };
    if (event.key === " ") { load(audio); audio.paused ? audio.play() : audio.pause(); }
    else if (event.key in targets) seek(targets[event.key]);
    else return;
    event.preventDefault();
  });
  show();
}

// In a notebook the page is a frame, which becomes as high as what it shows (its own style says how high at most).
if (window.frameElement) {
  new ResizeObserver(() => { window.frameElement.style.height = `${document.documentElement.offsetHeight + 2}px`; }).observe(document.body);
}
