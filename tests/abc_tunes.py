"""Random tunes in ABC, of what the standard and abc2midi understand alike."""

import random

LENGTHS = ("", "", "", "", "2", "3", "/", "/2", "3/2", "4", "//", "/4", "3/4", "7/2", "5")
KEYS = "C G D F Bb Am Emix Gdor Eb B F#m Cphr Hp Ab none".split()
HEADER_KEYS = [*KEYS, "D exp _b", "C transpose=-2", "C octave=1", "C clef=treble-8"]
UNITS = ("1/8", "1/4", "1/16")


def random_tune(seed: int) -> str:
    """A tune with repeats, endings and changes of key and unit, with parts, or with voices of full bars."""
    chance = random.Random(seed)
    kind = chance.random()
    if kind < 0.25:
        return _voices(chance)
    head = f"X:1\nM:{chance.choice('4/4 6/8 2/4 C| C 9/8 none'.split())}\n"  # 3/4: abc2midi has tuplets of its own
    head += f"L:{chance.choice(UNITS)}\n" if chance.random() < 0.6 else ""
    key = f"K:{chance.choice(HEADER_KEYS)}\n%%MIDI chordattack 0\n"
    if kind < 0.4:
        order = chance.choice(("AB", "ABA", "A2B", "(AB)2", "AAB"))
        return f"{head}P:{order}\n{key}P:A\n{_music(chance)}\nP:B\n{_music(chance)}\n"
    return head + key + _music(chance) + "\n"


def _note(chance: random.Random, with_accidental: bool = True) -> str:
    accidental = chance.choice(("^", "_", "=", "^^", "__")) if with_accidental and chance.random() < 0.2 else ""
    return accidental + chance.choice("CDEFGABcdefgab") + chance.choice(("", "", "", "'", ","))


def _chord(chance: random.Random) -> str:
    letters = chance.sample("CDEFGAB", chance.randint(2, 4))
    inner, outer = chance.choice((("", "2"), ("", "/"), ("", "3/2"), ("2", ""), ("/", ""), ("", "")))
    return f"[{''.join(chance.choice((x, x.lower())) + inner for x in letters)}]{outer}"


def _tuplet(chance: random.Random) -> str:
    notes, time, count = chance.randint(2, 7), chance.randint(2, 5), chance.randint(2, 5)
    if chance.random() < 0.6:
        notes = chance.randint(2, 9)
        return f"({notes}{''.join(_note(chance) for _ in range(notes))}"
    return f"({notes}:{time}:{count}" + "".join(_note(chance) + chance.choice(("", "2", "/")) for _ in range(count))


def _element(chance: random.Random) -> str:
    note, length = _note(chance), chance.choice(LENGTHS)
    return chance.choices(
        (
            note + length,
            "z" + length,
            _chord(chance),
            note + chance.choice(("<", ">", "<<", " > ")) + _note(chance),
            _tuplet(chance),
            f"{note}{length}-{note.lstrip('^_=')}{length}",
            f"{{{_note(chance, False)}{_note(chance, False)}}}{note}",
            f'"Am"({note}{_note(chance)})',
        ),
        (55, 5, 10, 7, 10, 3, 3, 4),
    )[0]


def _bar(chance: random.Random) -> str:
    changes = f"[K:{chance.choice(KEYS)}]", f"[L:{chance.choice(UNITS)}]"
    change = chance.choice(changes) if chance.random() < 0.1 else ""
    return change + "".join(_element(chance) + chance.choice(("", " ")) for _ in range(chance.randint(1, 6)))


def _music(chance: random.Random) -> str:
    sections = []
    for _ in range(chance.randint(1, 4)):
        bars = "|".join(_bar(chance) for _ in range(chance.randint(1, 3)))
        one, two, four = (_bar(chance) for _ in range(3))
        endings = f"|:{bars}|1{one}:|2{two}||", f"|:{bars}|[1,3{one}:|[2{two}:|[4{four}|]"
        sections.append(chance.choice((f"|:{bars}:|", f"{bars}|", "Z2|", *endings)) + chance.choice(("", "\n")))
    return "".join(sections)


def _full_bar(chance: random.Random) -> str:
    left, elements = 8, []
    while left:
        length = min(left, chance.choice((1, 1, 2, 2, 3, 4)))
        left -= length
        elements.append(chance.choice((_note(chance), _note(chance), "z", "[CG]", "[EB]")) + str(length))
    return "".join(elements)


def _voices(chance: random.Random) -> str:
    """Voices with the same repeats, some bars with overlays; all bars are full."""
    bars = []
    for _ in range(chance.randint(1, 3)):
        count, repeats = chance.randint(1, 3), chance.random() < 0.5
        bars += [(repeats and k == 0, repeats and k == count - 1) for k in range(count)]
    text = "X:1\nM:4/4\nL:1/8\nK:G\n%%MIDI chordattack 0\n"
    for name in range(1, chance.randint(2, 4)):
        text += f"V:{name}{chance.choice(('', ' octave=-1', ' clef=bass'))}\n" + chance.choice(("", "K:F\n"))
        for starts, ends in bars:
            overlay = f"&{_full_bar(chance)}" if chance.random() < 0.2 else ""
            text += "|:" * starts + _full_bar(chance) + overlay + (":|" if ends else "|")
        text += "\n"
    return text
