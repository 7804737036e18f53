"""The columns of a Humdrum file: how they begin, split, join, change places and end."""

from dataclasses import dataclass, field, replace

from mcvae_jax.music.score import Reason, Skip

CLOSE = 1e-6  # quarters; sums of thirds and fifths differ by less
MAX_SPINES = 512  # that stand beside each other; an orchestra with its lyrics and dynamics needs some 150


@dataclass(slots=True)
class Sound:
    """A note as it stands, in quarters from the beginning."""

    start: float
    end: float
    pitch: int
    tied: bool  # a tie leaves it
    continues: bool  # a tie ends in it


@dataclass(slots=True)
class Spine:
    """A column of tokens, or one of those that it has split into."""

    is_kern: bool
    part: int  # the number of the column that it comes from
    until: float = 0.0  # quarters from the beginning to where its last token ends; below 0 where that is not known
    muted: bool = False  # an alternative to what another column holds
    last: list[Sound] = field(default_factory=list)  # the notes of its last token


def split_fields(line: str, count: int) -> list[str]:
    """The `count` tokens of a line; several tabs may stand for one. Raises Skip where there are more or fewer."""
    if (tabs := line.count("\t")) > 2 * MAX_SPINES:
        raise Skip(Reason.TOO_MANY_TRACKS, f"{tabs + 1:,} tokens beside each other, over {MAX_SPINES}")
    fields = line.split("\t")
    if len(fields) != count:
        fields = [field for field in fields if field]
    if len(fields) != count:
        raise Skip(Reason.DAMAGED, f"{len(fields)} tokens where {count} spines stand")
    return fields


class Spines:
    """The columns that stand at a line, from left to right."""

    def __init__(self) -> None:
        self.now: list[Spine] = []
        self.parts = 0  # that have begun so far
        self.kinds: dict[str, None] = {}  # that there have been, in order

    def begin(self, kinds: list[str]) -> None:
        """Columns for a line of exclusive interpretations, such as `**kern`."""
        self.now = []
        for kind in kinds[: MAX_SPINES + 1]:
            self._add(kind)
        self._check()

    def follow(self, tokens: list[str]) -> None:
        """What a line of interpretations does to the columns. Raises Skip where it cannot be done.

        `*^` splits, `*v *v` joins, `*x *x` exchanges, `*+` adds a column to the right, `*-` ends one, `**` says anew
        what one holds. Neighbours that join become one; where each of two columns has several, each joins its own.
        """
        before, self.now = self.now, []
        i = 0
        while i < len(before):
            token, spine = tokens[i], before[i]
            i += 1
            if token == "*v":
                end = i
                while end < len(before) and tokens[end] == "*v":
                    end += 1
                self.now += _joined(before[i - 1 : end])
                i = end
            elif token == "*x" and tokens[i : i + 1] == ["*x"]:
                self.now += [before[i], spine]
                i += 1
            elif token.startswith("**"):
                self._add(token)
            elif token != "*-":
                self.now.append(spine)
                if token == "*^":
                    self.now.append(replace(spine, last=[]))
                elif token == "*+":
                    self._add("")
        self._check()

    def _add(self, kind: str) -> None:
        self.now.append(Spine(kind == "**kern", self.parts, -1.0))
        self.parts += 1
        self.kinds[kind] = None

    def _check(self) -> None:
        if len(self.now) > MAX_SPINES or self.parts > 2 * MAX_SPINES:
            raise Skip(Reason.TOO_MANY_TRACKS, f"{max(len(self.now), self.parts):,} spines, over {MAX_SPINES}")


def _joined(spines: list[Spine]) -> list[Spine]:
    """Neighbours that all say `*v`, as one column, or as one for each column that they come from."""
    groups: list[list[Spine]] = []
    for spine in spines:
        if groups and groups[-1][0].part == spine.part:
            groups[-1].append(spine)
        else:
            groups.append([spine])
    if min(map(len, groups)) == 1:
        groups = [spines]
    for group in groups:
        if max(spine.until for spine in group) - min(spine.until for spine in group) > CLOSE:
            group[0].until, group[0].last = -1.0, []
        group[0].muted = all(spine.muted for spine in group)
    return [group[0] for group in groups]
