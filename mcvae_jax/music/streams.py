"""music21's streams -> Piece. music21 is slow and waits for the first file; its caches stay as they are."""

from mcvae_jax.music.measures import Measure, Note, Part, Piece
from mcvae_jax.music.notation import key_name, to_ticks
from mcvae_jax.music.score import Reason, Skip


def stream_to_piece(score) -> Piece:
    """A music21 score with measures. The first part says where barlines, repeats, keys and tempos are."""
    if any(part.atSoundingPitch is False for part in score.parts):
        score.toSoundingPitch(inPlace=True)
    staves = [(part, list(part.getElementsByClass("Measure"))) for part in score.parts]
    staves = [(part, bars) for part, bars in staves if bars]
    if not staves:
        raise Skip(Reason.NO_NOTES)
    lead_part, lead = staves[0]
    lengths = [max(to_ticks(bars[i].highestTime) for _, bars in staves if i < len(bars)) for i in range(len(lead))]
    parts = [_staff_to_part(part, bars, len(lead)) for part, bars in staves]
    keys = [
        (i, key_name(bar.keySignature.sharps, getattr(bar.keySignature, "mode", None)))
        for i, bar in enumerate(lead)
        if bar.keySignature is not None
    ]
    tempos: list[tuple[int, float]] = []
    for i, bar in enumerate(lead):
        for mark in bar.getElementsByClass("MetronomeMark"):
            tempos += stated_tempo(i, mark)
    title = (score.metadata and score.metadata.bestTitle) or ""
    return Piece(_stream_measures(lead_part, lead, lengths), parts, keys, tempos, title)


def _stream_measures(part, bars: list, lengths: list[int]) -> list[Measure]:
    """The measures of a music21 part: metre, repeat signs and endings."""
    numbers = {id(bar): i for i, bar in enumerate(bars)}
    endings: dict[int, frozenset[int]] = {}
    for bracket in part.recurse().getElementsByClass("RepeatBracket"):
        within = [numbers[id(bar)] for bar in bracket.getSpannedElements() if id(bar) in numbers]
        if within:
            endings |= dict.fromkeys(range(min(within), max(within) + 1), frozenset(bracket.numberRange))
    measures: list[Measure] = []
    metre, closed = None, True
    for i, bar in enumerate(bars):
        if bar.timeSignature is not None:
            metre = (bar.timeSignature.numerator, bar.timeSignature.denominator)
        left, right = bar.leftBarline, bar.rightBarline
        starts = getattr(left, "direction", "") == "start"
        times = (right.times or 2) if getattr(right, "direction", "") == "end" else 0
        begins = closed or starts or getattr(left, "type", "") in ("double", "final", "heavy-light")
        measures.append(Measure(lengths[i], metre, begins, starts, times, endings.get(i, frozenset())))
        closed = bool(times) or getattr(right, "type", "") in ("double", "final")
    return measures


def _staff_to_part(part, bars: list, count: int) -> Part:
    """The notes of the first `count` measures. Chord symbols are no notes; drums have no pitches."""
    measures: list[list[Note]] = [[] for _ in range(count)]
    unpitched = False
    for bar, notes in zip(bars, measures, strict=False):
        for element in bar.recurse().notes:
            if "ChordSymbol" in element.classes or element.duration.isGrace:
                continue
            unpitched = unpitched or "Unpitched" in element.classes
            onset, duration = to_ticks(element.getOffsetInHierarchy(bar)), to_ticks(element.quarterLength)
            for note in element.notes if element.isChord else [element]:
                if hasattr(note, "pitch"):
                    tied = note.tie is not None and note.tie.type in ("start", "continue")
                    notes.append(Note(onset, duration, note.pitch.midi, tied))
        notes.sort()
    return Part(part.partName or "", unpitched and not any(measures), measures)


def stated_tempo(index: int, mark) -> list[tuple[int, float]]:
    """A measure index and the quarter notes per minute of a tempo mark of music21; [] if it states none."""
    speed = mark and mark.getQuarterBPM()
    return [(index, float(speed))] if speed else []
