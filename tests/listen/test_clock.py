"""Times -> positions, at a steady tempo and by MIDI clock, by simulated time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcvae_jax.listen.clock import LOST, Follower, steady

STEPS, QUARTER = 16, 4


def pulses(tempo, count, start=10.0, jitter=0.0, seed=0):
    noise = np.random.default_rng(seed).normal(0, jitter, count) if jitter else np.zeros(count)
    return start + 60 / tempo / 24 * np.arange(count) + noise


def following(times, tempo=120.0):
    follower = Follower(STEPS, QUARTER, tempo)
    follower.hear("start", times[0] - 0.001)
    for time in times:
        follower.hear("clock", time)
    return follower


def test_a_steady_line():
    line = steady(120, QUARTER, 5.0)
    assert line.position(5.0) == 0 and line.position(7.0) == 16 and line.time(8) == 6.0
    assert line.tempo(QUARTER) == 120


def test_the_first_pulse_after_start_is_the_bar_line_and_a_tempo_is_heard():
    times = pulses(90, 60)
    line = following(times).line
    assert line.tempo(QUARTER) == pytest.approx(90)
    assert line.position(times[0]) == pytest.approx(0, abs=1e-6)
    assert line.position(times[48]) == pytest.approx(2 * QUARTER)


def test_one_pulse_gives_a_line_at_the_tempo_that_was_said():
    line = following(pulses(90, 1), tempo=90).line
    assert line.position(10.0) == 0 and line.tempo(QUARTER) == pytest.approx(90)


@pytest.mark.parametrize("tempo", [40, 120, 240])
def test_jitter_of_the_pulses_is_evened_out(tempo):
    """Two milliseconds of a pulse make less than one of a position, and hardly anything of the tempo."""
    off, tempi = [], []
    for seed in range(40):
        times = pulses(tempo, 100, jitter=0.002, seed=seed)
        line = following(times).line
        off.append(line.time(99 * QUARTER / 24) - pulses(tempo, 100)[99])
        tempi.append(line.tempo(QUARTER))
    assert np.std(off) < 0.001
    assert np.std(tempi) < 0.012 * tempo


def test_another_tempo_is_followed_within_an_eighth():
    """A straight line through a whole quarter of pulses would need that long, and be astray by a step meanwhile."""
    first = pulses(120, 49)
    second = first[-1] + 60 / 80 / 24 * np.arange(1, 13)
    follower, off = following(first), []
    for number, time in enumerate(second, 49):
        follower.hear("clock", time)
        off.append(abs(follower.line.position(time) - number * QUARTER / 24))
    assert follower.line.tempo(QUARTER) == pytest.approx(80, rel=0.01)
    assert off[-1] < 0.02 and max(off) < 0.25


def test_a_player_who_slows_down_is_followed_within_a_tenth_of_a_step():
    tempo = np.linspace(120, 80, 24 * 16)  # over four bars
    times = 10 + np.cumsum(60 / tempo / 24)
    follower, worst = following(times[:24]), 0.0
    for number, time in enumerate(times[24:], 24):
        follower.hear("clock", time)
        worst = max(worst, abs(follower.line.position(time) - number * QUARTER / 24))
    assert worst < 0.1


def test_a_late_pulse_is_no_other_tempo():
    times = pulses(120, 60)
    times[50] += 0.012
    assert following(times).line.tempo(QUARTER) == pytest.approx(120, rel=0.02)


def test_it_stands_still_until_it_is_started_and_after_stop():
    follower = Follower(STEPS, QUARTER, 120)
    times = pulses(100, 40)
    for time in times[:30]:
        follower.hear("clock", time)
    assert follower.line is None
    follower.hear("start", times[30] - 0.001)
    follower.hear("clock", times[30])
    assert follower.line.tempo(QUARTER) == pytest.approx(100)  # known before
    follower.hear("stop", times[30] + 0.001)
    assert follower.line is None and not follower.is_lost(times[30] + 100)


def test_continue_goes_on_where_it_was_and_start_at_the_next_bar_line():
    times = pulses(120, 31)  # the last stands at step 5
    follower = following(times)
    follower.hear("stop", times[-1] + 0.001)
    follower.hear("continue", 20.0)
    follower.hear("clock", 20.1)
    assert follower.line.position(20.1) == pytest.approx(31 / 6)
    follower.hear("stop", 20.11)
    follower.hear("start", 30.0)
    follower.hear("clock", 30.1)
    assert follower.line.position(30.1) == pytest.approx(16)


def test_a_song_position_is_the_place_within_a_bar():
    follower = Follower(STEPS, QUARTER, 120)
    follower.hear("songpos", 1.0, 36)  # sixteenths: step 4 of the third bar
    follower.hear("continue", 1.1)
    follower.hear("clock", 2.0)
    assert follower.line.position(2.0) % STEPS == pytest.approx(4)


def test_in_three_a_bar_is_three_quarters():
    follower = Follower(12, 4, 120)
    follower.hear("songpos", 1.0, 13)
    follower.hear("continue", 1.1)
    follower.hear("clock", 2.0)
    assert follower.line.position(2.0) % 12 == pytest.approx(1)


def test_a_clock_that_is_heard_no_more_is_lost():
    follower = following(pulses(120, 30))
    last = pulses(120, 30)[-1]
    assert not follower.is_lost(last + LOST - 0.1) and follower.is_lost(last + LOST + 0.1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["start", "stop", "continue", "clock", "clock", "clock", "songpos"]), max_size=60))
def test_positions_never_go_back_whatever_the_device_says(kinds):
    """By more than the estimate moves: at most a pulse."""
    follower, reached = Follower(STEPS, QUARTER, 125), 0.0
    for n, kind in enumerate(kinds):
        time = 0.02 * n
        follower.hear(kind, time, 7)
        if follower.line is not None:
            position = follower.line.position(time)
            assert position > reached - QUARTER / 12
            reached = max(reached, position)
