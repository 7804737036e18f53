"""How long a musician waits for an answer of the studio: from the request to the last byte, over HTTP as the page asks.

`python -m experiments.studio_latency`. It opens the studio as `mcvae studio` does, waits until it is ready, and asks
for each kind of answer `--rounds` times, each time of another song and another take. Nothing is written but JAX's cache
of programs.
"""

import argparse
import http.client
import json
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from mcvae_jax.command import Parser, add_whole, run_command, say
from mcvae_jax.sampling.modes import compose
from mcvae_jax.storage.compiled import keep_compiled
from mcvae_jax.studio.__main__ import open_studio
from mcvae_jax.studio.server import Studio

Message = dict[str, Any]
Kind = Callable[[list, int], Message]  # bars, round -> what is asked of them

KINDS: dict[str, Kind] = {
    "continue 4 bars, after 4": lambda bars, n: {"what": "continue", "bars": bars[n : n + 4], "wanted": 4},
    "continue 4 bars, after 16 or more": lambda bars, n: {"what": "continue", "bars": bars[: 16 + n], "wanted": 4},
    "the same, to an end": lambda bars, n: {"what": "continue", "bars": bars[: 16 + n], "wanted": 4, "ending": True},
    "continue 8 bars, after 16 or more": lambda bars, n: {"what": "continue", "bars": bars[: 16 + n], "wanted": 8},
    "fill 4 bars": lambda bars, n: {"what": "fill", "bars": bars[:32], "chosen": [8 + n % 16 + k for k in range(4)]},
    "fill 1 bar": lambda bars, n: {"what": "fill", "bars": bars[:32], "chosen": [8 + n % 16]},
    "vary 4 bars": lambda bars, n: {"what": "vary", "bars": bars[:32], "chosen": [8 + n % 16 + k for k in range(4)]},
    "surprise of 32 bars": lambda bars, n: {"what": "surprise", "bars": bars[n : n + 32]},
}


def parse(argv: list[str]) -> argparse.Namespace:
    """The options; UserError where they cannot be followed."""
    parser = Parser("python -m experiments.studio_latency", description=__doc__)
    parser.add_argument("--workdir", default="", metavar="DIR", help="of a trained model (default: the carried ones)")
    add_whole(parser, "rounds", 2, 1000, 50, "of each kind of answer")
    return parser.parse_args(argv)


def seconds_of(studio: Studio, message: Message) -> float:
    """Of one request over HTTP."""
    body = json.dumps(message)
    started = time.perf_counter()
    connection = http.client.HTTPConnection(studio.authority)
    connection.request("POST", f"/answer?token={studio.token}", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    read = response.read()
    seconds = time.perf_counter() - started
    connection.close()
    if response.status != 200:
        raise RuntimeError(read.decode())
    return seconds


def measure(studio: Studio, steps: int, rounds: int) -> list[str]:
    """A row of the table for each kind of answer."""
    rows = []
    song = compose(studio.engine.models[steps], 1, rounds + 40)[0].bars.tolist()
    can = next(about["can"] for about in studio.engine.about() if about["steps"] == steps)
    for name, kind in KINDS.items():
        if kind([], 0)["what"] not in can:
            continue
        messages: list[Message] = [{**kind(song, n), "steps": steps} for n in range(rounds)]
        for n, message in enumerate(messages):
            if message["what"] != "surprise":
                message["take"] = n + 1
        times = 1000 * np.array([seconds_of(studio, message) for message in messages])
        spread = f"{np.median(times):.0f} | {np.percentile(times, 95):.0f} | {times[0]:.0f}"
        rows.append(f"| {steps} | {name} | {spread} |")
    return rows


def main(argv: list[str]) -> None:
    """Prints the table."""
    flags = parse(argv)
    started = time.perf_counter()
    with open_studio([f"--workdir={flags.workdir}"]) as studio:
        threading.Thread(target=studio.serve_forever, daemon=True).start()
        opened = time.perf_counter() - started
        studio.warm()
        ready = time.perf_counter() - started
        load = os.getloadavg()[0]
        say(f"address after {opened:.1f} s, all ready after {ready:.1f} s; others' load at the start {load:.1f}")
        say("| steps of a bar | asked | median, ms | 95 % within, ms | first, ms |\n|---|---|---|---|---|")
        for steps in studio.engine.models:
            say("\n".join(measure(studio, steps, flags.rounds)))
        studio.shutdown()


if __name__ == "__main__":
    keep_compiled()
    run_command(main)
