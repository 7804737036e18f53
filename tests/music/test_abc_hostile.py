"""ABC that is made to hurt: no text takes more than seconds and some memory."""

import subprocess
import sys
from pathlib import Path

import pytest

from mcvae_jax.music.readers import read_scores
from mcvae_jax.music.score import Reason, Skip
from tests.music.test_abc import HEADER

SIZE = 1 << 20  # characters
MAX_SECONDS, MAX_MEBIBYTES = 20.0, 450  # of one text; measured are 7.6 s and 300 MB on a loaded core


def many(text: str) -> str:
    return (text * (SIZE // len(text) + 1))[:SIZE]


REFUSED = {  # small texts that ask for much
    "metre": "X:1\nM:999999999/8\nK:C\nC|\n",
    "length": f"{HEADER}C999999999|\n",
    "fraction": f"{HEADER}C1/999999999|\n",
    "rest": f"{HEADER}Z999999999|\n",
    "rests": f"{HEADER}Z19999|Z19999|C|\n",
    "tuplet": f"{HEADER}(3:999999:3CDE|\n",
    "parts": "X:1\nP:((((A9)9)9)9)9\nK:C\nP:A\nC|\n",
    "part": "X:1\nP:A99999999\nK:C\nP:A\nC|\n",
    "repeats": f"{HEADER}|{':' * 30000}C{':' * 30000}|\n",
    "notes": f"{HEADER}|{':' * 999}{'C' * 1000}{':' * 999}|\n",
    "overlays": f"{HEADER}{'C&' * 99}C|\n",
    "voices": HEADER + "".join(f"V:{k}\nC|\n" for k in range(200)),
}
SIGNS = [*'"{!+|:.&^_\\[(-<>17/~=\0', "!a", "+C", "[A:", "[K:D]", "[|", ":|", "|[|]", "\\%", "y9", "^1"]
SIGNS += ['["', '\\"', ':"a"', ':"']
NOTES = ["C", "CDEF|", "C|", "[CEG]", "C>", "C-|", "C&|", "(9:1:999CDEF|", "C,", "C/", "{a"]
NOTES += ["|:C:|", "[1C|[2", "|:C[1-99D:|"]
BOOKS = ["X:1\nK:C\nC\n", "X:1\nP:(((A9)9)9)9\nK:C\nP:A\nC|\n", "X:\n", "K:C\n", "X:1\nK:C\nZ9999|C\n"]
BOOKS += [f"X:1\nK:C\n|{':' * 199}C{':' * 199}|\n", f"X:1\nM:2{' ' * 1900}x\n", f"X:1\nK:C{' ' * 1900}x\n"]
LINES = ["%%begintext\n", "\nV:1 C|", "C\\\n1", "\n", "%%MIDI x\n", "\\ % a\n"]
LONG = {
    **{f"signs {text!a}": HEADER + many(text) for text in SIGNS + NOTES + LINES},
    **{f"bar and {text!a}": f"{HEADER}|{many(text)}" for text in SIGNS},
    **{f"note and {text!a}": f"{HEADER}^C{many(text)}" for text in SIGNS},
    **{f"books {text!a}": many(text) for text in BOOKS},
    "voices": HEADER + "".join(f"V:{k}\n" + "C|" * 3900 + "\n" for k in range(127)),
    "header voices": "X:1\n" + "".join(f"V:{k}\n" for k in range(100_000)) + "K:C\nC|\n",
    "one chord": f"{HEADER}[{many('C')}]|",
    "slashes": f"{HEADER}C{'/' * SIZE}|",
    "macros": "X:1\n" + "".join(f"m:~{k}=AAAAAA\n" for k in range(100)) + "K:C\n" + many("~1A"),
    "transposing macro": "X:1\nm:~n=~n~n~n\nK:C\n" + many("~A"),
    "title": f"X:1\nT:{many('&amp;')}\nK:C\nC|\n",
    "continued title": "X:1\nT:x\n" + many("+:x\n") + "K:C\nC|\n",
    "tempo": f"X:1\nQ:{many('1/4 ')}=120\nK:C\nC|\n",
    "key": f"X:1\nK:C{many('^f')}\nC|\n",
    "order": f"X:1\nP:{many('(')}\nK:C\nC|\n",
    "sums": f"X:1\nM:{many('2+')}2/4\nK:C\nC|\n",
    "file header": "%%MIDI x\n" * 50_000 + "X:1\nK:C\nC|\n" * 20_000,
}
MEASURE = """
import resource, sys, time
from mcvae_jax.music.readers import read_scores
from mcvae_jax.music.score import Skip
from tests.music.test_abc_hostile import LONG
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
start, before = time.process_time(), peak()
try:
    read_scores(LONG[sys.argv[1]].encode(), ".abc")
except Skip:
    pass
# Before that, the peak may be that of the process which started this one.
print(time.process_time() - start, peak() if peak() > before else 0)
"""


@pytest.mark.parametrize("name", REFUSED)
def test_what_asks_for_too_much_is_refused(name):
    with pytest.raises(Skip) as caught:
        read_scores(REFUSED[name].encode(), ".abc")
    assert caught.value.reason in (Reason.TOO_LONG, Reason.TOO_MANY_TRACKS, Reason.NOT_UNDERSTOOD)
    assert caught.value.detail


def check(name: str) -> None:
    done = subprocess.run([sys.executable, "-c", MEASURE, name], capture_output=True, text=True, cwd=Path.cwd())
    assert done.returncode == 0, done.stderr
    seconds, mebibytes = map(float, done.stdout.split())
    assert seconds < MAX_SECONDS and mebibytes < MAX_MEBIBYTES


@pytest.mark.parametrize("name", ["bar and ':'", "signs '!'"])
def test_a_mebibyte_takes_seconds_and_some_memory(name):
    check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", LONG)
def test_every_mebibyte_takes_seconds_and_some_memory(name):
    check(name)
