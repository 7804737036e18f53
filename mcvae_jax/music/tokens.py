"""Notes <-> tokens: the vocabulary, and the steps on which it stands (thesis 6.1)."""

import numpy as np

NOTE_OFF = 128  # the first silent step after a note
NO_EVENT = 129  # a held note goes on, or silence does
START = 130  # input of a decoder; never in a bar
OUTCOMES = 130  # what a model predicts
VOCABULARY = 131  # what a decoder is fed
BAR, STEPS_PER_QUARTER = 16, 4  # where nothing else is said (grid.py): a step is a sixteenth
HIGHEST = 127  # MIDI pitch


def to_steps(ticks: np.ndarray, ticks_per_quarter: int, steps: int = STEPS_PER_QUARTER) -> np.ndarray:
    """floor(steps * tick / ticks_per_quarter + 1/2) in integers, negative ticks too; exact to 2^60 for 4 steps.

    Args: ticks, int (N,); ticks_per_quarter >= 1; steps, of a quarter. Returns int64 (N,).
    """
    ticks = np.asarray(ticks, np.int64)
    quarters = ticks // ticks_per_quarter
    rest = ticks - quarters * ticks_per_quarter
    within = (2 * steps * rest + ticks_per_quarter) // (2 * ticks_per_quarter)
    return steps * quarters + within


def notes_to_tokens(
    start: np.ndarray, end: np.ndarray, pitch: np.ndarray, ticks_per_quarter: int = STEPS_PER_QUARTER
) -> np.ndarray:
    """A monophonic melody as canonical tokens, from step 0 to the end of its last note.

    A note ends at max(start + 1, the rounding of its end), or where the next one starts. Of several onsets in
    a step the highest pitch wins; of equal pitches the longest.

    Args: start, end, pitch: int (N,), in ticks (the default takes steps), start >= 0, in any order.
    Returns: uint8 (T,), T the step at which the last note ends; (0,) without notes.
    """
    first, last = notes_to_steps(start, end, ticks_per_quarter, STEPS_PER_QUARTER)
    return steps_to_tokens(first, last, np.asarray(pitch))


def notes_to_steps(
    start: np.ndarray, end: np.ndarray, ticks_per_quarter: int, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """The step, of so many a quarter, on which each note starts, and that at which it ends; int64 (N,) each.

    A note lasts for a step at least.
    """
    first = to_steps(start, ticks_per_quarter, steps)
    return first, np.maximum(first + 1, to_steps(end, ticks_per_quarter, steps))


def steps_to_tokens(first: np.ndarray, last: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """`notes_to_tokens` for notes, each (N,), that lie on steps already and last for one at least."""
    if not len(first):
        return np.empty(0, np.uint8)
    order = np.lexsort((last, pitch, first))
    begin = first[order]
    wins = np.append(begin[1:] != begin[:-1], True)
    begin, kept = begin[wins], order[wins]
    stop = last[kept]
    stop[:-1] = np.minimum(stop[:-1], begin[1:])
    tokens = np.full(stop[-1], NO_EVENT, np.uint8)
    tokens[stop[:-1]] = NOTE_OFF  # where a note follows at once, its onset overwrites this
    tokens[begin] = pitch[kept]
    return tokens


def tokens_to_notes(tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The notes that `tokens`, uint8 (T,), sound: start and end in steps, and pitch; three int64 (N,).

    A note that no token ends lasts to T.
    """
    tokens = np.asarray(tokens)
    events = np.flatnonzero(tokens <= NOTE_OFF)
    ends = np.append(events[1:], len(tokens))
    is_note = tokens[events] < NOTE_OFF
    start = events[is_note]
    return start, ends[is_note], tokens[start].astype(np.int64)


def canonical(tokens: np.ndarray) -> np.ndarray:
    """`tokens`, uint8 (T,), without what carries no meaning: a NOTE_OFF in silence, a second NOTE_OFF."""
    tokens = np.array(tokens, np.uint8)
    events = np.flatnonzero(tokens <= NOTE_OFF)
    is_off = tokens[events] == NOTE_OFF
    follows_note = np.append(False, ~is_off[:-1])[: len(events)]
    tokens[events[is_off & ~follows_note]] = NO_EVENT
    return tokens


def transpose(tokens: np.ndarray, shift: int) -> np.ndarray:
    """`tokens`, uint8 of any shape, with every pitch `shift` semitones higher.

    Raises ValueError where a pitch would leave 0 to 127.
    """
    tokens = np.asarray(tokens, np.uint8)
    is_note = tokens < NOTE_OFF
    moved = tokens.astype(np.int64) + shift * is_note
    if np.any(is_note & ((moved < 0) | (moved > 127))):
        raise ValueError(f"a shift of {shift} semitones takes a pitch out of 0 to 127")
    return moved.astype(np.uint8)
