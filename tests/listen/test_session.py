"""A whole evening over ports in memory, in real time with short bars, and processes that are killed."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time

import mido
import numpy as np
import pytest
from mido.sockets import PortServer

from mcvae_jax.errors import UserError
from mcvae_jax.listen.loopback import Loopback
from mcvae_jax.listen.manner import IN, OUT, Manner
from mcvae_jax.listen.ports import PortLost
from mcvae_jax.listen.session import Session
from mcvae_jax.listen.turns import State
from mcvae_jax.listen.voice import ALL_NOTES_OFF
from mcvae_jax.music.tokens import NO_EVENT
from tests.listen.messages import off, on, stuck

pytestmark = pytest.mark.more

BAR = 0.6  # seconds: 400 quarters a minute


class Ended(Exception):
    """The test has seen enough."""


class Evening:
    """A session in a thread of its own, with a musician."""

    def __init__(self, compose=None, **manner):
        self.port, self.said = Loopback(), []
        manner = Manner(16, 4, 4, 16, **{"bars": 1, "tempo": 400, **manner})
        self.session = Session(self.port, ("Loop", "Loop"), manner, compose or quarters, self.said.append)
        self.ended = None
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            self.session.run()
        except Exception as error:
            self.ended = error

    def __enter__(self):
        self.thread.start()
        assert self.port.is_open.wait(5)
        return self

    def __exit__(self, *_):
        self.session.fail(Ended())
        self.thread.join(5)
        assert not self.thread.is_alive()
        assert not stuck(self.port.messages)

    def play(self, *pitches, each=BAR / 4):
        for pitch in pitches:
            self.port.play(on(pitch))
            time.sleep(each * 0.9)
            self.port.play(off(pitch))
            time.sleep(each * 0.1)

    def onsets(self, channel=0):
        return [(when, m.note) for when, m in self.port.sent if m.type == "note_on" and m.channel == channel]


def quarters(bars, wanted, number):
    """As many bars of one pitch, 80 and more, as it was asked about."""
    made = np.full((wanted, 16), NO_EVENT, np.uint8)
    made[:, ::4] = 80 + len(bars)
    return made


def test_a_call_is_answered_in_time_and_again():
    heard = []

    def compose(bars, wanted, number):
        heard.append(bars)
        return quarters(bars, wanted, number)

    with Evening(compose) as evening:
        began = time.monotonic()
        evening.play(60, 62, 64)
        time.sleep(began + 2 * BAR - time.monotonic() + 0.1)
        assert [pitch for _, pitch in evening.onsets()] == [81] * 4
        assert evening.onsets()[0][0] - began == pytest.approx(BAR, abs=0.25)
        evening.play(65)
        time.sleep(2 * BAR)
    assert [pitch for _, pitch in evening.onsets()][4:] == [83] * 4
    assert {len(bars) for bars in heard} == {1, 3}
    assert isinstance(evening.ended, Ended) and evening.said == ["Answer 1.", "Answer 2."]


@pytest.mark.slow  # some seconds, most of them asleep
def test_an_answer_that_is_late_says_so_and_begins_at_the_next_bar():
    def slow(bars, wanted, number):
        time.sleep(1.3 * BAR)
        return quarters(bars, wanted, number)

    with Evening(slow) as evening:
        began = time.monotonic()
        evening.play(60)
        time.sleep(2.5 * BAR)
    assert evening.onsets()[0][0] - began == pytest.approx(2 * BAR, abs=0.25)
    assert evening.said == ["Answer 1, late by 1 bar."]


@pytest.mark.slow  # some seconds, most of them asleep
def test_who_plays_in_the_middle_of_an_answer_is_given_the_floor():
    with Evening(bars=2) as evening:
        evening.play(60)
        time.sleep(2.6 * BAR)
        evening.port.play(on(50))
        time.sleep(0.1)
        count = len(evening.onsets())
        assert not stuck(evening.port.messages) and 0 < count < 8
        time.sleep(0.1)
        assert len(evening.onsets()) == count and evening.session.turns.state is State.CALL
    assert any("the answer stops" in line for line in evening.said)


@pytest.mark.slow  # some seconds, most of them asleep
def test_a_port_that_leads_back_is_not_listened_to():
    """As a bus of a DAW that is both in and out does: else thru would go round for ever."""
    with Evening(thru=True, click=10, clock=OUT) as evening:
        kept = evening.port.send

        def send(message):
            kept(message)
            evening.port.play(message)

        evening.port.send = send
        evening.play(60, 60, 62)
        time.sleep(1.5)
        assert [pitch for _, pitch in evening.onsets() if pitch < 80] == [60, 60, 62]
        assert {note.pitch for note in evening.session.hearing.notes} == {60, 62}
        assert sum("comes back" in line for line in evening.said) == 1
        assert "Answer 1." in evening.said and not any("stops" in line for line in evening.said)


def test_what_goes_through_and_what_the_metronome_plays():
    with Evening(thru=True, click=10, channel=3, program=25) as evening:
        evening.play(60, 61)
        time.sleep(1.2)
        assert [pitch for _, pitch in evening.onsets(0)] == [60, 61]
        assert {81} <= {pitch for _, pitch in evening.onsets(2)}
        clicks = [pitch for _, pitch in evening.onsets(9)]
        assert clicks[:5] == [76, 77, 77, 77, 76]
        changes = [m for m in evening.port.messages if m.type == "program_change"]
        assert [(m.channel, m.program) for m in changes] == [(2, 24)]


@pytest.mark.slow  # some seconds, most of them asleep
def test_after_a_long_sleep_of_the_machine_clicks_and_clock_go_on_without_a_burst():
    with Evening(clock=OUT, click=10) as evening:
        time.sleep(0.7)
        evening.session.line = evening.session.line._replace(origin=evening.session.line.origin - 3600)
        evening.session.player.follow(evening.session.line)
        count = len(evening.port.sent)
        time.sleep(0.6)
        assert 20 < len(evening.port.sent) - count < 300


def test_a_clock_is_sent_with_start_at_the_first_bar_line():
    with Evening(clock=OUT, click=10) as evening:
        time.sleep(0.5 + 2 * BAR)
    kinds = [m.type for m in evening.port.messages if m.type in ("start", "clock", "note_on")]
    assert kinds[0] == "start" and kinds.index("clock") < 3
    pulses = [when for when, m in evening.port.sent if m.type == "clock"]
    assert np.median(np.diff(pulses)) == pytest.approx(60 / 400 / 24, rel=0.3)
    times = {kind: [when for when, m in evening.port.sent if m.type == kind] for kind in ("start", "clock")}
    assert times["clock"][0] - times["start"][0] < 0.02
    assert [m.type for m in evening.port.messages][-1] == "stop"


@pytest.mark.slow  # some seconds, most of them asleep
def test_the_clock_of_another_device_is_followed_and_stops_all():
    with Evening(clock=IN) as evening:
        pulse = 60 / 300 / 24
        evening.port.play(on(60))
        evening.port.play(mido.Message("start"))
        began = time.monotonic()
        for n in range(24 * 6):
            time.sleep(max(0, began + n * pulse - time.monotonic()))
            evening.port.play(mido.Message("clock"))
            if n == 10:
                evening.port.play(on(60), off(60))
        assert evening.onsets()[0][0] - began == pytest.approx(0.8, abs=0.15)
        evening.port.play(mido.Message("stop"))
        time.sleep(0.1)
        count = len(evening.port.sent)
        assert not stuck(evening.port.messages)
        time.sleep(0.3)
        assert len(evening.port.sent) == count
    assert evening.session.tempo == pytest.approx(300, rel=0.1)
    assert evening.said[0].startswith("The clock runs") and "The clock stands still." in evening.said


def test_a_model_that_refuses_is_told_and_one_that_fails_ends_it():
    def refuses(bars, wanted, number):
        if len(evening.said):
            raise ValueError("a fault")
        raise UserError("too low")

    with Evening(refuses) as evening:
        evening.play(60)
        time.sleep(BAR)
        assert evening.said == ["No answer to this: too low"]
        evening.play(60)
        evening.thread.join(3)
        assert isinstance(evening.ended, ValueError)


@pytest.mark.parametrize("how", ["sending", "looking"])
def test_a_port_that_goes_ends_it_in_one_line(how):
    with Evening(bars=2, click=10 if how == "sending" else 0) as evening:
        time.sleep(0.6)
        evening.port.is_lost = True
        evening.session._looks_at = 0.0
        evening.port.play(on(60))
        evening.thread.join(3)
        assert isinstance(evening.ended, PortLost) and "plug it in again" in str(evening.ended)
        evening.port.sent.clear()


@pytest.mark.slow  # some seconds, most of them asleep
def test_a_port_that_is_stuck_does_not_keep_the_end_waiting():
    """What the process does before it ends at once (stopping.undone), from whichever thread."""
    going = threading.Event()
    with Evening(bars=2, click=10, thru=True) as evening:
        evening.port.play(on(60))
        kept = evening.port.send
        evening.port.send = lambda message: going.wait(10) if message == on(77, 9, 80) else kept(message)
        time.sleep(1.2)
        began = time.monotonic()
        evening.session.close()
        assert time.monotonic() - began < 2 and not stuck(evening.port.messages)
        going.set()


@contextlib.contextmanager
def process(*options, real=False):
    """`mcvae listen` with its ports here, by mido's sockets: the process and the port to it."""
    with PortServer("127.0.0.1", _free()) as server:
        address = "{}:{}".format(*server._socket.getsockname())
        environment = {**os.environ, "MIDO_BACKEND": "tests.listen.socket_backend", "SOCKET_MIDI": address}
        module = "mcvae_jax.listen" if real else "tests.listen.live_process"
        command = [sys.executable, "-m", module, "--in=Socket", "--out=sock", *options]
        started = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            for line in started.stdout:
                if line.startswith("I listen"):
                    break
            yield started, server.accept()
        finally:
            started.kill()
            started.communicate()


