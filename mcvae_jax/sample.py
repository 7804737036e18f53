"""Makes songs with a trained model, and a page to hear and see them.

modes:
{modes}

It writes --out and nothing else: MIDI files, WAV previews, songs.png, songs.json and index.html, and with
--formats=musicxml,abc scores.

{composing} need a model with a memory of bars, as configs/mcvae.py trains; a VAE's workdir does for the others.
Without --workdir the weights compose that come with the package: of bars of 4/4, or for music in 3/4 and 6/8 of such.

examples:
  python -m mcvae_jax.sample --mode=continue --seed_file=tune.mid --out=songs
  python -m mcvae_jax.sample --workdir=runs/mcvae-default --mode=compose --out=songs
  python -m mcvae_jax.sample --workdir=runs/mcvae-default --mode=continue --seed_file=tune.mid --bars=25 --out=songs
  python -m mcvae_jax.sample --workdir=runs/vae-default --mode=reconstruct --seed_file=tune.abc --tune=3 --out=songs
"""

import argparse
import dataclasses
import difflib
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mcvae_jax.command import Parser, add_settings, add_whole, check_range, hint, run_command, say, settings_of
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import open_model
from mcvae_jax.models.settings import Settings
from mcvae_jax.models.song_model import FILL, MEMORY, SongModel
from mcvae_jax.music.grid import grid_of
from mcvae_jax.places import CARRIED, WEIGHTS, shown
from mcvae_jax.sampling import modes
from mcvae_jax.sampling.earlier import earlier_songs, renumbered
from mcvae_jax.sampling.results import check_folder, write_results
from mcvae_jax.sampling.scores import WRITERS, parse_formats
from mcvae_jax.sampling.seeds import Seed, read_seed
from mcvae_jax.sampling.song import Songs
from mcvae_jax.sampling.table import BARS, MODES, SEED_BARS, Mode, Options, taken_by
from mcvae_jax.storage.buckets import mounted
from mcvae_jax.storage.compiled import keep_compiled

MOST_SONGS, MOST_BARS = 100_000, 10_000  # of a call, and of a song
MOST_IN_ALL = 10_000_000  # bars of all songs of a call: they decode at a time, in some GB
EARLY, MANY = 16, 100  # songs that are written before the others are composed, where there are so many


def _description() -> str:
    """The head of this module, with the modes of the table."""
    width = max(map(len, MODES))
    rows = "\n".join(f"  {name:<{width}}  {mode.description}" for name, mode in MODES.items())
    composing = [name for name, mode in MODES.items() if mode.needs in (MEMORY, FILL)]
    return __doc__.format(modes=rows, composing=f"{', '.join(composing[:-1])} and {composing[-1]}")


