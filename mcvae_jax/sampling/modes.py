"""The ways to make songs, for notebooks and the command: each returns a list of `ComposedSong`.

    composer = open_composer("runs/mdrnn-default")
    songs = continue_(composer, read_seed("tune.mid", bars=16), bars=25, songs=4, settings=Settings(temperature=0.7))
    write_results("out", songs, "My songs", {}, print)

Song number n has the key fold_in(key(settings.seed), n), so it is the same in every call with the same seed number,
settings, models and machine: `first=437, songs=1` gives the song that was number 437 of a thousand.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from mcvae_jax.errors import UserError
from mcvae_jax.models.bar_codec import decode_bars, encode_bars, free_run
from mcvae_jax.models.sequences import PARTICLES, continue_latents, lerp, slerp
from mcvae_jax.models.sequences import infill as infill_latents
from mcvae_jax.models.settings import DEFAULTS, Settings
from mcvae_jax.sampling.keys import GIVEN, LATENTS, TOKENS, bar_keys, normal, song_keys
from mcvae_jax.sampling.seeds import Seed, check_pitches
from mcvae_jax.sampling.song import ComposedSong, Setting
from mcvae_jax.trained import Composer, TrainedMDRNN

Say = Callable[[str], None]
Latent = tuple[np.ndarray, np.ndarray]  # mu and log variance, (n, Z) each

GROUP = 256  # songs between two lines of progress; no song depends on it
PATHS = {"linear": (lerp,), "spherical": (slerp,), "both": (lerp, slerp)}


def compose(
    composer: Composer,
    songs: int = 8,
    bars: int | None = None,
    settings: Settings = DEFAULTS,
    first: int = 1,
    max_bars: int = 128,
    say: Say = lambda line: None,
) -> list[ComposedSong]:
    """Songs from nothing: of `bars` bars, or until the stop head ends them (after `max_bars` at the latest)."""
    return _go_on(composer, "compose", [None] * _positive("songs", songs), bars, settings, first, max_bars, say)


def continue_(
    composer: Composer,
    seeds: Seed | Sequence[Seed],
    bars: int | None = 25,
    songs: int = 8,
    settings: Settings = DEFAULTS,
    first: int = 1,
    max_bars: int = 128,
    say: Say = lambda line: None,
) -> list[ComposedSong]:
    """`songs` songs that go on from each seed.

    The seed's bars stand before the `bars` composed ones, as they are. The MDRNN reads a draw of theirs from q, each
    song its own. With bars=None the stop head ends the songs, as in `compose`.
    """
    each = [seed for seed in _listed(seeds) for _ in range(_positive("songs", songs))]
    return _go_on(composer, "continue", each, bars, settings, first, max_bars, say)


def _go_on(composer, mode, seeds: list[Seed | None], bars, settings, first, max_bars, say) -> list[ComposedSong]:
    mdrnn = _mdrnn(composer, mode)
    bars = bars if bars is None else _positive("bars", bars)
    _positive("max_bars", max_bars)
    posteriors = _posteriors(composer, [seed for seed in seeds if seed is not None])
    nothing = np.empty((0, composer.vae.vae.latent), np.float32)
    made = []
    for start in range(0, len(seeds), GROUP):
        group = seeds[start : start + GROUP]
        numbers = range(first + start, first + start + len(group))
        read = [
            nothing if seed is None else _draw(posteriors[id(seed)], key)
            for seed, key in zip(group, song_keys(settings.seed, numbers, GIVEN), strict=True)
        ]
        keys = song_keys(settings.seed, numbers, LATENTS)
        z = continue_latents(mdrnn.prior, mdrnn.params, read, keys, bars, settings, max_bars)
        for seed, n, composed in zip(group, numbers, _render(composer, z, numbers, settings), strict=True):
            title = f"Song {n}" if seed is None else f"{seed.title}, continued ({n})"
            made.append(_song(mode, n, title, composed, seed, settings, before=seed is not None))
        _progress(say, len(made), len(seeds))
    return made


def vae_free(
    composer: Composer, songs: int = 8, bars: int = 25, settings: Settings = DEFAULTS, first: int = 1
) -> list[ComposedSong]:
    """The formal VAE's free run (thesis 6.5): the decoder goes on for bars * 16 steps from one z ~ N(0, I)."""
    numbers = range(first, first + _positive("songs", songs))
    latent = composer.vae.vae.latent
    z = np.concatenate([normal(key, 1, latent) for key in song_keys(settings.seed, numbers, LATENTS)])
    keys = song_keys(settings.seed, numbers, TOKENS)
    runs = free_run(composer.vae.vae, composer.vae.params, z, keys, _positive("bars", bars), settings)
    return [
        _song("vae-free", n, f"VAE, free run ({n})", run, None, settings) for n, run in zip(numbers, runs, strict=True)
    ]


