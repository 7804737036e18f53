"""Whatever a body holds, it is a message within its bounds or one line that says what is wrong."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcvae_jax.errors import UserError
from mcvae_jax.studio.messages import MOST_BARS, Asked, Continue, Dropped, Export, Fill, parse, parse_asked
from tests.studio.fake import fake_engine, some_bars

GOOD = {
    "what": "continue",
    "steps": 16,
    "bars": some_bars(1),
    "wanted": 4,
    "ending": False,
    "take": 3,
    "sliders": {"plainness": 0.5, "repetition": 0, "distance": 1},
}
FILE = {
    "suffix": ".mid",
    "steps": 16,
    "bars": some_bars(1),
    "composed": [True],
    "title": "t",
    "tempo": 110,
    "metre": "4/4",
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def refused(message, kind=None):
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    with pytest.raises(UserError) as caught:
        parse(body, kind) if kind else parse_asked(body)
    line = str(caught.value)
    assert "\n" not in line and len(line) < 400
    return line


def test_a_good_message_is_read():
    asked = parse_asked(json.dumps(GOOD).encode())
    assert isinstance(asked, Continue) and asked.take == 3 and asked.sliders.repetition == 0
    np.testing.assert_array_equal(asked.tokens, some_bars(1))
    fill = parse_asked(json.dumps({"what": "fill", "steps": 16, "bars": some_bars(2), "chosen": [1]}).encode())
    assert isinstance(fill, Fill) and fill.take == 1 and fill.sliders.plainness == 0.5


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"steps": 3}, "$.steps"),
        ({"steps": 1e9}, "$.steps"),
        ({"steps": "16"}, "$.steps"),
        ({"bars": [[129] * 15 + [130]]}, "`$.bars[0]["),
        ({"bars": [[-1] * 16]}, "`$.bars[0]["),
        ({"bars": [[0.5] * 16]}, "`$.bars[0]["),
        ({"bars": [[0] * 97]}, "`$.bars[0]`"),
        ({"bars": [[0] * 16] * (MOST_BARS + 1)}, "$.bars"),
        ({"wanted": 0}, "$.wanted"),
        ({"wanted": 17}, "$.wanted"),
        ({"wanted": True}, "$.wanted"),
        ({"take": 0}, "$.take"),
        ({"take": 1 << 40}, "$.take"),
        ({"sliders": {"plainness": 1.01}}, "$.sliders.plainness"),
        ({"sliders": {"plainness": float("nan")}}, "JSON"),
        ({"sliders": {"louder": 1}}, "$.sliders"),
        ({"path": "/etc/passwd"}, "path"),
        ({"what": "train"}, "train"),
        ({"what": "fill"}, "wanted"),
    ],
)
def test_what_is_out_of_bounds_is_named(change, where):
    assert where in refused({**GOOD, **change})


def test_what_is_no_message_is_refused():
    for body in (b"", b"{", b"\xff\xfe", b"[" * 100_000, b"null", b"1e999", b'"\\ud800"'):
        refused(body)
    refused({"name": "a.mid", "data": "!!!"}, Dropped)
    for change in (
        {"tempo": 19},
        {"tempo": 401},
        {"metre": "4/4/../x"},
        {"program": 128},
        {"title": "a" * 201},
        {"bars": []},
    ):
        refused({**FILE, **change}, Export)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(GOOD)), JSON)
def test_any_value_in_any_field_is_answered_or_refused_in_a_line(field, value):
    """What is let through, the engine answers."""
    body = json.dumps({**GOOD, field: value}).encode()
    try:
        answer = fake_engine().answer(parse_asked(body))
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert np.shape(answer["bars"])[1] in (12, 16)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_in_a_line(body):
    refused(body)


def test_all_that_can_be_asked_is_one_type():
    assert {each.__struct_config__.tag for each in Asked.__args__} == {"continue", "fill", "vary", "surprise"}
