"""Makes songs with a trained model, and a page to hear and see them.

modes:
  compose      songs from nothing, until the model ends them or for --bars bars
  continue     songs that go on from yours: --seed_file=tune.mid
  vary         songs near yours: --seed_file=tune.mid --spread=2
  infill       yours, with some bars composed anew: --seed_file=tune.mid --missing=5-8
  interpolate  songs on the way from one to another: --seed_file=a.mid --seed_file_b=b.mid
  reconstruct  yours, and what the model keeps of it: --seed_file=tune.mid
  vae          what the VAE alone makes, without memory of the bars before: its free run, and bar by bar

It writes --out and nothing else: MIDI files, WAV previews, songs.png, songs.json and index.html.

compose, continue and infill need an MDRNN (configs/mdrnn.py or configs/mcvae.py); a VAE's workdir does for the others.

examples:
  python -m mcvae_jax.sample --workdir=runs/mcvae-default --mode=compose --out=songs
  python -m mcvae_jax.sample --workdir=runs/mcvae-default --mode=continue --seed_file=tune.mid --bars=25 --out=songs
  python -m mcvae_jax.sample --workdir=runs/vae-default --mode=reconstruct --seed_file=tune.abc --tune=3 --out=songs
"""

import argparse
import dataclasses
import difflib
import shlex
import time
from collections.abc import Callable
from typing import Any

from mcvae_jax.command import Parser, add_whole, check_range, comments_of, run_command, say
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import open_model
from mcvae_jax.models.settings import Settings
from mcvae_jax.models.song_model import SongModel
from mcvae_jax.sampling import modes
from mcvae_jax.sampling.results import check_folder, write_results
from mcvae_jax.sampling.seeds import Seed, read_seed
from mcvae_jax.sampling.song import ComposedSong

MODES = ("compose", "continue", "vary", "infill", "interpolate", "reconstruct", "vae")
SEED_BARS = {"continue": 16}  # bars of a seed that are used, where --seed_bars does not say
ALL_SEED_BARS = 64  # in the other modes
MOST_SONGS, MOST_BARS = 100_000, 10_000  # of a call, and of a song
MOST_IN_ALL = 10_000_000  # bars of all songs of a call: they decode at a time, in some GB
LAST = ("continue",)  # modes that take the last bars of a file; the others take the first
_SEEDED = ("continue", "vary", "infill", "interpolate", "reconstruct")
_COMPOSING = ("compose", "continue", "infill")
TAKEN_BY = {  # the modes that an option is for; the others are for all
    **dict.fromkeys(("seed_file", "seed_bars", "seed_from", "melody", "metre", "tune"), _SEEDED),
    **dict.fromkeys(("tau_pi", "tau_sigma", "tau_recall"), _COMPOSING),
    "seed_file_b": ("interpolate",),
    "songs": (*_COMPOSING, "vary", "vae"),
    "first": (*_COMPOSING, "vary", "reconstruct", "vae"),
    "bars": ("compose", "continue", "vae"),
    "max_bars": ("compose",),
    "missing": ("infill",),
    "spread": ("vary",),
    "steps": ("interpolate",),
    "path": ("interpolate",),
}


