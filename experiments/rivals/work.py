"""One run of the comparison: a model is trained, its held-out bits are kept, and songs are composed with it.

    python -m experiments.rivals.work WORKDIR OUT SONGS SHARE --config=CONFIG --config.FIELD=VALUE ...

OUT is the folder of the comparison, with the copy switch of its corpus. In WORKDIR lie then scores.json and arrays.npz:
bits of every bar of the held-out songs, alone and with the copy switch, and sets of songs, each with the numbers of the
held-out songs to which they belong. Of songs that go on after real bars a run makes those of SHARE, 'i/n': every n-th
song from i, so that the runs of n seeds make them all.
"""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mcvae_jax import main as training
from mcvae_jax.command import run_command, say
from mcvae_jax.corpus.store import Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.evaluation.evaluation import MOST_CONTINUED, compose
from mcvae_jax.evaluation.judged import Plan, RealSongs, real_songs
from mcvae_jax.evaluation.music import GIVEN
from mcvae_jax.evaluation.switch import with_switch
from mcvae_jax.kinds import open_model
from mcvae_jax.models.copying import Switch
from mcvae_jax.models.song_model import MEMORY, NO_LIKELIHOOD, SongModel, main_origin
from mcvae_jax.nn.keys import song_keys
from mcvae_jax.options import parse as parse_config
from mcvae_jax.storage.checkpoints import Checkpoints
from mcvae_jax.storage.compiled import keep_compiled
from mcvae_jax.storage.jsonfile import read_or_none, write_json
from mcvae_jax.storage.workdir import Workdir
from mcvae_jax.trained import open_corpus

Say = Callable[[str], None]
Arrays = dict[str, np.ndarray]

BARS = 16  # of songs from nothing
DRAWS = 2  # of whole songs, for bounds
PLAYED, PLAYED_BARS = 5, 16  # held-out songs whose first bars every model goes on from, and how far, to be listened to
SWITCH = "switch.npz"
ALONE, COPYING = "alone", "copying"  # the model itself, and within the copy switch
SECONDS = "seconds.json"


def main(argv: list[str]) -> int:
    """The command; the exit status."""
    if len(argv) < 5 or not argv[2].isdecimal() or "/" not in argv[3]:
        raise UserError("give WORKDIR OUT SONGS SHARE --config=...; experiments.compare calls this")
    folder, out, songs = Path(argv[0]), Path(argv[1]), int(argv[2])
    status, seconds = train(folder, argv[4:], say)
    if status:
        return status
    model = open_model(folder)
    seed = int(argv[3].split("/")[0])
    corpus = open_corpus(main_origin(model), Workdir(folder).read().config.get("corpus_folder", ""))
    switch = load_switch(out, corpus.identity)
    if switch is None:
        raise UserError(f"{out / SWITCH} is no copy switch of the corpus {corpus.folder}; experiments.compare makes it")
    real = every_real_song(corpus)
    facts, arrays = score(model, real, switch, say)
    made, composing = sets(model, real, switch, Plan(songs, BARS, seed=seed), argv[3], say)
    np.savez_compressed(folder / "arrays.npz", **arrays, **made)  # type: ignore[arg-type]  # names are ours
    facts |= {"parameters": parameters(folder), "steps": training_steps(folder)}
    facts |= {"seconds": seconds | composing, "arguments": argv}
    write_json(folder / "scores.json", facts)
    return 0


def train(folder: Path, arguments: Sequence[str], say: Say) -> tuple[int, dict[str, float]]:
    """Trains to the end, or goes on; the exit status, and what it took in all until now.

    Seconds 'wall' and of the 'processor', compiling and held-out scores included; a run that was killed has lost those
    of its last part, one that was stopped has not.
    """
    options = parse_config([*arguments, f"--workdir={folder}"])
    with options.config.unlocked():
        if "songs" in options.config:  # they are composed below, as those of all models
            del options.config.songs
    before = read_or_none(folder / SECONDS, dict[str, float], say, "they are counted anew") or {}
    wall, processor = time.perf_counter(), time.process_time()
    status = training.run(options, [*arguments, f"--workdir={folder}"], say)
    spent = {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor}
    total = {name: before.get(name, 0.0) + seconds for name, seconds in spent.items()}
    write_json(folder / SECONDS, total)
    return status, total


def score(model: SongModel, real: RealSongs, switch: Switch, say: Say) -> tuple[dict[str, Any], Arrays]:
    """What the model says of itself, and the bits of each bar of the scored held-out songs, in a row."""
    facts = {"name": model.name, "likelihood": model.likelihood}
    if model.likelihood == NO_LIKELIHOOD:
        return facts, {}
    say("scoring the held-out songs")
    arrays = {}
    for kind, each in {ALONE: model, **_within(model, switch)}.items():
        arrays[f"bits {kind}"] = np.concatenate(each.nats(real.held_out, DRAWS, 0)) / np.log(2)
    return facts, arrays


