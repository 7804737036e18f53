"""Source and settings -> a corpus folder."""

import contextlib
import dataclasses
import os
import time
from collections import Counter
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

from mcvae_jax.command import check_range
from mcvae_jax.corpus.clean import Cleaned, clean
from mcvae_jax.corpus.datasets import DATA_SETS
from mcvae_jax.corpus.few import warning
from mcvae_jax.corpus.metres import STATED
from mcvae_jax.corpus.read import Song, check_performances, read_songs
from mcvae_jax.corpus.report import make_report, write_report
from mcvae_jax.corpus.settings import MIN_PULSE, CorpusSettings
from mcvae_jax.corpus.sources import File, Skipped, list_files
from mcvae_jax.corpus.store import SIDE_NAMES, Corpus, DamagedCorpus, check_place, write_corpus
from mcvae_jax.errors import UserError
from mcvae_jax.music.grid import metre_text
from mcvae_jax.places import is_address
from mcvae_jax.storage.buckets import fetched, mounted
from mcvae_jax.storage.files import in_turn

Say = Callable[[str], None]
SECONDS_BETWEEN_LINES = 2.0
MOST_WORKERS = 1024
FREE_TEMPO = 0.25  # share of onsets far from the grid from which a song may be a performance in free tempo


def build_corpus(
    settings: CorpusSettings,
    folder: str | os.PathLike,
    workers: int | None = None,
    progress: Say | None = None,
    pictures: bool = True,
) -> Corpus:
    """Reads, cleans, splits, saves and reports.

    Args:
      workers: processes that read; None takes every core.
      progress: gets a line now and then; None is silence.
      pictures: whether report.png is drawn.
    Raises UserError where nothing can be read or written; what stood in `folder` is then untouched.
    """
    say = progress or (lambda _: None)
    if workers is not None:
        check_range("workers", workers, 1, MOST_WORKERS)
    if row := DATA_SETS.get(settings.source):
        check_performances(row, settings)
        row.fetch(say)
    with mounted(folder, say) as place:
        return _build(settings, place.resolve(), workers, say, pictures)


def _build(settings: CorpusSettings, folder: Path, workers: int | None, say: Say, pictures: bool) -> Corpus:
    check_place(folder)
    fingerprint = source_fingerprint(settings)
    songs, skipped = read_all(settings, workers, say)
    if free := free_tempo(songs):
        say(f"warning: {free}")
    if performed := without_pulse(songs):
        say(f"warning: {performed}")
    cleaned = clean(songs, settings)
    if not cleaned.songs:
        raise UserError(nothing_left(settings, [*skipped, *cleaned.dropped]))
    moved = cleaned.songs[cleaned.moved].name if cleaned.moved >= 0 else ""
    if line := warning(cleaned.sides, settings, moved):
        say(f"warning: {line}")
    row = DATA_SETS.get(settings.source)
    provenance = row.provenance() if row else {}
    report = make_report(songs, cleaned, skipped, settings, provenance)
    corpus = write_corpus(
        folder,
        settings,
        fingerprint,
        [song.bars for song in cleaned.songs],
        cleaned.sides,
        song_records(cleaned),
        [skip._asdict() for skip in [*skipped, *cleaned.dropped]],
        lambda place: _finish(report, place, pictures),
        provenance,
    )
    say(f"corpus of {len(corpus)} songs and {len(corpus.tokens)} bars: {folder}")
    return corpus


def _finish(report: dict, place: Path, pictures: bool) -> None:
    write_report(report, place)
    if pictures:  # matplotlib takes longer to import than a small corpus to build
        from mcvae_jax.corpus.pictures import draw

        draw(report, place / "report.png")


def ensure_corpus(
    settings: CorpusSettings,
    folder: str | os.PathLike,
    workers: int | None = None,
    progress: Say | None = None,
) -> Corpus:
    """Opens the corpus in `folder`; builds it where there is none, or where settings or source changed.

    A corpus whose source is not there is opened as it stands, so that it can travel alone.
    """
    say = progress or (lambda _: None)
    if is_address(folder):  # where a corpus that stands can be read without a lock, and without leave to write
        corpus, _ = _as_asked(settings, fetched(folder), say)
        if corpus:
            return corpus
    with mounted(folder, say, wait=True) as place, in_turn(place.resolve().parent / f".{place.name}.lock"):
        corpus, reason = _as_asked(settings, place, say)
        if reason:
            say(f"building the corpus {place} again: {reason}")
        return corpus or build_corpus(settings, place, workers, say)


def _as_asked(settings: CorpusSettings, folder: Path, say: Say) -> tuple[Corpus | None, str]:
    """The corpus of a folder; None where it does not serve `settings`, and why; '' where there is none."""
    if not (folder / "corpus.json").exists():
        return None, ""
    try:
        corpus = Corpus.open(folder)
        reason = what_changed(corpus, settings)
    except DamagedCorpus as error:
        reason = f"it is damaged ({error.reason})"
    except UserError as error:
        reason = str(error)
    if reason:
        return None, reason
    if line := warning(corpus.sides, settings):
        say(f"warning: {line}")
    return corpus, ""


