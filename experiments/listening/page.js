"use strict";
// One listener's way through the test. The screens follow from the listener's code; what was answered is kept in this
// browser after every change, so a reload goes on where it was.
const test = JSON.parse(document.getElementById("test").textContent);
const KEPT = `listening-test-${test.id}`;
const [screen, message, back, forth] = ["screen", "message", "back", "next"].map(id => document.getElementById(id));
const reals = [["real", "A real song, by a person"], ["composed", "Composed by a computer"]];
const trained = [["no", "No"], ["alone", "Yes, for myself"], ["ensemble", "Yes, in a band, choir or orchestra"]];
const statements = Object.entries(test.statements), scale = test.scale.map((text, i) => [i + 1, text]);

// ---- chance: the same code gives the same order

function chanceOf(text) {  // mulberry32, from FNV-1a of the text
  let state = 2166136261;
  for (const letter of text) state = Math.imul(state ^ letter.charCodeAt(0), 16777619);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function shuffled(items, chance) {
  const left = [...items], drawn = [];
  while (left.length) drawn.push(...left.splice(Math.floor(chance() * left.length), 1));
  return drawn;
}

function screensOf(code) {
  const chance = chanceOf(code + test.id), groups = Object.entries(test.groups), screens = [], pairs = [];
  shuffled(groups, chance).forEach(([group, clips], i) => {
    const order = shuffled(clips, chance);
    order.forEach((clip, n) => screens.push({ kind: "clip", id: clip, title: `Group ${i + 1}, melody ${n + 1}` }));
    screens.push({ kind: "group", id: group, clips: order, title: `Group ${i + 1}: its melodies together` });
  });
  groups.forEach(([, ours], i) => groups.slice(i + 1).forEach(([, theirs]) => {
    for (const seed of shuffled(ours.keys(), chance).slice(0, test.seeds_per_pair))
      pairs.push(shuffled([ours[seed], theirs[seed]], chance));
  }));
  shuffled(pairs, chance).forEach((clips, n) => screens.push(
    { kind: "pair", id: clips.join("/"), clips, title: `Pair ${n + 1} of ${pairs.length}: which is better?` }));
  return [{ kind: "welcome", id: "welcome", title: "Listening test" }, ...screens,
    { kind: "remarks", id: "all", title: "Anything else?" }, { kind: "done", id: "done", title: "Save your answers" }];
}

// ---- what is kept

function newListener() {
  const letters = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ", drawn = crypto.getRandomValues(new Uint8Array(8));
  return { format: "mcvae_jax listening answers", version: 1, test: test.id,
           code: [...drawn].map(byte => letters[byte % 32]).join(""), at: 0, started: null, finished: null, consent: "",
           background: "", real: {}, statements: {}, pairs: {}, remarks: {}, heard: {}, seconds: {} };
}

function keep() {
  try {
    localStorage.setItem(KEPT, JSON.stringify(listener));
  } catch {
    message.textContent = "This browser keeps nothing: please answer in one go, without closing the page.";
  }
}

function kept() {
  try {
    const found = JSON.parse(localStorage.getItem(KEPT));
    return found?.test === test.id && found.version === 1 ? found : null;
  } catch {
    return null;
  }
}

let listener = kept() ?? newListener(), screens = screensOf(listener.code);
let entered = Date.now(), players = [], active = 0;

// ---- parts of a screen; all text is set as text

function make(tag, fields = {}, ...children) {
  const element = Object.assign(document.createElement(tag), fields);
  element.append(...children);
  return element;
}

function question(legend, name, options, value, set, kind = "") {
  const choices = options.map(([answer, text], i) => make("label", { className: "choice" },
    make("input", { type: "radio", name, value: answer, checked: value === answer,
                    onchange: () => { set(answer); message.textContent = ""; keep(); } }),
    make("small", { textContent: i + 1 }), make("span", { textContent: text })));
  return make("fieldset", { tabIndex: -1, className: kind }, make("legend", { textContent: legend }),
    make("div", { className: "choices" }, ...choices));
}

function remark(id, text) {
  const area = make("textarea", { maxLength: 4000, value: listener.remarks[id] ?? "",
                                  oninput: () => { listener.remarks[id] = area.value; keep(); } });
  return make("label", { className: "remark", textContent: text }, area);
}

const clock = seconds => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
const sources = {};

function sourceOf(clip) {
  const bytes = () => Uint8Array.from(atob(test.sounds[clip]), letter => letter.charCodeAt(0));
  return sources[clip] ??= URL.createObjectURL(new Blob([bytes()], { type: "audio/wav" }));
}

function player(clip, title, alone = false) {
  const audio = new Audio(sourceOf(clip)), me = { audio, clip }, number = players.push(me) - 1;
  const button = make("button", { type: "button", textContent: "Play", onclick: () => toggle(number) });
  const slider = make("input", { type: "range", min: 0, max: test.seconds, step: 0.1, value: 0,
                                 onfocus: () => { active = number; },
                                 oninput: () => { audio.currentTime = slider.value; } });
  const time = make("output");
  let last = 0;
  const show = () => {
    const now = Math.min(audio.currentTime, test.seconds), passed = now - last;
    if (!audio.paused && passed > 0 && passed < 2) listener.heard[clip] = (listener.heard[clip] ?? 0) + passed;
    last = now;
    slider.value = now;
    slider.setAttribute("aria-valuetext", `${Math.floor(now)} of ${Math.round(test.seconds)} seconds`);
    time.textContent = `${clock(now)} / ${clock(test.seconds)}`;
    button.textContent = audio.paused ? "Play" : "Pause";
    button.setAttribute("aria-label", `${button.textContent} ${title}`);
  };
  for (const event of ["timeupdate", "play", "pause", "ended", "seeked"]) audio.addEventListener(event, show);
  audio.addEventListener("pause", keep);
  slider.setAttribute("aria-label", `Position in ${title}`);
  show();
  const name = alone ? [] : [make("b", { textContent: title })];
  return make("div", { className: "player" }, ...name, button, slider, time);
}

function toggle(number) {
  players.forEach(({ audio }, i) => { if (i !== number) audio.pause(); });
  const { audio } = players[active = number];
  audio.paused ? audio.play() : audio.pause();
}

function save() {
  const { at, ...answers } = listener, order = screens.map(({ kind, id }) => `${kind} ${id}`);
  const text = JSON.stringify({ ...answers, order }, null, 1) + "\n";
  const href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  make("a", { href, download: `answers-${listener.code}.json` }).click();
  message.textContent = "Saved: look for the file among your downloads.";
}

// ---- the screens

const contents = {
  welcome: () => [
    document.getElementById("welcome").content.cloneNode(true),
    question("Do you play an instrument or sing?", "background", trained, listener.background,
      answer => { listener.background = answer; }, "list"),
    question("Do you agree to take part?", "consent", [["yes", "Yes, I have read this and agree"]], listener.consent,
      answer => { listener.consent = answer; }, "list"),
  ],
  clip: ({ id, title }) => [
    player(id, title, true),
    question("Is this a real song, or composed by a computer?", "real", reals, listener.real[id],
      answer => { listener.real[id] = answer; }, "list"),
  ],
  group: ({ id, clips }) => [
    make("p", { textContent: "How far do you agree? Judge the melodies that you just heard, all together." }),
    make("details", {}, make("summary", { textContent: "Hear them again" }),
      ...clips.map((clip, n) => player(clip, `Melody ${n + 1}`))),
    ...statements.map(([name, text]) => question(text, name, scale, listener.statements[id]?.[name],
      answer => { (listener.statements[id] ??= {})[name] = answer; })),
    remark(id, "Remarks on this group, if you have any"),
  ],
  pair: ({ id, clips }) => [
    make("p", { textContent: "You have heard both. Hear them again as far as you need." }),
    ...clips.map((clip, n) => player(clip, n ? "Second melody" : "First melody")),
    question("Which is the better piece of music?", "pair",
      clips.map((clip, n) => [clip, n ? "The second" : "The first"]), listener.pairs[id],
      answer => { listener.pairs[id] = answer; }, "list"),
  ],
  remarks: ({ id }) => [remark(id, "Remarks on the music or the test, if you have any")],
  done: () => [
    make("p", { textContent: "Thank you! Save your answers as a file, and send it to those who asked you." }),
    make("button", { type: "button", id: "save", className: "main", textContent: "Save my answers", onclick: save }),
  ],
};

function go(to) {
  const left = screens[listener.at], now = new Date();
  listener.seconds[left.id] = (listener.seconds[left.id] ?? 0) + (now - entered) / 1000;
  entered = now;
  if (to === 1) listener.started ??= now.toISOString();
  if (to === screens.length - 1) listener.finished = now.toISOString();
  listener.at = to;
  keep();
  show();
  screen.querySelector("h1").focus();
  scrollTo(0, 0);
}

function show() {
  const { kind, title } = screens[listener.at], last = screens.length - 1;
  for (const { audio } of players) audio.pause();
  players = [];
  active = 0;
  message.textContent = "";
  const heading = make("h1", { id: "title", tabIndex: -1, textContent: title });
  screen.replaceChildren(heading, ...contents[kind](screens[listener.at]));
  screen.dataset.kind = kind;
  document.getElementById("where").textContent = `Step ${listener.at + 1} of ${last + 1}`;
  Object.assign(document.getElementById("progress"), { max: last, value: listener.at });
  document.getElementById("code").textContent = `Your code: ${listener.code}.`;
  back.hidden = listener.at === 0;
  forth.hidden = listener.at === last;
  forth.textContent = listener.at ? "Next" : "Start";
}

const unanswered = () => [...screen.querySelectorAll("fieldset")].find(each => !each.querySelector(":checked"));

function next() {
  const open = unanswered();
  if (!open) return go(listener.at + 1);
  message.textContent = `Please answer: ${open.querySelector("legend").textContent}`;
  open.focus();
}

function answer(number, target) {
  const asked = target.closest("fieldset") ?? unanswered() ?? screen.querySelector("fieldset");
  const choice = asked?.querySelectorAll("input")[number - 1];
  if (!choice) return;
  choice.click();
  (unanswered() ?? asked).focus();
}

function seek(seconds) {
  const { audio } = players[active];
  audio.currentTime = Math.max(0, Math.min(audio.currentTime + seconds, test.seconds - 0.05));
}

forth.onclick = next;
back.onclick = () => go(listener.at - 1);
document.getElementById("over").onclick = () => {
  if (!confirm("Start over as a new listener? The answers that are not saved as a file are lost.")) return;
  listener = newListener();
  screens = screensOf(listener.code);
  entered = Date.now();
  go(0);
};

// Space, Enter and the arrows keep their usual meaning on buttons, in text and on the dots of a question.
document.addEventListener("keydown", event => {
  const { key, target } = event, dot = target.matches("input[type=radio]"), open = "[type=radio]:not(:checked)";
  if (event.ctrlKey || event.metaKey || event.altKey || target.matches("textarea")) return;
  if (/^[1-5]$/.test(key)) answer(Number(key), target);
  else if (key === "Enter" && listener.at < screens.length - 1 && !target.matches("button, summary")) next();
  else if (key === " " && players.length && !target.matches(`button, summary, ${open}`)) toggle(active);
  else if (["ArrowLeft", "ArrowRight"].includes(key) && players.length && !dot) seek(key === "ArrowLeft" ? -5 : 5);
  else return;
  event.preventDefault();
});
addEventListener("pagehide", keep);
keep();
show();