def _free():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


def received(port, seconds):
    """What comes within so many seconds, or until the other end closes."""
    found, until = [], time.monotonic() + seconds
    while time.monotonic() < until and not port.closed:
        found += port.iter_pending()
        time.sleep(0.002)
    return found


def killed(number, after, *options, real=False):
    """Of a process that plays and is sent a signal: its messages, status and last words."""
    with process(*options, real=real) as (running, port):
        for pitch in (72, 60, 64):
            port.send(on(pitch))
        messages = received(port, after)
        running.send_signal(number)
        messages += received(port, 5)
        _, words = running.communicate(timeout=10)
        return messages, running.returncode, words


ALL = ["--bars=1", "--tempo=400", "--thru", "--metronome=10", "--clock=out"]


def test_a_process_that_is_stopped_leaves_no_note_and_keeps_the_record(tmp_path):
    path = tmp_path / "evening.mid"
    messages, status, words = killed(signal.SIGTERM, 1.6, *ALL, f"--record={path}")
    assert status == 143 and words == "Stopped. No note sounds any more.\n"
    assert not stuck(messages) and {60, 64, 72} < {m.note for m in messages if m.type == "note_on"}
    assert [m.control for m in messages if m.type == "control_change"] == [ALL_NOTES_OFF] * 2
    names = [track.name for track in mido.MidiFile(path).tracks]
    assert names == ["Call and response", "You", "Answer"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_a_process_that_is_stopped_at_any_moment_leaves_no_note(seed):
    draw = random.Random(seed)
    number = draw.choice([signal.SIGINT, signal.SIGTERM])
    messages, status, _ = killed(number, draw.uniform(0.2, 2.5), *ALL)
    assert status == 128 + number and not stuck(messages) and any(m.type == "note_on" for m in messages)


@pytest.mark.slow  # some seconds, most of them asleep
def test_two_signals_at_once_leave_no_note_either():
    with process(*ALL) as (running, port):
        port.send(on(60))
        messages = received(port, 1.0)
        running.send_signal(signal.SIGINT)
        running.send_signal(signal.SIGTERM)
        messages += received(port, 5)
        assert not stuck(messages)


def test_a_musician_who_pulls_the_plug_ends_it_in_one_line():
    with process(*ALL) as (running, port):
        port.send(on(60))
        received(port, 0.5)
        port._socket.shutdown(2)
        _, words = running.communicate(timeout=10)
        assert running.returncode == 2 and "has gone" in words and len(words.splitlines()) == 1


@pytest.mark.slow
def test_the_carried_weights_answer_another_process_at_the_bar_line(tmp_path):
    """In real time through mido's sockets, as a musician would have it through a cable."""
    step, path = 60 / 150 / 4, tmp_path / "evening.mid"
    with process("--tempo=150", "--bars=2", f"--record={path}", real=True) as (running, port):
        began = time.monotonic()
        for n in range(8):
            time.sleep(max(0, began + 4 * n * step - time.monotonic()))
            port.send(on(60 + n))
            time.sleep(3 * step)
            port.send(off(60 + n))
        found = []
        while time.monotonic() < began + 64 * step:
            found += [((time.monotonic() - began) / step, m) for m in port.iter_pending()]
            time.sleep(0.001)
        onsets = [position for position, m in found if m.type == "note_on"]
        assert onsets and min(onsets) > 31.9
        assert all(abs(each - round(each)) * step < 0.05 for each in onsets)
        running.send_signal(signal.SIGINT)
        messages = [m for _, m in found] + received(port, 5)
        out, words = running.communicate(timeout=10)
    assert not stuck(messages) and words == "\nStopped. No note sounds any more.\n"
    assert "Answer 1." in out.splitlines() and len(mido.MidiFile(path).tracks) == 3
