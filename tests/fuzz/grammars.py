"""Files of music made up by the grammar of each format, and valid ones to be changed."""

import random
import struct
from xml.etree import ElementTree

from hypothesis import strategies as st

from tests import midi_oracle as raw
from tests import musicxml as xml
from tests.fuzz.strategies import VALUE
from tests.music.test_abc import HEADER, STANDARD
from tests.music.test_cases import FOLDER
from tests.music.test_humdrum import BAD, PLAYED, SPINES, TOKENS, kern
from tests.music.test_musicxml_files import XML, container, packed
from tests.music.test_notation import MUSICXML
from tests.mutants import mutate_tree

# ---- MIDI

SMALL = st.integers(0, 127)
DELTA = st.sampled_from([0, 0, 1, 120, 240, 480, 1920, 2**21, 2**28 - 1]) | st.integers(0, 2000)
_VARIED = raw.chunk(
    [(0, raw.name(b"x")), (0, b"\xff\x58\x04\3\2\x18\x08"), (0, b"\xff\x51\x03\x07\xa1\x20"), (0, b"\xff\x59\2\xff\1")]
    + [(0, raw.program(5)), (0, b"\xf0\x03\x7e\x09\xf7"), (10, raw.on(60)), (240, b"\x3c\0"), (0, b"\xb0\x40\x7f")]
)
MIDI_SEEDS = [
    raw.midi(raw.melody(range(60, 76))),
    raw.midi(_VARIED, raw.melody(range(40, 48), 480, 1), raw.melody([36, 38] * 4, 120, 9)),
    raw.midi(raw.melody(range(60, 64), 96), division=96, kind=0),
    *(path.read_bytes() for path in sorted(FOLDER.glob("mid_*.mid")) if path.stat().st_size < 5000),
]


def _meta(kind: int, data: bytes, claimed: int) -> bytes:
    return bytes([0xFF, kind]) + raw.variable_length(claimed) + data


_META_KIND = st.sampled_from([0, 1, 3, 0x20, 0x2F, 0x51, 0x54, 0x58, 0x59, 0x7F]) | SMALL
EVENTS = st.one_of(
    st.builds(raw.on, SMALL, st.integers(0, 15), SMALL),
    st.builds(raw.off, SMALL, st.integers(0, 15)),
    st.builds(raw.program, SMALL, st.integers(0, 15)),
    st.builds(bytes, st.lists(SMALL, min_size=1, max_size=3)),  # under running status
    st.builds(lambda kind, data: _meta(kind, data, len(data)), _META_KIND, st.binary(max_size=6)),
    st.builds(_meta, _META_KIND, st.binary(max_size=6), st.sampled_from([0, 1, 127, 2**21, 2**28 - 1])),
    st.builds(
        lambda kind, data: bytes([kind]) + raw.variable_length(len(data)) + data,
        st.sampled_from([0xF0, 0xF7]),
        st.binary(max_size=6),
    ),
    st.builds(lambda status, data: bytes([status]) + data, st.integers(0xA0, 0xFE), st.binary(max_size=3)),
)
_TRACK = st.builds(raw.chunk, st.lists(st.tuples(DELTA, EVENTS), max_size=30))
_MELODY = st.builds(raw.melody, st.lists(SMALL, min_size=1, max_size=12), st.integers(1, 4000), st.integers(0, 15))
_OTHER = st.builds(lambda name, data: name + struct.pack(">I", len(data)) + data, st.binary(min_size=4, max_size=4),
                   st.binary(max_size=9))  # fmt: skip


@st.composite
def midi_files(draw: st.DrawFn) -> bytes:
    """A header that may claim anything, and chunks of any events."""
    chunks = draw(st.lists(_TRACK | _MELODY | _OTHER, max_size=4))
    division = draw(st.sampled_from([1, 24, 96, 480, 32767, 0, 0xE728]) | st.integers(0, 65535))
    tracks = draw(st.none() | st.sampled_from([0, 1, 65535]))
    data = raw.midi(*chunks, division=division, tracks=tracks, kind=draw(st.sampled_from([0, 1, 2, 3, 65535])))
    if draw(st.integers(0, 9)) == 0:
        data = b"RIFF" + struct.pack("<I", len(data) + 12) + b"RMIDdata" + struct.pack("<I", len(data)) + data
    return data


# ---- ABC

