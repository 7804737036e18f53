"""The command: its options, ports by name, mistakes in one line, the record; and a trained model that answers."""

import functools
import importlib
import sys
import time

import mido
import numpy as np
import pytest

from mcvae_jax.errors import UserError
from mcvae_jax.listen import __main__ as listen
from mcvae_jax.listen import ports as ports_module
from mcvae_jax.listen.beats import bar_events, beat_of
from mcvae_jax.listen.hearing import Note
from mcvae_jax.listen.loopback import Loopback
from mcvae_jax.listen.manner import OUT, Manner
from mcvae_jax.listen.ports import MidoPorts, find_port
from mcvae_jax.listen.record import check_place, write_record
from mcvae_jax.models.joint.composer import JointComposer, init
from mcvae_jax.models.joint.settings import make_joint
from mcvae_jax.studio.engine import Engine
from tests.listen.messages import off, on
from tests.random_params import random_params
from tests.small_models import JOINT_MODEL
from tests.studio.fake import FakeModel, compiled, fake_engine

PORTS = ["Keystation 49 MK3:Keystation 49 MK3 MIDI 1 20:0", "Synth input port (1234:0) 128:0", "Midi Through 14:0"]


def run(monkeypatch, *options, engine=None):
    """The command over ports of these names, until its session would begin; what it would begin with."""
    fake = Loopback()
    fake.names = lambda: (PORTS, PORTS)
    monkeypatch.setattr(listen, "MidoPorts", lambda: fake)
    monkeypatch.setattr(listen, "open_engine", lambda places, checkpoint: engine or Engine({16: FakeModel(16)}))
    begun = []
    monkeypatch.setattr(listen.Session, "run", lambda session: begun.append(session))
    listen.main(list(options))
    return begun[0] if begun else None


def test_a_port_is_found_by_a_part_of_its_name():
    assert find_port("keystation", PORTS, "--in") == PORTS[0]
    assert find_port(PORTS[2], PORTS, "--in") == PORTS[2]
    assert find_port("A", ["A", "AB"], "--in") == "A"


@pytest.mark.parametrize(
    ("asked", "names", "words"),
    [
        ("", PORTS, "say with --in=PORT where to play; the ports are 'Keystation 49"),
        ("piano", PORTS, "--in=piano: no port of that name; the ports are 'Keystation 49"),
        ("mi", PORTS, "--in=mi: several ports of that name; such are 'Keystation 49"),
        ("piano", [], "the ports are none; is the instrument plugged in?"),
        ("a\x1b[2Jb", ["\x1b[2J"], r"\x1b"),
    ],
)
def test_a_port_that_is_not_there_is_told_with_those_that_are(asked, names, words):
    with pytest.raises(UserError) as caught:
        find_port(asked, names, "--in")
    assert words in str(caught.value) and str(caught.value).isprintable()


def test_ports_are_listed(monkeypatch, capsys):
    assert run(monkeypatch, "--ports") is None
    assert capsys.readouterr().out.splitlines() == ["--in:", *(f"  {name}" for name in PORTS)] + [
        "--out:",
        *(f"  {name}" for name in PORTS),
    ]


def test_options_reach_the_session(monkeypatch, capsys):
    options = "--in=key --out=synth --bars=2 --tempo=96 --clock=out --metronome=10 --channel=3 --instrument=74"
    session = run(monkeypatch, *options.split(), "--from_channel=2", "--play_along", "--thru", "--metre=2/2")
    manner = session.manner
    assert manner[:4] == (16, 4, 8, 16)  # steps, quarter, beat, memory
    assert manner[4:] == (2, 96, OUT, 2, 3, 74, 10, True, False)
    assert manner.heard == {1} and session.names == (PORTS[0], PORTS[1])
    out = capsys.readouterr().out.splitlines()
    assert out[-1].startswith("I listen on Keystation") and "2 bars of 2/2: play to the clicks" in out[-1]