class _Parser(Parser):
    """Names near a mistyped option or choice."""

    def parse_args(self, args=None, namespace=None):
        values, unknown = self.parse_known_args(args, namespace)
        if unknown:
            name = unknown[0].split("=")[0]
            near = difflib.get_close_matches(name, self._option_string_actions, n=3, cutoff=0.5)
            self.error(f"there is no option {name}" + (f"; did you mean {' or '.join(near)}?" if near else ""))
        return values


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of the command line; UserError where they cannot be followed."""
    parser = _Parser(
        "python -m mcvae_jax.sample",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--workdir", required=True, metavar="DIR", help="of a trained model (see modes)")
    add("--mode", required=True, metavar="MODE", help=f"{', '.join(MODES)}: see above")
    add("--out", required=True, metavar="DIR", help="folder of the songs; what an earlier call wrote there is replaced")
    add("--checkpoint", default="best", metavar="WHICH", help="best, newest or a step (default: best)")
    seed = parser.add_argument_group("the music to start from")
    seed.add_argument("--seed_file", metavar="FILE", help="MIDI, ABC, MusicXML or Humdrum")
    seed.add_argument("--seed_file_b", metavar="FILE", help="interpolate: the other song")
    told = f"bars of the file that are used; {SEED_BARS['continue']} to continue, else {ALL_SEED_BARS}, where not said"
    add_whole(seed, "seed_bars", 1, MOST_BARS, None, told)
    seed.add_argument(
        "--seed_from", metavar="END", help="last or first bars of the file (default: last to continue, else first)"
    )
    seed.add_argument(
        "--melody",
        default="auto",
        help="which track: auto, skyline (the top notes of all), name:REGEX, index:N, channel:N (default: auto)",
    )
    seed.add_argument(
        "--metre", default="", help="4/4 cuts any music into bars of 16 steps, 3/4 of 12 (default: the file's)"
    )
    add_whole(seed, "tune", 0, 1_000_000, 0, "number of a tune in a book of them; 0 is the first that can be used")
    songs = parser.add_argument_group("the songs")
    add_whole(songs, "songs", 1, MOST_SONGS, 8, "how many; vae: of either kind")
    told = "number of the first song: --first=437 --songs=1 makes song 437 of a thousand again"
    add_whole(songs, "first", 1, (1 << 31) - MOST_SONGS, 1, told)
    add_whole(
        songs, "bars", 1, MOST_BARS, None, "composed bars of each; 25 where not said; compose: until the model ends it"
    )
    add_whole(songs, "max_bars", 1, MOST_BARS, 128, "where the model ends songs")
    songs.add_argument("--missing", default="", metavar="BARS", help="infill: bars to compose anew, as 5-8 or 3,9-12")
    songs.add_argument(
        "--spread", type=float, default=1.0, help="vary: how far from the song; 0 is not at all (default: 1)"
    )
    add_whole(songs, "steps", 2, 1000, 5, "interpolate: songs of a path")
    songs.add_argument("--path", default="both", help="interpolate: linear, spherical or both (default: both)")
    draws = parser.add_argument_group("chance")
    comments = comments_of(Settings)
    for field in dataclasses.fields(Settings):
        draws.add_argument(
            f"--{field.name}",
            type=field.type,
            default=field.default,
            metavar="X" if field.type is float else "N",
            help=f"{comments[field.name]} (default: {field.default})",
        )
    flags = parser.parse_args(argv)
    _choose("mode", flags.mode, MODES)
    _choose("path", flags.path, tuple(modes.PATHS))
    if flags.seed_from:
        _choose("seed_from", flags.seed_from, ("last", "first"))
    for name in (arg[2:].split("=")[0] for arg in argv if arg.startswith("--")):
        if flags.mode not in TAKEN_BY.get(name, MODES):
            others = " or ".join(TAKEN_BY[name])
            raise UserError(f"--mode={flags.mode} takes no --{name}; leave it out, or choose --mode={others}")
    bars = flags.songs * (flags.bars or flags.max_bars)
    check_range(f"--songs={flags.songs} times the bars of a song", bars, 1, MOST_IN_ALL)
    return flags


def main(argv: list[str]) -> None:
    """Makes the songs, writes them, and says where the page is."""
    flags = parse(argv)
    settings = Settings(**{field.name: getattr(flags, field.name) for field in dataclasses.fields(Settings)})
    check_folder(flags.out)
    paths = _seed_files(flags)
    model = open_model(flags.workdir, flags.checkpoint)
    seeds = _seeds(flags, paths, model.steps)
    facts = _facts(model)
    say(f"{flags.mode} with {', '.join(f'{name} {value}' for name, value in facts.items())}")
    start = time.monotonic()
    songs = make_songs(model, flags, seeds, settings)
    seconds = time.monotonic() - start
    bars = sum(int((~song.given).sum()) for song in songs)
    say(f"{len(songs):,} songs, {bars:,} bars composed in {seconds:.1f} s ({len(songs) / seconds:.1f} songs a second)")
    command = shlex.join(["python", "-m", "mcvae_jax.sample", *argv])
    about = {"command": command, **facts, **dataclasses.asdict(settings)}
    title = f"{flags.mode}: {', '.join(seed.title for seed in seeds)}" if seeds else flags.mode
    write_results(flags.out, songs, title, about, say)
    say(f"Open {flags.out}/index.html to hear and see them.")


def make_songs(
    model: SongModel, flags: argparse.Namespace, seeds: list[Seed], settings: Settings
) -> list[ComposedSong]:
    """The songs of a mode."""
    many: dict[str, Any] = {"songs": flags.songs, "settings": settings, "first": flags.first}
    bars = flags.bars or 25
    make: dict[str, Callable[[], list[ComposedSong]]] = {
        "compose": lambda: modes.compose(model, bars=flags.bars, max_bars=flags.max_bars, say=say, **many),
        "continue": lambda: modes.continue_(model, seeds, bars=bars, say=say, **many),
        "vary": lambda: modes.vary(model, seeds, flags.spread, **many),
        "infill": lambda: modes.infill(model, seeds[0], flags.missing, say=say, **many),
        "interpolate": lambda: modes.interpolate(model, *seeds, flags.steps, flags.path, settings),
        "reconstruct": lambda: modes.reconstruct(model, seeds, settings, flags.first),
        "vae": lambda: modes.without_memory(model, bars=bars, **many),
    }
    return make[flags.mode]()


def _seed_files(flags: argparse.Namespace) -> list[str]:
    """The files of the seeds that a mode needs; UserError where the options lack one."""
    needs = [name for name in ("seed_file", "seed_file_b") if flags.mode in TAKEN_BY[name]]
    for name in needs:
        if not getattr(flags, name):
            raise UserError(f"--mode={flags.mode} starts from your music: give it as --{name}=FILE")
    if flags.mode == "infill" and not flags.missing:
        raise UserError("--mode=infill composes some bars anew: say which, as --missing=5-8")
    return [getattr(flags, name) for name in needs]


def _seeds(flags: argparse.Namespace, paths: list[str], steps: int) -> list[Seed]:
    """The seeds in bars of so many steps, and what is worth knowing about them said."""
    wanted = SEED_BARS.get(flags.mode, ALL_SEED_BARS) if flags.seed_bars is None else flags.seed_bars
    which = flags.seed_from or ("last" if flags.mode in LAST else "first")
    seeds = []
    for path in paths:
        asked = flags.seed_bars is not None
        seed = read_seed(path, wanted, which, flags.melody, flags.metre, flags.tune, steps)
        used = f"its {which} {len(seed.bars)} of {seed.total:,} bars" if len(seed.bars) < seed.total else "all its bars"
        say(f"{path}: {seed.title!r}, {used}")
        for note in seed.notes:
            if asked or "fewer than" not in note:
                say(f"  {note}")
        seeds.append(seed)
    return seeds


def _facts(model: SongModel) -> dict[str, Any]:
    return {name: f"{origin.folder} (step {origin.step})" for name, origin in model.origins.items()}


def _choose(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        near = difflib.get_close_matches(value, choices, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(choices)}"
        raise UserError(f"--{name}={value} is unknown; {hint}")


if __name__ == "__main__":
    run_command(main, go_on="The same command again makes all of it.")
