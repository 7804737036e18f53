"""The order in which named sections of a piece are played."""

from mcvae_jax.music.measures import MAX_PLAYED, Measure
from mcvae_jax.music.score import Reason, Skip


def expand(order: list[str], labels: list[str]) -> list[int] | None:
    """The measures in the order of a list of sections; what stands before the first section comes first.

    An excerpt keeps the list of the whole, so sections of the list that are not there are left out.

    Args: order holds labels; labels[i] is that of the section in which measure i stands, '' before the first.
    Returns None where the piece has no sections. Raises Skip where it has others than its list, or plays too long.
    """
    sections: dict[str, list[int]] = {}
    for i, label in enumerate(labels):
        sections.setdefault(label, []).append(i)
    played = list(sections.pop("", []))
    listed = set(order)
    missing = next((label for label in order if label not in sections), None)
    unnamed = next((label for label in sections if label not in listed), None)
    if missing and unnamed:
        raise Skip(Reason.DAMAGED, f"its expansion list names a section {missing[:40]!r}, and none {unnamed[:40]!r}")
    for label in order:
        played += sections.get(label, [])
        if len(played) > MAX_PLAYED:
            raise Skip(Reason.TOO_LONG, f"its expansion list gives more than {MAX_PLAYED:,} measures")
    return played if sections else None


def with_endings(measures: list[Measure], labels: list[str]) -> list[Measure]:
    """For repeat signs without a list of sections: A1 and A2 beside a section A are its endings."""
    endings = {}
    sections = set(labels)
    for label in sections:
        if label[-1:].isdecimal() and label[:-1] in sections - {""}:
            endings[label] = frozenset([int(label[-1])])
    return [m._replace(endings=endings.get(label, m.endings)) for m, label in zip(measures, labels, strict=True)]
