"use strict";
// One song sounds at a time; a playhead follows it over its piano roll, where a click or the arrow keys seek.
const players = [...document.querySelectorAll("audio")];

for (const audio of players) {
  const song = audio.closest(".song"), roll = song.querySelector(".roll"), head = song.querySelector(".playhead");
  const seconds = Number(roll.dataset.seconds), bars = Number(roll.dataset.bars), left = Number(roll.dataset.left);
  const width = roll.querySelector(".notes").getAttribute("width") - 1;

  let last = 0;

  // The roll scrolls along when the playhead crosses its right edge, and to any place that was asked for; a reader who
  // looks elsewhere meanwhile is left alone.
  const show = asked => {
    const share = Math.min(audio.currentTime / seconds, 1), x = left + share * width;
    const bar = Math.min(bars, 1 + Math.floor(share * bars + 1e-3));
    const right = roll.scrollLeft + roll.clientWidth - 24;
    head.style.transform = `translateX(${x - 1}px)`;
    roll.setAttribute("aria-valuenow", bar);
    roll.setAttribute("aria-valuetext", `bar ${bar} of ${bars}`);
    if (asked ? x < roll.scrollLeft + left || x > right : last <= right && x > right) roll.scrollLeft = x - left - 16;
    last = x;
  };
  const step = () => {
    show(false);
    if (!audio.paused) requestAnimationFrame(step);
  };
  const seek = time => { audio.currentTime = Math.max(0, Math.min(time, seconds - 0.01)); };

  audio.addEventListener("play", () => {
    for (const other of players) if (other !== audio) other.pause();
    song.classList.add("playing");
    show(true);
    step();
  });
  audio.addEventListener("pause", () => song.classList.remove("playing"));
  audio.addEventListener("ended", () => song.classList.remove("playing"));
  audio.addEventListener("seeking", () => show(true));
  roll.addEventListener("click", event => {
    const x = event.clientX - roll.getBoundingClientRect().left - roll.clientLeft + roll.scrollLeft;
    seek((x - left) / width * seconds);
    audio.play();
  });
  roll.addEventListener("keydown", event => {
    const bar = seconds / bars, now = audio.currentTime;
    const targets = { ArrowRight: now + bar, ArrowUp: now + bar, ArrowLeft: now - bar, ArrowDown: now - bar,
                      Home: 0, End: seconds - bar };
    if (event.key === " ") audio.paused ? audio.play() : audio.pause();
    else if (event.key in targets) seek(targets[event.key]);
    else return;
    event.preventDefault();
  });
  show(false);
}

// In a notebook the page is a frame, which becomes as high as what it shows (its own style says how high at most).
if (window.frameElement) {
  new ResizeObserver(() => { window.frameElement.style.height = `${document.documentElement.offsetHeight + 2}px`; }).observe(document.body);
}
