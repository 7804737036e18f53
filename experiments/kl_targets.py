"""Do capacity and free bits bring the KL where they are told to? Short runs beside plain beta (thesis 4.14, 8.3.1).

    python -m experiments.kl_targets --out=runs/kl_targets [--source=FOLDER] [--steps=1500]

Each run is a small VAE on the same bars; one that is done is not trained again. It writes into OUT: the table,
kl_targets.csv, which it also shows, the course of the KL (.png, .pdf), the runs and their corpus. The built-in tunes
are kept in ~/.cache/mcvae_jax (MCVAE_CACHE or XDG_CACHE_HOME name another place).
"""

import argparse
from pathlib import Path

from experiments.results import new_figure, save_figure, write_csv
from mcvae_jax.command import Parser, add_whole, run_command, say
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.kinds import kind_of
from mcvae_jax.options import load_config
from mcvae_jax.stopping import Stopped
from mcvae_jax.storage.jsonfile import read_json
from mcvae_jax.storage.workdir import Workdir
from mcvae_jax.tasks.corpus import default_folder
from mcvae_jax.training import loop
from mcvae_jax.training.metrics import read_metrics
from mcvae_jax.training.precision import settled

TARGET = 12.0  # nats per bar
LATENT = 32
LEAST_STEPS = 600  # capacity rises for 500
# Name, what the KL is meant to reach, and the fields of config.loss. A large beta makes every nat that is not free
# dear, so free bits that work leave the KL at their limit.
RUNS = (
    ("beta 0.2", None, {"beta": 0.2}),
    ("beta 1", None, {"beta": 1.0}),
    ("beta 10", 0.0, {"beta": 10.0}),  # a collapse on purpose
    ("capacity", TARGET, {"kind": "capacity", "gamma": 5.0, "capacity": TARGET, "capacity_steps": 500}),
    ("free bits per bar", TARGET, {"beta": 5.0, "free_bits": "per_bar", "free_nats": TARGET}),
    ("free bits per dim", TARGET, {"beta": 5.0, "free_bits": "per_dim", "free_nats": TARGET / LATENT}),
)
COLUMNS = ("run", "target_kl", "kl", "reconstruction", "bound", "active_units", "greedy_token_accuracy")


def main(argv: list[str]) -> None:
    """Trains what is not trained yet, then writes the table and the picture."""
    parser = Parser(
        "python -m experiments.kl_targets",
        description=__doc__,
    )
    add = parser.add_argument
    add("--out", required=True, type=Path, metavar="DIR", help="of the runs, the table and the figure")
    add("--source", default="builtin", metavar="MUSIC", help="builtin, tunes, or a folder of music (default: builtin)")
    add_whole(parser, "steps", LEAST_STEPS, 10_000_000, 1500, "of each run")
    options = parser.parse_args(argv)
    rows = [run(name, target, loss, options) for name, target, loss in RUNS]
    write_csv(options.out / "kl_targets.csv", rows)
    draw(options.out)
    say("  ".join(f"{column:>21}" for column in COLUMNS))
    for row in rows:
        say("  ".join(f"{row[c]:>21.3f}" if isinstance(row[c], float) else f"{row[c]!s:>21}" for c in COLUMNS))


def run(name: str, target: float | None, loss: dict, options: argparse.Namespace) -> dict:
    """Trains one run, or finds it done, and returns its row."""
    config = load_config("configs/vae.py:smoke")
    config.corpus.source = options.source
    config.corpus_folder = str(options.out / default_folder(CorpusSettings(**config.corpus)))
    config.model.latent = LATENT
    config.loss.update({"beta_schedule": "constant"} | loss)
    config.train.update(
        {"steps": options.steps, "batch_size": 64, "log_every": 25, "eval_every": 250, "save_every": 250}
    )
    config.optimizer.decay_steps = options.steps
    folder = folder_of(options.out, name)
    say(f"--- {name}")
    config = settled(config, folder, say)
    outcome = loop.train(kind_of(config.task).make_task(config, say), config, folder, say)
    if outcome.signal:
        raise Stopped(outcome.signal)
    scores = read_json(Workdir(folder).results / "held_out.json")
    values = (
        target,
        scores["kl_nats"],
        scores["reconstruction_nats"],
        scores["bound_nats"],
        scores["active_units"],
        scores["greedy"]["token_accuracy"],
    )
    return dict(zip(COLUMNS, (name, *values), strict=True))


def folder_of(out: Path, name: str) -> Path:
    """The workdir of a run."""
    return out / name.replace(" ", "_")


def draw(out: Path) -> None:
    """The KL of the training batches over the steps, a line a run, and the common target."""
    figure = new_figure(8, 4.5)
    axis = figure.subplots()
    for name, target, _ in RUNS:
        lines = [line for line in read_metrics(Workdir(folder_of(out, name)).metrics) if line["split"] == "train"]
        style = ":" if target is None else "-"
        axis.plot([line["step"] for line in lines], [line["kl"] for line in lines], style, label=name)
    axis.axhline(TARGET, color="0.4", linewidth=0.8, linestyle="--", label="target")
    axis.set(xlabel="step", ylabel="KL, nats per bar", ylim=(0, 2 * TARGET))
    axis.legend()
    save_figure(figure, out / "kl_targets")


if __name__ == "__main__":
    run_command(main)
