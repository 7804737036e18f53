"""How punctual `mcvae listen` is: a musician in a thread plays `--calls` calls through ports in memory.

`python -m experiments.listen_latency`. The session is that of the command, with the weights that come with it. The
musician plays eighths with thru, so that each note comes back at once; answers and clicks are judged by the times at
which they were due; with --clock=in the musician also sends the clock, and the answers are judged by the ideal one, so
that their row has the clock's own unevenness in it. A process that only sleeps runs beside it: what holds up
that one is the system's doing. Nothing is written but JAX's cache of programs.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator

import mido
import numpy as np

from mcvae_jax.command import Parser, add_whole, run_command, say
from mcvae_jax.listen.__main__ import open_session
from mcvae_jax.listen.__main__ import parse as parse_listen
from mcvae_jax.listen.clock import PULSES, Line, steady
from mcvae_jax.listen.loopback import Loopback
from mcvae_jax.listen.manner import IN, OUT
from mcvae_jax.listen.player import ANSWER, BEAT
from mcvae_jax.listen.session import Session
from mcvae_jax.storage.compiled import keep_compiled

CLICKS, ANSWERS = 9, 1  # channels, from 0
SLEEPER = """
import sys, time
due = time.monotonic()
while True:
    due += 0.005
    time.sleep(max(0, due - time.monotonic()))
    late = time.monotonic() - due
    print(late, flush=True)
    due = max(due, time.monotonic() - 0.005)
"""


class Over(Exception):
    """The musician goes home."""


def parse(argv: list[str]) -> argparse.Namespace:
    """The options; UserError where they cannot be followed."""
    parser = Parser("python -m experiments.listen_latency", description=__doc__)
    add_whole(parser, "calls", 2, 1000, 25, "that are answered")
    add_whole(parser, "bars", 1, 16, 2, "of a call")
    add_whole(parser, "tempo", 20, 400, 160, "quarters a minute")
    parser.add_argument("--metre", default="4/4", help="of the music")
    parser.add_argument("--clock", default=OUT, choices=[IN, OUT], help="whose clock (default: out)")
    return parser.parse_args(argv)


def wait_until(moment: float) -> None:
    """Sleeps until a time of time.monotonic()."""
    time.sleep(max(0.0, moment - time.monotonic()))


def send_clock(port: Loopback, line: Line, steps: float) -> None:
    """Start, and pulses as long as so many steps last."""
    per_pulse = 4 / PULSES
    port.play(mido.Message("start"))
    for n in range(int(steps / per_pulse)):
        wait_until(line.time(n * per_pulse))
        port.play(mido.Message("clock"))


def play(session: Session, port: Loopback, line: Line, calls: int, played: list[float]) -> None:
    """Calls in eighths, each after the end of the last answer; then the end."""
    turn = session.manner.bars * session.manner.steps
    rng = np.random.default_rng(0)
    for call in range(calls):
        for step in range(0, turn - 1, 2):
            pitch = int(rng.choice([60, 62, 64, 65, 67, 69, 71, 72]))
            wait_until(line.time(2 * turn * call + step))
            played.append(time.monotonic())
            port.play(mido.Message("note_on", note=pitch))
            wait_until(line.time(2 * turn * call + step + 1.8))
            port.play(mido.Message("note_off", note=pitch))
    wait_until(line.time(2 * turn * calls))
    session.player.end()
    session.fail(Over())


def row(name: str, seconds: np.ndarray) -> str:
    """A row of the table."""
    milliseconds = 1000 * np.asarray(seconds)
    middle, most = np.percentile(milliseconds, [50, 95])
    return f"| {name} | {len(milliseconds):,} | {middle:.2f} | {most:.2f} | {milliseconds.max():.1f} |"


def judged(session: Session, port: Loopback, line: Line, played: list[float], calls: int) -> list[str]:
    """The rows of all that was sent."""
    on = [(when, m) for when, m in port.sent if m.type == "note_on" and m.velocity]
    through = [when for when, m in on if m.channel not in (CLICKS, ANSWERS)]
    answers = np.array([line.position(when) for when, m in on if m.channel == ANSWERS])
    turn = session.manner.bars * session.manner.steps
    firsts = [of_call.min() for n in range(calls) if len(of_call := answers[(answers // (2 * turn)).astype(int) == n])]
    rows = [row("message in to thru", np.array(through) - np.array(played))]
    off = np.abs(np.array(firsts) - np.rint(firsts)) * line.step
    rows.append(row("first note of an answer, after it was due", off))
    if session.manner.clock == IN:
        return [*rows, row("notes of answers, off the ideal clock", np.abs(answers - np.rint(answers)) * line.step)]
    for owner, name in ((ANSWER, "notes of answers, after they were due"), (BEAT, "clicks and clock, likewise")):
        rows.append(row(name, np.array([late for whose, late in session.player.lateness if whose == owner])))
    return rows


@contextlib.contextmanager
def sleeper(found: list[float]) -> Iterator[None]:
    """A process that sleeps for 5 ms again and again; its lateness in seconds is found at the end."""
    with tempfile.TemporaryFile("w+") as file:
        process = subprocess.Popen([sys.executable, "-c", SLEEPER], stdout=file)
        try:
            yield
        finally:
            process.kill()
            process.wait()
        file.seek(0)
        found += [float(line) for line in file.read().split("\n")[:-1]]


def musician(session: Session, port: Loopback, calls: int, played: list[float], lines: list[Line]) -> None:
    """Waits for the clicks, or starts a clock, and plays; the line is that of the clicks or of the clock."""
    manner = session.manner
    port.is_open.wait()
    while manner.clock == OUT and session.line is None:
        time.sleep(0.001)
    lines.append(session.line or steady(manner.tempo, manner.quarter, time.monotonic() + 0.5))
    if manner.clock == IN:
        steps = 2 * calls * manner.bars * manner.steps
        threading.Thread(target=send_clock, args=(port, lines[0], steps), daemon=True).start()
    play(session, port, lines[0], calls, played)


def main(argv: list[str]) -> None:
    """Prints the table."""
    flags = parse(argv)
    options = [f"--{name}={getattr(flags, name)}" for name in ("bars", "tempo", "metre", "clock")]
    wanted = parse_listen([*options, "--channel=2", "--thru", *(["--metronome=10"] if flags.clock == OUT else [])])
    port, said = Loopback(), list[str]()
    session, _ = open_session(wanted, port, ("Loop", "Loop"))
    session.say = said.append
    played, lines, slept = list[float](), list[Line](), list[float]()
    load = os.getloadavg()[0]
    threading.Thread(target=musician, args=(session, port, flags.calls, played, lines), daemon=True).start()
    with sleeper(slept), contextlib.suppress(Over):
        session.run()
    late = sum("late by" in line for line in said)
    answered = sum(line.startswith("Answer") for line in said)
    say(f"{' '.join(options)}: {answered} answers to {flags.calls} calls, {late} late by a bar or more;")
    say(f"the last took {1000 * session.seconds:.0f} ms to compose; load {load:.1f} at the start")
    say("| what | times | median, ms | 95 % within, ms | worst, ms |\n|---|---|---|---|---|")
    say("\n".join(judged(session, port, lines[0], played, flags.calls)))
    say(row("a process that only sleeps, likewise", np.array(slept)))


if __name__ == "__main__":
    keep_compiled()
    run_command(main)
