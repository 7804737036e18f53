"""Whatever stands in a JSON file that is read again: it is taken for what it says, or one line tells what is wrong."""

import json
import shutil

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from mcvae_jax.errors import UserError
from tests.fuzz.documents import DOCUMENTS, write_all
from tests.fuzz.strategies import CHANCE, JSON, json_mutants
from tests.mutants import mutate_bytes

pytestmark = pytest.mark.fuzz


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    write_all(folder)
    return folder


@pytest.fixture(scope="module")
def copy(whole, tmp_path_factory):
    """The same, once for each document, which alone is changed in it."""
    folders = {}

    def of(document):
        if document not in folders:
            folders[document] = shutil.copytree(whole, tmp_path_factory.mktemp("copy") / "all")
        return folders[document]

    return of


@st.composite
def texts(draw: st.DrawFn, text: bytes, has_lines: bool) -> bytes:
    """The text with its bytes or values changed, or any values instead."""
    kind = draw(st.integers(0, 3))
    if kind == 0:
        return mutate_bytes(text, draw(CHANCE))
    rows = [json.loads(line) for line in (text.splitlines() if has_lines else [text])]
    for row in rows:
        row.pop("check", None)  # or it would not be read any further
    if kind == 1:
        rows = [draw(JSON) for _ in range(draw(st.integers(1, 3)))]
    else:
        rows[0] = draw(json_mutants(rows[0]))
    return "\n".join(map(json.dumps, rows)).encode() + b"\n"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.path.replace("/", "-"))
@given(data=st.data())
def test_any_json_is_read_or_named(whole, copy, document, data):
    text, place = (whole / document.path).read_bytes(), copy(document)
    (place / document.path).write_bytes(data.draw(texts(text, document.path.endswith("jsonl")), "text"))
    said = []
    try:
        document.read(place, said.append)
    except UserError as error:
        said.append(str(error))
    event("named" if said else "read")
    assert all(len(line) < 2000 and "\n" not in line for line in said)
