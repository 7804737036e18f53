"""Files of answers -> listeners; what cannot be used is named with the reason.

A file is used whole or not at all. One that was not finished is left out: its listener has not heard all models, so
nothing in it could be paired, and those who stop are no random part of the listeners.
"""

import json
import math
import os
import stat
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from mcvae_jax.errors import UserError
from mcvae_jax.storage.jsonfile import DamagedFile, read_json
from mcvae_jax.text import brief, printable

FORMAT, VERSION = "mcvae_jax listening answers", 1
KEY_FORMAT, KEY_VERSION = "mcvae_jax listening test", 1
MAX_BYTES = 1 << 20  # of a file of answers; a page writes some 20,000, and remarks
MAX_REMARK = 4000  # characters, as on the page
LONGEST = timedelta(days=366)  # from the start to the last answer
FIRST_YEAR, LAST_YEAR = 1970, 2100  # a listener's clock may be wrong, but not by more
BACKGROUNDS = ("no", "alone", "ensemble")
ALL = "all"  # the place of remarks on the whole test


class Choice(NamedTuple):
    """The better one of two clips of the same seed."""

    better: str  # name of a model
    worse: str
    seed: int


class Listener(NamedTuple):
    """The answers of a file, with names of models in place of groups and clips."""

    code: str
    background: str  # one of BACKGROUNDS: whether the listener makes music
    finished: datetime
    minutes: float  # from the start to the last answer
    heard: float  # of the clips' length, the share that was played at least, at most 1 a clip
    ratings: dict[str, dict[str, int]]  # model -> statement -> 1 (strongly disagree) to 5
    judged_real: dict[str, list[bool]]  # model -> for each clip whether it was taken for a real song
    choices: list[Choice]
    remarks: dict[str, str]  # model or '' -> text


class LeftOut(NamedTuple):
    """A file that is not used."""

    file: str
    reason: str


class _Unusable(Exception):
    """The reason why a file is left out."""


def read_key(path: Path) -> dict[str, Any]:
    """The key.json of a test; UserError where it is none."""
    try:
        key = read_json(path)
    except DamagedFile as error:
        raise UserError(f"the key {error}; take it from where the test was made") from error
    if key is None:
        raise UserError(f"there is no key {path}; give --key=OUT/key.json")
    if key.get("format") != KEY_FORMAT:
        raise UserError(f"{path} is no key of a listening test; give the key.json that was written with the page")
    if key.get("version") != KEY_VERSION:
        raise UserError(f"{path} has version {brief(key.get('version'))}, and this program reads {KEY_VERSION}")
    try:
        _check_key(key)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        wrong = f"{type(error).__name__}: {brief(error)}"
        raise UserError(f"the key {path} is damaged ({wrong}); take it from its test") from error
    return key


def _check_key(key: Mapping[str, Any]) -> None:
    """An error of Python where a key lacks something, or holds it in another form than `make` writes."""
    names = [model["name"] for model in key["models"]]
    texts = [key["test"], *key["statements"], *names, *(model["kind"] for model in key["models"])]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("a name that is no text")
    if sorted(key["groups"].values()) != sorted(names) or len(set(names)) < len(names):
        raise ValueError("its groups are not its models")
    if not all(where["model"] in names and type(where["seed"]) is int for where in key["clips"].values()):
        raise ValueError("a clip of none of its models")
    if {where["model"] for where in key["clips"].values()} != set(names):
        raise ValueError("a model without clips")
    if not (type(key["seeds_per_pair"]) is int and key["seeds_per_pair"] > 0 and 0 < key["seconds"] < math.inf):
        raise ValueError("a number that cannot be")


def read_answers(paths: Sequence[str], key: Mapping[str, Any]) -> tuple[list[Listener], list[LeftOut]]:
    """Listeners in the order of their codes, and the files left out.

    Of several files with the same code the one that was finished last stays: a listener who goes back and saves again
    means the later one.
    """
    found: dict[str, tuple[str, Listener]] = {}
    left_out = []
    for file in _files(paths):
        name = printable(file)
        try:
            listener = _listener(_record(file), key)
        except _Unusable as error:
            left_out.append(LeftOut(name, str(error)))
        except Exception as error:  # nothing in one file may cost the others
            left_out.append(LeftOut(name, f"it is damaged ({type(error).__name__}: {brief(error)})"))
        else:
            other = found.get(listener.code)
            if other is None:
                found[listener.code] = name, listener
                continue
            earlier, later = sorted([other, (name, listener)], key=lambda each: each[1].finished)
            found[listener.code] = later
            left_out.append(LeftOut(earlier[0], f"it has the same listener, {listener.code}, as {later[0]}"))
    return [found[code][1] for code in sorted(found)], left_out


def _files(paths: Sequence[str]) -> list[Path]:
    files = []
    for path in map(Path, paths):
        if not path.exists():
            raise UserError(f"there is no file or folder {path}; give the answers-CODE.json of listeners, or a folder")
        files += sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise UserError(f"no file of answers (*.json) in {', '.join(paths)}; put what listeners sent there")
    return list(dict.fromkeys(files))


