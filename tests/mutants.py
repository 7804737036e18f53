"""Mutants of files: of their bytes, lines, signs, XML trees, JSON values and archives.

Each takes what decides: a seeded random.Random, or hypothesis' own, which then makes the mutant smaller.
"""

import copy
import random
import struct
from collections.abc import Sequence
from typing import Any
from xml.etree.ElementTree import Element, SubElement

VALUES = """0 -1 1 2 16 10080 1000000000 1000000000000000000 99999999999999999999999999 0.5 1e400 nan abc 1,2 1-3 3+2
1-99999 yes no start stop left right backward forward 128 quarter whole 1024th percussion major none é 𝄞""".split()


def mutate_bytes(data: bytes, chance: random.Random) -> bytes:
    """Bits flipped, bytes written over, cut out, copied or put in, or the end cut off; from one to twenty times."""
    out = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 5, 20])):
        if not out:
            break
        kind, at = chance.randrange(6), chance.randrange(len(out))
        if kind == 0:
            out[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            out[at] = chance.randrange(256)
        elif kind == 2:
            del out[at : at + chance.choice([1, 3, 30, 300])]
        elif kind == 3:
            other = chance.randrange(len(out))
            out[at:at] = out[other : other + chance.choice([1, 10, 100, 1000])]
        elif kind == 4:
            out[at:at] = chance.choice(VALUES).encode()
        else:
            del out[at:]
    return bytes(out)


def mutate_tree(root: Element, chance: random.Random) -> Element:
    """Elements left out, doubled, renamed, put in or shuffled; texts and attributes changed; one to eight times."""
    for _ in range(chance.choice([1, 1, 2, 3, 8])):
        elements = list(root.iter())
        one, other = chance.choice(elements), chance.choice(elements)
        kind = chance.randrange(8)
        if kind == 0 and len(other):
            other.remove(chance.choice(list(other)))
        elif kind == 1 and len(other):
            other.insert(chance.randrange(len(other)), chance.choice(list(other)))
        elif kind == 2:
            one.text = chance.choice(VALUES)
        elif kind == 3:
            names = [name for element in elements for name in element.attrib]
            one.set(chance.choice(names or ["number"]), chance.choice(VALUES))
        elif kind == 4:
            one.tag = chance.choice(elements).tag
        elif kind == 5:
            SubElement(one, chance.choice(elements).tag).text = chance.choice(VALUES)
        elif kind == 6:
            one.attrib.clear()
        elif len(other):
            children = list(other)
            chance.shuffle(children)
            other[:] = children
    return root


def mutate_lines(data: bytes, chance: random.Random, words: Sequence[str]) -> bytes:
    """Lines and tokens of a table left out, doubled, exchanged, or put in from `words`, from one to ten times."""
    lines = [line.split("\t") for line in data.decode("latin-1").split("\n")]
    for _ in range(chance.randint(1, 10)):
        one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        kind = chance.randrange(6)
        if kind == 0 and len(lines) > 1:
            del lines[one]
        elif kind == 1:
            lines[one], lines[other] = lines[other], lines[one]
        elif kind == 2:
            lines.insert(one, list(lines[other]))
        else:
            at = chance.randrange(len(lines[one]) + 1)
            lines[one][at : at + chance.randrange(2)] = [chance.choice(words)] * chance.choice([0, 1, 1, 2])
    return "\n".join("\t".join(line) for line in lines).encode("latin-1")


def mutate_signs(data: bytes, chance: random.Random, pieces: Sequence[str], others: Sequence[bytes]) -> bytes:
    """Signs written over or put in, parts taken out, doubled, or taken from another text; one to eight times."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        at, kind = chance.randrange(len(out) + 1), chance.randrange(5)
        if kind == 0:
            out[at : at + 1] = bytes([chance.randrange(256)])
        elif kind == 1:
            out[at:at] = chance.choice(pieces).encode()
        elif kind == 2:
            del out[at : at + chance.randint(1, 20)]
        else:
            other = out if kind == 3 else chance.choice(others)
            start = chance.randrange(len(other) + 1)
            out[at:at] = other[start : start + chance.randint(1, 100)]
    return bytes(out)


def mutate_json(value: Any, chance: random.Random, odd: Any) -> Any:
    """A JSON value of which one to four parts are replaced by `odd`, left out, doubled, or stand in another's place."""
    value = copy.deepcopy(value)
    for _ in range(chance.choice([1, 1, 2, 4])):
        places = [(holder, key) for holder in _holders(value) for key in _keys(holder)]
        if not places:
            return odd
        (holder, key), (other, there) = chance.choice(places), chance.choice(places)
        kind = chance.randrange(4)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        else:
            holder[key] = copy.deepcopy(odd if kind < 3 else other[there])
    return value


def _holders(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(holder for each in inner for holder in _holders(each))]


def _keys(value: Any) -> list[Any]:
    return list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []


NUMBERS = [struct.pack(f"<{kind}", value) for kind, value in [("B", 0), ("B", 255), ("H", 65535), ("I", 0), ("Q", 0),
           ("I", 2**32 - 1), ("I", 2**31), ("Q", 2**64 - 1), ("Q", 2**63 - 1)]]  # fmt: skip
NUMBERS += [b"00000000000\0", b"77777777777\0", b"\x80" + b"\xff" * 11, b"\xff" * 12, b"-1", b"99999999999999999999"]


def mutate_archive(data: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, cut, doubled or set to numbers that stand at a bound; checksums of tar headers are mended."""
    data = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 4, 8])):
        at = chance.randrange(len(data) + 1)
        kind = chance.randrange(6)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[at : at + chance.randrange(1, 5)] = chance.randbytes(chance.randrange(5))
        elif kind == 2:
            number = chance.choice(NUMBERS)
            data[at : at + len(number)] = number
        elif kind == 3 and chance.random() < 0.3:
            del data[at:]
        elif kind == 4:
            start, size = chance.randrange(len(data) + 1), chance.choice([8, 64, 512, 1024])
            data[at:at] = data[start : start + size]
        elif kind == 5:
            start = at // 512 * 512  # of a tar's header: its size, kind or name
            field, size = chance.choice([(124, 12), (156, 1), (0, 8), (345, 8), (386, 24)])
            data[start + field : start + field + size] = chance.choice(NUMBERS)[:size].ljust(size, b"\0")
        if not data:
            data = bytearray(b"\0")
    for start in range(0, len(data) - 511, 512) if chance.random() < 0.7 else ():
        if data[start + 257 : start + 262] == b"ustar":
            total = sum(data[start : start + 512]) - sum(data[start + 148 : start + 156]) + 8 * 32
            data[start + 148 : start + 156] = b"%06o\0 " % (total & 0o777777)
    return bytes(data)