def sets(
    model: SongModel, real: RealSongs, switch: Switch, plan: Plan, share: str, say: Say
) -> tuple[Arrays, dict[str, float]]:
    """Songs by the model's own defaults, and what composing took.

    Arrays: 'composed KIND', uint8 (S, BARS, T), from nothing; of models with memory 'continued', those of the share
    until the model ends them, and 'played', the same PLAYED songs of every run, PLAYED_BARS more bars: all bars in a
    row, with the given ones, 'lengths' of the songs and 'songs', their numbers. Seconds: 'first song', where compiling
    counts, and 'each song' of as many that follow.
    """
    say(f"composing {plan.songs} songs of {plan.bars} bars")
    started = time.perf_counter()
    made = {f"composed {ALONE}": np.stack(compose(model, plan, as_trained=False))}
    first, started = time.perf_counter() - started, time.perf_counter()
    if MEMORY not in model.abilities:
        compose(model, plan, as_trained=False)
        return made, {"first song": first, "each song": (time.perf_counter() - started) / plan.songs}
    nothing = [np.empty((0, model.steps), np.uint8)] * plan.songs
    model.go_on(nothing, song_keys(plan.seed, range(1, plan.songs + 1)), plan.bars, model.defaults)
    seconds = {"first song": first, "each song": (time.perf_counter() - started) / plan.songs}
    for copying in _within(model, switch).values():
        say("composing as many with the copy switch")
        made[f"composed {COPYING}"] = np.stack(compose(copying, plan, as_trained=False))
    whole = real.whole
    nth, of = map(int, share.split("/"))
    chosen = list(range(nth % of, min(len(whole), plan.songs * of), of))
    made |= _gone_on("continued", model, whole, chosen, None, plan.seed)
    return made | _gone_on("played", model, whole, played_songs(whole), PLAYED_BARS, 0), seconds


def every_real_song(corpus: Corpus) -> RealSongs:
    """The real songs of a corpus, of which no plan leaves some out."""
    return real_songs(corpus, Plan(songs=len(corpus), bars=BARS))


def played_songs(whole: Sequence[np.ndarray]) -> list[int]:
    """Numbers of held-out songs, far from each other, that have as many bars as are played."""
    long = [i for i, song in enumerate(whole) if len(song) >= GIVEN + PLAYED_BARS]
    return [long[n * len(long) // PLAYED] for n in range(PLAYED)] if len(long) >= PLAYED else long


def _gone_on(
    name: str, model: SongModel, whole: Sequence[np.ndarray], chosen: list[int], bars: int | None, seed: int
) -> Arrays:
    given = [whole[i][:GIVEN] for i in chosen]
    if not given:
        return {}
    keys = song_keys(seed, [i + 1 for i in chosen], given)
    rest = model.go_on(given, keys, bars, model.defaults, MOST_CONTINUED)
    songs = [np.concatenate(parts) for parts in zip(given, rest, strict=True)]
    lengths = np.array([len(song) for song in songs])
    return {name: np.concatenate(songs), f"{name} lengths": lengths, f"{name} songs": np.array(chosen)}


def _within(model: SongModel, switch: Switch) -> dict[str, SongModel]:
    """The model within the copy switch, where it can be."""
    return dict(zip((COPYING,), with_switch({model.name: model}, switch).values(), strict=False))


def parameters(folder: Path) -> int:
    """Of a workdir's model alone; 0 where nothing is learnt."""
    place = Workdir(folder).checkpoints
    if not place.is_dir():
        return 0
    with Checkpoints(place, read_only=True) as checkpoints:
        step = checkpoints.newest()
        return sum(math.prod(shape) for shape in checkpoints.shapes(step, "params").values()) if step else 0


def training_steps(folder: Path) -> int:
    """Updates; 0 where nothing is learnt."""
    return int(Workdir(folder).read().config.get("train", {}).get("steps", 0))


def save_switch(switch: Switch, out: Path, identity: str) -> None:
    """That of a corpus with this identity, for all runs."""
    arrays = {name: np.asarray(values) for name, values in switch._asdict().items()}
    np.savez(out / SWITCH, identity=np.array(identity), **arrays)


def load_switch(out: Path, identity: str) -> Switch | None:
    """The switch that was saved; None where there is none, or one of another corpus."""
    if not (out / SWITCH).is_file():
        return None
    with np.load(out / SWITCH) as file:
        if str(file["identity"]) != identity:
            return None
        return Switch(**{name: file[name] for name in Switch._fields})


if __name__ == "__main__":
    keep_compiled()
    run_command(main)
