"""Seeded mutants of files: of their bytes, and of XML trees."""

import random
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
