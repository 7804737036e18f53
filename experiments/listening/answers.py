"""Files of answers -> listeners; what cannot be used is named with the reason.

A file is used whole or not at all. One that was not finished is left out: its listener has not heard all models, so
nothing in it could be paired, and those who stop are no random part of the listeners.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypedDict

from msgspec import Meta

from mcvae_jax.corpus.sources import printable
from mcvae_jax.errors import UserError
from mcvae_jax.jsonfile import Count, DamagedFile, conform, read_json

FORMAT, VERSION = "mcvae_jax listening answers", 1
KEY_FORMAT, KEY_VERSION = "mcvae_jax listening test", 1


class Choice(NamedTuple):
    """The better one of two clips of the same seed."""

    better: str  # name of a model
    worse: str
    seed: int


class Listener(NamedTuple):
    """The answers of a file, with names of models in place of groups and clips."""

    code: str
    background: str  # 'no', 'alone' or 'ensemble' makes music
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


class _Model(TypedDict):
    name: str
    kind: str


class _Clip(TypedDict):
    model: str
    seed: int


class _Key(TypedDict):
    """What is read back of key.json."""

    test: str
    models: Annotated[list[_Model], Meta(min_length=1)]
    groups: dict[str, str]
    clips: Annotated[dict[str, _Clip], Meta(min_length=1)]
    statements: list[str]
    seeds_per_pair: Count
    seconds: Annotated[float, Meta(gt=0, le=1e6)]


class _Unusable(Exception):
    """The reason why a file is left out."""


def read_key(path: Path) -> dict[str, Any]:
    """The key.json of a test; UserError where it is none."""
    try:
        key = read_json(path)
        if key is None:
            raise UserError(f"there is no key {path}; give --key=OUT/key.json")
        if key.get("format") != KEY_FORMAT:
            raise UserError(f"{path} is no key of a listening test; give the key.json that was written with the page")
        if key.get("version") != KEY_VERSION:
            raise UserError(f"{path} has version {key.get('version')}, and this program reads {KEY_VERSION}")
        conform(path, key, _Key)
        names = {model["name"] for model in key["models"]}
        if not {*key["groups"].values(), *(clip["model"] for clip in key["clips"].values())} <= names:
            raise DamagedFile(path, "it names models that it does not have")
        return key
    except DamagedFile as error:
        raise UserError(f"the key {error}; take it from where the test was made") from error


def read_answers(paths: Sequence[str], key: Mapping[str, Any]) -> tuple[list[Listener], list[LeftOut]]:
    """Listeners in the order of their codes, and the files left out.

    Of several files with the same code the one that was finished last stays: a listener who goes back and saves again
    means the later one.
    """
    found: dict[str, tuple[str, Listener]] = {}
    left_out = []
    for file in _files(paths):
        name = printable(str(file))
        try:
            listener = _listener(json.loads(file.read_bytes()), key)
        except _Unusable as error:
            left_out.append(LeftOut(name, str(error)))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            left_out.append(LeftOut(name, f"it is damaged ({type(error).__name__}: {printable(str(error))})"))
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


def _listener(record: Any, key: Mapping[str, Any]) -> Listener:
    """Checks every answer against the key; _Unusable, or an error of Python, where one is missing or impossible."""
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise _Unusable("no page of a listening test wrote it")
    if record.get("version") != VERSION:
        raise _Unusable(f"it has version {printable(str(record.get('version')))}, and this program reads {VERSION}")
    if record.get("test") != key["test"]:
        raise _Unusable(f"it belongs to another test ({printable(str(record.get('test')))}, not {key['test']})")
    if not record.get("finished"):
        raise _Unusable("its listener has not finished")
    started, finished = (datetime.fromisoformat(record[name]).astimezone(UTC) for name in ("started", "finished"))
    code, groups, clips = record["code"], key["groups"], key["clips"]
    if not (isinstance(code, str) and code.isalnum() and len(code) <= 20):
        raise _Unusable("its listener's code is none of a page")
    ratings = {model: _ratings(record["statements"][group], key) for group, model in groups.items()}
    judged: dict[str, list[bool]] = {model: [] for model in groups.values()}
    for clip, where in clips.items():
        judged[where["model"]].append({"real": True, "composed": False}[record["real"][clip]])
    seconds = [min(float(record["heard"].get(clip, 0)), key["seconds"]) for clip in clips]
    remarks = {groups.get(place, ""): str(text).strip() for place, text in record["remarks"].items()}
    return Listener(
        code=code,
        background=printable(str(record["background"])),
        finished=finished,
        minutes=(finished - started).total_seconds() / 60,
        heard=sum(seconds) / (len(clips) * key["seconds"]),
        ratings=ratings,
        judged_real=judged,
        choices=_choices(record["pairs"], key),
        remarks={place: text for place, text in remarks.items() if text},
    )


def _ratings(given: Mapping[str, Any], key: Mapping[str, Any]) -> dict[str, int]:
    ratings = {statement: given[statement] for statement in key["statements"]}
    if any(type(rating) is not int or not 1 <= rating <= 5 for rating in ratings.values()):
        raise _Unusable("it holds a rating that is not 1 to 5")
    return ratings


def _choices(pairs: Mapping[str, str], key: Mapping[str, Any]) -> list[Choice]:
    """The choices; each two models must have been compared on as many seeds as a page asks."""
    clips, models = key["clips"], len(key["groups"])
    choices, asked = [], set()
    for pair, better in pairs.items():
        first, second = (clips[clip] for clip in pair.split("/"))
        if first["seed"] != second["seed"] or first["model"] == second["model"] or better not in pair.split("/"):
            raise _Unusable("it holds a pair that no page asks")
        winner, loser = (first, second) if clips[better] == first else (second, first)
        choices.append(Choice(winner["model"], loser["model"], first["seed"]))
        asked.add((frozenset((first["model"], second["model"])), first["seed"]))
    if len(asked) != len(choices) or len(choices) != key["seeds_per_pair"] * models * (models - 1) // 2:
        raise _Unusable("it does not hold the pairs that a page asks")
    return choices
