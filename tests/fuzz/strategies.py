"""Strategies that all fuzzed formats share."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from tests.mutants import VALUES, mutate_json

CHANCE = st.randoms(use_true_random=False)  # what it decides, hypothesis varies and makes smaller
VALUE = st.sampled_from(VALUES) | st.integers(-2, 300).map(str)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 9)
    | st.sampled_from([2**31, 2**53, 2**63, -(2**64), 10**400, -0.0, 1e-320, 1e308, math.inf, -math.inf, math.nan])
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.sampled_from(["\0", "\ud800", "../..", "/", "\x1b[2J", "9" * 400, "check", "1e999", "2020-01-01T00:00:00Z"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@st.composite
def mutants(draw: st.DrawFn, seeds: Sequence[Any], mutate: Callable[..., Any]) -> Any:
    """One of the seeds after mutate(seed, chance)."""
    return mutate(draw(st.sampled_from(seeds)), draw(CHANCE))


@st.composite
def json_mutants(draw: st.DrawFn, value: Any) -> Any:
    """A JSON value whose parts are changed."""
    return mutate_json(value, draw(CHANCE), draw(JSON))
