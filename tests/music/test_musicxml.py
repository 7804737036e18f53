"""What sounds in MusicXML, against notes written out by hand from the standard (MusicXML 4.0)."""

import pytest

from mcvae_jax.music.score import Reason, Skip
from tests.musicxml import attributes, ending, note, notes, part, pitches, played, read, score, time

WHOLE = notes("C4 D4 E4 F4")
TIE, END = '<tie type="start"/>', '<tie type="stop"/>'
TIED = '<notations><tied type="start"/></notations>'


def one(*measures: str, **kwargs):
    return read(score(part(*measures, **kwargs)))


def test_chords_backup_and_forward_move_the_cursor():
    found = one(
        note("C4", 8)
        + note("E4", 8, before="<chord/>")
        + "<forward><duration>4</duration></forward>"
        + note("G4")
        + "<backup><duration>16</duration></backup>"
        + note("C3", 16, "<voice>2</voice>")
    )
    assert played(found) == [(48, 0, 4), (60, 0, 2), (64, 0, 2), (67, 3, 4)]


def test_a_backup_before_the_measure_stops_at_its_start():
    assert played(one(note("C4", 16) + "<backup><duration>99</duration></backup>" + note("E4", 16)))[1] == (64, 0, 4)


@pytest.mark.parametrize(
    "silent",
    [
        "<note><grace/><pitch><step>B</step><octave>4</octave></pitch></note>",
        '<note><grace steal-time-previous="50"/><pitch><step>B</step><octave>4</octave></pitch></note>',
        "<note><grace/><chord/><pitch><step>B</step><octave>4</octave></pitch></note>",
        "<note><grace/><cue/><pitch><step>B</step><octave>4</octave></pitch></note>",
        "<harmony><root><root-step>G</root-step></root><kind>major</kind><offset>99</offset></harmony>",
        "<direction><direction-type><words>rit.</words></direction-type><offset>99</offset></direction>",
        "<figured-bass><figure/><duration>99</duration></figured-bass>",
    ],
)
def test_what_takes_no_time_and_does_not_sound(silent):
    found = one(note("C4") + silent + notes("D4 E4 F4") + silent, WHOLE)
    assert pitches(found) == [60, 62, 64, 65] * 2
    assert played(found)[4] == (60, 4, 5) and found.remarks == ()


def test_cues_take_time_and_do_not_sound():
    cue = note("B4", before="<cue/>")
    assert played(one(note("C4") + cue + notes("E4 F4")))[1] == (64, 2, 3)


def test_what_is_not_printed_sounds():
    assert pitches(one(WHOLE.replace("<note>", '<note print-object="no">'))) == [60, 62, 64, 65]


@pytest.mark.parametrize(("start", "stop"), [(TIE, END), (TIED, ""), (TIE, ""), (TIE + TIED, END)])
def test_ties_hold(start, stop):
    """By <tie>, by <tied> alone, and where only their start is stated."""
    found = one(note("C4", 8) + note("D4", 8, start), note("D4", 8, stop) + note("D4", 8))
    assert played(found) == [(60, 0, 2), (62, 2, 6), (62, 6, 8)]


def test_a_tie_leads_over_voices_staves_and_rounding():
    low = "<voice>5</voice><staff>2</staff>"
    found = one(
        note("C4", 8) + note("D4", "7.99", TIE + "<voice>1</voice><staff>1</staff>"),
        note("D4", 16, END + "<voice>2</voice><staff>1</staff>")
        + "<backup><duration>16</duration></backup>"
        + note("G3", 16, TIE + low),
        note("G3", 16, END + "<voice>1</voice><staff>1</staff>"),
    )
    assert [played(found, k) for k in (0, 1)] == [[(60, 0, 2), (62, 2, 8)], [(55, 4, 12)]]


def test_a_tie_without_an_end_leads_no_further_than_the_next_note():
    assert [n[0] for n in played(one(note("C4", 8, TIE) + note("E4", 4) + note("C4", 4)))] == [60, 64, 60]
    unison = note("C4", 8, TIE + "<voice>1</voice>") + "<backup><duration>8</duration></backup>"
    unison += note("C4", 8, "<voice>2</voice>") + note("C4", 8, END + "<voice>1</voice>")
    assert played(one(unison)) == [(60, 0, 2), (60, 0, 4)]


def test_a_tie_into_the_first_ending_strikes_anew_in_the_second():
    found = one(
        note("C4", 16, TIE),
        ending("1", note("C4", 16, END)),
        ending("2", note("C4", 16), "discontinue", back=False),
    )
    assert played(found) == [(60, 0, 8), (60, 8, 12), (60, 12, 16)]


