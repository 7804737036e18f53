"""The schedule, and that no note is left sounding whatever is sent, dropped or broken off."""

import threading
import time

import mido
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcvae_jax.listen.clock import Line
from mcvae_jax.listen.hearing import Note
from mcvae_jax.listen.loopback import Loopback
from mcvae_jax.listen.player import ANSWER, BEAT, THRU, Player, Schedule
from mcvae_jax.listen.ports import PortLost
from mcvae_jax.listen.voice import ALL_NOTES_OFF, Voice, as_messages
from tests.listen.messages import off, on, stuck


def note(start, end, pitch=60):
    return Note(start, end, end, pitch, 80)


def test_a_schedule_gives_what_is_due_and_notes_end_before_others_begin():
    schedule = Schedule()
    schedule.add(ANSWER, as_messages([note(4, 8), note(0, 4)], 0))
    schedule.add(BEAT, [(2.0, mido.Message("clock"))])
    assert schedule.next == 0
    assert [event.message.type for event in schedule.due(3)] == ["note_on", "clock"]
    assert [event.message.type for event in schedule.due(4)] == ["note_off", "note_on"]
    assert schedule.due(7.9) == [] and schedule.next == 8
    schedule.add(BEAT, [(9.0, mido.Message("clock"))])
    schedule.drop(ANSWER)
    assert schedule.next == 9
    schedule.drop()
    assert schedule.next is None


def test_a_pitch_that_sounds_is_ended_before_it_begins_again():
    port = Loopback()
    voice = Voice(port)
    voice.send(on(60), ANSWER)
    voice.send(on(60), THRU)
    voice.send(off(60), ANSWER)  # whose note was ended by the other's
    assert [message.type for message in port.messages] == ["note_on", "note_off", "note_on"]
    voice.send(off(60), THRU)
    assert not stuck(port.messages)


def test_to_hush_one_leaves_the_other():
    port = Loopback()
    voice = Voice(port)
    voice.send(on(60), ANSWER)
    voice.send(on(64), THRU)
    voice.hush(ANSWER)
    assert stuck(port.messages) == [(0, 64)]


def test_at_the_end_pedals_go_up_all_notes_are_off_and_nothing_follows():
    port = Loopback()
    voice = Voice(port)
    voice.send(on(60, channel=2), THRU)
    voice.send(mido.Message("control_change", channel=2, control=64, value=127), THRU)
    voice.close()
    ends = [(message.control, message.value) for message in port.messages if message.type == "control_change"]
    assert ends == [(64, 127), (64, 0), (ALL_NOTES_OFF, 0)]
    before = len(port.sent)
    voice.send(on(61), THRU)
    voice.close()
    assert len(port.sent) == before and not stuck(port.messages)


def test_a_port_that_has_gone_is_told_but_not_at_the_end():
    port = Loopback()
    voice = Voice(port)
    voice.send(on(60), ANSWER)
    port.is_lost = True
    with pytest.raises(PortLost):
        voice.send(on(61), ANSWER)
    voice.close()


def test_a_port_that_fails_at_one_message_gets_the_others():
    port = Loopback()
    voice = Voice(port)
    for pitch in (60, 61, 62):
        voice.send(on(pitch), ANSWER)
    kept = port.send

    def send(message):
        if getattr(message, "note", 0) == 61:
            raise OSError
        kept(message)

    port.send = send
    voice.close()
    assert stuck(port.messages) == [(0, 61)]


def test_a_sender_who_is_stuck_does_not_keep_the_end_waiting():
    """A driver may block for ever; the others' notes are ended all the same."""
    port, going = Loopback(), threading.Event()
    voice = Voice(port)
    voice.send(on(60), ANSWER)
    kept = port.send
    port.send = lambda message: going.wait(5) if message.type == "clock" else kept(message)
    thread = threading.Thread(target=voice.send, args=(mido.Message("clock"), BEAT))
    thread.start()
    voice.close()
    assert not stuck(port.messages)
    going.set()
    thread.join()


def test_what_was_sent_may_come_back_once_and_soon(monkeypatch):
    voice = Voice(Loopback())
    for velocity in range(1, 100):
        voice.send(on(60, 0, velocity), ANSWER)
    assert voice.is_echo(on(60, 0, 99)) and not voice.is_echo(on(60, 0, 99)) and not voice.is_echo(on(61))
    voice.send(mido.Message("clock"), BEAT)
    assert not voice.is_echo(mido.Message("clock"))  # another device's, as likely
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 0.06)
    assert not voice.is_echo(on(60, 0, 98))


actions = st.one_of(
    st.tuples(st.just("send"), st.sampled_from([THRU, ANSWER]), st.booleans(), st.integers(60, 63), st.integers(0, 1)),
    st.tuples(st.just("silent"), st.sampled_from([THRU, ANSWER]), st.just(True), st.integers(60, 63), st.just(0)),
    st.tuples(st.just("hush"), st.sampled_from([THRU, ANSWER])),
    st.tuples(st.just("close")),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(actions, max_size=30), st.integers(0, 30))
def test_every_note_on_has_its_note_off(acts, fails_at):
    """Whatever is sent, in any order, and where sending breaks down at any message."""
    port = Loopback()
    voice, kept = Voice(port), port.send

    def send(message):
        kept(message)  # as after a signal: it went out, and the sender does not know
        if len(port.sent) == fails_at:
            raise KeyboardInterrupt

    port.send = send
    try:
        for name, *given in acts:
            if name == "hush":
                voice.hush(*given)
            elif name == "close":
                voice.close()
            else:
                owner, is_on, pitch, channel = given
                velocity = 0 if name == "silent" else 80
                voice.send(on(pitch, channel, velocity) if is_on else off(pitch, channel), owner)
    except KeyboardInterrupt:
        pass
    try:
        voice.close()
    except KeyboardInterrupt:  # once more
        voice.close()
    assert not stuck(port.messages)


def started(line, notes=()):
    port, failed = Loopback(), []
    player = Player(Voice(port), failed.append)
    player.add(ANSWER, as_messages(notes, 0))
    player.follow(line)
    player.start()
    return player, port, failed


def test_notes_sound_at_their_times_and_a_tempo_that_changes_moves_them():
    start = time.monotonic() + 0.05
    player, port, _ = started(Line(start, 10.0), [note(0, 1), note(1, 2, 62)])
    time.sleep(0.08)
    player.follow(Line(start, 0.05))
    time.sleep(0.2)
    player.end()
    player.join()
    times = [when - start for when, message in port.sent]
    assert len(times) == 4 and not stuck(port.messages)
    assert times[0] >= 0 and times[-1] >= 0.1 and times == sorted(times)


def test_what_is_dropped_is_ended_and_what_follows_is_not_played():
    player, port, _ = started(Line(time.monotonic(), 0.01), [note(0, 1000), note(500, 600, 62)])
    time.sleep(0.1)
    player.drop(ANSWER)
    time.sleep(0.02)
    assert [message.type for message in port.messages] == ["note_on", "note_off"]
    player.end()
    player.join()


def test_after_a_long_sleep_of_the_machine_there_is_no_burst_of_notes():
    player, port, _ = started(Line(time.monotonic() - 5, 0.05), [note(n, n + 1) for n in range(95)])
    time.sleep(0.1)
    player.end()
    player.join()
    assert player.stale == 95 and not any(message.type == "note_on" for message in port.messages)


def test_a_lost_port_is_told():
    player, port, failed = started(None, [note(0, 1)])
    port.is_lost = True
    player.follow(Line(time.monotonic(), 0.01))
    player.join(5)
    assert not player.is_alive() and isinstance(failed[0], PortLost)
