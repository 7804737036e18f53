"""MusicXML that is made to take time or memory: read or skipped, at little cost."""

import subprocess
import sys
import time as clock

import pytest

from mcvae_jax.music.readers import read_scores
from mcvae_jax.music.score import Score, Skip
from tests.music.test_musicxml_files import packed
from tests.musicxml import attributes, note, notes, part, score, time

HUGE = 4 << 20
MUSIC = notes("C4 D4 E4 F4")
FIRST = part(MUSIC)
OPEN = FIRST.removesuffix("</measure>")  # more may come into the measure
NOTE = note("C4", 1)
BACK = '<barline><repeat direction="backward" times="{}"/></barline>'
JUMPS = '<sound dacapo="yes" segno="a" dalsegno="a" coda="b" tocoda="b" fine="yes"/>'
ENDING = '<barline><ending number="1-9999" type="start"/></barline>'
PARTS = '</part><part id="a">'


def fill(before: str, unit: str, after: str = "") -> str:
    """Music of as many units as make 4 MiB."""
    return before + unit * ((HUGE - len(before) - len(after) - 500) // len(unit)) + after


def one_measure(content: str) -> str:
    return OPEN + content + "</measure>"


HOSTILE = {  # name -> what stands in the first part
    "notes": lambda: fill(OPEN, NOTE, "</measure>"),
    "chord": lambda: fill(OPEN, note("C4", 1, '<tie type="start"/>', "<chord/>"), "</measure>"),
    "measures": lambda: fill(FIRST, "<measure/>"),
    "irregular measures": lambda: FIRST + f"<measure>{NOTE * 5}</measure><measure>{NOTE}</measure>" * 9_990,
    "parts": lambda: fill(FIRST, PARTS + "<measure/>"),
    "parts times measures": lambda: FIRST + (PARTS + "<measure/>" * 97 + f"<measure>{NOTE}</measure>") * 1_000,
    "repeats": lambda: one_measure(BACK.format(10**9)),
    "repeats of notes": lambda: one_measure(NOTE * 20_000 + BACK.format(19_000)),
    "endings": lambda: FIRST + f"<measure>{NOTE}{ENDING}</measure>" * 19_000,
    "jumps": lambda: FIRST + f"<measure>{NOTE}{JUMPS}</measure>" * 19_000,
    "depth": lambda: one_measure("<a>" * 500_000 + "</a>" * 500_000),
    "elements": lambda: fill("", "<a/>", FIRST),
    "elements in a measure": lambda: fill(OPEN, "<a/>", "</measure>"),
    "attributes": lambda: FIRST + f"<measure {' '.join(f'a{k}=' + repr('') for k in range(380_000))}/>",
    "a huge attribute": lambda: FIRST + f'<measure number="{"9" * HUGE}"><note/></measure>',
    "a huge number": lambda: one_measure(note("C4", "9" * HUGE)),
    "a huge sum": lambda: part(MUSIC, metre=time("1+" * (HUGE // 2) + "1")),
    "staves": lambda: one_measure("".join(note("C4", 1, f"<staff>{k}</staff>") for k in range(30_000))),
    "staves times measures": lambda: (
        one_measure("".join(note("C4", 1, f"<staff>{k}</staff>") for k in range(900))) + "<measure/>" * 19_000
    ),
    "divisions": lambda: one_measure(
        "".join(attributes(f"<divisions>{k}.000000001</divisions>") + NOTE for k in range(9**5, 9**5 + 20_000))
    ),
    "shapes": lambda: one_measure(
        "".join(
            "<note><rest/><type>1024th</type><time-modification>"
            f"<actual-notes>{10**17 + k}</actual-notes><normal-notes>1</normal-notes></time-modification></note>"
            for k in range(20_000)
        )
    ),
    "metres": lambda: (
        FIRST + "".join(f"<measure>{attributes(time(1 + k % 99))}{NOTE}</measure>" for k in range(19_000))
    ),
}
QUICK = ("repeats", "repeats of notes", "depth", "a huge number", "a huge sum", "a huge attribute", "shapes")


@pytest.mark.more
@pytest.mark.parametrize("name", QUICK)
def test_hostile_scores_are_read_or_skipped_soon(name):
    begin = clock.process_time()
    try:
        (found,) = read_scores(score(HOSTILE[name]()).encode(), ".musicxml")
    except Skip as skip:
        assert len(str(skip)) < 300
    else:
        assert isinstance(found, Score)
    assert clock.process_time() - begin < 5


COST = """
import resource, sys
from mcvae_jax.music.readers import read_scores
from mcvae_jax.music.score import Skip
data = sys.stdin.buffer.read()
try:
    read_scores(data, sys.argv[1])
except Skip as skip:
    assert len(str(skip)) < 300
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""


def _cost(data: bytes, suffix: str) -> tuple[float, float]:
    """Seconds of processor time, and MiB, that a process takes which reads the data."""
    command = [sys.executable, "-c", COST, suffix]
    done = subprocess.run(command, input=data, capture_output=True, check=True)
    seconds, mebibytes = done.stdout.split()
    return float(seconds), float(mebibytes)


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_every_hostile_score_costs_some_seconds_and_less_than_500_mib(name):
    seconds, mebibytes = _cost(score(HOSTILE[name]()).encode(), ".musicxml")
    assert seconds < 10 and mebibytes < 500


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit", ["<a/>", NOTE, f"<measure>{NOTE * 2}</measure>", "x" * 50, "\U0001d11e" * 50, "<!--x-->", PARTS]
)
def test_packed_scores_that_unpack_to_60_mib_cost_no_more(unit):
    for before in ("", FIRST, OPEN):
        data = packed(("s.xml", score(before + unit * ((60 << 20) // len(unit.encode())))))
        seconds, mebibytes = _cost(data, ".mxl")
        assert seconds < 20 and mebibytes < 500, (before, seconds, mebibytes)
