"""What a copyist writes: durations, ties, rests, tuplets, beams, names, accidentals, pickups, repeats.

The ABC of a sheet is what is compared: it says all of this in a line (z rest, - tie, blanks between beams).
"""

import numpy as np
import pytest

from mcvae_jax.errors import UserError
from mcvae_jax.music.keys import parse_key
from mcvae_jax.music.sheet.sheet import make_sheet
from mcvae_jax.music.sheet.spelling import spell
from mcvae_jax.music.tokens import NO_EVENT
from tests.music.sheet.songs import bars_of, music_of

A = "G---A---B---c--- | c---B---A---G--- | G---A---B---c--- | d-------d------- |"
B = "e---d---c---B--- | c---B---A---B--- | e---d---c---B--- | A-------A------- |"


@pytest.mark.parametrize(
    "text, metre, music",
    [
        # whole bars, dots, and syncopations that can be read
        ("C---------------", (4, 4), "C8 |]"),
        ("C-----------D---", (4, 4), "C6 D2 |]"),
        ("C---D-------E---", (4, 4), "C2 D4 E2 |]"),
        ("C---D-----------", (4, 4), "C2 D6 |]"),
        ("C-D---E-F---G---", (4, 4), "C D2 E F2 G2 |]"),
        ("C-D-----E-----F-", (4, 4), "C D3 E3 F |]"),
        ("CD-EF--GA-B-c-d-", (4, 4), "C/2DE/2 F3/2G/2 ABcd |]"),
        # what hides the middle of the bar is tied over it
        ("C-----D---E-----", (4, 4), "C3 D- D E3 |]"),
        ("C-D-------E-----", (4, 4), "C D3- D E3 |]"),
        ("C---------D-----", (4, 4), "C4- C D3 |]"),
        ("C-------------D-", (4, 4), "C6- CD |]"),
        ("C--D-E--F-------", (4, 4), "C3/2D/2- D/2E3/2 F4 |]"),
        # rests keep to beats, and none goes across the middle
        ("C-zzzzzzzzzzzzzz", (4, 4), "C z z2 z4 |]"),
        ("C---zzzzzzzzC---", (4, 4), "C2 z2 z2 C2 |]"),
        ("C--zC-zzCzzzC---", (4, 4), "C3/2 z/2 C z C/2 z/2 z C2 |]"),
        # beams: beats, and halves of bars of four eighths
        ("C-D-E-F-G-A-BGA-", (4, 4), "CDEF GA B/2G/2A |]"),
        ("C-D-z-E-F-G-A-B-", (4, 4), "CD z E FGAB |]"),
        ("CDEFGABc", (2, 4), "C/2D/2E/2F/2 G/2A/2B/2c/2 |]"),
    ],
)
def test_bars_in_simple_time(text, metre, music):
    steps = 16 * metre[0] // metre[1]
    bars = bars_of(text, steps)
    assert music_of(bars, metre=metre, key="C", pickup=0) == music


