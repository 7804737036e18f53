"""The table of data sets that a corpus can be made of by name, beside files and folders.

Those that are downloaded could not be reached from where this table was made. docs/collections.md says on what each of
their facts stands.
"""

import functools
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mcvae_jax.corpus import downloads, sources
from mcvae_jax.corpus.downloads import Record, Remote
from mcvae_jax.corpus.transfer import Say, megabytes
from mcvae_jax.music.score import Score, Skip
from mcvae_jax.places import cache_folder


class DataSet(NamedTuple):
    """A row; functions are written 'module:function'. It has either `scores` or `remote`."""

    name: str  # config.corpus.source
    description: str  # what it holds
    licence: str
    scores: str = ""  # () -> names and scores, sorted by name or in the order of the collection
    fingerprint: str = ""  # () -> a text that changes when the scores may be others; '' where they never change
    remote: Remote | None = None
    members: str = "mcvae_jax.corpus.archives:members"  # path of the remote file -> its Members
    only: str = ""  # a regular expression: members of other names are no part of it; '' takes all
    citation: str = ""
    note: str = ""  # what its user should know before
    is_performed: bool = False  # without beats: its notes stand in seconds

    def read(self) -> Iterator[tuple[str, Score | Skip]]:
        """The names of the pieces of a row with `scores`, and their scores or why there are none; UserError where it
        cannot be had."""
        return _load(self.scores)()

    def files(self, say: Say) -> Iterator[sources.File | sources.Skipped]:
        """The files of a row with `remote`, which is downloaded where it is not in the cache."""
        self.fetch(say)
        members = _load(self.members)
        return sources.members_of(str(self.place), functools.partial(members, only=self.only) if self.only else members)

    def fetch(self, say: Say) -> Record | None:
        """Downloads it where it is not in the cache; None where there is nothing to be downloaded."""
        if self.remote is None:
            return None
        size = megabytes(self.remote.size) if self.remote.size else "what is there"
        intro = f"{self.name}: downloading {size} from {self.remote.address}\n{self.terms}"
        return downloads.fetch(self.name, self.remote, self.place.parent, say, intro)

    @property
    def place(self) -> Path:
        """Where the file of a row with `remote` lies, or will lie."""
        return cache_folder() / "collections" / self.name / (self.remote.file if self.remote else "")

    @property
    def terms(self) -> str:
        """Licence, citation and note, a line each."""
        lines = {"licence": self.licence, "cite": self.citation, "note": self.note}
        return "\n".join(f"  {name}: {text}" for name, text in lines.items() if text)

    def state(self) -> str:
        """Changes when it may give other scores than before; '' where it never does, or is not known."""
        if self.remote:
            record = self.record()
            return record["sha256"] if record else ""
        return _load(self.fingerprint)() if self.fingerprint else ""

    def record(self) -> Record | None:
        """Where the file in the cache came from; None where there is none."""
        return downloads.known(self.remote, self.place.parent) if self.remote else None

    def provenance(self) -> dict[str, str]:
        """What a corpus made of it records: name, licence, citation, and of a download address, hash and day."""
        facts = {"name": self.name, "licence": self.licence, "citation": self.citation}
        record = self.record()
        facts |= {name: str(value) for name, value in record.items()} if record else {}
        return {name: text for name, text in facts.items() if text}