ABC_PIECES = """[ ] | : " ! + { } ( ) (3 (9:1:99 & && - > << Z9 X: 999999 / // ^ __ '''''' ,,,,,, [1,3 |::: :::| +: y x
C0 C/0 (0 (3:0:0 [1- m:~n=~nn octave= transpose=-9 M:0/0 L:0 L:1/0 Q:1/0=9 K:H P:(AB)9 [V:3] ² ٣ \x85""".split()
_LINES = ["K:", "M:", "L:", "V:2\n", "P:A\n", "I:", "%%begintext\n", "%%MIDI transpose 9\n", "\n"]
ABC_PIECES += ["%%MIDI transpose ", "\r", "%", "\\", "\0", *(f"\n{line}" for line in _LINES)]
ABC_SEEDS = [case.data for case in STANDARD.values()]
_FIELDS = """M:4/4 M:C| M:2+3/8 M:none L:1/8 L:1 Q:1/4=120 Q:"x"_3/8=40 K:G K:Em K:HP K:none K:C_clef=bass K:D_exp_^f_=c
K:C_octave=-1 V:1 V:2_clef=treble P:A P:A(BC)2 U:T=!trill! m:~G3=G{A}G{F}G w:la_la I:abc-charset_utf-8 R:jig T:x r:x
%%MIDI_program_5 %%MIDI_channel_10 %%score_(1_2) s:x W:x +:x""".split()
_FIELD = st.sampled_from(_FIELDS).map(lambda text: text.replace("_", " ")) | st.builds(
    "{}:{}".format, st.sampled_from("ABCDFGHIKLMNOPQRSTUVWXZmrsw+"), VALUE | st.sampled_from(ABC_PIECES)
)
_NOTES = "C D E F G A B c d ^f _b =e C2 C3/2 C/ C// c' C, z z2 | | || :| |: [1 [2 ::".split()
_SIGNS = st.sampled_from(_NOTES) | st.sampled_from(_NOTES) | st.sampled_from(ABC_PIECES) | VALUE
_MUSIC = st.lists(_SIGNS, max_size=25).map("".join)
_INLINE = st.builds("{}[{}]{}".format, _MUSIC, _FIELD, _MUSIC)


@st.composite
def abc_books(draw: st.DrawFn) -> str:
    """Up to three tunes: some fields, then lines of signs, fields between them and within them."""
    tunes = []
    for number in range(draw(st.integers(1, 3))):
        head = draw(st.just(HEADER) | st.lists(_FIELD, max_size=5).map(lambda fields: "\n".join(fields) + "\nK:C\n"))
        body = draw(st.lists(_MUSIC | _INLINE | _FIELD, max_size=6))
        tunes.append((f"X:{number}\n{head}" if draw(st.integers(0, 9)) else head) + "\n".join(body))
    return draw(st.sampled_from(["\n\n", "\n"])).join(tunes)


# ---- MusicXML

XML_SEEDS = [path.read_bytes() for path in sorted(FOLDER.glob("xml_*.musicxml"))] + [MUSICXML.encode(), XML.encode()]
_NAMES = """note pitch step octave alter duration rest chord tie tied voice staff type dot grace cue time-modification
actual-notes normal-notes attributes divisions key fifths key-step key-alter mode time beats beat-type transpose
chromatic octave-change staves clef sign measure-style measure-repeat multiple-rest slash barline repeat ending
direction sound offset metronome beat-unit per-minute harmony root root-step forward backup unpitched display-step
notations part measure score-part midi-instrument midi-channel instrument senza-misura interchangeable""".split()
_ATTRIBUTES = """type number times implicit location tempo dacapo dalsegno segno coda tocoda fine id size use-symbols
print-object measure after xml:lang""".split()
_LEAF = st.builds(
    '<{0} {1}="{2}">{3}</{0}>'.format, st.sampled_from(_NAMES), st.sampled_from(_ATTRIBUTES), VALUE, VALUE
)
_TREE = st.recursive(
    _LEAF,
    lambda inner: st.builds("<{0}>{1}</{0}>".format, st.sampled_from(_NAMES), st.lists(inner, max_size=4).map("".join)),
    max_leaves=8,
)
_MORE = st.just("") | _TREE
_NOTE = st.builds(
    xml.note, st.sampled_from([*xml.SCALE, "C#4", "Bb3", "r"]), st.sampled_from([1, 2, 4, 16]), _MORE, _MORE
)
_ELEMENT = st.one_of(
    _NOTE,
    _NOTE,
    st.builds(xml.note, st.sampled_from(xml.SCALE), VALUE),
    st.builds(xml.repeat, VALUE),
    st.builds(xml.ending, VALUE, _NOTE, st.sampled_from(["stop", "discontinue", ""]), st.booleans()),
    st.just(xml.FORWARD),
    st.builds(lambda beats, unit: xml.attributes(f"<time><beats>{beats}</beats><beat-type>{unit}</beat-type></time>"),
              VALUE, VALUE),
    st.builds("<{0}><duration>{1}</duration></{0}>".format, st.sampled_from(["forward", "backup"]), VALUE),
    st.builds('<direction><sound {}="{}"/></direction>'.format, st.sampled_from(_ATTRIBUTES), VALUE),
    _TREE,
)  # fmt: skip
_MEASURE = st.lists(_ELEMENT, max_size=6).map("".join)
_METRE = st.sampled_from(["", xml.time(), xml.time(3), xml.time("3+2", 8), "<time><senza-misura/></time>"])
_PART = st.builds(
    lambda measures, metre, implicit: xml.part(*measures, metre=metre, implicit=(0,) if implicit else ()),
    st.lists(_MEASURE, max_size=5),
    _METRE,
    st.booleans(),
)


