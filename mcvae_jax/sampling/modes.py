"""The ways to make songs, for notebooks and the command: each returns `Songs`, a list of `ComposedSong`.

    model = open_model("runs/mcvae-default")
    songs = continue_(model, read_seed("tune.mid", bars=16), bars=25, songs=4, settings=Settings(temperature=0.7))
    songs[0].save("song.mid")
    write_results("out", songs, "My songs", {}, print)

Song number n has the key fold_in(key(settings.seed), n), into which a hash of the bars that the model reads is folded
(`song_keys`). So it is the same in every call with the same seed number, seed music, settings, model and machine:
`first=437, songs=1` gives the song that was number 437 of a thousand. After other music it is another song.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mcvae_jax.errors import UserError
from mcvae_jax.models.latent_composer import draw_near
from mcvae_jax.models.sequences import PARTICLES, lerp, slerp
from mcvae_jax.models.settings import DEFAULTS, Settings
from mcvae_jax.models.song_model import FILL, LATENTS, MEMORY, LatentModel, SongModel, can_fill, has_latents
from mcvae_jax.music.grid import grid_of
from mcvae_jax.music.numbering import PLAIN, Numbers, numbers_of
from mcvae_jax.nn.keys import Purpose, for_purpose, song_keys
from mcvae_jax.nn.padding import Rows
from mcvae_jax.sampling import ranking
from mcvae_jax.sampling.seeds import Seed, check_seeds
from mcvae_jax.sampling.song import ComposedSong, Setting, Songs, unseeded

Say = Callable[[str], None]

GROUP = Rows(256, 1024)  # songs between two lines of progress; no song depends on it
PATHS = {"linear": (lerp,), "spherical": (slerp,), "both": (lerp, slerp)}


def compose(
    model: SongModel,
    songs: int = 8,
    bars: int | None = None,
    settings: Settings = DEFAULTS,
    first: int = 1,
    max_bars: int = 128,
    say: Say = lambda line: None,
) -> Songs:
    """Songs from nothing: of `bars` bars, or until the stop head ends them (after `max_bars` at the latest)."""
    return _go_on(model, "compose", [None] * _positive("songs", songs), bars, settings, first, max_bars, say)


def continue_(
    model: SongModel,
    seeds: Seed | Sequence[Seed],
    bars: int | None = 25,
    songs: int = 8,
    settings: Settings = DEFAULTS,
    first: int = 1,
    max_bars: int = 128,
    say: Say = lambda line: None,
) -> Songs:
    """`songs` songs that go on from each seed.

    The whole tune of the seed stands before the `bars` composed ones, as it is, also those of its bars that are too
    many for the model to read. The MDRNN reads a draw of these from q, each song its own. With bars=None the stop head
    ends the songs, as in `compose`.
    """
    each = [seed for seed in _listed(seeds) for _ in range(_positive("songs", songs))]
    return _go_on(model, "continue", each, bars, settings, first, max_bars, say)


def _go_on(
    model: SongModel,
    mode: str,
    seeds: Sequence[Seed | None],
    bars: int | None,
    settings: Settings,
    first: int,
    max_bars: int,
    say: Say,
) -> Songs:
    if MEMORY not in model.abilities:
        raise _lacking(model, mode, MEMORY)
    bars = bars if bars is None else _positive("bars", bars)
    _positive("max_bars", max_bars)
    check_seeds([seed for seed in seeds if seed is not None], model)
    nothing, alone = np.empty((0, model.steps), np.uint8), unseeded(model)
    numbers_alone = numbers_of(alone.metre, grid_of(model.steps))
    made = Songs()
    for start in range(0, len(seeds), GROUP.here):
        group = seeds[start : start + GROUP.here]
        numbers = range(first + start, first + start + len(group))
        given = [nothing if seed is None else seed.bars for seed in group]
        chosen = ranking.go_on(model, given, song_keys(settings.seed, numbers, given), bars, settings, max_bars)
        for seed, n, (composed, bits) in zip(group, numbers, chosen, strict=True):
            title = f"Song {n}" if seed is None else f"{seed.title}, continued ({n})"
            setting, own = (alone, nothing) if seed is None else (seed.setting, seed.up_to_here)
            song = _song(mode, n, title, composed, setting, settings, own)
            if bits:
                others = ", ".join(f"{each:.1f}" for each in bits[1:])
                song.notes[f"bits a bar, best of {len(bits)} draws"] = f"{bits[0]:.1f} (others: {others})"
            if seed is None:
                song = song._replace(numbers=numbers_alone)
            else:
                kept, chords = seed.kept and seed.kept.up_to(len(own)), seed.chords_of(0, len(own))
                song = song._replace(numbers=seed.numbers, kept=kept, chords=chords)
            made.append(song)
        _progress(say, len(made), len(seeds))
    return made


def without_memory(
    model: SongModel, songs: int = 8, bars: int = 25, settings: Settings = DEFAULTS, first: int = 1
) -> Songs:
    """`songs` songs of each part of the model that composes by itself and remembers no bar: the free run of a VAE
    (thesis 6.5), and the VAE bar by bar."""
    alone = [part for part in (*model.kin(), model) if MEMORY not in part.abilities]
    if not alone:
        raise UserError(f"the {model.name} has no part without memory; choose another mode")
    numbers = range(first, first + _positive("songs", songs))
    keys, nothing = song_keys(settings.seed, numbers), [np.empty((0, model.steps), np.uint8)] * songs
    made = Songs()
    for part in alone:
        slug = re.sub(r"\W+", "-", part.name.lower()).strip("-")
        composed = part.go_on(nothing, keys, _positive("bars", bars), settings)
        for n, song in zip(numbers, composed, strict=True):
            made.append(_song(slug, n, f"{part.name}, song {n}", song, unseeded(model), settings))
    return made


def reconstruct(model: SongModel, seeds: Seed | Sequence[Seed], settings: Settings = DEFAULTS, first: int = 1) -> Songs:
    """For each seed its bars as given, then what the decoder makes of the mean of q of each."""
    seeds = _listed(seeds)
    numbers = range(first, first + len(seeds))
    latents = _with_latents(model, "reconstruct", seeds)
    given = [seed.bars for seed in seeds]
    posteriors = latents.encode(given)
    made = Songs()
    rendered = latents.render([mu for mu, _ in posteriors], song_keys(settings.seed, numbers, given), settings)
    for n, seed, bars in zip(numbers, seeds, rendered, strict=True):
        own = np.ones(len(bars), bool)
        original = ComposedSong(f"{n:02d}-original", seed.title, seed.bars, own, seed.setting, {})
        made.append(original._replace(**_read_part(seed)))
        song = _song("reconstruction", n, f"{seed.title}, reconstructed", bars, seed.setting, settings)
        song = song._replace(**_read_part(seed))
        song.notes["tokens as in the original"] = f"{np.mean(bars == seed.bars):.1%}"
        made.append(song)
    return made


def interpolate(
    model: SongModel, a: Seed, b: Seed, steps: int = 5, path: str = "both", settings: Settings = DEFAULTS
) -> Songs:
    """Songs from a to b, bar by bar between the means of q, in so many steps: the first is a, the last b, both decoded.

    As many bars as the shorter of the two; tempo, metre and key are those of a. Path is 'linear', 'spherical' or
    'both', one after the other.
    """
    if path not in PATHS:
        raise UserError(f"path is {path!r}; choose {', '.join(PATHS)}")
    if steps < 2:
        raise UserError(f"steps is {steps}; it must be 2 (the two songs) or more")
    length = min(len(a.bars), len(b.bars))
    latents = _with_latents(model, "interpolate", [a, b])
    start, end = (mu[:length] for mu, _ in latents.encode([a.bars, b.bars]))
    shares = np.linspace(0, 1, steps)
    ways = [("linear" if way is lerp else "spherical", way, float(s)) for way in PATHS[path] for s in shares]
    numbers = range(1, len(ways) + 1)
    z = [np.asarray(way(start, end, share), np.float32) for _, way, share in ways]
    made = Songs()
    both = np.concatenate([a.bars, b.bars])
    rendered = latents.render(z, song_keys(settings.seed, numbers, [both] * len(ways)), settings)
    for n, (name, _, share), bars in zip(numbers, ways, rendered, strict=True):
        title = f"{a.title} to {b.title}: {share:.0%}, {name}"
        song = _song("interpolate", n, title, bars, a.setting, settings)
        song.notes.update({"path": name, "share of the second": round(share, 4)})
        made.append(song)
    return made


def infill(
    model: SongModel,
    seed: Seed,
    missing: str,
    songs: int = 4,
    settings: Settings = DEFAULTS,
    first: int = 1,
    say: Say = lambda line: None,
) -> Songs:
    """The seed with other bars in place of the missing ones, such as '5-8' or '3,9-12', as they are printed.

    The whole tune is kept; gaps are among those of its bars that the model reads. The notes hold the effective sample
    size of the draws for each gap, see `LatentPrior.fill`, where the model fills by such draws.
    """
    if not can_fill(model):
        raise _lacking(model, "infill", FILL)
    check_seeds([seed], model)
    gaps = _gaps(seed, missing)
    tune = np.concatenate([seed.before, seed.bars, seed.after])
    given = np.ones(len(tune), bool)
    for start, end in gaps:
        given[len(seed.before) :][start:end] = False
    made = Songs()
    numbers = range(first, first + _positive("songs", songs))
    keys = song_keys(settings.seed, numbers, [seed.bars] * songs)
    for i, n in enumerate(numbers):
        (filled,) = model.fill(seed.bars, gaps, keys[i : i + 1], settings)
        bars = np.concatenate([seed.before, filled.bars, seed.after])
        song = _song("infill", n, f"{seed.title}, bars {missing} anew ({n})", bars, seed.setting, settings)
        made.append(song._replace(given=given, numbers=seed.numbers, kept=seed.kept, chords=seed.chords))
        if filled.effective:
            effective = [round(size, 1) for size in filled.effective]
            song.notes[f"effective sample size of {PARTICLES}"] = effective
        say(f"{len(made)} of {songs} songs")
    return made


def vary(
    model: SongModel,
    seeds: Seed | Sequence[Seed],
    spread: float = 1.0,
    songs: int = 8,
    settings: Settings = DEFAULTS,
    first: int = 1,
) -> Songs:
    """Songs near each seed: z = mu + spread * sigma * eps in every bar, mu and sigma of q; 1 is a draw from q."""
    if not 0 <= spread < float("inf"):
        raise UserError(f"spread is {spread}; it must be 0 (the reconstruction) or more, 1 is a draw from q")
    each = [seed for seed in _listed(seeds) for _ in range(_positive("songs", songs))]
    latents = _with_latents(model, "vary", each)
    given = [seed.bars for seed in each]
    posteriors = latents.encode(given)
    numbers = range(first, first + len(each))
    keys = song_keys(settings.seed, numbers, given)
    drawn = zip(posteriors, for_purpose(keys, Purpose.GIVEN), strict=True)
    z = [draw_near(posterior, key, spread) for posterior, key in drawn]
    made = Songs()
    for n, seed, bars in zip(numbers, each, latents.render(z, keys, settings), strict=True):
        song = _song("vary", n, f"{seed.title}, variation {n}", bars, seed.setting, settings)
        song.notes.update({"spread": spread, "bars as in the original": int(np.sum(np.all(bars == seed.bars, axis=1)))})
        made.append(song._replace(**_read_part(seed)))
    return made


def _read_part(seed: Seed) -> dict[str, Any]:
    """Numbers and file of a song that has the bars which the model reads, and no others."""
    whole = len(seed.bars) == seed.total
    kept = None if seed.kept is None or len(seed.before) else seed.kept if whole else seed.kept.up_to(len(seed.bars))
    first = len(seed.before)
    chords = seed.chords_of(first, first + len(seed.bars))
    return {"numbers": seed.numbers.later(first), "kept": kept, "chords": chords}


def _gaps(seed: Seed, missing: str) -> list[tuple[int, int]]:
    """The missing bars of the seed's tune, counted from the first that the model reads."""
    before, read = len(seed.before), len(seed.bars)
    gaps = parse_missing(missing, before + read + len(seed.after), seed.numbers)
    gaps = [(start - before, end - before) for start, end in gaps]
    if gaps[0][0] < 0 or gaps[-1][1] > read:
        raise UserError(
            f"missing={missing!r}: bars {seed.numbers.span(before, before + read)} of the song are read, and gaps are"
            " filled among these; read more of them with --seed_bars, or others with --seed_from"
        )
    return gaps


