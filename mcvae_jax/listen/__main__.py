"""Answers what you play on a MIDI instrument, in time: you play some bars, it plays as many, and again.

It needs python-rtmidi: pip install 'mcvae_jax[live]'. --ports lists the ports. Without --workdir the weights play that
come with this program, for bars of 4/4, 2/2, 3/4 or 6/8. Your call begins with the bar in which you begin to play. With
a metronome or the clock of another device the bars are given; else your first note is a downbeat. Ctrl-C ends it. It
writes nothing but the file of --record.

examples:
  python -m mcvae_jax.listen --ports
  python -m mcvae_jax.listen --in=Keystation --out=FluidSynth --tempo=96 --metronome=10
  python -m mcvae_jax.listen --in=Piano --out=Piano --metre=6/8 --bars=2 --record=evening.mid
  python -m mcvae_jax.listen --in=Loop --out=Loop --clock=in
"""

import argparse
import gc
import sys

import numpy as np

from mcvae_jax import stopping
from mcvae_jax.command import Parser, add_whole, hint, run_command, say
from mcvae_jax.errors import UserError
from mcvae_jax.listen.beats import beat_of
from mcvae_jax.listen.manner import IN, OUT, OWN, Manner
from mcvae_jax.listen.ports import MidoPorts, Ports, find_port
from mcvae_jax.listen.record import check_place, write_record
from mcvae_jax.listen.session import Compose, Session
from mcvae_jax.music.grid import grid_of, metre_text
from mcvae_jax.music.metre import parse_metre
from mcvae_jax.places import CARRIED, WEIGHTS
from mcvae_jax.storage.compiled import keep_compiled
from mcvae_jax.studio.engine import CONTEXT, CONTINUE, Engine, abilities, open_engine, usual_metres
from mcvae_jax.studio.messages import MOST_ASKED, Continue, Sliders

