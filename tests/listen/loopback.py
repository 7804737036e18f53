"""Ports in memory, and what a port has been sent, judged."""

import time

import mido

from mcvae_jax.listen.ports import PortLost


class Loopback:
    """A pair of ports, of which the test holds the other ends: `play` and `sent`."""

    def __init__(self, name="Loop"):
        self.name, self.sent, self.hear = name, [], None
        self.is_lost = False

    def names(self):
        there = [] if self.is_lost else [self.name]
        return there, there

    def open_in(self, name, hear):
        self.hear = hear
        return self

    def open_out(self, name):
        return self

    def close(self):
        self.hear = self.hear and (lambda when, message: None)

    def send(self, message):
        if self.is_lost:
            raise PortLost(f"the port {self.name} has gone")
        self.sent.append((time.monotonic(), message))

    def play(self, *messages):
        for message in messages:
            self.hear(time.monotonic(), message)

    @property
    def messages(self):
        return [message for _, message in self.sent]


def on(pitch, channel=0, velocity=80):
    return mido.Message("note_on", note=pitch, channel=channel, velocity=velocity)


def off(pitch, channel=0):
    return mido.Message("note_off", note=pitch, channel=channel)


def stuck(messages):
    """Channel and pitch of what sounds at the end, or was begun anew while it sounded."""
    sounding, twice = set(), []
    for message in messages:
        if message.type not in ("note_on", "note_off"):
            continue
        key = message.channel, message.note
        if message.type == "note_on" and message.velocity:
            twice += [key] * (key in sounding)
            sounding.add(key)
        else:
            sounding.discard(key)
    return [*sorted(sounding), *twice]