def vae_bars(
    composer: Composer, songs: int = 8, bars: int = 25, settings: Settings = DEFAULTS, first: int = 1
) -> list[ComposedSong]:
    """The VAE without memory: a z ~ N(0, I) for each bar, and START in each."""
    numbers = range(first, first + _positive("songs", songs))
    latent = composer.vae.vae.latent
    z = [normal(key, _positive("bars", bars), latent) for key in song_keys(settings.seed, numbers, LATENTS)]
    return [
        _song("vae-bars", n, f"VAE, bar by bar ({n})", rendered, None, settings)
        for n, rendered in zip(numbers, _render(composer, z, numbers, settings), strict=True)
    ]


def reconstruct(
    composer: Composer, seeds: Seed | Sequence[Seed], settings: Settings = DEFAULTS, first: int = 1
) -> list[ComposedSong]:
    """For each seed its bars as given, then what the decoder makes of the mean of q of each."""
    seeds = _listed(seeds)
    numbers = range(first, first + len(seeds))
    posteriors = _posteriors(composer, seeds)
    made = []
    rendered = _render(composer, [posteriors[id(seed)][0] for seed in seeds], numbers, settings)
    for n, seed, bars in zip(numbers, seeds, rendered, strict=True):
        given = np.ones(len(bars), bool)
        made.append(ComposedSong(f"{n:02d}-original", seed.title, seed.bars, given, seed.setting, {}))
        song = _song("reconstruction", n, f"{seed.title}, reconstructed", bars, seed, settings)
        song.notes["tokens as in the original"] = f"{np.mean(bars == seed.bars):.1%}"
        made.append(song)
    return made


def interpolate(
    composer: Composer, a: Seed, b: Seed, steps: int = 5, path: str = "both", settings: Settings = DEFAULTS
) -> list[ComposedSong]:
    """Songs from a to b, bar by bar between the means of q, in so many steps: the first is a, the last b, both decoded.

    As many bars as the shorter of the two; tempo, metre and key are those of a. Path is 'linear', 'spherical' or
    'both', one after the other.
    """
    if path not in PATHS:
        raise UserError(f"path is {path!r}; choose {', '.join(PATHS)}")
    if steps < 2:
        raise UserError(f"steps is {steps}; it must be 2 (the two songs) or more")
    posteriors = _posteriors(composer, [a, b])
    length = min(len(a.bars), len(b.bars))
    ends = [posteriors[id(seed)][0][:length] for seed in (a, b)]
    shares = np.linspace(0, 1, steps)
    ways = [("linear" if way is lerp else "spherical", way, float(s)) for way in PATHS[path] for s in shares]
    numbers = range(1, len(ways) + 1)
    z = [np.asarray(way(*ends, share), np.float32) for _, way, share in ways]
    made = []
    for n, (name, _, share), bars in zip(numbers, ways, _render(composer, z, numbers, settings), strict=True):
        title = f"{a.title} to {b.title}: {share:.0%}, {name}"
        song = _song("interpolate", n, title, bars, a, settings)
        song.notes.update({"path": name, "share of the second": round(share, 4)})
        made.append(song)
    return made


def infill(
    composer: Composer,
    seed: Seed,
    missing: str,
    songs: int = 4,
    settings: Settings = DEFAULTS,
    first: int = 1,
    say: Say = lambda line: None,
) -> list[ComposedSong]:
    """The seed with other bars in place of the missing ones, such as '5-8' or '3,9-12', counted from 1.

    Gaps are filled from left to right, each by `compose.infill`; the notes tell the effective sample size of each.
    """
    mdrnn = _mdrnn(composer, "infill")
    gaps = parse_missing(missing, len(seed.bars))
    given = np.ones(len(seed.bars), bool)
    for start, end in gaps:
        given[start:end] = False
    posterior = _posteriors(composer, [seed])[id(seed)]
    made = []
    numbers = range(first, first + _positive("songs", songs))
    keys = (song_keys(settings.seed, numbers, purpose) for purpose in (GIVEN, LATENTS))
    for n, key_given, key_gaps in zip(numbers, *keys, strict=True):
        z = _draw(posterior, key_given)
        effective = []
        for start, end in gaps:
            key = jax.random.fold_in(key_gaps, start)
            following = z[end:][: int(np.argmin(np.append(given[end:], False)))]  # up to the next gap
            filled = infill_latents(mdrnn.prior, mdrnn.params, z[:start], following, end - start, key, settings)
            z[start:end] = filled.z
            effective.append(round(filled.effective, 1))
        (bars,) = _render(composer, [z], [n], settings)
        bars = np.where(given[:, None], seed.bars, bars)
        song = _song("infill", n, f"{seed.title}, bars {missing} anew ({n})", bars, seed, settings)
        song.notes[f"effective sample size of {PARTICLES}"] = effective
        made.append(song._replace(given=given))
        say(f"{len(made)} of {songs} songs; effective sample size {effective} of {PARTICLES}")
    return made


