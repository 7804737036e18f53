"""JSON files that this program writes and reads again: whole or not at all, with a check, read by a described shape.

The last entry of a file, 'check', is a hash of all others, so that damage is told from any other value. A file without
one is read for what it says: those of earlier versions have none, and who edits a file by hand takes it out.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar, overload

import msgspec

from mcvae_jax.errors import UserError
from mcvae_jax.storage.files import replacing_file

T = TypeVar("T")
Object = dict[str, Any]

CHECK = "check"
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e10)]  # a shape: neither NaN nor infinite
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class DamagedFile(UserError):
    """A file that is there, but is not what was written; `path` and `reason` say which and why."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} is damaged ({reason})")
        self.path, self.reason = path, reason


class Lines(NamedTuple):
    """What a file of JSON lines holds."""

    rows: list[Any]
    damaged: list[int]  # the numbers of the lines that cannot be read, from 1


def write_json(path: Path, value: Mapping[str, Any], indent: int | None = 1) -> None:
    """Writes an object and its check, the whole file or nothing, whenever the process may end.

    Raises CannotWrite where the disk does not take it.
    """
    plain = json.loads(json.dumps(value))  # as it is read back: tuples are lists, keys are text
    with replacing_file(path) as file:
        file.write(json.dumps(plain | {CHECK: check_of(plain)}, indent=indent).encode("ascii") + b"\n")


@overload
def read_json(path: Path) -> Object | None: ...
@overload
def read_json(path: Path, shape: type[T]) -> T | None: ...
def read_json(path: Path, shape: Any = Object) -> Any:
    """The object of a file, without its check, as `shape` (a dict, a dataclass or a TypedDict); None where no file is.

    Raises DamagedFile where it cannot be read, is no JSON, is not what was written, or is of another shape.
    """
    data = _bytes_of(path)
    if data is None:
        return None
    value = parse(path, data)
    if not isinstance(value, dict):
        raise DamagedFile(path, "it holds no object")
    check = value.pop(CHECK, None)
    if check is not None and check != check_of(value):
        raise DamagedFile(path, "it is not what was written; who edits it by hand takes its 'check' out")
    return conform(path, value, shape)


def read_or_none(path: Path, shape: type[T], say: Callable[[str], None], then: str) -> T | None:
    """The same, but of a damaged file None as well, which is said together with what happens then."""
    try:
        return read_json(path, shape)
    except DamagedFile as error:
        say(f"{error}; {then}")
        return None


def conform(path: Path, value: Any, shape: type[T]) -> T:
    """A value as `shape`; DamagedFile, naming the path that it came from, where it is none."""
    try:
        return msgspec.convert(value, shape)
    except (msgspec.ValidationError, ValueError, RecursionError, UserError) as error:
        raise DamagedFile(path, _one_line(error)) from error


def parse(path: Path, data: bytes) -> Any:
    """The value of JSON text in UTF-8; DamagedFile, naming the path that it came from, where it is none."""
    try:
        return json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise DamagedFile(path, _one_line(error)) from error


def check_of(value: Any) -> str:
    """16 hex digits: a hash of a JSON value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=8).hexdigest()


def digest_of(path: Path) -> str:
    """32 hex digits: a hash of the bytes of a file; '' where it cannot be read."""
    try:
        return blake2b(path.read_bytes(), digest_size=16).hexdigest()
    except OSError:
        return ""


def write_json_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """A JSON object a line, in ASCII: whatever a name holds is escaped. Raises OSError where it cannot be written."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "ascii")


def read_json_lines(
    path: Path, shape: type = Object, also: Callable[[Path, Any], Any] = lambda path, row: row
) -> Lines:
    """The rows of a file that can be read as `shape`, in order; none where no file is.

    also: raises DamagedFile for rows that are not right for another reason.
    A last line without its end, which a killed process leaves, is no damage. Raises DamagedFile where the file itself
    cannot be read.
    """
    rows, damaged = [], []
    *lines, _ = (_bytes_of(path) or b"").split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            row: Any = conform(path, parse(path, line), shape)
            also(path, row)
            rows.append(row)
        except DamagedFile:
            damaged.append(number)
    return Lines(rows, damaged)


def _bytes_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DamagedFile(path, str(error.strerror)) from error


def _one_line(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    return str(error).splitlines()[0][:200]
