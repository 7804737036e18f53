"""Runs -> figures of each model: held-out bits over seeds, and its songs judged beside real ones.

Of a model with several seeds a bar costs what it costs on average over them; intervals are over songs, so that they say
what other songs could show, and the figure of each seed stands beside, which says what another training could. Sets of
songs are made of equal parts by all seeds.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from experiments.rivals.benchmark import Submission, content
from experiments.rivals.plan import Plan
from experiments.rivals.table import RIVALS
from experiments.rivals.work import ALONE, COPYING, every_real_song
from experiments.trainings.jobs import Run, read_scores
from mcvae_jax.corpus.store import TRAIN
from mcvae_jax.evaluation import judged
from mcvae_jax.evaluation.beside import NONE
from mcvae_jax.evaluation.framewise import framewise
from mcvae_jax.evaluation.scores import BASELINE, IN_KEYS, WITH_COPIES, fit_ngrams, ratio, score_row
from mcvae_jax.evaluation.switch import with_switch
from mcvae_jax.models.copying import Switch
from mcvae_jax.models.song_model import EXACT
from mcvae_jax.music.bars import repeats
from mcvae_jax.music.grid import grid_of
from mcvae_jax.music.tokens import NOTE_OFF

Say = Callable[[str], None]
Songs = list[np.ndarray]  # uint8 (n, T) each

KEPT_SECONDS = ("processor", "wall", "first song", "each song")
ENDINGS = {ALONE: "", COPYING: WITH_COPIES}  # of the names of rows


@dataclasses.dataclass(frozen=True)
class Done:
    """A finished run."""

    rival: str
    table: str
    seed: int
    scores: dict[str, Any]
    arrays: Mapping[str, np.ndarray]


def read_runs(runs: Sequence[tuple[str, Run]]) -> list[Done]:
    """The finished ones of runs, each with its table."""
    done = []
    for table, run in runs:
        if scores := read_scores(run):
            with np.load(run.folder / "arrays.npz") as file:
                done.append(Done(run.arm, table, run.seed, scores, dict(file)))
    return done


def held_out_bits(done: Sequence[Done], real: judged.RealSongs) -> dict[str, dict[str, Any]]:
    """'likelihood' and 'by_seed', for each seed the bits of each song's bars, by the name of a row of one table."""
    lengths = np.cumsum([len(song) for song in real.held_out])[:-1]
    rows: dict[str, dict[str, Any]] = {}
    for kind, ending in ENDINGS.items():
        for run in done:
            if (of_bars := run.arrays.get(f"bits {kind}")) is not None:
                row = rows.setdefault(run.rival + ending, {"likelihood": run.scores["likelihood"], "by_seed": []})
                row["by_seed"].append(np.split(of_bars, lengths))
    return rows


def baseline_bits(plan: Plan, switch: Switch, real: judged.RealSongs) -> dict[str, dict[str, Any]]:
    """The same of the n-gram with the copy switch, against which all claims are measured."""
    model = fit_ngrams([plan.corpus.song(i) for i in plan.corpus.songs(TRAIN)], [IN_KEYS])
    found = with_switch({IN_KEYS: model[IN_KEYS]}, switch)
    bits = [nats / np.log(2) for nats in found[BASELINE].nats(real.held_out)]
    return {BASELINE: {"likelihood": EXACT, "by_seed": [bits]}}


def added_bits(added: Sequence[Submission], real: judged.RealSongs) -> dict[str, dict[str, Any]]:
    """The same of models from elsewhere, whose bits are known of whole songs alone."""
    rows = {}
    for each in added:
        bits = [np.full(len(song), each.bits[content(song)] / len(song)) for song in real.held_out]
        rows[each.model] = {"likelihood": each.likelihood, "by_seed": [bits], "of_songs_alone": True}
    return rows


