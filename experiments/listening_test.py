"""The listening test of thesis 6.4.1 and 8.2.4: makes its page, and analyses the answers.

make writes OUT/index.html, one file to be sent to the listeners or put on a web server; OUT/key.json, which says which
clip is whose and stays with you; and OUT/songs, the clips as MIDI. analyse reads the files that listeners send back (or
a folder of them) and writes Figs 6.4 and 6.5, tables, tests and summary.json to OUT. Neither writes anything else.

A model is a workdir; DIR:vae takes the VAE of it alone, running free, so that the thesis' own comparison is the first
example.

examples:
  python -m experiments.listening_test make --models=runs/mcvae-default:vae,runs/mcvae-default --out=listening
  python -m experiments.listening_test make --models=runs/a,runs/b --names=small,large --real --out=listening
  python -m experiments.listening_test analyse answers/ --key=listening/key.json --out=listening-results
"""

import argparse
import dataclasses
import shlex
from pathlib import Path

import numpy as np

from experiments.listening import clips
from experiments.listening.answers import KEY_FORMAT, KEY_VERSION
from experiments.listening.page import make_test, write_page
from experiments.listening.report import analyse
from mcvae_jax.command import Parser, add_settings, add_whole, run_command, say, settings_of
from mcvae_jax.errors import UserError
from mcvae_jax.models.settings import Settings
from mcvae_jax.music.grid import grid_of
from mcvae_jax.places import on_this_machine
from mcvae_jax.sampling.preview import seconds_of
from mcvae_jax.sampling.song import FASTEST, SLOWEST, ComposedSong, Setting, write_song
from mcvae_jax.storage.files import names_in, replacing
from mcvae_jax.storage.jsonfile import write_json

REAL_SONGS = "real songs"


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of the command line; UserError where they cannot be followed."""
    parser = Parser("python -m experiments.listening_test", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="make|analyse")
    make = commands.add_parser("make", help="writes the page")
    make.add_argument("--models", required=True, metavar="DIR,DIR", help="two workdirs or more; DIR:vae: its VAE")
    make.add_argument("--out", required=True, metavar="DIR", help="a new folder")
    make.add_argument("--names", default="", metavar="A,B", help="of the models, in the results")
    make.add_argument("--real", action="store_true", help="real songs take part as one more model")
    add_whole(make, "seeds", 1, 100, 5, "held-out songs to start from")
    add_whole(make, "bars", 1, 1000, 25, "of each clip")
    add_whole(make, "seed_bars", 1, 1000, 1, "that the models see")
    make.add_argument("--tempo", type=float, default=110.0, metavar="X", help="quarters a minute (default: 110)")
    add_settings(make, Settings, {})
    analyse = commands.add_parser("analyse", help="says what the answers say")
    analyse.add_argument("files", nargs="+", metavar="FILES", help="answers-CODE.json, or folders of them")
    analyse.add_argument("--key", required=True, metavar="FILE", help="the key.json of the test")
    analyse.add_argument("--out", required=True, metavar="DIR", help="earlier results there are replaced")
    return parser.parse_args(argv)


def make(flags: argparse.Namespace, command: str) -> None:
    """Composes the clips and writes the page, its key and the songs; UserError where the flags cannot be followed."""
    texts, settings = _check(flags)
    out = on_this_machine(flags.out).resolve()
    if names_in(out, "choose another --out"):
        raise UserError(f"{out} is not empty; the key of an earlier test may be needed, so choose another --out")
    models = clips.open_models(texts, [name.strip() for name in flags.names.split(",")] if flags.names else [])
    seeds = clips.held_out_songs(models, flags.seeds, flags.seed_bars, flags.bars, flags.seed)
    about = [_described(model, text) for model, text in zip(models, texts, strict=True)]
    songs = {}
    for model in models:
        say(f"{model.name} goes on (songs: {len(seeds)}, bars: {flags.bars})")
        songs[model.name] = clips.go_on(model, seeds, settings)
    if flags.real:
        if REAL_SONGS in songs:
            raise UserError(f"a model is named {REAL_SONGS!r}; give another of --names")
        songs[REAL_SONGS] = [song.after for song in seeds]
        about.append({"name": REAL_SONGS, "kind": clips.REAL})
    rendered = iter(clips.render_alike([bars for each in songs.values() for bars in each], flags.tempo))
    sounds = {name: [next(rendered) for _ in each] for name, each in songs.items()}
    test, groups, of_clips = make_test(sounds, seconds_of(seeds[0].after, flags.tempo), flags.seed)
    stems = {(name, n): f"model-{m + 1}-seed-{n + 1}" for m, name in enumerate(songs) for n in range(len(seeds))}
    of_clips = {
        clip: {"model": of[0], "seed": of[1], "song": f"songs/{stems[of]}.mid"} for clip, of in of_clips.items()
    }
    key = {
        "format": KEY_FORMAT,
        "version": KEY_VERSION,
        "test": test["id"],
        "command": command,
        "models": about,
        "seeds": [song.name for song in seeds],
        "groups": groups,
        "clips": of_clips,
        "statements": list(test["statements"]),
        "seeds_per_pair": test["seeds_per_pair"],
        "seconds": test["seconds"],
        "settings": dataclasses.asdict(settings) | {"quarters_per_minute": flags.tempo, "seed_bars": flags.seed_bars},
    }
    with replacing(out) as place:
        write_page(place / "index.html", test)
        write_json(place / "key.json", key)
        (place / "songs").mkdir()
        for (name, n), stem in stems.items():
            _write_song(place / "songs", stem, f"{name}: {seeds[n].name}", songs[name][n], flags.tempo)
    size = (out / "index.html").stat().st_size / 1e6
    say(f"Give {flags.out}/index.html ({size:.0f} MB) to the listeners, and nothing else.")
    say(f"Keep {flags.out}/key.json: it says whose clips are whose, and answers are worth nothing without it.")


def _check(flags: argparse.Namespace) -> tuple[list[str], Settings]:
    """The models as they are given, and how they sample; UserError for values that cannot be."""
    if not SLOWEST <= flags.tempo <= FASTEST:
        raise UserError(f"--tempo is {flags.tempo}; it must be from {SLOWEST:g} to {FASTEST:g} quarters a minute")
    texts = [text for text in flags.models.split(",") if text]
    if len(texts) < 2:
        named = "one model" if texts else "no model"
        raise UserError(f"--models={flags.models} names {named}; give two or more, as --models=DIR,DIR")
    return texts, settings_of(flags, Settings)


def _described(model: clips.Model, text: str) -> dict:
    """What the key says of a model."""
    parts = {name: origin.facts() for name, origin in model.composer.origins.items()}
    return {"name": model.name, "kind": model.composer.name, "given": text, **parts}


def _write_song(folder: Path, stem: str, title: str, bars: np.ndarray, tempo: float) -> None:
    song = ComposedSong(stem, title, bars, np.zeros(len(bars), bool), Setting(tempo, grid_of(bars.shape[1]).metre), {})
    write_song(folder / f"{stem}.mid", song)


def main(argv: list[str]) -> None:
    """Runs one of the two commands."""
    flags = parse(argv)
    if flags.command == "make":
        make(flags, shlex.join(["python", "-m", "experiments.listening_test", *argv]))
    else:
        analyse(flags.files, Path(flags.key), Path(flags.out), say)


if __name__ == "__main__":
    run_command(main)