def what_changed(corpus: Corpus, settings: CorpusSettings) -> str:
    """Why the corpus does not serve `settings`; '' where it does."""
    old, new = dataclasses.asdict(corpus.settings), dataclasses.asdict(settings)
    changes = [f"{name} was {old[name]!r}, is {new[name]!r}" for name in new if old[name] != new[name]]
    if not changes and source_fingerprint(settings) not in ("", corpus.fingerprint):
        what = "what is read as" if settings.source in DATA_SETS else "the files of"
        changes = [f"{what} {settings.source} changed"]
    return "; ".join(changes)


def source_fingerprint(settings: CorpusSettings) -> str:
    """A hash of the names, sizes and times of the files of the source; '' where it is absent, or our own tunes.

    For the tunes of music21, what decides how they are read; for a collection in the cache, its SHA-256.
    """
    source = settings.source
    if source in DATA_SETS:
        return DATA_SETS[source].state()
    source = os.fspath(fetched(source)) if is_address(source) else source
    if not os.path.exists(source):
        return ""
    files = list_files(source)[0] if os.path.isdir(source) else [File("", "", source)]
    digest = blake2b(digest_size=16)
    for file in files:
        if isinstance(file, File):
            with contextlib.suppress(OSError):  # gone since it was listed
                status = os.stat(file.path)
                digest.update(f"{file.name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def read_all(settings: CorpusSettings, workers: int | None, say: Say) -> tuple[list[Song], list[Skipped]]:
    """Everything that the source holds, with a line on the way every two seconds."""
    songs: list[Song] = []
    skipped: list[Skipped] = []
    start = last = time.monotonic()
    for item in read_songs(settings, workers):
        if isinstance(item, Song):
            songs.append(item)
        else:
            skipped.append(item)
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            last, done = now, len(songs) + len(skipped)
            say(f"read {done:,} files, {len(skipped):,} skipped, {done / (now - start):,.1f} a second")
    done, seconds = len(songs) + len(skipped), time.monotonic() - start
    say(f"read {done:,} files, {len(skipped):,} skipped, in {seconds:.1f} s")
    return songs, skipped


def free_tempo(songs: list[Song]) -> str:
    """The line about songs that keep to no tempo, as performances do that were recorded without a click; or ''."""
    free = [song for song in songs if song.stats.share_far > FREE_TEMPO]
    if not free:
        return ""
    onsets = sum(song.stats.onsets for song in songs)
    share = sum(song.stats.share_far * song.stats.onsets for song in songs) / onsets
    return (
        f"{share:.1%} of all onsets move by a quarter of a step or more to the grid; in {len(free):,} of {len(songs):,}"
        f" songs over {FREE_TEMPO:.0%} do ({free[0].name!r} for one), as where players keep no tempo;"
        f" max_moved={FREE_TEMPO} leaves these out"
    )


def without_pulse(songs: list[Song]) -> str:
    """The line about performances that were kept although they share no grid with their files; or ''."""
    found = [song for song in songs if song.pulse < MIN_PULSE]
    if not found:
        return ""
    far = sum(song.stats.share_far * song.stats.onsets for song in found) / sum(song.stats.onsets for song in found)
    return (
        f"{len(found):,} of {len(songs):,} songs are performances without a steady pulse ({found[0].name!r} for one):"
        f" {far:.0%} of their onsets move by a quarter of a step or more, as half would by chance, so that their bars"
        f" say little; min_pulse={MIN_PULSE} leaves them out"
    )


def nothing_left(settings: CorpusSettings, skipped: list[Skipped]) -> str:
    """The line of an empty corpus."""
    counts = Counter(skip.reason for skip in skipped).most_common()
    reasons = ", ".join(f"{reason}: {count:,}" for reason, count in counts)
    first = f"{skipped[0].name!r}: {skipped[0].reason}, {skipped[0].detail}"
    return f"no song of {settings.source} is left ({reasons}); the first of them is {first}"


def song_records(cleaned: Cleaned) -> list[dict]:
    """The lines of songs.jsonl; those of songs outside training also name the nearest training song.

    `metre` is that of a song which is not in 4/4; `remarks` say what of it was not taken as it is written.
    """
    records = []
    for i, song in enumerate(cleaned.songs):
        record = {
            "name": song.name,
            "title": song.title,
            "bars": len(song.bars),
            "side": SIDE_NAMES[cleaned.sides[i]],
            "content": cleaned.contents[i].hex(),
            "checksum": song.checksum.hex(),
        }
        if song.metre != STATED:
            record["metre"] = metre_text(song.metre)
        if song.remarks:
            record["remarks"] = list(song.remarks)
        if i == cleaned.moved:
            record["moved"] = "the hashes put all songs on one side"
        if cleaned.nearest[i] >= 0:
            record["similarity"] = round(float(cleaned.similarity[i]), 4)
            record["nearest"] = cleaned.songs[cleaned.nearest[i]].name
        records.append(record)
    return records