def _load(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


_BUILTIN = "mcvae_jax.corpus.builtin"
_MAGENTA = "https://storage.googleapis.com/magentadata/datasets/maestro/v3.0.0"
_LAKH = "http://hog.ee.columbia.edu/craffel/lmd"
_RAFFEL = (
    "Colin Raffel, Learning-Based Methods for Comparing Sequences, with Applications to Audio-to-MIDI Alignment and"
    " Matching, PhD thesis, Columbia University, 2016; https://colinraffel.com/projects/lmd/"
)
_NO_CHECK = "no checksum of it is published, so what comes is not checked"
DATA_SETS = {
    row.name: row
    for row in (
        DataSet(
            "builtin",
            "3,068 fiddle tunes of Ryan's Mammoth Collection and O'Neill's Music of Ireland, which music21 carries",
            "tunes in the public domain; see corpus/builtin.py for what music21 says of the transcriptions",
            f"{_BUILTIN}:fiddle_tunes",
            f"{_BUILTIN}:fingerprint",
        ),
        DataSet(
            "tunes",
            "our own 23 melodies",
            "public domain, written out under this project's licence",
            f"{_BUILTIN}:own_tunes",
        ),
        DataSet(
            "essen",
            "about 8,000 European and Chinese folk songs in ABC, from the Essen Associative Code",
            "not stated by its maintainer",
            remote=Remote(
                "https://ifdo.ca/~seymour/runabc/esac/esac.zip",
                1_700_981,
                "7957cf8f7a036dac9d807330548816967a13a4f598247e2a0f38aeccf04c7553",
            ),
            citation="Helmut Schaffrath, The Essen folk song database; ABC by Seymour Shlien,"
            " https://ifdo.ca/~seymour/runabc/esac/esacdatabase.html",
        ),
        DataSet(
            "essen-kern",
            "some 6,255 folk songs of the Essen collection in Humdrum **kern",
            "CCARH's: personal use for academic research, no redistribution; read license.txt in the archive",
            remote=Remote(
                "https://github.com/ccarh/essen-folksong-collection/archive/bc6aff985c0d826abd710638f6588fa814606c18.zip",
                0,
            ),
            citation="Helmut Schaffrath, The Essen Folksong Collection in Kern Format, D. Huron (ed.), Menlo Park, CA:"
            " Center for Computer Assisted Research in the Humanities, 1995",
            note=_NO_CHECK,
        ),
        DataSet(
            "lakh-clean",
            "the clean subset of the Lakh MIDI dataset, about 17,000 files of pop music named by artist and title",
            "CC BY 4.0 for the collection; the songs are mostly under copyright",
            remote=Remote(f"{_LAKH}/clean_midi.tar.gz", 234_000_000),
            citation=_RAFFEL,
            note=_NO_CHECK,
        ),
        DataSet(
            "lakh-full",
            "the whole Lakh MIDI dataset: 176,581 files, some of them damaged",
            "CC BY 4.0 for the collection; the songs are mostly under copyright",
            remote=Remote(
                f"{_LAKH}/lmd_full.tar.gz",
                1_768_163_879,
                "6fcfe2ac49ca08f3f214cec86ab138d4fc4dabcd7f27f491a838dae6db45a12b",
            ),
            citation=_RAFFEL,
        ),
        DataSet(
            "lakh-matched",
            "the 45,129 files of the Lakh MIDI dataset that were matched to the Million Song Dataset",
            "CC BY 4.0 for the collection; the songs are mostly under copyright",
            remote=Remote(
                f"{_LAKH}/lmd_matched.tar.gz",
                1_407_072_670,
                "621ff830aed771f469e5bfa13dc12a33c6ed69090adeda63d0b5c47783af0191",
            ),
            citation=_RAFFEL,
        ),
        DataSet(
            "maestro",
            "MAESTRO 3.0.0: 1,276 piano performances in MIDI (thesis 8.2.6)",
            "CC BY-NC-SA 4.0",
            remote=Remote(
                f"{_MAGENTA}/maestro-v3.0.0-midi.zip",
                58_416_533,
                "70470ee253295c8d2c71e6d9d4a815189e35c89624b76d22fce5a019d5dde12c",
            ),
            citation="Curtis Hawthorne et al., Enabling Factorized Piano Music Modeling and Generation with the MAESTRO"
            " Dataset, ICLR 2019; https://openreview.net/forum?id=r1lYRjC9F7",
            is_performed=True,
        ),
        DataSet(
            "nottingham",
            "about 1,200 British and American folk tunes in ABC, as Seymour Shlien corrected them",
            "not stated by its maintainer",
            remote=Remote(
                "http://ifdo.ca/~seymour/nottingham/nottingham_database.zip",
                142_934,
                "f79a4bffe78b16d630d4d69f9c62775a7aa246d0973c4d8714ab6c5139ff5a3b",
            ),
            citation="Eric Foxley, Nottingham Music Database; ABC by James Allwright and Seymour Shlien,"
            " https://ifdo.ca/~seymour/nottingham/nottingham.html",
        ),
        DataSet(
            "nottingham-midi",
            "the 1,034 melodies of the Nottingham database that Jukedeck cleaned, in MIDI",
            "GPL 3",
            remote=Remote("https://github.com/jukedeck/nottingham-dataset/archive/refs/heads/master.zip", 0),
            only=r"(^|/)MIDI/melody/[^/]+\.mid$",
            citation="Eric Foxley, Nottingham Music Database; cleaned by Jukedeck,"
            " https://github.com/jukedeck/nottingham-dataset",
            note=_NO_CHECK,
        ),
        DataSet(
            "pop909",
            "909 Chinese pop songs in MIDI, with a track MELODY; other versions of the songs in it are not taken",
            "MIT",
            remote=Remote("https://github.com/music-x-lab/POP909-Dataset/archive/refs/heads/master.zip", 0),
            only=r"(^|/)POP909/\d+/\d+\.mid$",
            citation="Ziyu Wang et al., POP909: A Pop-song Dataset for Music Arrangement Generation, ISMIR 2020;"
            " https://arxiv.org/abs/2008.07142",
            note=_NO_CHECK,
        ),
        DataSet(
            "thesession",
            "over 50,000 settings of Irish and other tunes in ABC, which the members of thesession.org wrote down",
            "Open Database License 1.0 with an addition that forbids use with large language models; read LICENSE.md"
            " of the repository",
            remote=Remote("https://raw.githubusercontent.com/adactio/TheSession-data/main/csv/tunes.csv", 18_000_000),
            members="mcvae_jax.corpus.thesession:settings",
            citation="Contains information from The Session (https://thesession.org), which is made available under the"
            " Open Database License (ODbL); https://github.com/adactio/TheSession-data",
            note="it changes every week, and no checksum is published; what is in the cache stays as it is",
        ),
    )
}
