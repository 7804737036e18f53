"""The process of one contender: `python -m experiments.speed.contender WHAT SIDE SIZES`.

It makes its work, warms it up, and prints a line of JSON, with why native code is not ready where that is so. For each
line of standard input, a number of seconds, it works so long and prints items and seconds; at the end of its input it
prints its peak of memory.
"""

import functools
import importlib
import json
import resource
import sys
import time

from experiments.speed.work import Make, Sizes, peak_bytes, timed
from mcvae_jax.memory import keep_memory
from mcvae_jax.versions import devices

SCANS = "ours, scans"  # without native code
KEPT = "torch.compile, memory kept"  # a peer with what our commands ask of the C library
SIDES: dict[str, dict[str, str]] = {
    "train": {
        "ours": "ours:train",
        SCANS: "ours:train",
        "torch": "peers:train",
        "torch.compile": "peers:train:compiled",
        KEPT: "peers:train:compiled",
    },
    "mdrnn": {
        "ours": "ours:mdrnn_steps",
        SCANS: "ours:mdrnn_steps",
        "torch": "peers:mdrnn_steps",
        "torch.compile": "peers:mdrnn_steps:compiled",
        KEPT: "peers:mdrnn_steps:compiled",
    },
    "encode": {"ours": "ours:encode", "torch": "peers:encode"},
    "compose": {"ours": "ours:compose", "torch": "peers:compose"},
    "read": {
        "ours": "ours:read",
        "ours, whole build": "ours:build",
        "mido": "files:with_mido",
        "pretty_midi": "files:with_pretty_midi",
    },
}
PEAK = "product"  # a side of the first two, in GFLOP a second
WITH_PEAK = ("train", "mdrnn")
WARM_CALLS = 2


def maker(what: str, side: str) -> Make:
    """The function that makes a side's work; ImportError where a library that it needs is not there."""
    place = "ours:product" if side == PEAK else SIDES[what][side]
    module, name, *more = place.split(":")
    make = getattr(importlib.import_module(f"experiments.speed.{module}"), name)
    return functools.partial(make, compiled=True) if more else make


def main(argv: list[str]) -> None:
    """Works for standard input."""
    what, side, sizes = argv
    started, remark = time.perf_counter(), ""
    if side in ("ours", SCANS, KEPT):
        keep_memory()
    try:
        if side == "ours":
            from mcvae_jax.nn import native  # not above: other sides have no JAX

            said: list[str] = []
            remark = "" if native.prepare(said.append) else " ".join(said)
        work = maker(what, side)(Sizes(**json.loads(sizes)))
        for _ in range(WARM_CALLS):
            work.call()
            work.wait()
    except Exception as error:  # of any library: the table says it, and the others go on
        print(json.dumps({"failed": f"{type(error).__name__}: {error}".split("\n")[0][:200]}), flush=True)
        return
    ready = time.perf_counter() - started
    first = {"ready": ready, "devices": devices() if "jax" in sys.modules else "", "remark": remark}
    print(json.dumps(first), flush=True)
    for line in sys.stdin:
        items, seconds = timed(work, float(line))
        print(json.dumps({"items": items, "seconds": seconds}), flush=True)
    print(json.dumps({"peak_bytes": peak_bytes(resource.getrusage(resource.RUSAGE_SELF))}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
