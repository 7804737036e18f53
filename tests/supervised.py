"""A command for tests of its parent: python -m tests.supervised HOW."""

import os
import signal
import sys
import time

from mcvae_jax.command import run_command, say
from mcvae_jax.errors import UserError
from mcvae_jax.training import supervise

FATAL = (
    "F1125 21:37:36.996392 14731 client.h:80] Terminating process because the JAX distributed service detected fatal"
    " errors. absl::Status: UNAVAILABLE: The following tasks are unhealthy (stopped sending heartbeats):\n1\nThe tasks"
    " have crashed.\n*** Check failure stack trace: ***\n    @     0x7fa85fd72104  SendToLog()\n"
)  # as JAX 0.10 writes it


def main(argv):
    if not supervise.is_child():
        return supervise.run("tests.supervised", argv)
    supervise.work()
    os.write(1, b"[Gloo] chatter\n")
    os.write(2, FATAL.encode() if argv[0] == "lost" else b"a stack of C++\n")
    say("works")
    print("warns", file=sys.stderr)
    if argv[0] == "refused":
        raise UserError("it cannot be")
    if argv[0] == "bug":
        raise RuntimeError("a bug")
    if argv[0] in ("lost", "crash"):
        os.abort()
    if argv[0] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if argv[0] == "long":
        say(f"child {os.getpid()}")
        time.sleep(60)
    return int(argv[0])


if __name__ == "__main__":
    run_command(main, "Do it again.")
