"""Da capo and dal segno: the order in which measures sound where a written jump leads back."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mcvae_jax.music.measures import Measure, play_order

_LEAVING = ("dacapo", "dalsegno")


class Jump(NamedTuple):
    """One jump back, by measure indices."""

    after: int  # the measure after which it is taken, once
    to: int  # where it leads
    until: int | None  # the measure after which the second time ends, or goes to the coda; None: `after`, and on
    coda: int | None = None
    with_repeats: bool = False  # after the jump, too


def find_jump(marks: Sequence[Mapping[str, str]], with_repeats: bool) -> tuple[Jump | None, str]:
    """The jump that the marks of the measures state, or why it is not followed.

    Args: marks holds by measure 'dacapo', 'dalsegno', 'segno', 'tocoda', 'coda', 'fine' -> the name of the sign.
    Returns: None and '' where no jump is stated.
    """
    at = {kind: [i for i, here in enumerate(marks) if kind in here] for kind in (*_LEAVING, "tocoda", "coda", "fine")}
    leaving = sorted(at["dacapo"] + at["dalsegno"])
    if not leaving:
        return None, ""
    if len(leaving) > 1:
        return None, "several jumps (D.C., D.S.), of which none is followed"
    after = leaving[0]
    to = 0 if at["dacapo"] else _sign(marks, "segno", marks[after]["dalsegno"])
    if to is None or to > after:
        return None, "a D.S. without its sign, which is not followed"
    codas = [i for i in at["tocoda"] if to <= i <= after]
    if codas:
        coda = _sign(marks, "coda", marks[codas[-1]]["tocoda"])
        if coda is None or coda <= codas[-1]:
            return None, "a jump to a coda that is not there, which is not followed"
        return Jump(after, to, codas[-1], coda, with_repeats), ""
    ends = [i for i in at["fine"] if to <= i <= after]
    if ends and after + 1 < len(marks):
        return None, "music after a jump back to a Fine, so that the jump is not followed"
    return Jump(after, to, ends[-1] if ends else None, None, with_repeats), ""


def jump_order(measures: Sequence[Measure], jump: Jump) -> list[int]:
    """The measure indices in the order in which they sound: repeats as written, then the jump."""
    until = jump.after if jump.until is None else jump.until
    order = play_order(list(measures[: jump.after + 1]))
    if jump.with_repeats:
        order += [jump.to + i for i in play_order(list(measures[jump.to : until + 1]))]
    else:
        order += [i for i in range(jump.to, until + 1) if _is_last_time(measures, i)]
    go_on = jump.coda if jump.coda is not None else jump.after + 1 if jump.until is None else len(measures)
    return order + [go_on + i for i in play_order(list(measures[go_on:]))]


def _sign(marks: Sequence[Mapping[str, str]], kind: str, name: str) -> int | None:
    """The measure of the sign of this name, or of the only one; None where there is none."""
    places = [i for i, here in enumerate(marks) if kind in here]
    named = [i for i in places if marks[i][kind] == name]
    return named[0] if named else places[0] if len(places) == 1 else None


def _is_last_time(measures: Sequence[Measure], index: int) -> bool:
    """Whether a measure sounds when repeats are left out: of endings, the last one does."""
    first = last = index
    while first > 0 and measures[first - 1].endings:
        first -= 1
    while last + 1 < len(measures) and measures[last + 1].endings:
        last += 1
    endings = measures[index].endings
    return not endings or max(endings) == max(max(m.endings) for m in measures[first : last + 1] if m.endings)
