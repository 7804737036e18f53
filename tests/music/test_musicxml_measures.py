"""The measures of MusicXML: how long they are, in which order they sound, and what the parts make of them together."""

import numpy as np
import pytest

from tests.musicxml import (
    FORWARD,
    attributes,
    barline,
    ending,
    letters,
    note,
    notes,
    part,
    played,
    read,
    repeat,
    score,
    time,
)

WHOLE = notes("C4 D4 E4 F4")
FULL = '<note><rest measure="yes"/><duration>{}</duration></note>'
DOUBLE = barline("<bar-style>light-light</bar-style>")


def whole(letter: str, before: str = "", after: str = "") -> str:
    """A measure of one whole note, c to b."""
    return before + note(f"{letter.upper()}4", 16) + after


def one(*measures: str, **kwargs):
    return read(score(part(*measures, **kwargs)))


def starts(found, track: int = 0) -> list[float]:
    return [start for _, start, _ in played(found, track)]


@pytest.mark.parametrize(
    ("silent", "implicit"),
    [
        (FULL.format(16), ()),
        (FULL.format(4), ()),
        ("<note><rest/><duration>16</duration></note>", ()),
        ("<note><rest/><duration>16</duration><type>whole</type></note>", ()),
        ("<note><rest/><duration>4</duration></note>", ()),
        ("<forward><duration>16</duration></forward>", ()),
        (note("r") + "<forward><duration>12</duration></forward>", (0,)),
        ("", ()),
    ],
)
def test_a_pickup_stays_one_beside_a_silent_staff(silent, implicit):
    for flagged in (implicit, (0,)):
        found = read(score(*(part(first, WHOLE, WHOLE, implicit=flagged) for first in (note("G4"), silent))))
        assert found.pickup == found.ticks_per_quarter and len(found.time_signatures) == 1
        assert starts(found) == list(range(9)) and starts(found, 1) == list(range(1, 9))


def test_a_full_measure_rest_of_the_wrong_length_fills_the_measure():
    three = note("C4", 12)
    found = read(
        score(part(three, FULL.format(16), three, metre=time(3)), part(three, FULL.format(4), three, metre=time(3)))
    )
    assert starts(found) == [0, 6]


def test_rests_and_skips_do_not_make_a_measure_longer():
    beyond = WHOLE + "<note><rest/><duration>16</duration></note>"
    assert starts(one(beyond, WHOLE))[4] == 4
    assert starts(one(WHOLE + "<forward><duration>48</duration></forward>", WHOLE))[4] == 4


def test_a_skip_to_the_metre_is_silence():
    found = one(note("C4") + "<forward><duration>12</duration></forward>", WHOLE)
    assert starts(found)[1] == 4 and found.pickup == 0


@pytest.mark.parametrize("last", ["3.9", "3.99", "4.2", "4.3"])
def test_rounding_is_forgiven(last):
    found = one(notes("C4 D4 E4") + note("F4", last), WHOLE, WHOLE)
    assert starts(found)[4:] == list(range(4, 12)) and len(found.time_signatures) == 1 and found.remarks == ()


def test_a_part_that_is_too_long_beside_one_that_fits_is_cut():
    found = read(score(part(WHOLE, WHOLE), part(notes("C4 D4 E4 F4 G4"), WHOLE)))
    assert starts(found, 1) == list(range(8))
    assert found.remarks == ("notes of 'Part 2' beyond the end of their measures left out (1)",)


def test_a_measure_that_does_not_fit_is_stated_as_what_it_is():
    """Whoever cuts bars decides what to do about it; its notes stay where they are."""
    found = one(WHOLE, notes("C4 D4 E4 F4 G4"), WHOLE, notes("C4 D4 E4"), WHOLE)
    unit = found.ticks_per_quarter
    stated = [[0, 4, 4], [4 * unit, 5, 4], [9 * unit, 4, 4], [13 * unit, 3, 4], [16 * unit, 4, 4]]
    assert found.time_signatures.tolist() == stated and starts(found) == list(range(20))


def test_a_measure_split_by_a_repeat_sign_is_one():
    found = one(
        note("G4"),
        WHOLE,
        notes("C4 D4 E4") + repeat(),
        FORWARD + note("G4"),
        WHOLE,
        notes("C4 D4 E4") + repeat(),
        implicit=(0, 3),
    )
    assert found.time_signatures.tolist() == [[0, 4, 4]] and starts(found) == list(range(32))


def test_a_measure_split_where_the_metre_changes_is_one():
    three = attributes(time(3))
    found = one(WHOLE, notes("C4 D4 E4"), three + note("F4"), three + notes("G4 A4 B4"), implicit=(2,))
    unit = found.ticks_per_quarter
    assert found.time_signatures.tolist() == [[0, 4, 4], [8 * unit, 3, 4]] and found.remarks == ()


