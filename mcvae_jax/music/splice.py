"""Composed bars in a musician's own file: what lies outside of them stays as it is, message by message.

- Where bars within the tune are composed anew, the notes of its melody give way to composed ones, and all other tracks
  play on.
- Where composed bars follow, what the file holds up to there stays. From there on the other tracks are silent. The
  composed notes have the melody's channel, with its instrument and its median velocity.
"""

from collections.abc import Sequence
from typing import NamedTuple

import mido
import numpy as np

from mcvae_jax.music.bars import bars_to_tokens
from mcvae_jax.music.grid import grid_of
from mcvae_jax.music.kept import Event, Kept, NoteOfFile, events_of, notes_of, parse
from mcvae_jax.music.midi import track_of
from mcvae_jax.music.tokens import tokens_to_notes

DEFAULT_TEMPO = 500_000  # microseconds a quarter, where a file states none
_MODULATION, _VOLUME, _EXPRESSION, _PEDALS = 1, 7, 11, (64, 66)  # controllers
_BENDS = ("pitchwheel", "aftertouch", "polytouch")
_BEFORE, _SAME, _AFTER = range(3)  # an event of the same tick stands before those of the file, among, after them

Ranked = tuple[int, int, mido.Message]  # tick, one of those, message


class Going(NamedTuple):
    """How composed bars go on after the tune."""

    quarters_per_minute: float
    metre: tuple[int, int]


class _Plan(NamedTuple):
    """Which part of the file is composed anew, in ticks, and where it is cut."""

    spans: list[tuple[int, int]]  # of composed bars within the tune
    cut: int | None  # where the file ends, and composed bars may follow; None for its own end
    half: int  # half a step: what starts so little before a bar line belongs behind it

    def is_composed(self, tick: int) -> bool:
        """Whether a note of the melody that starts there gives way to composed ones."""
        return any(a - self.half <= tick < b - self.half for a, b in self.spans)

    def is_over(self, tick: int) -> bool:
        """Whether a note that starts there comes after the cut."""
        return self.cut is not None and tick >= self.cut - self.half

    def latest_end(self, tick: int, melody: bool) -> int | None:
        """Where a note that starts there must end at the latest."""
        borders = [a for a, _ in self.spans if melody] + ([] if self.cut is None else [self.cut])
        return min((border for border in borders if border - self.half > tick), default=None)


