"""The settings that decide what a corpus holds; a corpus records them, and is rebuilt when they change."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class CorpusSettings:
    """Everything that changes the bytes of a corpus."""

    source: str  # 'builtin', 'tunes', or the path of a folder, .zip, .tar.gz or single file
    melody: str = "auto"  # 'auto', 'skyline', 'name:REGEX', 'index:N', 'channel:N'
    bars: str = "metre"  # 'metre' or 'fixed16' (the thesis)
    metre: str = ""  # '' takes the metre that the file states; '4/4' says it for every file
    min_pitch: int = 0  # notes outside min_pitch..max_pitch are dropped and counted (thesis 7.2: 21 to 108)
    max_pitch: int = 127
    max_bars: int = 339  # songs over this are dropped (thesis 7.1.1: 3 x 113); 0 is no limit
    dedupe: str = "tune"  # 'tune' (any key), 'file' (checksum) or 'none'
    held_out: float = 0.1  # share of the songs that is held out
    split: str = "content"  # 'content' (hash of the transposition-invariant tune), or 'name' (leaks; comparison only)
    split_seed: int = 0
    max_similarity: float = 0.5  # held-out songs more similar than this to a training song are not scored; 1 keeps all
