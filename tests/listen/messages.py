"""Messages of notes, and whether what a port was sent leaves one sounding."""

import mido


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
