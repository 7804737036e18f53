"""The dump of The Session, tunes.csv: a row for each setting of a tune, with its ABC -> tunes for the reader of ABC."""

import csv
from collections.abc import Iterator

from mcvae_jax.corpus.archives import MAX_MEMBERS, Member
from mcvae_jax.errors import UserError
from mcvae_jax.music.score import Reason, Skip
from mcvae_jax.text import brief, printable

COLUMNS = ("tune_id", "setting_id", "name", "type", "meter", "mode", "abc")


def settings(source: str) -> Iterator[Member | None]:
    """A Member of ABC for each row, called 'TUNE/SETTING'; a row that is none is a Skip in its place.

    The dump leaves out the unit length, which is an eighth on that site. Raises UserError where the file is no dump.
    """
    yield None
    with open(source, encoding="utf-8", errors="replace", newline="") as file:
        rows = csv.DictReader(file)
        missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
        if missing:
            raise UserError(f"{source!r} is no dump of The Session: it has no column {missing[0]!r}")
        for number in range(MAX_MEMBERS):
            name = f"row {number + 1}"
            try:
                row = next(rows, None)
                if row is None:
                    return
                if None in (values := [row[column] for column in COLUMNS]):
                    raise ValueError("it has too few columns")
                name = printable(brief(f"{row['tune_id']}/{row['setting_id']}"))
                content: bytes | Skip = _abc(*values).encode()
            except (csv.Error, ValueError) as error:
                content = Skip(Reason.DAMAGED, brief(str(error)))
            yield Member(name, ".abc", content)


def _abc(tune: str, setting: str, name: str, kind: str, metre: str, mode: str, abc: str) -> str:
    """A tune with its fields; a blank line would end it."""
    body = [line for line in abc.splitlines() if line.strip()]
    fields = [f"X:{setting}", f"T:{name}", f"R:{kind}", f"M:{metre}", "L:1/8", f"K:{mode}"]
    return "\n".join([" ".join(field.split()) for field in fields] + body) + "\n"
