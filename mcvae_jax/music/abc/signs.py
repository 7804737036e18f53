"""The signs of a line of ABC music, as one regular expression, and what their letters and digits are worth.

Every alternative starts with characters of its own and stops at its own opening sign, so that no line takes more than
linear time.
"""

import functools
import re

from mcvae_jax.music.abc.fields import STEPS
from mcvae_jax.music.score import Reason, Skip

MAX_DIGITS = 6  # of a number

# What can stand between two '!' (or '+') that are line breaks (or a chord) and no decoration.
_MUSIC = r"[A-Ga-gxyzZXuvTHLMPSO~.\s\d/,'^_=<>()\[\]{}:&-]"
_NOTES = r"[A-Ga-g^_=,'\d/]"
_SILENT = rf"""
    "(?:\\.|[^"\\]++)*+" | "[^"]*+"  # chord symbols and annotations
  # decorations, of 2.1 and of 2.0
  | !(?: f+ | D\.[CS]\.[^!|"]* | \d+[vm][ab][()]? | (?! (?=[^!]*[A-Ga-gxz]) {_MUSIC}*! ) [^!|"\s][^!|"]* )!
  | \+(?: f+ | (?! {_NOTES}+\+ ) [^\s+|"\d][^+|"\s]* | \d )\+
  | \{{[^{{}}]*\}}  # grace notes
  | [~H-WYh-w)`$*!] | \((?!\d) | y\d* | \.(?!\.?[:\[]?\|) | \\["%\\]?
"""
SIGN = re.compile(
    rf"""
  (?P<note> (?P<accidental>\^\^?|__?|=)? (?P<letter>[A-Ga-gxz]) (?P<octaves>[,']*) (?P<length>[\d/]*) )
| (?P<field> \[ (?P<name>[A-Za-z]): (?P<text>[^\[\]]*) \] )
| (?P<bar> (?P<lines> \.? :* \[?\| [|:\]]* (?: \[(?=[|\]]) [|:\]]*+ )*+ | ::+ )? (?(lines) (?: \[?(?=\d) )? | \[(?=\d) )
    (?P<turns> \d[\d,-]* )? )
| (?P<broken> >+ | <+ )
| (?P<tie> - )
| (?P<tuplet> \( (?P<p>\d+) (?: :(?P<q>\d*) )? (?: :(?P<r>\d*) )? )
| (?P<silent> (?: {_SILENT} )++ )
| (?P<open> \[ | \+(?=[^+A-Ga-g]*[A-Ga-g]{_NOTES}*\+) )
| (?P<close> [\]+] (?P<times>[\d/]*) )
| (?P<rest> [ZX] (?P<measures>\d*) )
| (?P<overlay> &+ )
| (?P<microtone> [\^_]\d*+/?+\d*+(?=[A-Ga-g]) )
| (?P<colon> : (?P<owed> (?= \s*(?: "[^"]*+" \s*+ )++ \[?\| ) )? )
| (?P<unclosed> ["{{] .* )
| (?P<other> \S )
""",
    re.VERBOSE,
)
_JUMP = re.compile(r"\bD\. ?[CS]\b|\bD[CS]\b|\bda ?capo|\bdal ?segno|\bdacoda", re.IGNORECASE)
NATURALS = {letter: 60 + step for letter, step in STEPS.items()}  # MIDI pitches
NATURALS |= {letter.lower(): 72 + step for letter, step in STEPS.items()}


def is_jump(text: str) -> bool:
    """Whether signs without sound hold a 'da capo' or 'dal segno'."""
    return ('"' in text or "!" in text or "+" in text) and bool(_JUMP.search(text))


@functools.lru_cache(4096)
def parse_length(text: str) -> tuple[int, int]:
    """'3/2', '/', '//', '' -> numerator and denominator. Raises Skip where it is beyond reason."""
    if len(text) > 2 * MAX_DIGITS:
        raise Skip(Reason.TOO_LONG, f"a note of length {text[:20]}")
    whole, *parts = text.split("/")
    denominator = 1
    for part in parts:
        denominator *= parse_int(part) if part else 2
    if denominator > 10**MAX_DIGITS or not denominator:
        raise Skip(Reason.DAMAGED, f"a note of length {text[:20]}")
    return parse_int(whole) if whole else 1, denominator


def parse_int(text: str) -> int:
    """A number of at most MAX_DIGITS. Raises Skip."""
    if len(text) > MAX_DIGITS:
        raise Skip(Reason.TOO_LONG, f"the number {text[:20]}")
    return int(text)


def parse_turns(text: str) -> frozenset[int]:
    """'1,3', '1-3' -> the turns of a repeat in which an ending is played."""
    turns: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        start = parse_int(first or "1")
        turns.update(range(start, min(parse_int(re.sub(r"\D", "", last) or first or "1"), start + 98) + 1))
    return frozenset(turns)