def parse_missing(text: str, bars: int, numbers: Numbers = PLAIN) -> list[tuple[int, int]]:
    """'3,9-12' -> [(2, 3), (8, 12)], half-open from 0, sorted; UserError where that is not within the song's bars.

    Bars are typed as they are printed, see `Numbers`. Of those that are composed together, as pairs of 2/4, all must
    be typed.
    """
    gaps = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d+)(?:\s*-\s*(\d+))?\s*", part)
        if not found:
            raise UserError(f"missing={text!r} is no list of bars; write for example 5-8 or 3,9-12")
        start, end = int(found[1]), int(found[2] or found[1])
        gap = numbers.bars(start, end)
        if start > end or gap.start < 0 or gap.stop > bars:
            known = numbers.span(0, bars)
            raise UserError(f"missing={text!r}: the song has bars {known}, and {part.strip()} is not within them")
        if (numbers.of(gap.start), numbers.last_of(gap.stop - 1)) != (start, end):
            whole = numbers.span(gap.start, gap.stop).replace(" to ", "-")
            raise UserError(f"missing={text!r}: {part.strip()} is a part of what is composed at a time; say {whole}")
        gaps.append((gap.start, gap.stop))
    gaps.sort()
    if any(a[1] >= b[0] for a, b in zip(gaps, gaps[1:], strict=False)):
        raise UserError(f"missing={text!r}: between two gaps a bar must stay; join them to one")
    return gaps