class _Parser(Parser):
    """Names near a mistyped option or choice."""

    def parse_all(self, argv: Sequence[str]) -> argparse.Namespace:
        values, unknown = self.parse_known_args(argv)
        if unknown:
            name = unknown[0].split("=")[0]
            near = difflib.get_close_matches(name, self._option_string_actions, n=3, cutoff=0.5)
            self.error(f"there is no option {name}" + (f"; did you mean {' or '.join(near)}?" if near else ""))
        return values


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of the command line; UserError where they cannot be followed."""
    parser = _Parser(
        "python -m mcvae_jax.sample",
        description=_description(),
    )
    add = parser.add_argument
    ours = " or ".join(CARRIED)
    add("--workdir", default="", metavar="DIR", help=f"of a trained model, FILE{WEIGHTS} or {ours} (see above)")
    add("--mode", default="compose", metavar="MODE", help=f"{', '.join(MODES)}: see above (default: compose)")
    add("--out", required=True, metavar="DIR", help="folder of the songs; those of earlier calls there stay")
    add("--replace", action="store_true", help="of earlier calls nothing stays in --out, and numbers begin at 1")
    text = f"what is written beside MIDI, in a list as musicxml,abc: {', '.join(WRITERS)} (default: MIDI alone)"
    add("--formats", default="midi", metavar="LIST", help=text)
    add("--checkpoint", default="best", metavar="WHICH", help="best, newest or a step (default: best)")
    seed = parser.add_argument_group("the music to start from")
    seed.add_argument("--seed_file", metavar="FILE", help="MIDI, ABC, MusicXML or Humdrum")
    seed.add_argument("--seed_file_b", metavar="FILE", help="interpolate: the other song")
    own = {mode.seed_bars: name for name, mode in MODES.items() if mode.seeds and mode.seed_bars != SEED_BARS}
    exceptions = "".join(f"{bars} to {name}, " for bars, name in own.items())
    text = f"bars of the file that are heard before composing; {exceptions}else {SEED_BARS}, where not said"
    add_whole(seed, "seed_bars", 1, MOST_BARS, None, text)
    seed.add_argument(
        "--seed_from", metavar="END", help="the last or the first bars of it (default: last to continue, else first)"
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
    add_whole(songs, "songs", 1, MOST_SONGS, Options.songs, "how many; vae: of either kind")
    text = "number of the first song, else the next free one in --out: --first=437 --songs=1 makes song 437 again"
    add_whole(songs, "first", 1, (1 << 31) - MOST_SONGS, None, text)
    add_whole(
        songs,
        "bars",
        1,
        MOST_BARS,
        None,
        f"composed bars of each; {BARS} where not said; compose: until the model ends it",
    )
    add_whole(songs, "max_bars", 1, MOST_BARS, Options.max_bars, "where the model ends songs")
    text = "infill: bars to compose anew, by their printed numbers, as 5-8 or 3,9-12"
    songs.add_argument("--missing", default=Options.missing, metavar="BARS", help=text)
    songs.add_argument(
        "--spread", type=float, default=Options.spread, help="vary: how far from the song; 0 is not at all (default: 1)"
    )
    add_whole(songs, "steps", 2, 1000, Options.steps, "interpolate: songs of a path")
    songs.add_argument("--path", default=Options.path, help="interpolate: linear, spherical or both (default: both)")
    draws = parser.add_argument_group("chance")
    add_settings(draws, Settings, {}, "the model's own")
    flags = parser.parse_all(argv)
    parse_formats(flags.formats)
    _choose("mode", flags.mode, tuple(MODES))
    _choose("path", flags.path, tuple(modes.PATHS))
    if flags.seed_from:
        _choose("seed_from", flags.seed_from, ("last", "first"))
    for name in (arg[2:].split("=")[0] for arg in argv if arg.startswith("--")):
        if flags.mode not in taken_by(name):
            others = " or ".join(taken_by(name))
            raise UserError(f"--mode={flags.mode} takes no --{name}; leave it out, or choose --mode={others}")
    bars = flags.songs * (flags.bars or flags.max_bars)
    check_range(f"--songs={flags.songs} times the bars of a song", bars, 1, MOST_IN_ALL)
    return flags


def main(argv: list[str]) -> None:
    """Makes the songs, writes them, and says where the page is."""
    flags = parse(argv)
    with mounted(flags.out) as out:
        make_songs(flags, out, argv)
    say(f"Open {flags.out}/index.html to hear and see them.")


def make_songs(flags: argparse.Namespace, out: Path, argv: list[str]) -> None:
    """Makes the songs of the flags and writes them into a folder."""
    mode = MODES[flags.mode]
    settings_of(flags, Settings)  # what cannot be is said before the model is read
    earlier = [] if flags.replace else earlier_songs(out)
    check_folder(out)
    if earlier and flags.first is None:
        flags.first = 1 + max(song.number for song in earlier)
        say(f"{flags.out} holds {len(earlier)} songs, which stay; new ones begin with number {flags.first}")
        say("  (--replace puts the new ones in their place)")
    model, seeds = _model_and_seeds(flags, _seed_files(flags))
    facts, settings = _facts(model), settings_of(flags, Settings, model.defaults)
    say(f"{flags.mode} with {', '.join(dict.fromkeys(_places(model)))}")
    command = shlex.join(["python", "-m", "mcvae_jax.sample", *argv])
    about = {"command": command, **facts, **dataclasses.asdict(settings)}
    title = f"{flags.mode}: {', '.join(seed.title for seed in seeds)}" if seeds else flags.mode
    formats, asked = parse_formats(flags.formats), settings_of(flags, Options)
    songs, seconds = Songs(), 0.0
    parts = _parts(mode, asked) if Path(flags.out) == out else [asked]  # a bucket has all songs at the end
    for part in parts:
        start = time.monotonic()
        songs += mode.make(model, seeds, part, settings, say)
        seconds += time.monotonic() - start
        if part is not parts[-1]:
            write_results(out, songs, title, about, say, formats, earlier, asked.songs)
            left = asked.songs - len(songs)
            say(f"Open {flags.out}/index.html to hear and see the first {len(songs)} songs; {left:,} follow.")
    bars = sum(int((~song.given).sum()) for song in songs)
    count = f"{len(songs):,} song{'s' * (len(songs) != 1)}"
    say(f"{count}, {bars:,} bars composed in {seconds:.1f} s ({len(songs) / seconds:.1f} songs a second)")
    if earlier and "first" not in mode.takes:
        songs = Songs(renumbered(songs, flags.first - 1))
    write_results(out, songs, title, about, say, formats, earlier)


def _parts(mode: Mode, asked: Options) -> list[Options]:
    """What is asked for; of many songs as two calls, the first of which is written before the other is made.

    A mode that takes no number or no first song makes all at a time, and so does 'vae', whose songs are of several
    kinds, one kind after the other.
    """
    if asked.songs < MANY or not {"songs", "first"} <= set(mode.takes) or not mode.needs:
        return [asked]
    first = asked.first or 1
    others = dataclasses.replace(asked, songs=asked.songs - EARLY, first=first + EARLY)
    return [dataclasses.replace(asked, songs=EARLY, first=first), others]


def _seed_files(flags: argparse.Namespace) -> list[str]:
    """The files of the seeds that a mode needs; UserError where the options lack one."""
    mode = MODES[flags.mode]
    for name in mode.seeds:
        if not getattr(flags, name):
            raise UserError(f"--mode={flags.mode} starts from your music: give it as --{name}=FILE")
    for name, reason in mode.must.items():
        if not getattr(flags, name):
            raise UserError(f"--mode={flags.mode} {reason}")
    return [getattr(flags, name) for name in mode.seeds]


def _model_and_seeds(flags: argparse.Namespace, paths: list[str]) -> tuple[SongModel, list[Seed]]:
    """The model of the flags, else the one that the package carries for bars as the first seed has them."""
    if flags.workdir:
        model = open_model(flags.workdir, flags.checkpoint)
        return model, _seeds(flags, paths, [model.steps])
    seeds = _seeds(flags, paths, list(CARRIED.values()))
    steps = seeds[0].bars.shape[1] if seeds else next(iter(CARRIED.values()))
    name = next(name for name in CARRIED if CARRIED[name] == steps)
    say(f"without --workdir: {name!r}, which comes with this program, composes in bars of {grid_of(steps)}")
    return open_model(name, flags.checkpoint), seeds


def _seeds(flags: argparse.Namespace, paths: list[str], steps: list[int]) -> list[Seed]:
    """The seeds in bars of so many steps, the first of several that fits, and what is worth knowing about them said."""
    mode = MODES[flags.mode]
    wanted = mode.seed_bars if flags.seed_bars is None else flags.seed_bars
    which = flags.seed_from or mode.end
    seeds = []
    for path in paths:
        asked = flags.seed_bars is not None
        seed = read_seed(path, wanted, which, flags.melody, flags.metre, flags.tune, steps)
        steps = [seed.bars.shape[1]]
        before, spans = len(seed.before), seed.numbers.span
        of = f", of which {spans(before, before + len(seed.bars))} are heard" if len(seed.bars) < seed.total else ""
        say(f"{path}: {seed.title!r}, bars {spans(0, seed.total)}{of}")
        for note in seed.notes:
            if asked or "fewer than" not in note:
                say(f"  {note}")
        for note in seed.told(mode.keeps) if mode.keeps else ():
            say(f"  {note}")
        seeds.append(seed)
    return seeds


def _places(model: SongModel) -> list[str]:
    return [shown(origin.folder) for origin in model.origins.values()]


def _facts(model: SongModel) -> dict[str, Any]:
    return {name: f"{shown(origin.folder)} (step {origin.step})" for name, origin in model.origins.items()}


def _choose(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UserError(f"--{name}={value} is unknown; {hint(value, choices)}")


def as_command() -> None:
    """What the command line runs."""
    keep_compiled()
    run_command(main, go_on="The same command with --replace makes all of it.")


if __name__ == "__main__":
    as_command()
