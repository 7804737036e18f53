"use strict";
// Begins: asks what the studio can, fills the lists, and connects the buttons.
const Start = {
  async run() {
    try {
      App.about = await Server.state();
    } catch (error) {
      return App.say(error.message, true);
    }
    const [model] = App.about.models;
    this.options("metre", App.about.models.flatMap(each => each.metres).map(metre => [metre, metre]));
    this.options("key", App.about.keys.map(key => [key, key ? keyText(key) : "none"]));
    this.options("instrument", INSTRUMENTS.map(each => [each.program, each.name]));
    this.options("length", LENGTHS.filter(([length]) =>
      App.about.models.every(({ quarter }) => Math.abs(inSteps(length, quarter) - length * quarter) < 1e-9)));
    $("length").value = 1;
    App.history = new History(Song.empty(model.steps, 4, { metre: model.metres[0] }));
    Store.load();
    this.formats();
    Roll.begin({ heard: pitch => Sound.touch(pitch, App.song.program), changed: song => App.change(song),
                 said: (line, wrong) => App.say(line, wrong) });
    Piano.begin({ pressed: pitch => App.pressed(pitch), released: pitch => App.released(pitch) });
    this.connect();
    App.render();
    Kept.draw();
    Facts.draw();
    document.body.dataset.begun = "yes";
    this.progress();
  },
  options(id, rows) {
    $(id).replaceChildren(...rows.map(([value, text]) => new Option(text, value)));
  },
  formats() {
    $("formats").replaceChildren(...App.about.formats.map(({ suffix, label }) =>
      Kept.button(`Save ${label}`, `Save as ${label}`, () => Files.save(suffix))));
  },

  // Until all is ready.
  async progress() {
    const { doing, share, trouble } = App.about;
    $("progress").hidden = !doing && !trouble;
    $("progress").firstElementChild.textContent = trouble || (doing ? `${doing} …` : "");
    $("progress").lastElementChild.value = share;
    App.able();
    Surprise.soon();
    document.body.dataset.ready = doing || trouble ? "" : "yes";
    if (!doing || trouble) return;
    await new Promise(done => setTimeout(done, 300));
    try {
      App.about = await Server.state();
    } catch (error) {
      return App.say(error.message, true);
    }
    this.progress();
  },

  connect() {
    const acts = {
      play: () => App.toggle(), record: () => App.record(), undo: () => App.undo(), redo: () => App.redo(),
      lock: () => App.lock(), empty: () => App.empty(), remove: () => App.remove(), more: () => App.more(),
      continue: () => App.ask(() => Asking.continue(App.song, Number($("wanted").value), $("ending").checked), ["answers you", "answer you"]),
      fill: () => App.ask(() => Asking.fill(App.song, this.gaps()), ["is filled", "are filled"]),
      vary: () => App.ask(() => Asking.vary(App.song, App.chosen), ["is varied", "are varied"]),
      another: () => App.ask(() => Asking.another(App.song), ["is another now", "are others now"]),
      keep: () => Kept.keep(), dialogue: () => Dialogue.run(), open: () => $("file").click(),
      new: () => this.fresh(),
      midi: () => Piano.connect().then(names => App.say(names.length ? `Connected: ${names.join(", ")}.` : "No MIDI keyboard is there yet; it is heard as soon as you plug one in."),
                                       error => App.say(error.message, true)),
    };
    for (const [id, act] of Object.entries(acts)) $(id).addEventListener("click", act);
    $("title").addEventListener("change", () => App.setting({ title: $("title").value.trim() || "My song" }));
    $("tempo").addEventListener("change", () => App.setting({ tempo: Math.min(400, Math.max(20, Number($("tempo").value) || 110)) }));
    $("key").addEventListener("change", () => App.setting({ key: $("key").value }));
    $("instrument").addEventListener("change", () => App.setting({ program: Number($("instrument").value) }));
    $("metre").addEventListener("change", () => App.setMetre());
    $("length").addEventListener("change", () => App.render());
    $("file").addEventListener("change", () => { Files.drop($("file").files[0]); $("file").value = ""; });
    document.addEventListener("keydown", event => this.shortcut(event));
    window.addEventListener("resize", () => App.render());
    $("score").addEventListener("toggle", () => Score.soon());
    this.dropping();
  },
  fresh() {
    App.stop();
    App.change(Song.empty(App.song.steps, 4, { metre: App.song.metre }), []);
    Files.told([]);
    App.say("A new song. Undo has the old one.");
  },
  // The selected bars, else the silent ones within the song.
  gaps() {
    if (App.chosen.length) return App.chosen;
    const end = Song.sounding(App.song), notes = Song.notes(App.song.tokens), { steps } = App.song;
    return Array.from({ length: end }, (_, n) => n).filter(n =>
      !notes.some(note => note.start < (n + 1) * steps && note.end > n * steps));
  },
  shortcut(event) {
    if ((event.ctrlKey || event.metaKey) && !typesIn(event.target)) {
      const key = event.key.toLowerCase();
      if (key !== "z" && key !== "y") return;
      key === "y" || event.shiftKey ? App.redo() : App.undo();
    } else if (event.key === " " && !event.target.closest("button, input, select, summary, a")) {
      App.toggle();
    } else return;
    event.preventDefault();
  },
  dropping() {
    const files = event => [...event.dataTransfer?.types ?? []].includes("Files");
    const show = is => { $("drop").hidden = !is; };
    document.addEventListener("dragover", event => { if (files(event)) { event.preventDefault(); show(true); } });
    document.addEventListener("dragleave", event => { if (!event.relatedTarget) show(false); });
    document.addEventListener("drop", event => {
      if (!files(event)) return;
      event.preventDefault();
      show(false);
      Files.drop(event.dataTransfer.files[0]);
    });
  },
};
Start.run();