@pytest.mark.parametrize(("metre", "steps"), [("", "pretrained"), ("6/8", "pretrained-12"), ("2/2", "pretrained")])
def test_the_weights_of_the_metre_play(monkeypatch, metre, steps):
    asked = []

    def open_engine(places, checkpoint):
        asked.extend(places)
        return Engine({12 if "12" in places[0] else 16: FakeModel(12 if "12" in places[0] else 16)})

    fake = Loopback()
    monkeypatch.setattr(listen, "MidoPorts", lambda: fake)
    monkeypatch.setattr(listen, "open_engine", open_engine)
    monkeypatch.setattr(listen.Session, "run", lambda session: None)
    listen.main(["--in=Loop", "--out=Loop", f"--metre={metre}"])
    assert asked == [steps]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--metre=5/4"], "come with this program play 4/4, 2/2, 3/4, 6/8"),
        (["--metre=waltz"], "is no metre"),
        (["--workdir=W", "--metre=3/4"], "the bars of this model are of 4/4 or 2/2"),
        (["--clock=it"], "--clock=it is unknown"),
        (["--record=x.wav"], "let the name end in .mid"),
        (["--record=nowhere/x.mid"], "there is no folder nowhere"),
        (["--record=gs://b/x.mid"], "address"),
        (["--tempo=4"], "tempo is 4; it must be from 20 to 400"),
        (["--plainness=101"], "plainness is 101; it must be from 0 to 100"),
        (["--channel=17"], "it must be from 1 to 16"),
    ],
)
def test_mistakes_are_one_line(monkeypatch, options, words):
    with pytest.raises(UserError) as caught:
        run(monkeypatch, "--in=key", "--out=synth", *options)
    assert words in str(caught.value) and str(caught.value).isprintable()


def test_a_model_that_cannot_go_on_is_refused(monkeypatch):
    model = FakeModel(16)
    model.abilities = frozenset()
    with pytest.raises(UserError, match="cannot go on from what is played"):
        run(monkeypatch, "--in=key", "--out=synth", "--workdir=W", engine=Engine({16: model}))


def test_without_rtmidi_the_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "rtmidi", None)
    monkeypatch.delitem(sys.modules, "mido.backends.rtmidi", raising=False)
    monkeypatch.delenv("MIDO_BACKEND", raising=False)
    with pytest.raises(UserError, match=r"pip install 'mcvae_jax\[live\]'"):
        MidoPorts()


def test_a_system_without_ports_is_one_line(monkeypatch, capfd):
    class Broken:
        def get_input_names(self):
            import os

            os.write(2, b"the library's own complaint")
            raise RuntimeError("no sequencer")

    monkeypatch.setattr(ports_module.mido, "Backend", lambda load: Broken())
    with pytest.raises(UserError, match=r"no MIDI ports \(no sequencer\)"):
        MidoPorts()
    assert capfd.readouterr().err == ""


def test_rtmidi_itself_can_be_asked():
    """Where it is installed: it lists the ports, or the line says that this system has none."""
    pytest.importorskip("rtmidi")
    importlib.import_module("mido.backends.rtmidi")
    try:
        sources, outs = MidoPorts().names()
    except UserError as error:
        assert "gives access to no MIDI ports" in str(error)
    else:
        assert isinstance(sources, list) and isinstance(outs, list)


def test_virtual_ports_of_rtmidi():
    """A message through a port that another program would see; skipped where the system has no sequencer."""
    rtmidi = pytest.importorskip("rtmidi")
    try:
        source = rtmidi.MidiOut()
        source.open_virtual_port("mcvae test")
    except Exception as error:  # rtmidi's own
        pytest.skip(f"this system has no virtual MIDI ports: {error}")
    ports, heard = MidoPorts(), []
    name = find_port("mcvae test", ports.names()[0], "--in")
    port = ports.open_in(name, lambda when, message: heard.append(message))
    source.send_message(on(60).bytes())
    time.sleep(0.2)
    port.close()
    source.close_port()
    assert heard == [on(60)]