def _record(file: Path) -> Any:
    """What a file of JSON holds; _Unusable, or an error of Python, where no page can have written it."""
    with open(file, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as opened:
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise _Unusable("it is no file")
        data = opened.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise _Unusable(f"it has over {MAX_BYTES:,} bytes, more than a page writes")
    return json.loads(data, object_pairs_hook=_distinct, parse_constant=_no_number)


def _distinct(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, in which no name stands twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Unusable("it says something twice")
    return found


def _no_number(name: str) -> float:
    raise _Unusable(f"it holds {name}, which is no number")


def _listener(record: Any, key: Mapping[str, Any]) -> Listener:
    """Checks every answer against the key; _Unusable where one is missing or impossible."""
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise _Unusable("no page of a listening test wrote it")
    if record.get("version") != VERSION:
        raise _Unusable(f"it has version {brief(record.get('version'))}, and this program reads {VERSION}")
    if record.get("test") != key["test"]:
        raise _Unusable(f"it belongs to another test ({brief(record.get('test'))}, not {key['test']})")
    if not record.get("finished"):
        raise _Unusable("its listener has not finished")
    if record.get("consent") != "yes":
        raise _Unusable("its listener has not agreed to take part")
    started, finished = _time(record, "started"), _time(record, "finished")
    if not timedelta() <= finished - started <= LONGEST:
        raise _Unusable("it does not end within a year of its start")
    code, groups, clips = record.get("code"), key["groups"], key["clips"]
    if not (isinstance(code, str) and code.isascii() and code.isalnum() and len(code) <= 20):
        raise _Unusable("its listener's code is none of a page")
    statements = _all_of(record, "statements", groups)
    return Listener(
        code=code,
        background=_one_of(record.get("background"), BACKGROUNDS, "background"),
        finished=finished,
        minutes=(finished - started).total_seconds() / 60,
        heard=_heard(record, key),
        ratings={model: _ratings(statements, group, key) for group, model in groups.items()},
        judged_real=_judged(_all_of(record, "real", clips), key),
        choices=_choices(_object(record, "pairs"), key),
        remarks=_remarks(_object(record, "remarks"), groups),
    )


def _object(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = record.get(name)
    if not isinstance(value, dict):
        raise _Unusable(f"its {brief(name)!r} is no object")
    return value


def _all_of(record: Mapping[str, Any], name: str, names: Collection[str]) -> dict[str, Any]:
    """An object that has exactly these names."""
    value = _object(record, name)
    if value.keys() != set(names):
        raise _Unusable(f"its {brief(name)!r} holds other answers than the page asks")
    return value


def _one_of(value: Any, choices: Sequence[str], what: str) -> str:
    if not (isinstance(value, str) and value in choices):
        raise _Unusable(f"its {what} is {brief(value)}, and not {', '.join(choices[:-1])} or {choices[-1]}")
    return value


def _time(record: Mapping[str, Any], name: str) -> datetime:
    try:
        time = datetime.fromisoformat(record[name])
        if FIRST_YEAR <= time.year <= LAST_YEAR and time.tzinfo:
            return time.astimezone(UTC)
    except (KeyError, TypeError, ValueError, OverflowError):
        pass
    raise _Unusable(f"the time when it {name} is {brief(record.get(name))}")


def _heard(record: Mapping[str, Any], key: Mapping[str, Any]) -> float:
    """The share of the clips' length that was played."""
    heard, clips = _object(record, "heard"), key["clips"]
    if not heard.keys() <= clips.keys():
        raise _Unusable("it has heard what is not on the page")
    for value in heard.values():
        if type(value) not in (int, float) or not 0 <= value <= LONGEST.total_seconds():
            raise _Unusable(f"a clip was heard for {brief(value)} seconds")
    return sum(min(seconds, key["seconds"]) for seconds in heard.values()) / (len(clips) * key["seconds"])


def _judged(real: Mapping[str, Any], key: Mapping[str, Any]) -> dict[str, list[bool]]:
    judged: dict[str, list[bool]] = {model: [] for model in key["groups"].values()}
    for clip, where in key["clips"].items():
        judged[where["model"]].append(_one_of(real[clip], ("real", "composed"), "judgement of a clip") == "real")
    return judged


def _ratings(statements: Mapping[str, Any], group: str, key: Mapping[str, Any]) -> dict[str, int]:
    ratings = _all_of(statements, group, key["statements"])
    if any(type(rating) is not int or not 1 <= rating <= 5 for rating in ratings.values()):
        raise _Unusable("it holds a rating that is not 1 to 5")
    return {statement: ratings[statement] for statement in key["statements"]}


def _choices(pairs: Mapping[str, Any], key: Mapping[str, Any]) -> list[Choice]:
    """The choices; each two models must have been compared on as many seeds as a page asks."""
    clips, models = key["clips"], len(key["groups"])
    choices, asked = [], set()
    for pair, better in pairs.items():
        both = pair.split("/")
        if len(both) != 2 or not all(clip in clips for clip in both) or better not in both:
            raise _Unusable("it holds a pair that no page asks")
        first, second = (clips[clip] for clip in both)
        if first["seed"] != second["seed"] or first["model"] == second["model"]:
            raise _Unusable("it holds a pair that no page asks")
        winner, loser = (first, second) if clips[better] == first else (second, first)
        choices.append(Choice(winner["model"], loser["model"], first["seed"]))
        asked.add((frozenset((first["model"], second["model"])), first["seed"]))
    if len(asked) != len(choices) or len(choices) != key["seeds_per_pair"] * models * (models - 1) // 2:
        raise _Unusable("it does not hold the pairs that a page asks")
    return choices


def _remarks(given: Mapping[str, Any], groups: Mapping[str, str]) -> dict[str, str]:
    """The remarks by model, '' for those on the whole test."""
    remarks = {}
    for place, text in given.items():
        if place != ALL and place not in groups:
            raise _Unusable("it holds a remark on what is not on the page")
        if not isinstance(text, str) or len(text) > MAX_REMARK:
            raise _Unusable(f"it holds a remark that is no text of {MAX_REMARK:,} characters at most")
        if text.strip():
            remarks[groups.get(place, "")] = text.strip()
    return remarks