def test_divisions_change_between_and_within_measures_and_may_be_decimals():
    found = one(
        note("C4", 8) + attributes("<divisions>1</divisions>") + note("D4", 2),
        attributes("<divisions>10000</divisions>") + note("E4", 20000) + note("F4", "19999.5"),
        attributes("<divisions>0.5</divisions>") + note("G4", 2),
    )
    assert played(found) == [(60, 0, 2), (62, 2, 4), (64, 4, 6), (65, 6, pytest.approx(8, abs=1e-4)), (67, 8, 12)]


def test_missing_divisions_are_what_the_first_note_looks_like():
    dotted = "<type>quarter</type><dot/>"
    found = one(note("C4", 36, dotted) + note("D4", 12) + note("E4", 48), WHOLE.replace(">4<", ">24<"), metre="")
    assert played(found)[:3] == [(60, 0, 1.5), (62, 1.5, 2), (64, 2, 4)]
    triplet = "<type>eighth</type><time-modification><actual-notes>3</actual-notes><normal-notes>2</normal-notes>"
    assert played(one(note("C4", 8, triplet + "</time-modification>"), metre=""))[0] == (60, 0, pytest.approx(1 / 3))


def test_missing_divisions_without_shapes_are_those_of_another_part_or_one():
    found = read(score(part(WHOLE), part(note("C3", 8), metre="")))
    assert played(found, 1) == [(48, 0, 2)]
    assert played(one(note("C4", 2) + note("D4", 2), metre="")) == [(60, 0, 2), (62, 2, 4)]


def test_a_note_without_a_duration_is_as_long_as_it_looks():
    looks = "<note><pitch><step>C</step><octave>4</octave></pitch><type>half</type><dot/></note>"
    assert played(one(looks + note("D4"))) == [(60, 0, 3), (62, 3, 4)]


@pytest.mark.parametrize(
    ("wrong", "right", "says"),
    [
        ("<divisions>4<", "<divisions>0<", "measure 1 of 'Part 1': its <divisions> are '0'"),
        ("<divisions>4<", "<divisions>-4<", "measure 1 of 'Part 1': its <divisions> are '-4'"),
        ("<divisions>4<", "<divisions>many<", "measure 1 of 'Part 1': its <divisions> are 'many'"),
        ("<duration>4<", "<duration>-4<", "measure 1 of 'Part 1': a duration is '-4'"),
        ("<duration>4<", "<duration>NaN<", "measure 1 of 'Part 1': a duration is 'NaN'"),
        ("<duration>4<", f"<duration>{10**18}<", "measure 1 of 'Part 1': a duration is '1000000000000000000'"),
        ("<step>C<", "<step>H<", "measure 1 of 'Part 1': a pitch is not one"),
    ],
)
def test_a_measure_that_makes_no_sense_is_named(wrong, right, says):
    with pytest.raises(Skip) as caught:
        read(score(part(WHOLE)).replace(wrong, right))
    assert (caught.value.reason, caught.value.detail) == (Reason.DAMAGED, says)


def test_a_measure_of_immense_length_is_refused():
    with pytest.raises(Skip) as caught:
        one(note("C4", 10**9))
    assert caught.value.reason == Reason.TOO_LONG


def style(kind: str, which: str = "", content: str = "1", staff: str = "") -> str:
    staff = f' number="{staff}"' if staff else ""
    return attributes(f'<measure-style{staff}><{kind} type="{which or "start"}">{content}</{kind}></measure-style>')


def test_measures_under_a_repeat_sign_play_what_stood_before():
    rest = '<note><rest measure="yes"/><duration>16</duration></note>'
    found = one(WHOLE, style("measure-repeat") + rest, rest, style("measure-repeat", "stop", "") + notes("G4 A4 B4 C5"))
    assert pitches(found) == [60, 62, 64, 65] * 3 + [67, 69, 71, 72]
    found = one(WHOLE, note("G4", 16), style("measure-repeat", content="2") + rest, rest)
    assert pitches(found) == [60, 62, 64, 65, 67] * 2
    assert played(found)[-1] == (67, 12, 16)


def test_what_is_written_out_under_a_repeat_sign_counts():
    assert pitches(one(WHOLE, style("measure-repeat") + note("G4", 16))) == [60, 62, 64, 65, 67]


def test_a_repeat_sign_of_one_staff_leaves_the_other():
    staves = [f"<voice>{v}</voice><staff>{v}</staff>" for v in (1, 2)]
    both = note("C4", 16, staves[0]) + "<backup><duration>16</duration></backup>" + note("C3", 16, staves[1])
    found = one(both, style("measure-repeat", staff="2") + note("E4", 16, staves[0]))
    assert [played(found, k) for k in (0, 1)] == [[(60, 0, 4), (64, 4, 8)], [(48, 0, 4), (48, 4, 8)]]