def test_beats_and_what_a_bar_holds():
    assert [beat_of(metre, 4) for metre in ((4, 4), (3, 4), (6, 8), (2, 2), (12, 8), (3, 8))] == [4, 4, 6, 8, 6, 2]
    manner = Manner(12, 4, 6, 16, click=10, clock=OUT)
    events = bar_events(24, manner)
    clicks = [(position, m.note) for position, m in events if m.type == "note_on"]
    assert clicks == [(24, 76), (30, 77)]
    pulses = [position for position, m in events if m.type == "clock"]
    assert len(pulses) == 72 and pulses[0] == 24 and np.allclose(np.diff(pulses), 1 / 6)


def test_the_record_has_what_both_played_as_they_played_it(tmp_path):
    path = check_place(str(tmp_path / "a.mid"))
    played = [Note(32.5, 35.75, 36, 60, 33), Note(38, 40, 40, 62, 99)]
    assert write_record(path, played, [Note(48, 52, 52, 70, 81)], 4, 96.0, (4, 4)) == 3
    file = mido.MidiFile(path)
    assert [track.name for track in file.tracks] == ["Call and response", "You", "Answer"]
    found, now = [], 0
    for message in file.tracks[1]:
        now += message.time
        if message.type == "note_on":
            found.append((now, message.note, message.velocity))
    assert found == [(60, 60, 33), (720, 62, 99)]  # bar 3 is the first; 480 ticks are four steps
    assert sum(message.type == "note_off" for message in file.tracks[1]) == 2
    tempo = next(message.tempo for message in file.tracks[0] if message.type == "set_tempo")
    assert tempo == 625_000
    with pytest.raises(UserError, match="there is such a file"):
        check_place(str(path))


def test_a_pickup_before_the_first_bar_line_is_in_the_record(tmp_path):
    path = tmp_path / "a.mid"
    write_record(path, [Note(-2, 0, 0, 60, 80)], [], 4, 120.0, (4, 4))
    first = next(message for message in mido.MidiFile(path).tracks[1] if message.type == "note_on")
    assert first.time == 14 * 120


def test_nothing_played_is_no_file(tmp_path):
    assert write_record(tmp_path / "a.mid", [], [], 4, 120.0, (4, 4)) == 0 and not (tmp_path / "a.mid").exists()


def test_what_is_asked_of_the_engine(monkeypatch):
    engine = fake_engine()
    flags = listen.parse(["--plainness=100", "--repetition=0"])
    bars = np.full((3, 16), 60, np.uint8)
    made = listen.composer(engine, flags, 16)(bars, 2, 7)
    assert made.shape == (2, 16) and made.dtype == np.uint8
    _, lengths, wanted, settings = engine.models[16].asked[0]
    assert (lengths, wanted, settings.temperature) == ([3], 2, 0)


@pytest.mark.slow
def test_a_trained_model_answers_in_time_and_compiles_nothing_then(monkeypatch, tmp_path, capsys):
    """A tiny joint MCVAE, through ports in memory, with the record of it: the command from end to end."""
    network = make_joint(JOINT_MODEL, 16)
    model = JointComposer(network, random_params(functools.partial(init, network), seed=3))
    port, told = Loopback(), compiled()
    monkeypatch.setattr(listen, "MidoPorts", lambda: port)
    monkeypatch.setattr(listen, "open_engine", lambda places, checkpoint: Engine({16: model}))
    kept = listen.Session.run

    def play_and_end(session):
        import threading

        def musician():
            port.is_open.wait()
            for n in range(4):
                port.play(on(60 + n))
                time.sleep(0.1)
                port.play(off(60 + n))
            time.sleep(2.0)
            session.fail(KeyboardInterrupt())

        warm = len(told)
        threading.Thread(target=musician, daemon=True).start()
        try:
            kept(session)
        finally:
            assert len(told) == warm

    monkeypatch.setattr(listen.Session, "run", play_and_end)
    path = tmp_path / "evening.mid"
    with pytest.raises(KeyboardInterrupt):
        listen.main(["--in=Loop", "--out=Loop", "--bars=1", "--tempo=240", f"--record={path}"])
    out = capsys.readouterr().out
    assert "Answer 1" in out and "Half of what I sent went out within" in out and "notes" in out.splitlines()[-1]
    assert mido.MidiFile(path).tracks[1].name == "You"
