"""An out port on which no note is left sounding, and the messages of notes."""

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator, Sequence

import mido

from mcvae_jax.listen.hearing import SUSTAIN, Note
from mcvae_jax.listen.ports import OutPort

ALL_NOTES_OFF = 123  # the controller
ECHO = 0.05  # seconds in which what was sent may come back, where the out port leads to the in port
_MOST_RECENT = 4096  # messages that may come back
_PATIENCE = 0.5  # seconds that ending all notes waits for who is sending


class Voice:
    """An out port that knows what sounds on it; any thread may send.

    Each note_on is followed by its note_off before the next one of its pitch and channel, whatever is sent here.
    """

    def __init__(self, port: OutPort) -> None:
        self.port = port
        self._sounding: dict[tuple[int, int], str] = {}  # channel and pitch -> owner
        self._pedals: set[int] = set()  # channels with the pedal down
        self._channels: set[int] = set()  # on which notes were sent
        self._is_closed = False
        self._recent: dict[tuple[int, ...], float] = {}  # what was sent -> when
        self._lock = threading.RLock()

    def send(self, message: mido.Message, owner: str) -> None:
        """Sends it at once; a note_on after `close` is not sent. Raises PortLost."""
        with self._lock:
            if self._is_closed:
                return
            key = (message.channel, message.note) if message.type in ("note_on", "note_off") else None
            if key and message.type == "note_on" and message.velocity:
                if key in self._sounding:
                    self._remember(_off(*key))
                    self.port.send(_off(*key))
                self._channels.add(message.channel)
                self._sounding[key] = owner  # before it is sent: if this is broken off, the note is ended all the same
            elif key and self._sounding.get(key, owner) != owner:
                return  # the key has been struck again since, by another
            self._remember(message)
            self.port.send(message)
            if key and (message.type == "note_off" or not message.velocity):
                self._sounding.pop(key, None)
            if message.is_cc(SUSTAIN):
                (self._pedals.add if message.value else self._pedals.discard)(message.channel)

    def is_echo(self, message: mido.Message) -> bool:
        """Whether a message that came in is one that went out within ECHO; each that went out comes back once."""
        if not hasattr(message, "channel"):  # pulses of a clock are all alike
            return False
        sent = self._recent.pop(tuple(message.bytes()), None)
        return sent is not None and time.monotonic() - sent < ECHO

    def _remember(self, message: mido.Message) -> None:
        if len(self._recent) > _MOST_RECENT:
            self._recent.clear()
        self._recent[tuple(message.bytes())] = time.monotonic()

    def hush(self, owner: str) -> None:
        """Ends the notes of an owner. Raises PortLost."""
        with self._lock:
            for key in [key for key, whose in self._sounding.items() if whose == owner]:
                self.send(_off(*key), owner)

    def close(self, last: Sequence[mido.Message] = ()) -> None:
        """Ends every note, lets pedals up, and after the `last` messages sends nothing any more.

        It is tried as far as it goes where the port has gone, or another thread is stuck in it.
        """
        with self._held():
            if self._is_closed and not self._sounding:
                return
            self._is_closed = True
            ends = [_off(*key) for key in list(self._sounding)]
            ends += [_control(channel, SUSTAIN) for channel in list(self._pedals)]
            ends += [_control(channel, ALL_NOTES_OFF) for channel in list(self._channels)]
            for message in [*ends, *last]:
                with contextlib.suppress(Exception):
                    self.port.send(message)
            self._sounding.clear()

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        """The lock, or none where its holder does not let go: at the end all that can be sent is."""
        has = self._lock.acquire(timeout=_PATIENCE)
        try:
            yield
        finally:
            if has:
                self._lock.release()


def as_messages(notes: Iterable[Note], channel: int) -> list[tuple[float, mido.Message]]:
    """What plays notes on a channel, from 0, with the positions."""
    messages = []
    for note in notes:
        on = mido.Message("note_on", channel=channel, note=note.pitch, velocity=note.velocity)
        messages += [(note.start, on), (note.end, _off(channel, note.pitch))]
    return messages


def _off(channel: int, pitch: int) -> mido.Message:
    return mido.Message("note_off", channel=channel, note=pitch, velocity=0)


def _control(channel: int, control: int) -> mido.Message:
    return mido.Message("control_change", channel=channel, control=control, value=0)