CLOCKS = (OWN, IN, OUT)
GO_ON = "No note sounds any more."  # is said at the end
SWITCH = 0.0005  # seconds that a thread keeps Python for itself; its own 5 ms would be heard


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of the command line; UserError where they cannot be followed."""
    parser = Parser("python -m mcvae_jax.listen", description=__doc__)
    add = parser.add_argument
    add("--ports", action="store_true", help="lists the ports and ends")
    add("--in", dest="source", default="", metavar="PORT", help="on which you play: its name, or a part of it")
    add("--out", default="", metavar="PORT", help="on which the answer sounds")
    ours = " or ".join(CARRIED)
    text = f"of a trained model, FILE{WEIGHTS} or {ours} (default: of these the one of the metre)"
    add("--workdir", default="", metavar="DIR", help=text)
    add("--checkpoint", default="best", metavar="WHICH", help="best, newest or a step (default: best)")
    time = parser.add_argument_group("time")
    add_whole(time, "tempo", 20, 400, 110, "quarters a minute")
    time.add_argument("--metre", default="", help="as 3/4 (default: 4/4, or the commonest of your model's bars)")
    add_whole(time, "bars", 1, MOST_ASKED, 4, "of a call, and of its answer")
    text = "own; in: it follows the MIDI clock of the port on which you play; out: it sends its own (default: own)"
    time.add_argument("--clock", default=OWN, help=text)
    add_whole(time, "metronome", 0, 16, 0, "the channel of clicks, 10 on most instruments; 0 is none")
    sound = parser.add_argument_group("sound")
    add_whole(sound, "channel", 1, 16, 1, "of the answer")
    add_whole(sound, "instrument", 0, 128, 0, "of General MIDI, for the answer; 0 leaves what the synthesizer plays")
    add_whole(sound, "from_channel", 0, 16, 0, "that is heard; 0 is all but 10, the drums'")
    sound.add_argument("--thru", action="store_true", help="what you play goes to the out port, too")
    answer = parser.add_argument_group("the answer")
    add_whole(answer, "plainness", 0, 100, 50, "100 is what one would expect, 0 adventurous")
    add_whole(answer, "repetition", 0, 100, 50, "100 likes to bring bars again, 0 makes new ones")
    answer.add_argument("--play_along", action="store_true", help="an answer is not broken off when you play in it")
    answer.add_argument("--record", default="", metavar="FILE.mid", help="keeps what both play, a track for each")
    flags = parser.parse_args(argv)
    if flags.clock not in CLOCKS:
        raise UserError(f"--clock={flags.clock} is unknown; {hint(flags.clock, CLOCKS)}")
    return flags


def main(argv: list[str]) -> None:
    """Plays until it is stopped."""
    flags = parse(argv)
    ports: Ports = MidoPorts()
    sources, outs = ports.names()
    if flags.ports:
        say(_listed("in", sources) + "\n" + _listed("out", outs))
        return
    names = find_port(flags.source, sources, "--in"), find_port(flags.out, outs, "--out")
    place = check_place(flags.record) if flags.record else None
    session, metre = open_session(flags, ports, names)
    manner = session.manner
    with stopping.undone(session.close):
        try:
            say(_invitation(manner, names, metre))
            session.run()
        finally:
            session.close()
            if line := session.punctuality():
                say(line)
            if place:
                played = session.hearing.notes, session.turns.answers
                count = write_record(place, *played, manner.quarter, session.tempo, metre)
                say(f"{place}: {count:,} notes" if count else f"{place} is not written: nothing was played")


def open_session(flags: argparse.Namespace, ports: Ports, names: tuple[str, str]) -> tuple[Session, tuple[int, int]]:
    """A session whose model is warm, and the metre; the out port is open."""
    engine, metre = _engine(flags)
    manner = _manner(flags, metre, *engine.models)
    for line in engine.warm([CONTINUE]):
        say(f"{line} ...")
    be_punctual()
    return Session(ports, names, manner, composer(engine, flags, manner.steps), say), metre


def be_punctual() -> None:
    """Python's threads give way to each other sooner, and its garbage collector looks at nothing that is there by now.

    Else a look through all objects of the libraries stops every thread for 0.1 to 0.24 s (docs/live.md).
    """
    sys.setswitchinterval(SWITCH)
    gc.collect()
    gc.freeze()


def _engine(flags: argparse.Namespace) -> tuple[Engine, tuple[int, int]]:
    """The model that plays, and the metre."""
    metre = parse_metre(flags.metre) if flags.metre else None
    places = [flags.workdir] if flags.workdir else list(CARRIED)
    if not flags.workdir:
        asked = metre or (4, 4)
        places = [place for place, steps in CARRIED.items() if grid_of(steps).steps_of(*asked) == steps]
        if not places:
            there = ", ".join(each for steps in CARRIED.values() for each in usual_metres(steps))
            raise UserError(f"--metre={metre_text(asked)}: the weights that come with this program play {there};"
                            " give a model of yours as --workdir")  # fmt: skip
    engine = open_engine(places, flags.checkpoint)
    ((steps, model),) = engine.models.items()
    if CONTINUE not in abilities(model):
        raise UserError(f"the {model.name} cannot go on from what is played; take a model that can")
    usual = usual_metres(steps)
    metre = metre or parse_metre(usual[0])
    if grid_of(steps).steps_of(*metre) != steps:
        raise UserError(f"--metre={metre_text(metre)}: the bars of this model are of {' or '.join(usual)}")
    return engine, metre


def _manner(flags: argparse.Namespace, metre: tuple[int, int], steps: int) -> Manner:
    quarter = grid_of(steps).quarter
    return Manner(
        steps=steps,
        quarter=quarter,
        beat=beat_of(metre, quarter),
        memory=CONTEXT,
        bars=flags.bars,
        tempo=flags.tempo,
        clock=flags.clock,
        listens=flags.from_channel,
        channel=flags.channel,
        program=flags.instrument,
        click=flags.metronome,
        thru=flags.thru,
        breaks_off=not flags.play_along,
    )


def composer(engine: Engine, flags: argparse.Namespace, steps: int) -> Compose:
    """Bars that follow others, of the engine."""
    sliders = Sliders(plainness=flags.plainness / 100, repetition=flags.repetition / 100)

    def compose(bars: np.ndarray, wanted: int, number: int) -> np.ndarray:
        ask = Continue(
            steps=steps, bars=bars.tolist(), wanted=wanted, ending=True, take=number, sliders=sliders
        )  # fmt: skip
        return np.array(engine.answer(ask)["bars"], np.uint8)

    return compose


def _invitation(manner: Manner, names: tuple[str, str], metre: tuple[int, int]) -> str:
    bars = f"{manner.bars} bar{'s' * (manner.bars > 1)} of {metre_text(metre)}"
    if manner.clock == IN:
        when = "start the clock of your device, and play"
    elif manner.click:
        when = "play to the clicks"
    else:
        when = "play; your first note is a downbeat"
    return f"I listen on {names[0]} and answer on {names[1]}, {bars}: {when}. Ctrl-C ends it."


def _listed(way: str, names: list[str]) -> str:
    return "\n".join([f"--{way}:", *(f"  {name}" for name in names or ["(none)"])])


def as_command() -> None:
    """What the command line runs."""
    keep_compiled()
    run_command(main, go_on=GO_ON)


if __name__ == "__main__":
    as_command()