class _Places(NamedTuple):
    """Steps of a song -> ticks of the file."""

    starts: np.ndarray
    steps: int  # of a bar
    ticks: float  # of a step

    def __call__(self, step: int) -> int:
        """The tick of a step; in a bar that is shorter in the file than in the song, its end at the latest."""
        last = len(self.starts) - 1
        bar = min(step // self.steps, last)
        tick = int(self.starts[bar]) + round((step - bar * self.steps) * self.ticks)
        return max(0, tick if bar == last else min(tick, int(self.starts[bar + 1])))


def splice(
    kept: Kept, bars: np.ndarray, given: np.ndarray, going: Going, markers: Sequence[tuple[int, str]] = ()
) -> mido.MidiFile:
    """The file with composed bars in it, and after it.

    Args:
      kept: its n bars are the first of the song, or all of them.
      bars: uint8 (N, T), N >= n.
      given: bool (N,): bars that stay as the file has them.
      markers: the index of a bar, and a text that is written where it begins.
    """
    file = parse(kept.data)
    chunks = list(events_of(file))
    step = file.ticks_per_beat / grid_of(bars.shape[1]).quarter
    place = _Places(kept.starts, bars.shape[1], step)
    plan = _plan(kept, given, step)
    composed, held = _composed(bars, given, place)
    made = [_kept_events(kept, number, events, plan, held) for number, events in enumerate(chunks)]
    home, channel = kept.voices[0]
    if kept.only is None:
        for span in plan.spans:
            made[home] = _unbent(made[home], channel, *span)
    made[home] += _notes(composed, channel, kept.velocity, made[home])
    if plan.cut is not None:
        for number, events in enumerate(chunks):
            made[number] += _at_rest(events, plan, channel if number == home else None)
        if len(bars) >= len(kept.starts):
            made[0] += _going_on(chunks, plan.cut, going, file.ticks_per_beat)
    for bar, text in markers:
        message = mido.MetaMessage("marker", text=text.encode("utf-8").decode("latin1"))
        made[0].append((place(bar * bars.shape[1]), _SAME, message))
    ordered = (sorted(events, key=lambda event: event[:2]) for events in made)
    file.tracks[:] = [track_of([(tick, message) for tick, _, message in events]) for events in ordered]
    return file


def _plan(kept: Kept, given: np.ndarray, step: float) -> _Plan:
    own = np.flatnonzero(np.diff(given[: len(kept.starts) - 1], prepend=True, append=True))
    spans = [(int(kept.starts[a]), int(kept.starts[b])) for a, b in own.reshape(-1, 2).tolist()]
    return _Plan(spans, int(kept.starts[-1]) if kept.ends else None, int(step / 2))


def _composed(
    bars: np.ndarray, given: np.ndarray, place: _Places
) -> tuple[list[NoteOfFile], dict[tuple[int, int], int]]:
    """The notes of composed bars; and those of given ones that sound on into them: (border, pitch) -> end in ticks."""
    composed, held = [], {}
    notes = (part.tolist() for part in tokens_to_notes(bars_to_tokens(bars)))
    for start, end, pitch in zip(*notes, strict=True):
        first, last = start // bars.shape[1], (end - 1) // bars.shape[1]
        if not given[first]:
            if place(start) < place(end):
                composed.append(NoteOfFile(place(start), place(end), pitch, 0, 0, 0))
        elif not given[first : last + 1].all():
            border = first + int(np.argmin(given[first : last + 1]))
            held[place(border * bars.shape[1]), pitch] = place(end)
    return composed, held


def _kept_events(
    kept: Kept, chunk: int, events: list[Event], plan: _Plan, held: dict[tuple[int, int], int]
) -> list[Ranked]:
    """What stays of a chunk; notes that sound into composed bars or over the cut end there."""
    dropped: set[int] = set()
    paired: set[int] = set()
    ends: dict[int, int] = {}
    for channel, notes in notes_of(events).items():
        for note in notes:
            paired.update((note.on, note.off))
            melody = kept.is_melody((chunk, channel), note)
            if plan.is_over(note.start) or (melody and plan.is_composed(note.start)):
                dropped.update((note.on, note.off))
            elif (latest := plan.latest_end(note.start, melody)) is not None:
                if melody and (latest, note.pitch) in held:
                    ends[note.off] = held[latest, note.pitch]
                elif note.end > latest:
                    ends[note.off] = latest
    over = [at for at, (tick, _) in enumerate(events) if at not in paired and plan.cut is not None and tick >= plan.cut]
    dropped.update(over)
    return [
        (ends.get(at, tick), _BEFORE if at in ends else _SAME, message)
        for at, (tick, message) in enumerate(events)
        if at not in dropped
    ]


def _notes(notes: list[NoteOfFile], channel: int, velocity: int, among: list[Ranked]) -> list[Ranked]:
    """The messages of composed notes; each ends before the same pitch begins among what is there."""
    begins: dict[int, list[int]] = {}
    for tick, _, message in among:
        if message.type == "note_on" and message.velocity and message.channel == channel:
            begins.setdefault(message.note, []).append(tick)
    made: list[Ranked] = []
    for note in notes:
        end = min([note.end, *(tick for tick in begins.get(note.pitch, ()) if tick > note.start)])
        about = {"channel": channel, "note": note.pitch}
        made.append((note.start, _AFTER, mido.Message("note_on", velocity=velocity, **about)))
        made.append((end, _BEFORE, mido.Message("note_off", **about)))
    return made


def _unbent(events: list[Ranked], channel: int, start: int, end: int) -> list[Ranked]:
    """The events without bends of a channel from start to end; what is in force at the end comes back there."""
    kept, bend, before = [], 0, 0
    for event in events:
        tick, _, message = event
        is_bend = message.type in _BENDS and message.channel == channel
        if is_bend and message.type == "pitchwheel":
            bend = message.pitch if tick < end else bend
            before = message.pitch if tick < start else before
        if not (is_bend and start <= tick < end):
            kept.append(event)
    if before:
        kept.append((start, _SAME, mido.Message("pitchwheel", channel=channel, pitch=0)))
    if before or bend:
        kept.append((end, _BEFORE, mido.Message("pitchwheel", channel=channel, pitch=bend)))
    return kept


def _at_rest(events: list[Event], plan: _Plan, home: int | None) -> list[Ranked]:
    """What ends the sound of a chunk at the cut: notes that nothing ends, pedals; and, of the channel that goes on,
    bends, and a volume that was turned down for the end."""
    cut = plan.cut or 0
    notes = [note for each in notes_of(events).values() for note in each]
    paired = {place for note in notes for place in (note.on, note.off)}
    state: dict[tuple[str, int, int], int] = {}
    volumes: dict[int, list[int]] = {_VOLUME: [], _EXPRESSION: []}
    made: list[Ranked] = []
    for at, (tick, message) in enumerate(events):
        if tick >= cut or message.is_meta:
            continue
        if message.type == "control_change":
            state["control", message.channel, message.control] = message.value
        elif message.type == "pitchwheel":
            state["bend", message.channel, 0] = message.pitch
        elif message.type == "note_on" and message.velocity:
            if at not in paired:
                made.append((cut, _BEFORE, mido.Message("note_off", channel=message.channel, note=message.note)))
            for control, found in volumes.items() if message.channel == home else ():
                found.append(state.get(("control", message.channel, control), 127))
    for (kind, channel, control), value in state.items():
        wanted = 0 if control in (*_PEDALS, *((_MODULATION,) if channel == home else ())) else value
        if kind == "control" and channel == home and control in volumes and volumes[control]:
            wanted = max(value, int(np.median(volumes[control])))
        if kind == "bend" and channel == home and value:
            made.append((cut, _SAME, mido.Message("pitchwheel", channel=channel, pitch=0)))
        elif kind == "control" and wanted != value:
            about = {"channel": channel, "control": control}
            made.append((cut, _SAME, mido.Message("control_change", value=wanted, **about)))
    return made


def _going_on(chunks: list[list[Event]], cut: int, going: Going, per_quarter: int) -> list[Ranked]:
    """The tempo and metre of the bars after the cut, where others are in force, or no bar line stands there."""
    metas = sorted((e for events in chunks for e in events if e[1].is_meta and e[0] < cut), key=lambda event: event[0])
    made: list[Ranked] = []
    tempos = [message.tempo for _, message in metas if message.type == "set_tempo"]
    tempo = round(60e6 / going.quarters_per_minute)
    if tempo != (tempos or [DEFAULT_TEMPO])[-1]:
        made.append((cut, _SAME, mido.MetaMessage("set_tempo", tempo=tempo)))
    signatures = [(t, m.numerator, m.denominator) for t, m in metas if m.type == "time_signature"]
    tick, *metre = (signatures or [(0, 4, 4)])[-1]
    if tuple(metre) != going.metre or (cut - tick) * metre[1] % (4 * per_quarter * metre[0]):
        numerator, denominator = going.metre
        signature = mido.MetaMessage("time_signature", numerator=numerator, denominator=denominator)
        made.append((cut, _SAME, signature))
    return made


def expected_notes(kept: Kept, bars: np.ndarray, given: np.ndarray) -> list[tuple[int, int]]:
    """Tick and pitch of every note that `splice` writes, sorted: those of the file that stay, and the composed ones."""
    file = parse(kept.data)
    step = file.ticks_per_beat / grid_of(bars.shape[1]).quarter
    plan = _plan(kept, given, step)
    found = [(note.start, note.pitch) for note in _composed(bars, given, _Places(kept.starts, bars.shape[1], step))[0]]
    for chunk, events in enumerate(events_of(file)):
        for channel, notes in notes_of(events).items():
            found += [
                (note.start, note.pitch)
                for note in notes
                if not plan.is_over(note.start)
                and not (kept.is_melody((chunk, channel), note) and plan.is_composed(note.start))
            ]
    return sorted(found)