def test_a_pickup_to_a_new_metre_takes_its_time_from_the_bar_before():
    found = one(note("C4", 8) + note("r", 8), attributes(time(3)) + note("G4"), notes("C4 D4 E4"), notes("C4 D4 E4"))
    assert starts(found)[:3] == [0, 3, 4] and found.time_signatures[1].tolist() == [4 * found.ticks_per_quarter, 3, 4]


def test_a_pickup_before_a_short_measure_is_one_where_it_says_so():
    found = one(note("G4"), notes("C4 D4"), notes("E4 F4"), WHOLE, implicit=(0,))
    assert found.pickup == found.ticks_per_quarter and found.time_signatures.tolist() == [[0, 4, 4]]


def test_measures_without_a_metre_do_not_shift_what_follows():
    free = attributes("<time><senza-misura/></time>") + note("C4", 28)
    found = one(WHOLE, free, attributes(time()) + WHOLE)
    assert found.time_signatures.tolist() == [[0, 4, 4], [11 * found.ticks_per_quarter, 4, 4]]


@pytest.mark.parametrize(
    ("measures", "right"),
    [
        ([whole("c"), whole("d", after=repeat()), whole("e")], "cdcde"),
        ([whole("c"), whole("d", FORWARD, repeat(3)), whole("e")], "cddde"),
        ([whole("c", after=repeat()), whole("d", after=repeat()), whole("e")], "ccdde"),
        ([whole("c"), whole("d", after=DOUBLE), whole("e", after=repeat())], "cdecde"),
        ([whole("c"), whole("d", after=repeat(1)), whole("e")], "cde"),
        ([whole("c", after=barline('<repeat direction="forward"/>')), whole("d", after=repeat())], "cdd"),
        ([whole("c"), whole("d"), whole("e", barline('<repeat direction="backward"/>', "left"))], "cdcde"),
        ([whole("c"), '<sound forward-repeat="yes"/>' + whole("d", after=repeat())], "cdd"),
        ([whole("c"), ending("1", whole("d")), ending("2", whole("e"), back=False), whole("f")], "cdcef"),
        ([whole("c"), ending("1, 2", whole("d")), ending("3", whole("e"), back=False), whole("f")], "cdcdcef"),
        ([whole("c"), ending("1-3", whole("d")), ending("4.", whole("e"), back=False)], "cdcdcdce"),
        ([whole("c"), ending("1.2.", whole("d")), ending("3.", whole("e"), "discontinue", False)], "cdcdce"),
        ([whole("c"), ending("", whole("d")), ending("", whole("e"), back=False), whole("f")], "cdcef"),
        ([whole("c"), ending("1", whole("d")), whole("e"), whole("f", after=repeat())], "cdcefef"),
        ([whole("c"), ending("1", whole("d")), ending("2", whole("e")), ending("3", whole("f"), back=False)], "cdcecf"),
    ],
)
def test_repeats(measures, right):
    assert letters(one(*measures)) == right


def test_endings_whose_brackets_are_drawn_in_part():
    first = barline('<ending number="1" type="start"/>', "left") + note("D4", 16)
    stops = first + barline('<ending number="1" type="stop"/>')
    second = ending("2", whole("f"), "discontinue", back=False)
    assert letters(one(whole("c"), stops, whole("e", after=repeat()), second, whole("g"))) == "cdecfg"
    assert letters(one(whole("c"), first, whole("e", after=repeat()), second, whole("g"))) == "cdecfg"
    assert letters(one(whole("c"), whole("e", after=repeat()), second, whole("g"))) == "cecfg"
    opens = FORWARD + second
    assert letters(one(whole("c"), ending("1", whole("d")), opens, whole("g", after=repeat()))) == "cdcfgfg"
    assert letters(one(whole("c"), second, whole("g"))) == "cfg"


def sound(**marks: str) -> str:
    said = " ".join(f'{name}="{value}"' for name, value in marks.items())
    return f"<direction><direction-type/><sound {said}/></direction>"


def words(text: str) -> str:
    return f"<direction><direction-type><words>{text}</words></direction-type></direction>"


FINE, DC = sound(fine="yes"), sound(dacapo="yes") + words("D.C.")
ENDINGS = [ending("1", whole("d")), ending("2", whole("e"), back=False)]


@pytest.mark.parametrize(
    ("measures", "right"),
    [
        ([whole("c"), whole("d", after=FINE), whole("e", after=DC)], "cdecd"),
        ([whole("c"), whole("d", after=DC)], "cdcd"),
        ([whole("c"), whole("d", after=DC), whole("e")], "cdcde"),
        ([whole("c", after=repeat()), whole("d", after=FINE + repeat()), whole("e", after=DC)], "ccddecd"),
        ([whole("c"), *ENDINGS, whole("f", after=DC)], "cdcefcef"),
        ([whole("c"), whole("d", after=repeat() + DC)], "cdcdcd"),
        ([whole("c"), whole("d", sound(segno="a")), whole("e", after=sound(dalsegno="a"))], "cdede"),
        (
            [
                whole("c"),
                whole("d", sound(segno="segno"), sound(tocoda="coda")),
                whole("e", after=sound(dalsegno="segno")),
                whole("f", sound(coda="coda")),
            ],
            "cdedf",
        ),
        (
            [
                whole("c"),
                whole("d", barline("<segno/>", "left")),
                whole("e", after=FINE),
                whole("f", after=sound(dalsegno="segno")),
            ],
            "cdefde",
        ),
        (
            [
                whole("c"),
                whole("d", after=barline('<repeat direction="backward" after-jump="yes"/>')),
                whole("e", after=DC),
            ],
            "cdcdecdcde",
        ),
    ],
)
def test_jumps(measures, right):
    found = one(*measures)
    assert letters(found) == right and found.remarks == ()


