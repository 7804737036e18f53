"""Contenders in alternating rounds: what else the machine does then disturbs all of them alike."""

import contextlib
import dataclasses
import json
import math
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from experiments.speed.work import Sizes, facts, peak_bytes

CONFIDENCE = 0.95
Say = Callable[[str], None]


@dataclasses.dataclass
class Measured:
    """What one side did."""

    rates: list[float] = dataclasses.field(default_factory=list)  # items a second, one of each round
    ready: float = math.nan  # seconds until it was warm: imports, compiling and the first calls
    peak_bytes: int = 0
    devices: str = ""
    failed: str = ""  # why there are no figures
    remark: str = ""  # what its figures are of, where that is not what they should be of


class Contender:
    """A process that works when it is asked to, and waits otherwise."""

    def __init__(self, what: str, side: str, sizes: Sizes) -> None:
        command = [sys.executable, "-m", "experiments.speed.contender", what, side, json.dumps(facts(sizes))]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.measured = Measured()
        first = self._answer()
        self.measured.failed = first.get("failed", "")
        self.measured.ready = first.get("ready", math.nan)
        self.measured.devices = first.get("devices", "")
        self.measured.remark = first.get("remark", "")

    def work(self, seconds: float) -> None:
        """One round."""
        if self.measured.failed:
            return
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            print(seconds, file=self.process.stdin, flush=True)
        answer = self._answer()
        self.measured.failed = answer.get("failed", "")
        if not self.measured.failed:
            self.measured.rates.append(answer["items"] / answer["seconds"])

    def end(self) -> Measured:
        """Closes it; what it has measured."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        if not self.measured.failed:
            self.measured.peak_bytes = self._answer().get("peak_bytes", 0)
        self.process.wait()
        return self.measured

    def kill(self) -> None:
        """Ends it, whatever it does."""
        self.process.kill()
        self.process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            return {"failed": f"its process ended with status {self.process.wait()}"}
        return json.loads(line)


@contextlib.contextmanager
def contenders(what: str, sides: Sequence[str], sizes: Sizes) -> Iterator[dict[str, Contender]]:
    """One after the other is made ready; none outlives the block."""
    made: dict[str, Contender] = {}
    try:
        for side in sides:
            made[side] = Contender(what, side, sizes)
        yield made
    finally:
        for each in made.values():
            each.kill()


def compete(what: str, sides: Sequence[str], sizes: Sizes, rounds: int, seconds: float) -> dict[str, Measured]:
    """Every side works `seconds` in each round, in an order that turns by one from round to round."""
    with contenders(what, sides, sizes) as made:
        for number in range(rounds):
            turned = sides[number % len(sides) :] + sides[: number % len(sides)]
            for side in turned:
                made[side].work(seconds)
        return {side: made[side].end() for side in sides}


def run_commands(
    commands: Mapping[str, Sequence[str]], rounds: int, environment: Mapping[str, str]
) -> dict[str, Measured]:
    """Each command from start to end, once in each round; rates are calls a second."""
    found = {name: Measured() for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            side = found[name]
            if side.failed:
                continue
            start = time.perf_counter()
            process = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=dict(environment), text=True
            )
            assert process.stderr is not None
            errors = process.stderr.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            process.stderr.close()
            if process.returncode:
                last = errors.strip().splitlines()[-1:] or ["it said nothing"]
                side.failed = f"{shlex.join(command)}: {last[0]}"
                continue
            side.rates.append(1 / (time.perf_counter() - start))
            side.peak_bytes = max(side.peak_bytes, peak_bytes(usage))
    return found


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """The ratio of two rates and its interval of CONFIDENCE, from the pairs of the rounds: a t interval of its log."""
    logs = np.log(ours) - np.log(theirs)
    middle = float(np.mean(logs))
    if len(logs) < 2:
        return math.exp(middle), math.nan, math.nan
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(logs) - 1) * np.std(logs, ddof=1) / math.sqrt(len(logs)))
    return math.exp(middle), math.exp(middle - half), math.exp(middle + half)