def score_table(rows: Mapping[str, Mapping[str, Any]], real: judged.RealSongs, seed: int) -> dict[str, Any]:
    """The rows as JSON: those of `score_row`, also 'bits_per_beat', 'bits_per_note' and 'of_seeds', bits per bar."""
    songs, steps = real.held_out, real.held_out[0].shape[1]
    bars = np.array([len(song) for song in songs], np.float64)
    beats = bars * steps / grid_of(steps).quarter
    notes = np.array([np.sum(song < NOTE_OFF) for song in songs], np.float64)
    is_repeat = [repeats(song) for song in songs]
    mean = {name: _over_seeds(row["by_seed"]) for name, row in rows.items()}
    found = {}
    for name, row in rows.items():
        of_songs = np.array([each.sum() for each in mean[name]])
        found[name] = score_row(mean[name], mean[BASELINE], is_repeat, steps, seed) | {
            "likelihood": row["likelihood"],
            "bits_per_beat": ratio(of_songs, beats, seed),
            "bits_per_note": ratio(of_songs, notes, seed),
            **(dict.fromkeys(("new", "repeated"), NONE) if row.get("of_songs_alone") else {}),
            "of_seeds": [float(sum(each.sum() for each in one) / bars.sum()) for one in row["by_seed"]],
        }
    return found


def _over_seeds(by_seed: Sequence[Songs]) -> Songs:
    return [np.mean(bars, axis=0) for bars in zip(*by_seed, strict=True)]


def composed_sets(done: Sequence[Done]) -> dict[str, Songs]:
    """Songs from nothing of one table by the names of rows, those of all seeds in turn."""
    found: dict[str, list[Songs]] = {}
    for kind, ending in ENDINGS.items():
        for run in done:
            if (songs := run.arrays.get(f"composed {kind}")) is not None:
                found.setdefault(run.rival + ending, []).append(list(songs))
    return {name: [song for each in zip(*parts, strict=False) for song in each] for name, parts in found.items()}


def continued_sets(done: Sequence[Done], whole: Songs) -> tuple[dict[str, Songs], list[int]]:
    """How models of one table go on after real songs, and the numbers of those that all of them continue."""
    by_rival: dict[str, dict[int, np.ndarray]] = {}
    for run in done:
        by_rival.setdefault(run.rival, {}).update(gone_on(run, "continued"))
    by_rival = {name: songs for name, songs in by_rival.items() if songs}
    common = sorted(set.intersection(*map(set, by_rival.values()))) if by_rival else []
    return {f"{name} (continued)": [songs[i] for i in common] for name, songs in by_rival.items()}, common


def gone_on(run: Done, name: str) -> dict[int, np.ndarray]:
    """Songs of a run by the number of the held-out song that they go on from; name: 'continued' or 'played'."""
    if name not in run.arrays:
        return {}
    songs = np.split(run.arrays[name], np.cumsum(run.arrays[f"{name} lengths"])[:-1])
    return dict(zip(run.arrays[f"{name} songs"].tolist(), songs, strict=True))


def judge_table(done: Sequence[Done], plan: Plan, seed: int, say: Say) -> dict[str, Any]:
    """The sets of one table as JSON: `judged.judge`, and 'framewise' of the songs from nothing."""
    sets = composed_sets(done)
    size = judged.Plan(songs=min(map(len, sets.values())), seed=seed)
    real = judged.real_songs(plan.corpus, size)
    whole = every_real_song(plan.corpus).whole
    continued, common = continued_sets(done, whole)
    real = real._replace(whole=[whole[i] for i in common])
    found = judged.judge(sets, {}, continued, real, plan.corpus, size, None, say)
    of = {**sets, **real.controls}
    return found | {"framewise": framewise(of, real.excerpts, seed)}


def costs(done: Sequence[Done]) -> dict[str, Any]:
    """By rival: 'parameters', 'updates', seconds of 'training' (processor), of the 'first song' and of 'each song'.

    Those of a model that learns another's latents hold that one's, too.
    """
    found: dict[str, Any] = {}
    for name in dict.fromkeys(run.rival for run in done):
        runs = [run for run in done if run.rival == name]
        seconds = {key: float(np.mean([run.scores["seconds"][key] for run in runs])) for key in KEPT_SECONDS}
        found[name] = seconds | {key: runs[0].scores[key] for key in ("parameters", "steps", "name")}
        found[name]["seeds"] = len(runs)
    for name, each in found.items():
        if (needs := RIVALS[name].needs) in found:
            each["parameters"] += found[needs]["parameters"]
            for key in ("processor", "wall"):
                each[key] += found[needs][key]
    return found