def _lacking(model: SongModel, mode: str, ability: str) -> UserError:
    """A mode asks for what the model cannot do."""
    advice = model.lacks.get(ability, "take another model, or another mode")
    return UserError(f"the {model.name} has no {ability}, which {mode} needs: {advice}")


def _with_latents(model: SongModel, mode: str, seeds: Sequence[Seed]) -> LatentModel:
    """The model; UserError where it has no latents or does not know a seed's pitches."""
    if not has_latents(model):
        raise _lacking(model, mode, LATENTS)
    check_seeds(seeds, model)
    return model


def _song(
    mode: str,
    n: int,
    title: str,
    composed: np.ndarray,
    setting: Setting,
    settings: Settings,
    own: np.ndarray | None = None,
) -> ComposedSong:
    """A song of composed bars, with the user's own before them if there are any."""
    own = composed[:0] if own is None else own
    given = np.arange(len(own) + len(composed)) < len(own)
    notes: dict[str, Any] = {"mode": mode, "song": n, "seed": settings.seed, "temperature": settings.temperature}
    return ComposedSong(f"{n:02d}-{mode}", title, np.concatenate([own, composed]), given, setting, notes)


def _listed(seeds: Seed | Sequence[Seed]) -> list[Seed]:
    return [seeds] if isinstance(seeds, Seed) else list(seeds)


def _positive(name: str, value: int) -> int:
    if value < 1:
        raise UserError(f"{name} is {value}; it must be 1 or more")
    return value


def _progress(say: Say, done: int, total: int) -> None:
    if total > GROUP.here:
        say(f"{done:,} of {total:,} songs")
