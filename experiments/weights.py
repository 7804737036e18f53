"""What are the weights that the package carries, and what are they worth?

    python -m experiments.weights --corpora=DIR [--runs=DIR] [--out=mcvae_jax/weights/CARD.md]

writes their model card. All facts and figures stand in the files or are measured here: of each file the held-out songs
are scored again, as they were at the end of the training, to see what keeping the numbers in 16 bits costs. DIR holds
the corpora under the names that the files give; where one is missing, the line that says so has the command that builds
it. Where a training started from another run (--init_from), --runs is the folder in which that run lies. It takes two
minutes.
"""

import argparse
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import mcvae_jax
from mcvae_jax import versions
from mcvae_jax.batches.songs import scored_songs
from mcvae_jax.command import clock, run_command, say
from mcvae_jax.corpus.store import HELD_OUT
from mcvae_jax.errors import UserError
from mcvae_jax.evaluation.conclusions import span
from mcvae_jax.evaluation.scores import MODEL, score_models
from mcvae_jax.kinds import KINDS, open_model
from mcvae_jax.models.song_model import main_origin
from mcvae_jax.music.grid import grid_of
from mcvae_jax.places import CARRIED, weights_file
from mcvae_jax.storage.packed import HERE, Model, read_packed
from mcvae_jax.storage.workdir import Workdir
from mcvae_jax.trained import checkpoint_steps, open_corpus
from mcvae_jax.weights.packing import without_paths

CARD = Path(mcvae_jax.__file__).parent / "weights" / "CARD.md"
FIGURES = {
    "bits a bar, at most": "bits_per_bar",
    "the same, from several draws": "tighter",
    "bits of a new bar": "new",
    "bits of a repeated bar": "repeated",
}
HEAD = """# The weights that the package carries

`python -m experiments.weights` has written this page from the files beside it and from what it has measured.

They compose where no `--workdir` is given, and under their names wherever a workdir is read:

    mcvae compose --mode=continue --seed_file=TUNE.mid --out=songs
    mcvae train --config=joint --init_from=pretrained

**What they were trained on.** The tunes that come with music21, and nothing else;
[docs/music.md](../../docs/music.md#where-the-built-in-music-comes-from) says where they come from and on which terms.
The weights are under the licence of this project, so far as it can say.

**What they are for.** Melodies in the manner of these tunes: dances and songs of one voice, in bars of one width.

**What they cannot do.** They know no chords, no drums, no dynamics, no tempo and no other widths of bars. Music of
other kinds is continued as if it were such a tune. A composed song may hold passages of a tune that they were trained
on; `mcvae evaluate` shows how much is copied. Held-out songs are chosen by content, and those that resemble training
songs are not scored ([docs/evaluation.md](../../docs/evaluation.md)).
"""


class Measured(NamedTuple):
    """A file and what was measured with it."""

    path: Path
    model: Model
    scores: Mapping[str, Any]  # see `score_models`
    earlier: str  # about the run from which its training started, '' for none


def measure(name: str, corpora: Path, runs: Path | None) -> Measured:
    """Scores held-out songs with the weights of a name."""
    path = weights_file(name)
    assert path
    model = read_packed(path)[HERE]
    opened = open_model(name)
    origin = main_origin(opened)
    corpus = open_corpus(origin, corpora / origin.data["corpus"])
    held_out = [corpus.song(i) for i in scored_songs(corpus, HELD_OUT)]
    draws = model.about.summary.get("results", {}).get("draws", 4)
    scores = score_models({MODEL: {opened.name: opened}}, held_out, draws, 0, say)
    return Measured(path, model, scores, _earlier(model.about.record.get("init_from", ""), runs))


def _earlier(init_from: str, runs: Path | None) -> str:
    """What is said of the run from which a training started."""
    if not init_from:
        return ""
    if runs is None:
        raise UserError(
            f"a training started from {Path(init_from).name}; give --runs, the folder in which that run lies"
        )
    folder = runs / Path(init_from).name
    record, step = Workdir(folder).read(), checkpoint_steps(folder)[-1]
    command = without_paths(record.command, "command")
    ran = versions.as_text(record.environments[-1]["on"]) if record.environments else "a machine that is not recorded"
    return f"""
That run started from step {step:,} of this one, on {ran}, which had not come to its end:

    {command}
"""


def card(files: Mapping[str, Measured], on: str) -> str:
    """The page; on: the machine and versions that measured."""
    return "\n".join([HEAD, *(_part(name, measured, on) for name, measured in files.items())])


def _part(name: str, measured: Measured, on: str) -> str:
    about, scores = measured.model.about, measured.scores
    rows = "\n".join(f"| {what} | {text} |" for what, text in _facts(measured).items())
    then = about.summary.get("results", {})
    figures = "\n".join(
        f"| {what} | {_figure(then, field)} | {_figure(scores, field)} |" for what, field in FIGURES.items()
    )
    songs, bars, repeated = (f"{scores[name]:,}" for name in ("songs", "bars", "repeated_bars"))
    return f"""
## {name}

| | |
|---|---|
{rows}

Held-out songs: {songs}, of {bars} bars, of which {repeated} repeat an earlier bar of their song. Bounds averaged over
{scores["draws"]} draws, in the second row from {scores["particles"]} draws of each bar; 95 % intervals over songs. The
right column was measured on {on}.

| | at the end of its training | as carried |
|---|---|---|
{figures}

The command that trained it:

    {about.record["command"]}
{measured.earlier}"""


def _facts(measured: Measured) -> dict[str, str]:
    about, arrays = measured.model.about, list(measured.model.params.values())
    config, data = about.record["config"], about.record["data"]
    steps = data.get("steps_per_bar", 16)
    ran = about.record.get("environments") or [{"on": {}}]
    return {
        "file": f"{measured.path.name}, {measured.path.stat().st_size / 1e6:.2f} MB",
        "SHA-256": f"`{hashlib.sha256(measured.path.read_bytes()).hexdigest()}`",
        "model": f"{KINDS[config['task']].label}, {sum(each.size for each in arrays):,} parameters in"
        f" {', '.join(sorted({str(each.dtype) for each in arrays}))}",
        "bars": f"{grid_of(steps)}",
        "music": f"source `{config['corpus']['source']}`, {data['songs']:,} training songs",
        "its terms": data.get("licence", "-"),
        "corpus": f"`{data['identity']}`",
        "composes with": ", ".join(f"{name} {value:g}" for name, value in config.get("songs", {}).items())
        or "the settings of its kind",
        "training": f"{config['train']['steps']:,} steps in {clock(about.line.get('seconds', 0.0))}, the best at"
        f" {about.step:,}; {versions.as_text(ran[-1]['on'])}",
    }


def _figure(scores: Mapping[str, Any], field: str) -> str:
    """'13.57 (12.68 to 14.61)'; a dash where there is none."""
    found = next(iter(scores.get("rows", {}).values()), {}).get(field)
    return span(found, ".2f") if found and found["value"] is not None else "-"


def main(argv: Sequence[str]) -> None:
    """Measures and writes the card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", type=Path, default=Path("corpora"), help="where the corpora are")
    parser.add_argument("--runs", type=Path, help="where the runs are from which trainings started")
    parser.add_argument("--out", type=Path, default=CARD, help="the card")
    flags = parser.parse_args(argv)
    files = {name: measure(name, flags.corpora, flags.runs) for name in CARRIED}
    flags.out.write_text(card(files, versions.as_text(versions.here())), "utf-8")
    say(f"{flags.out} is written.")


if __name__ == "__main__":
    run_command(main)