def vary(
    composer: Composer,
    seeds: Seed | Sequence[Seed],
    spread: float = 1.0,
    songs: int = 8,
    settings: Settings = DEFAULTS,
    first: int = 1,
) -> list[ComposedSong]:
    """Songs near each seed: z = mu + spread * sigma * eps in every bar, mu and sigma of q; 1 is a draw from q."""
    if not 0 <= spread < float("inf"):
        raise UserError(f"spread is {spread}; it must be 0 (the reconstruction) or more, 1 is a draw from q")
    each = [seed for seed in _listed(seeds) for _ in range(_positive("songs", songs))]
    posteriors = _posteriors(composer, each)
    numbers = range(first, first + len(each))
    keys = song_keys(settings.seed, numbers, GIVEN)
    z = [_draw(posteriors[id(seed)], key, spread) for seed, key in zip(each, keys, strict=True)]
    made = []
    for n, seed, bars in zip(numbers, each, _render(composer, z, numbers, settings), strict=True):
        song = _song("vary", n, f"{seed.title}, variation {n}", bars, seed, settings)
        song.notes.update({"spread": spread, "bars as in the original": int(np.sum(np.all(bars == seed.bars, axis=1)))})
        made.append(song)
    return made


def parse_missing(text: str, bars: int) -> list[tuple[int, int]]:
    """'3,9-12' -> [(2, 3), (8, 12)], half-open from 0, sorted; UserError where that is not within 1 to `bars`."""
    gaps = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d+)(?:\s*-\s*(\d+))?\s*", part)
        if not found:
            raise UserError(f"missing={text!r} is no list of bars; write for example 5-8 or 3,9-12")
        start, end = int(found[1]), int(found[2] or found[1])
        if not 1 <= start <= end <= bars:
            raise UserError(f"missing={text!r}: the song has bars 1 to {bars}, and {part.strip()} is not within them")
        gaps.append((start - 1, end))
    gaps.sort()
    if any(a[1] >= b[0] for a, b in zip(gaps, gaps[1:], strict=False)):
        raise UserError(f"missing={text!r}: between two gaps a bar must stay; join them to one")
    return gaps


def _mdrnn(composer: Composer, mode: str) -> TrainedMDRNN:
    if composer.mdrnn is None:
        raise UserError(
            f"{mode} needs an MDRNN, and {composer.vae.folder} holds a VAE alone: let the command of configs/mcvae.py"
            " finish (the same again goes on), or train one with python -m mcvae_jax.main --config=configs/mdrnn.py"
            f" --config.vae_workdir={composer.vae.folder} and give its workdir"
        )
    return composer.mdrnn


def _posteriors(composer: Composer, seeds: Sequence[Seed]) -> dict[int, Latent]:
    """q of the bars of each seed, by its id; UserError where the model does not know a seed's pitches."""
    distinct = list({id(seed): seed for seed in seeds}.values())
    if not distinct:
        return {}
    check_pitches(distinct, composer.vae)
    both = encode_bars(composer.vae.vae, composer.vae.params, np.concatenate([seed.bars for seed in distinct]))
    ends = np.cumsum([len(seed.bars) for seed in distinct])[:-1]
    return {id(seed): pair for seed, *pair in zip(distinct, *(np.split(x, ends) for x in both), strict=True)}


def _draw(posterior: Latent, key: jax.Array, spread: float = 1.0) -> np.ndarray:
    mu, log_var = posterior
    return mu + np.float32(spread) * np.exp(log_var / 2) * np.asarray(normal(key, *mu.shape))


def _render(composer: Composer, z: list[np.ndarray], numbers: Sequence[int], settings: Settings) -> list[np.ndarray]:
    """The bars, uint8 (n, 16), of each song's z (n, Z); all bars of all songs decode at the same time."""
    keys = bar_keys(song_keys(settings.seed, numbers, TOKENS), [len(each) for each in z])
    bars = decode_bars(composer.vae.vae, composer.vae.params, np.concatenate(z), keys, settings)
    return np.split(bars, np.cumsum([len(each) for each in z])[:-1])


def _song(
    mode: str, n: int, title: str, composed: np.ndarray, seed: Seed | None, settings: Settings, before: bool = False
) -> ComposedSong:
    """A song of composed bars, the seed's own standing before them if wished."""
    own = seed.bars if before else composed[:0]
    given = np.arange(len(own) + len(composed)) < len(own)
    notes: dict[str, Any] = {"mode": mode, "song": n, "seed": settings.seed, "temperature": settings.temperature}
    setting = Setting() if seed is None else seed.setting
    return ComposedSong(f"{n:02d}-{mode}", title, np.concatenate([own, composed]), given, setting, notes)


def _listed(seeds: Seed | Sequence[Seed]) -> list[Seed]:
    return [seeds] if isinstance(seeds, Seed) else list(seeds)


def _positive(name: str, value: int) -> int:
    if value < 1:
        raise UserError(f"{name} is {value}; it must be 1 or more")
    return value


def _progress(say: Say, done: int, total: int) -> None:
    if total > GROUP:
        say(f"{done:,} of {total:,} songs")