def mutate_xml(data: bytes, chance: random.Random) -> bytes:
    """XML whose tree is changed."""
    return ElementTree.tostring(mutate_tree(ElementTree.fromstring(data), chance))


def musicxml_scores() -> st.SearchStrategy[str]:
    """Parts of measures of any elements, each nearly as it should be."""
    return st.builds(
        lambda parts, entries: xml.score(*parts, entries=entries), st.lists(_PART, min_size=1, max_size=3), _MORE
    )


_PLACES = ("META-INF/container.xml", "s.xml", "a/b.musicxml", "../s.xml", "s.pdf", "mimetype", "é.xml")
MXL_SEEDS = [packed(container("s.xml"), ("s.xml", data)) for data in XML_SEEDS[:8]]
MXL_SEEDS += [
    packed(("s.xml", XML), method=0),
    packed(container("a/b.musicxml"), ("s.xml", XML), ("a/b.musicxml", XML)),
]


@st.composite
def packed_scores(draw: st.DrawFn) -> bytes:
    """Members of any names that a container names or does not; 'members' are stored, deflated or in other ways."""
    content = st.sampled_from([XML, "", "x"]) | musicxml_scores() | _TREE
    members = draw(st.dictionaries(st.sampled_from(_PLACES), content, max_size=4))
    if draw(st.booleans()):
        name, text = container(*draw(st.lists(st.sampled_from(_PLACES), max_size=2)), before=draw(_MORE))
        members[name] = text
    return packed(*members.items(), method=draw(st.sampled_from([0, 8, 12, 14])))


# ---- Humdrum

KERN_WORDS = """*^ *v *x *+ *- *** **kern **text *>A *>[A,B,A] *M3/4 *M999/64 *k[f#] *MM0 *S/a *S- *clefX = =:|! =|!|:
== . 4c [4c 4c] 4r 0 % 1%32 999999999 # - q !! !!!OTL:""".split()
KERN_SEEDS = [kern(*lines) for lines, _ in [*TOKENS.values(), *SPINES.values(), *PLAYED.values()]]
KERN_SEEDS += [data for data, _, _ in BAD.values() if len(data) < 2000]
_SIGN = st.sampled_from(
    ["", "8", "2..", "1%3", "0", "[", "q", "(", "yy", "#", "--", "c", "ee", "BB", "r", ";", "/", "\\"]
)
_TOKEN = st.one_of(
    st.builds("{}{}".format, st.sampled_from(["4", "8", "16", "2.", "12"]), st.sampled_from(["c", "dd#", "B-", "r"])),
    st.just("."),
    st.lists(_SIGN, min_size=1, max_size=4).map("".join),
    VALUE,
)
_TANDEM = st.sampled_from(
    "* *M4/4 *M3/8 *MM120 *k[b-] *clefF4 *clefX *Ipiano *tb8 *rscale:2 *>A *>B *>[A,B,A] *S/a".split()
)
_PATHS = st.sampled_from(["*", "*", "*^", "*v", "*x", "*+", "*-"])


@st.composite
def kern_files(draw: st.DrawFn) -> bytes:
    """Lines with a token for each spine, which split and join; here and there one token too many or too few."""
    spines = draw(st.integers(1, 4))
    lines = ["\t".join(draw(st.sampled_from(["**kern", "**kern", "**text"])) for _ in range(spines))]
    for _ in range(draw(st.integers(0, 15))):
        tokens = draw(st.sampled_from([_TOKEN, _TOKEN, _TANDEM, _PATHS]) | st.sampled_from(["=", "=:|!", "!x"]))
        line = [tokens if isinstance(tokens, str) else draw(tokens) for _ in range(spines)]
        lines.append("\t".join(line))
        if tokens is _PATHS:
            runs = "".join("v" if token == "*v" else " " for token in line).split()
            spines += line.count("*^") + line.count("*+") - line.count("*-") - sum(len(run) - 1 for run in runs)
        spines = max(1, spines + draw(st.sampled_from([0] * 30 + [1, -1])))
    return "\n".join([*lines, "\t".join(["*-"] * spines), ""]).encode()
