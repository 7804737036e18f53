"""Whatever a process hears from another one, or from somebody else who knocks at its port: no thread of it dies."""

import io
import json
import socket

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from mcvae_jax.training import rollcall
from mcvae_jax.training.peers import Peers
from tests.fuzz.strategies import CHANCE, JSON, json_mutants
from tests.mutants import mutate_bytes

pytestmark = pytest.mark.fuzz
FACTS = {"config": {"train": {"steps": 5}}, "key": "k"}
HELLO = {"process": 1, "processes": 2, "facts": FACTS}
FIELDS = {"status": 1, "line": "x", "signal": 2, "processes": [0, 1], "address": "a:1", "name": "n", "value": 1}
MESSAGES = [
    FIELDS | {"kind": kind, "number": 1, "step": 3}
    for kind in ("end", "stop", "here", "refused", "service", "value", "met", "reached", "stop_at")
]


@pytest.fixture(scope="module", autouse=True)
def nothing_ends():
    """What would end or stop this process does nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mcvae_jax.stopping.when_asked", lambda call: None)
        patch.setattr("mcvae_jax.stopping.ask", lambda number, by: None)
        patch.setattr(Peers, "_die", lambda self, status, line, teller: None)
        yield


def lines(value) -> st.SearchStrategy[bytes]:
    """A line of JSON like the value's, or of any value, or damaged."""
    text = st.one_of(JSON, json_mutants(value)).map(json.dumps)
    damaged = CHANCE.map(lambda chance: mutate_bytes(json.dumps(value).encode(), chance))
    nested = st.integers(1, 3000).map(lambda depth: b'{"facts":' * depth)
    return (text.map(str.encode) | damaged | nested).map(lambda line: line.replace(b"\n", b" ") + b"\n")


@given(lines(HELLO))
def test_whoever_calls_is_taken_in_or_turned_away(hello):
    ours, theirs = socket.socketpair()
    peers = Peers(2, 0, "localhost:1")
    try:
        theirs.sendall(hello)
        rollcall._welcome(peers, ours, FACTS, set())
        event("in" if 1 in peers.here else "away")
        assert peers.here == ({0, 1} if peers.wires else {0})
        if peers.wires:
            assert json.loads(hello)["facts"] == FACTS
    finally:
        peers.is_over = True
        theirs.close()


@given(st.lists(st.sampled_from(MESSAGES).flatmap(lines), max_size=3))
def test_any_messages_are_taken_or_end_the_connection(said):
    peers = Peers(2, 1, "localhost:1")
    peers.wires[0] = object()
    peers._tell = lambda message, but=-1: None
    peers._read(0, io.BytesIO(b"".join(said)))
    assert not peers.wires
    assert all(type(index) is int for index in peers.here) and isinstance(peers.service, str)