def test_signs_that_cannot_be_played_are_named():
    found = one(WHOLE, style("beat-repeat") + note("G4", 16))
    assert found.remarks == ("measures of beat repeats, which are not played (1)",)
    head = "<notehead>slash</notehead>"
    for slashes in (note("B4", 16, head), style("slash") + note("B4", 16)):
        found = one(WHOLE, slashes)
        assert pitches(found) == [60, 62, 64, 65]
        assert found.remarks == ("slashes, which stand for notes that are not written, left out (1)",)


def test_multiple_rests_stand_for_measures_that_are_written_out():
    rests = [
        attributes("<measure-style><multiple-rest>2</multiple-rest></measure-style>") + note("r", 16),
        note("r", 16),
    ]
    assert played(one(WHOLE, *rests, WHOLE))[4] == (60, 12, 13)


@pytest.mark.parametrize(
    ("key", "keys"),
    [
        ("<fifths>-3</fifths><mode>minor</mode>", ((0, "Cm"),)),
        ("<fifths>2</fifths><mode>dorian</mode>", ((0, "Bm"),)),
        ("<cancel>3</cancel><fifths>-7</fifths>", ((0, "Cb"),)),
        ("<fifths>8</fifths>", ()),
        ("<fifths>-8</fifths>", ()),
        ("<fifths>many</fifths>", ()),
        ("<key-step>B</key-step><key-alter>-1</key-alter>", ()),
        ("", ()),
    ],
)
def test_keys(key, keys):
    found = one(attributes(f"<key>{key}</key>") + WHOLE)
    assert found.keys == keys and pitches(found) == [60, 62, 64, 65]


@pytest.mark.parametrize(
    ("transpose", "semitones"),
    [
        ("<chromatic>-2</chromatic>", [-2]),
        ("<diatonic>-5</diatonic><chromatic>-9</chromatic><octave-change>-1</octave-change>", [-21]),
        ("<chromatic>0</chromatic><octave-change>1</octave-change>", [12]),
        ("<chromatic>0</chromatic><double/>", [-12, 0]),
        ('<chromatic>-2</chromatic><double above="yes"/>', [-2, 10]),
    ],
)
def test_what_sounds_is_transposed(transpose, semitones):
    found = one(attributes(f"<transpose>{transpose}</transpose>") + note("C4", 16), note("D4", 16))
    assert [n[0] for n in played(found)] == [60 + s for s in semitones] + [62 + s for s in semitones]


def test_a_transposition_of_one_staff_and_one_that_ends():
    high, low = ("<voice>1</voice><staff>1</staff>", "<voice>2</voice><staff>2</staff>")
    both = note("C4", 16, high) + "<backup><duration>16</duration></backup>" + note("C4", 16, low)
    second = attributes('<transpose number="2"><chromatic>-7</chromatic></transpose>')
    found = one(second + both, attributes("<transpose><chromatic>0</chromatic></transpose>") + both)
    assert [pitches(found, k) for k in (0, 1)] == [[60, 60], [53, 60]]


def test_the_key_is_the_one_that_sounds():
    transpose = "<transpose><chromatic>-2</chromatic></transpose>"
    assert one(attributes(f"<key><fifths>3</fifths></key>{transpose}") + WHOLE).keys == ((0, "G"),)


def test_quarter_tones_are_rounded_and_counted():
    sharp = note("C4", 8).replace("</step>", "</step><alter>0.5</alter>")
    flat = note("D4", 8).replace("</step>", "</step><alter>-1.5</alter>")
    found = one(sharp + flat)
    assert pitches(found) == [61, 61] and found.remarks == ("notes between two semitones rounded (2)",)


def test_pitches_beyond_midi_are_left_out_and_counted():
    found = one(notes("C4 C5 C6") + note("C9").replace(">9<", ">10<"))
    assert pitches(found) == [60, 72, 84] and found.remarks == ("notes beyond the range of MIDI left out (1)",)


UNPITCHED = "<unpitched><display-step>E</display-step><display-octave>4</display-octave></unpitched>"