@pytest.mark.parametrize(
    "text, metre, music",
    [
        ("C-----------", (3, 4), "C6 |]"),
        ("C-------D---", (3, 4), "C4 D2 |]"),
        ("C---D-------", (3, 4), "C2 D4 |]"),
        ("C-----D-E---", (3, 4), "C3 D E2 |]"),
        ("C-D-------E-", (3, 4), "CD- D3 E |]"),
        ("C-D-E-F-G-A-", (3, 4), "CD EF GA |]"),
        ("C---zzzzzzzz", (3, 4), "C2 z2 z2 |]"),
        ("C-----------", (6, 8), "C6 |]"),
        ("C-D-E-F-G-A-", (6, 8), "CDE FGA |]"),
        ("C---D-E---F-", (6, 8), "C2 D E2 F |]"),
        ("C-D---E-F---", (6, 8), "C D2 E F2 |]"),
        ("C--DE-F-----", (6, 8), "C3/2D/2E F3 |]"),
        ("C-------D---", (6, 8), "C3- C D2 |]"),
        ("C---D---E---", (6, 8), "C2 D- D E2 |]"),
        ("C-zzzzzzzzzz", (6, 8), "C z z z3 |]"),
        ("zzzzC-zzzzC-", (6, 8), "z2 C z2 C |]"),
        ("C-----", (3, 8), "C3 |]"),
    ],
)
def test_bars_in_three_and_in_six(text, metre, music):
    bars = bars_of(text, 16 * metre[0] // metre[1])
    assert music_of(bars, metre=metre, key="C", pickup=0) == music


@pytest.mark.parametrize(
    "text, metre, music",
    [
        ("C-----D-----E-----------", (4, 4), "C2 D2 E4 |]"),
        ("C-D-E-F--G--A-----B-----", (4, 4), "(3:2:3CDE FG A2 B2 |]"),
        ("C---D---E---F-----------", (4, 4), "(3:2:3C2 D2 E2 F4 |]"),
        ("C--DEFG-----A-----B-----", (4, 4), "C(3:2:3D/2E/2F/2 G2 A2 B2 |]"),
        ("C---D-E-----F-----G-----", (4, 4), "(3:2:2C2 D E2 F2 G2 |]"),
        ("CDEFGAB-----c-----d-----", (4, 4), "(3:2:3C/2D/2E/2(3:2:3F/2G/2A/2 B2 c2 d2 |]"),
        ("CD---EB-----c-----d-----", (4, 4), "(6:4:3C/2 D2 E/2 B2 c2 d2 |]"),
        ("C-------D---E-----F-----", (4, 4), "(3:2:2C4 D2 E2 F2 |]"),
    ],
)
def test_triplets_of_24_steps(text, metre, music):
    assert music_of(bars_of(text, 24), metre=metre, key="C", pickup=0) == music


@pytest.mark.parametrize(
    "text, steps, metre, music",
    [
        ("C---D-----E---F-----", 20, (5, 4), "C2 D3 E- E F3 |]"),
        ("C-D-E-F-G-A-B-", 14, (7, 8), "CD EF GAB |]"),
        ("C-----D-----E-----", 18, (9, 8), "C3 D3 E3 |]"),
        ("C---D---E---F---G---A---", 24, (12, 8), "C2 D2 E2 F2 G2 A2 |]"),  # 24 steps are four quarters
        ("C-----D-----E-----F-----", 12, (12, 8), "C3 D3 E3 F3 |]"),
        ("C---D---E---F---", 16, (2, 4), "C2 D2 | E2 F2 |]"),
        ("C---D---E---F---", 16, (3, 32), "C2 D2 E2 F2 |]"),  # no whole number of steps: the plainest metre
    ],
)
def test_other_metres(text, steps, metre, music):
    bars = bars_of(text, steps)
    if steps == 24:
        sheet = make_sheet(bars, metre)
        assert sum(bar.measure.length for bar in sheet.bars) == 6 * 10080  # the bar is filled with silence
    else:
        assert music_of(bars, metre=metre, key="C", pickup=0) == music


def test_a_note_is_held_over_many_bars_and_a_silent_bar_is_one_rest():
    bars = bars_of("zzzzzzzzzzzzzzzz C--------------- ---------------- ---------------z zzzzzzzzzzzzzzzz")
    assert music_of(bars, key="C") == "z8 | C8- | C8- | C6- C3/2 z/2 | z8 |]"
    assert music_of(bars[:1]) == music_of(bars[:0]) == "z8 |]"


@pytest.mark.parametrize(
    "key, pitches, names",
    [
        ("C", [60, 61, 62, 63, 64, 66, 67, 68, 69, 70, 71], "C C# D D# E F# G G# A A# B"),  # each leads up
        ("C", [71, 70, 69, 68, 67, 66, 65, 64, 63, 62, 61, 60], "B Bb A Ab G F# F E Eb D Db C"),  # each leads down
        ("C", [61, 67, 63, 67, 66, 60, 68, 60, 70, 60], "C# G Eb G F# C G# C Bb C"),
        ("Am", [69, 68, 69, 66, 60, 63, 69, 70, 60], "A G# A F# C D# A Bb C"),
        ("Dm", [62, 61, 62, 70, 71, 61, 62], "D C# D Bb B C# D"),
        ("G#m", [68, 67, 68, 70, 66], "G# F## G# A# F#"),
        ("Gb", [66, 71, 64, 63], "Gb Cb Fb Eb"),
        ("B", [71, 67, 66], "B G F#"),
        ("F#", [65, 66, 60, 66], "E# F# B# F#"),
    ],
)
def test_names_of_pitches(key, pitches, names):
    spelled = spell(pitches, parse_key(key))
    signs = {0: "", 1: "#", 2: "##", -1: "b", -2: "bb"}
    assert " ".join(each.letter + signs[each.alter] for each in spelled) == names
    assert [each.midi for each in spelled] == pitches


def test_accidentals_hold_for_a_bar_and_remind_of_what_changes():
    tokens = np.full(48, NO_EVENT, np.uint8)
    tokens[::4] = [66, 66, 65, 77, 66, 78, 65, 66, 60, 65, 66, 66]
    music = music_of(tokens.reshape(3, 16), key="C")
    assert music == "^F2 F2 =F2 f2 | ^F2 ^f2 =F2 ^F2 | C2 =F2 ^F2 F2 |]"
    tied = np.full(32, NO_EVENT, np.uint8)
    tied[[0, 12, 20, 24, 28]] = 60, 66, 66, 65, 60  # F sharp is held over the bar line
    assert music_of(tied.reshape(2, 16), key="C") == "C6 ^F2- | ^F2 ^F2 =F2 C2 |]"


@pytest.mark.parametrize(
    "text, music",
    [
        ("zzzzzzzzzzzzG--- | c-------c---zzzz", "G2 | c4 c2 |]"),  # the last bar lacks what the pickup has
        ("zzzzzzzzzzzzzzG- | c---------------", "G | c8 |]"),
        ("zzzzzzzzzzzzzzG- | --c-----------zz", "G- | G c3- c3 |]"),
        ("zzzzzzG--------- | c---------------", "z2 z G- G4 | c8 |]"),
        ("zzzzzzzzc------- | c---------------", "c4 | c8 |]"),
        ("zzzzzzzzzzzzG---", "z4 z2 G2 |]"),  # no bar follows it
        ("zzzzc----------- | c---------------", "z2 c6 | c8 |]"),
    ],
)
def test_pickups(text, music):
    assert music_of(bars_of(text), key="C") == music


def test_a_pickup_that_is_stated():
    bars = bars_of("zzzzzzzzzzzzzzG- | c---------------")
    assert music_of(bars, key="C", pickup=4) == "z G | c8 |]"
    assert music_of(bars, key="C", pickup=0) == "z4 z2 z G | c8 |]"
    for wrong in (1, 16, 20):
        with pytest.raises(UserError, match=f"pickup is {wrong} steps"):
            make_sheet(bars, pickup=wrong)
    with pytest.raises(UserError, match="'H' is no key"):
        make_sheet(bars, key="H")


def test_what_is_played_twice_is_written_once():
    once = music_of(bars_of(A), key="G").removesuffix(" |]")
    b = music_of(bars_of(B), key="G").removesuffix(" |]")
    assert music_of(bars_of(A + A + B + B), key="G") == f"|: {once} :| |: {b} :|"
    assert music_of(bars_of(A + B + A + B), key="G") == f"|: {once} | {b} :|"
    assert music_of(bars_of(A + A + B), key="G") == f"|: {once} :| {b} |]"
    assert music_of(bars_of(A + B + B), key="G") == f"{once} | |: {b} :|"
    assert music_of(bars_of(A + B), key="G") == f"{once} | {b} |]"


def test_the_slightest_difference_is_no_repeat_and_endings_are_of_eight_bars():
    almost = A.removesuffix("d------- |") + "d---zzzz |"
    assert ":" not in music_of(bars_of(A + almost), key="G")
    first, second = (music_of(bars_of(B + each), key="G").removesuffix(" |]") for each in (A, almost))
    common, last = first.rsplit(" | ", 1)
    assert music_of(bars_of(B + A + B + almost), key="G") == f"|: {common} |1 {last} :|2 {second.split(' | ')[-1]} |]"


def test_a_pickup_is_repeated_with_its_section_and_no_note_is_held_over_the_sign():
    lead = "zzzzzzzzzzzzd--- |"
    section = A.removesuffix("---- |") + "d--- |"
    last = A.removesuffix("---- |") + "zzzz |"
    once = music_of(bars_of(lead + last), key="G").removesuffix(" |]")
    assert music_of(bars_of(lead + section + last), key="G") == f"|: {once} :|"
    held = "-" + A[1:]  # begins with the last note of what stands before
    assert ":" not in music_of(bars_of("c---------------" * 4 + held + held), key="G").partition("| d")[2]


def test_a_repeat_leaves_no_rest_between_bar_line_and_sign():
    lead = "zzzzzzzzzzzzd--- |"
    section, last = (A.removesuffix("---- |") + end for end in ("d--- |", "zzzz |"))
    silent = B.removesuffix("---- |") + "zzzz |"
    assert ":" not in music_of(bars_of(lead + section + last + B), key="G")  # no pickup leads to what follows it
    music = music_of(bars_of(lead + last + silent + silent), key="G")
    once = music_of(bars_of(silent), key="G").removesuffix(" |]")
    assert music == f"d2 | {music_of(bars_of(last), key='G').removesuffix(' |]')} | |: {once} :|"


def test_no_repeat_goes_across_a_label_which_stands_where_it_belongs():
    bars = bars_of(A + A)
    music = music_of(bars, key="G", labels=[(4, 'compo"sed %'), (99, "nowhere")])
    assert ":" not in music and music.count('"^') == 1
    assert music.split(" | ")[4].startswith('"^compo\'sed \\%"G2')


@pytest.mark.parametrize(
    "low, high, sign, octaves",
    [
        (60, 79, "G", 0),
        (55, 81, "G", 0),
        (40, 62, "F", 0),
        (86, 103, "G", 1),
        (21, 36, "F", -1),
        (0, 0, "F", -1),
    ],
)
def test_clefs(low, high, sign, octaves):
    bars = np.array([[low, NO_EVENT] * 4 + [high, NO_EVENT] * 4], np.uint8)
    clef = make_sheet(bars).clef
    assert (clef.sign, clef.octaves) == (sign, octaves)