@pytest.mark.parametrize(
    ("measures", "remark"),
    [
        ([whole("c", after=DC), whole("d", after=DC)], "several jumps (D.C., D.S.), of which none is followed"),
        ([whole("c"), whole("d", after=sound(dalsegno="a"))], "a D.S. without its sign, which is not followed"),
        ([whole("c", after=FINE), whole("d", after=DC), whole("e")], "music after a jump back to a Fine, so that"),
        ([whole("c", after=sound(tocoda="x")), whole("d", after=DC)], "a jump to a coda that is not there"),
        ([whole("c"), whole("d", after=words("D.S. al Fine"))], "a jump in words alone ('D.S. al Fine')"),
        ([whole("c"), whole("d", after=words("Da Capo"))], "a jump in words alone ('Da Capo'), which is not followed"),
    ],
)
def test_jumps_that_are_not_followed_are_named(measures, remark):
    found = one(*measures)
    assert letters(found) == "cde"[: len(measures)]
    assert len(found.remarks) == 1 and found.remarks[0].startswith(remark)


def test_parts_of_different_lengths_lose_nothing():
    found = read(score(part(WHOLE), part(WHOLE, WHOLE, notes("G4 A4 B4 C5"))))
    assert [len(track.start) for track in found.tracks] == [4, 12]
    assert found.remarks == ("parts of 1 to 3 measures; the shorter ones end in silence",)


def test_a_first_part_that_is_empty_says_nothing():
    for empty in ("", part(FULL.format(16), metre="")):
        found = read(score(empty, part(WHOLE, whole("c", after=repeat()), metre=time(2, 2))))
        assert len(found.tracks) == 1 and found.time_signatures.tolist() == [[0, 2, 2]]
        assert len(found.tracks[0].start) == 10


def test_the_part_that_repeats_more_decides_and_that_is_said():
    measures = [whole("c"), whole("d"), whole("e")]
    plain, repeats = list(measures), [whole("c", after=repeat()), whole("d", FORWARD), whole("e", after=repeat())]
    found = read(score(part(*plain), part(*repeats)))
    assert letters(found) == "ccdede" and found.remarks == ()
    found = read(score(part(whole("c"), whole("d", after=repeat()), whole("e")), part(*repeats)))
    assert letters(found) == "ccdede"
    assert found.remarks == ("parts that do not repeat alike; the signs of 'Part 2' count",)


def test_parts_in_two_metres_at_once():
    triple = part(*[note("C4", 12)] * 2, metre=time(3))
    found = read(score(part(*[note("C4", 12)] * 2, metre=time(6, 8)), triple))
    assert found.time_signatures.tolist() == [[0, 6, 8]]
    assert found.remarks == ("parts in several metres at once (measure 1); that of 'Part 1' counts",)


def test_staves_are_tracks_and_voices_are_not():
    music = "".join(
        note(pitch, 16, f"<voice>{voice}</voice><staff>{staff}</staff>") + "<backup><duration>16</duration></backup>"
        for pitch, voice, staff in [("C5", 1, 1), ("E4", 2, 1), ("C3", 5, 2)]
    )
    found = one(music, WHOLE)
    assert [played(found, k)[:2] for k in (0, 1)] == [[(64, 0, 4), (72, 0, 4)], [(48, 0, 4)]]
    assert [track.name for track in found.tracks] == ["Part 1", "Part 1"]


def test_timewise_is_partwise_the_other_way_round():
    entry = "<part-list><score-part id='P1'><part-name>A</part-name></score-part><score-part id='P2'/></part-list>"
    first = attributes(f"<divisions>4</divisions>{time()}")
    columns = [(first + WHOLE, first + note("C3", 16)), (note("G4", 16) + repeat(), note("G3", 16) + repeat())]
    measures = "".join(
        f'<measure number="{k}"><part id="P1">{a}</part><part id="P2">{b}</part></measure>'
        for k, (a, b) in enumerate(columns)
    )
    found = read(f"<score-timewise>{entry}{measures}</score-timewise>")
    parts = zip(*columns, strict=True)
    other = read(score(*(part(*contents, metre="") for contents in parts)))
    for ours, theirs in zip(found.tracks, other.tracks, strict=True):
        np.testing.assert_array_equal(ours.start, theirs.start)
        np.testing.assert_array_equal(ours.pitch, theirs.pitch)
    assert found.tracks[0].name == "A" and len(found.tracks[0].start) == 10