@pytest.mark.parametrize(
    ("entries", "music"),
    [
        ("", f"<note>{UNPITCHED}<duration>16</duration></note>"),
        ('<midi-instrument id="I"><midi-channel>10</midi-channel></midi-instrument>', note("E4", 16)),
        ('<midi-instrument id="I"><midi-unpitched>65</midi-unpitched></midi-instrument>', note("E4", 16)),
        ("", attributes("<clef><sign>percussion</sign></clef>") + note("E4", 16)),
    ],
)
def test_drums(entries, music):
    (track,) = read(score(part(music), entries=entries)).tracks
    assert track.is_drum and track.pitch.tolist() == [64]


def test_drums_and_pitches_of_one_part_are_two_tracks():
    midi = "".join(
        f'<midi-instrument id="{name}"><midi-channel>{channel}</midi-channel>{more}</midi-instrument>'
        for name, channel, more in [("A", 1, ""), ("B", 10, "<midi-unpitched>37</midi-unpitched>")]
    )
    music = (
        note("E4", 8, '<instrument id="A"/>') + f'<note>{UNPITCHED}<duration>8</duration><instrument id="B"/></note>'
    )
    melody, drums = read(score(part(music), entries=midi)).tracks
    assert not melody.is_drum and melody.pitch.tolist() == [64]
    assert drums.is_drum and drums.pitch.tolist() == [36]


def test_nothing_that_sounds_says_what_is_there():
    with pytest.raises(Skip) as caught:
        one(note("r", 16), note("B4", 16, before="<cue/>"), note("B4", 16, "<notehead>slash</notehead>"))
    assert caught.value.reason == Reason.NO_NOTES
    assert caught.value.detail.startswith("3 measures in 1 parts, in which nothing sounds; slashes")


def tempo(content: str) -> str:
    return f"<direction><direction-type><metronome>{content}</metronome></direction-type></direction>"


@pytest.mark.parametrize(
    ("mark", "quarters"),
    [
        ('<sound tempo="96.5"/>', [96.5]),
        ('<direction><direction-type/><sound tempo="96"/></direction>', [96]),
        (tempo("<beat-unit>quarter</beat-unit><per-minute>c. 120-126</per-minute>"), [120]),
        (tempo("<beat-unit>eighth</beat-unit><per-minute>120</per-minute>"), [60]),
        (tempo("<beat-unit>half</beat-unit><beat-unit-dot/><per-minute>60</per-minute>"), [180]),
        (tempo("<beat-unit>16th</beat-unit><beat-unit-dot/><beat-unit-dot/><per-minute>400</per-minute>"), [175]),
        (tempo("<beat-unit>quarter</beat-unit><beat-unit>eighth</beat-unit>"), []),
        (tempo("<beat-unit>quarter</beat-unit><per-minute>fast</per-minute>"), []),
        ('<sound tempo="0"/>', []),
        ('<sound tempo="1e400"/>', []),
        ('<sound tempo="999999"/>', []),
    ],
)
def test_tempos(mark, quarters):
    assert one(mark + WHOLE).tempos.tolist() == [[0, value] for value in quarters]


def test_a_tempo_late_in_a_measure_is_the_next_ones():
    found = one('<sound tempo="90"/>' + WHOLE + '<sound tempo="60"/>', WHOLE)
    assert found.tempos.tolist() == [[0, 90], [4 * found.ticks_per_quarter, 60]]


def test_titles_and_names():
    header = "<work><work-title> The\n Work </work-title></work><movement-title>Finale</movement-title>"
    found = read(score(part(WHOLE), part(WHOLE), header=header))
    assert found.title == "The Work" and [track.name for track in found.tracks] == ["Part 1", "Part 2"]
    assert read(score(part(WHOLE), header="<movement-title>Finale</movement-title>")).title == "Finale"


@pytest.mark.parametrize(
    ("metre", "signature"),
    [
        (time("3+2", 8), [5, 8]),
        (time(2, 4) + "", [2, 4]),
        (time(2, 4).replace("</time>", "") + time(3, 8).replace("<time>", ""), [7, 8]),
        (time(6, 8).replace("</time>", f"<interchangeable>{time(2, 4)[6:-7]}</interchangeable></time>"), [6, 8]),
        (time(2, 2).replace("<time>", '<time symbol="cut">'), [2, 2]),
    ],
)
def test_time_signatures(metre, signature):
    length = 16 * signature[0] // signature[1]
    found = one(note("C4", length), note("D4", length), metre=metre)
    assert found.time_signatures.tolist() == [[0, *signature]]


@pytest.mark.parametrize("metre", ["<time><senza-misura/></time>", time(4, 5), time("x", 4), time(0, 4), time(999, 4)])
def test_no_metre_is_stated_where_there_is_none(metre):
    found = one(note("C4", 28), note("D4", 12), metre=metre)
    assert len(found.time_signatures) == 0 and played(found)[1] == (62, 7, 10)
