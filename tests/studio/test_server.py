"""The server against those who should not speak to it, and with those who should."""

import base64
import http.client
import io
import json
import socket
import threading
import time

import mido
import numpy as np
import pytest

from mcvae_jax.music.bars import bars_to_tokens
from mcvae_jax.music.tokens import tokens_to_notes
from mcvae_jax.studio import server as server_module
from mcvae_jax.studio.server import CONNECTIONS, MOST_BODY, MOST_FILE, SCRIPTS, Studio
from tests.studio.fake import fake_engine, some_bars

pytestmark = pytest.mark.usefixtures("read_here")

TUNE = b"X:1\nT:<b>A jig</b> & more\nM:6/8\nL:1/8\nQ:3/8=100\nK:G\nGAB cde|ded cBA|G3 G3|\n"


@pytest.fixture(scope="module")
def studio():
    with Studio(fake_engine()) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(studio, method="GET", path="/state", body=None, token=None, **headers):
    """The status, the headers and the body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", studio.server_address[1], timeout=10)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if body is not None and "Content-Type" not in headers:
        headers["Content-Type"] = "application/json"
    token = studio.token if token is None else token
    connection.request(method, f"{path}?token={token}" if token else path, body, headers)
    response = connection.getresponse()
    return response.status, response.headers, response.read()


def post(studio, path, message, **headers):
    return ask(studio, "POST", path, json.dumps(message), **headers)


def raw(studio, request, read=True):
    """What comes back for bytes as they are."""
    with socket.create_connection(("127.0.0.1", studio.server_address[1]), timeout=10) as connection:
        connection.sendall(request)
        return connection.recv(1 << 16) if read else b""


def test_the_address_is_of_this_machine_alone_and_new_each_time(studio):
    assert studio.address.startswith("http://127.0.0.1:") and studio.server_address[0] == "127.0.0.1"
    with Studio(fake_engine()) as other:
        assert other.token != studio.token and len(other.token) >= 24


def test_every_file_of_the_page_comes_with_headers_that_let_nothing_in(studio):
    for path in ("/", "/style.css", "/shared.css", *(f"/{name}.js" for name in SCRIPTS)):
        status, headers, body = ask(studio, path=path)
        assert status == 200 and body and headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer" and headers["Cache-Control"] == "no-store"
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert b"http://" not in body.replace(b"http://www.w3.org", b"") and b"https://" not in body
        assert "Set-Cookie" not in headers and "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize("token", ["", "x", "tok\xe9n", "a" * 5000])
def test_without_the_token_nothing_is_answered(studio, token):
    for method, path in (
        ("GET", "/"),
        ("GET", "/state"),
        ("GET", "/song.js"),
        ("POST", "/answer"),
        ("GET", "/nothing"),
    ):
        connection = http.client.HTTPConnection("127.0.0.1", studio.server_address[1], timeout=10)
        connection.putrequest(method, path + (f"?token={token.encode('ascii', 'ignore').decode()}%E9" if token else ""))
        connection.putheader("Content-Length", "0")
        connection.endheaders()
        assert connection.getresponse().status == 403
    assert ask(studio, path=f"/state?token={studio.token}&token=x&x=", token="")[0] == 403


@pytest.mark.parametrize("host", ["evil.example", "localhost", "127.0.0.1", "127.0.0.1:1", "[::1]", ""])
def test_another_host_name_is_refused(studio, host):
    """As after a name of somebody else has been made to mean this machine (DNS rebinding)."""
    assert ask(studio, Host=host)[0] == 403
    two = f"GET /state?token={studio.token} HTTP/1.1\r\nHost: {studio.authority}\r\nHost: {host}\r\n\r\n"
    assert b" 403 " in raw(studio, two.encode())


def test_another_origin_is_refused(studio):
    good = f"http://{studio.authority}"
    for origin in ("https://evil.example", "null", good.replace("http", "https"), f"{good}.evil.example", ""):
        assert ask(studio, Origin=origin)[0] == 403
    assert ask(studio, Sec_Fetch_Site="cross-site")[0] == ask(studio, Sec_Fetch_Site="same-site")[0] == 403
    assert ask(studio, Origin=good, Sec_Fetch_Site="same-origin")[0] == 200
    link = {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Dest": "document",
    }  # such as a click in a terminal in the browser
    assert ask(studio, path="/", **link)[0] == 200 and ask(studio, "POST", "/answer", "{}", **link)[0] == 403
    assert ask(studio, path="/", **link, Origin="https://evil.example")[0] == 403


def test_a_form_of_another_page_cannot_post(studio):
    message = json.dumps({"what": "surprise", "steps": 16, "bars": []})
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        assert ask(studio, "POST", "/answer", message, **{"Content-Type": kind})[0] == 415
    assert post(studio, "/answer", json.loads(message))[0] == 200


def test_a_large_body_is_refused_before_it_is_read(studio):
    """Of 100 MB not a byte is sent here: the answer comes all the same."""
    for path, most in (("/answer", MOST_BODY), ("/export", MOST_BODY), ("/drop", MOST_FILE)):
        for length in (most + 1, 100_000_000, 10**30):
            head = f"POST {path}?token={studio.token} HTTP/1.1\r\nHost: {studio.authority}\r\n"
            head += f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
            assert b" 413 " in raw(studio, head.encode()).splitlines()[0]


@pytest.mark.parametrize("head", ["", "Content-Length: -1", "Content-Length: 1e3", "Transfer-Encoding: chunked",
                                  "Content-Length: 5\r\nTransfer-Encoding: chunked"])  # fmt: skip
def test_a_body_without_a_plain_length_is_refused(studio, head):
    lines = [
        f"POST /answer?token={studio.token} HTTP/1.1",
        f"Host: {studio.authority}",
        "Content-Type: application/json",
    ]
    request = "\r\n".join([*lines, *([head] if head else []), "", "0\r\n\r\n"])
    assert b" 411 " in raw(studio, request.encode()).splitlines()[0]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "HEAD", "TRACE", "CONNECT"])
def test_other_methods_are_not_known(studio, method):
    assert ask(studio, method)[0] == 501


@pytest.mark.parametrize(
    "path", ["/../server.py", "/%2e%2e/server.py", "//etc/passwd", "/page/index.html", "/song.js/", "/x"]
)
def test_no_path_is_read(studio, path):
    assert ask(studio, path=path)[0] in (403, 404)


def test_who_is_slow_is_hung_up_on_and_others_are_served(studio, monkeypatch):
    monkeypatch.setattr(server_module, "PATIENCE", 0.6)
    head = f"POST /answer?token={studio.token} HTTP/1.1\r\nHost: {studio.authority}\r\n".encode()
    with socket.create_connection(("127.0.0.1", studio.server_address[1]), timeout=10) as connection:
        started = time.monotonic()
        connection.sendall(head)
        with pytest.raises(OSError):
            while time.monotonic() - started < 8:  # a byte now and then keeps no connection open
                connection.sendall(b"X")
                assert ask(studio)[0] == 200
                time.sleep(0.1)
                if connection.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK) == b"":
                    raise OSError
        assert time.monotonic() - started < 5


def test_more_connections_than_there_are_places_are_closed(studio):
    held = [socket.create_connection(("127.0.0.1", studio.server_address[1]), timeout=5) for _ in range(CONNECTIONS)]
    try:
        time.sleep(0.3)
        with socket.create_connection(("127.0.0.1", studio.server_address[1]), timeout=5) as one_more:
            assert one_more.recv(1) == b""
    finally:
        for each in held:
            each.close()
    for _ in range(50):
        time.sleep(0.05)
        try:
            assert ask(studio)[0] == 200
            return
        except (ConnectionError, http.client.HTTPException):
            continue
    pytest.fail("its places were not given back")


def test_what_is_wrong_is_said_in_a_line(studio):
    for path in ("/answer", "/export", "/drop"):
        status, _, body = post(studio, path, {"what": "<script>"})
        line = json.loads(body)["error"]
        assert status == 422 and "\n" not in line and len(line) < 400


def test_a_fault_of_the_program_is_no_trace_on_the_page(studio, monkeypatch, capfd):
    monkeypatch.setattr(studio.engine, "answer", lambda asked: 1 / 0)
    status, _, body = post(studio, "/answer", {"what": "surprise", "steps": 16, "bars": []})
    assert status == 500 and json.loads(body) == {"error": "something went wrong in the studio; its terminal says what"}
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_two_pages_at_a_time_get_what_each_asked_for(studio):
    def message(n):
        return {"what": "continue", "steps": 12 if n % 2 else 16, "bars": some_bars(n % 5, 12 if n % 2 else 16, n),
                "wanted": 4, "take": n + 1}  # fmt: skip

    alone = [json.loads(post(studio, "/answer", message(n))[2]) for n in range(12)]
    found = [None] * 12

    def page(first):
        for n in range(first, 12, 3):
            found[n] = json.loads(post(studio, "/answer", message(n))[2])

    threads = [threading.Thread(target=page, args=(first,)) for first in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == alone and len({json.dumps(each) for each in alone}) == 12


def exported(studio, **fields):
    message = {"suffix": ".mid", "steps": 16, "bars": some_bars(3), "composed": [False, True, True], "title": "A tune",
               "tempo": 96, "metre": "4/4", "key": "Em", "program": 73, **fields}  # fmt: skip
    status, headers, body = post(studio, "/export", message)
    return (status, headers["Content-Type"], body)


def test_a_midi_file_holds_the_notes_and_the_setting(studio):
    status, kind, body = exported(studio)
    file = mido.MidiFile(file=io.BytesIO(body))
    said = {message.type: message for track in file.tracks for message in track}
    assert (status, kind) == (200, "audio/midi")
    assert said["set_tempo"].tempo == 625_000 and said["key_signature"].key == "Em"
    assert said["program_change"].program == 73 and said["time_signature"].numerator == 4
    pitches = [m.note for track in file.tracks for m in track if m.type == "note_on" and m.velocity]
    assert pitches == tokens_to_notes(bars_to_tokens(np.array(some_bars(3), np.uint8)))[2].tolist()


def test_a_sound_is_as_long_as_the_song(studio):
    import wave

    status, kind, body = exported(studio, suffix=".wav", steps=12, bars=some_bars(4, 12), metre="6/8")
    with wave.open(io.BytesIO(body)) as sound:
        assert sound.getnframes() / sound.getframerate() == pytest.approx(4 * 3 * 60 / 96, abs=0.01)
    assert (status, kind) == (200, "audio/wav")


@pytest.mark.parametrize(
    "fields", [{"suffix": "../x.mid"}, {"metre": "3/4"}, {"metre": "0/4"}, {"key": "H"}, {"composed": []}]
)
def test_a_file_that_cannot_be_is_said(studio, fields):
    status, _, body = exported(studio, **fields)
    assert status == 422 and json.loads(body)["error"] if fields != {"composed": []} else status == 200


def dropped(studio, name, data):
    status, _, body = post(studio, "/drop", {"name": name, "data": base64.b64encode(data).decode()})
    return status, json.loads(body)


def test_a_dropped_file_becomes_bars(studio):
    status, song = dropped(studio, "C:\\music\\jig.abc", TUNE)
    assert status == 200 and (song["steps"], song["metre"], song["key"]) == (12, "6/8", "G")
    assert song["title"] == "<b>A jig</b> & more" and song["tempo"] == pytest.approx(150)
    assert song["bars"][0] == [67, 129, 69, 129, 71, 129, 72, 129, 74, 129, 76, 129]
    assert song["first"] == 1
    assert dropped(studio, "pickup.abc", TUNE.replace(b"GAB cde|", b"B|GAB cde|"))[1]["first"] == 0
    status, again = dropped(studio, "my tune.mid", exported(studio)[2])
    assert (again["title"], again["bars"], again["metre"]) == ("my tune", some_bars(3), "4/4")


def test_what_a_dropped_file_loses_is_said_without_advice_about_options(studio):
    swung = b"X:1\nT:Swing\nM:4/4\nL:1/12\nK:C\n" + b"|".join([b"G2AB2cG2AB2c"] * 8) + b"|]\n"
    status, song = dropped(studio, "swing.abc", swung)
    assert status == 200 and all(song["notes"]) and "--" not in " ".join(song["notes"])
    assert [note for note in song["notes"] if "50% of onsets moved" in note and note.endswith("This is swing")]
    chords = b'X:1\nM:4/4\nL:1/4\nQ:1/4=100\nK:G\nV:1\n"G"GABc|"D"dcBA|[Q:1/4=90]GGGG|\nV:2\nGGGG|DDDD|GGGG|\n'
    assert dropped(studio, "chords.abc", chords)[1]["notes"][-1] == (
        "left out: the other track, changes of tempo, chord symbols"
    )
    assert dropped(studio, "tune.mid", exported(studio)[2])[1]["notes"] == ["left out: velocities"]


@pytest.mark.parametrize(
    ("name", "data", "line"),
    [
        ("x.exe", b"MZ", "x.exe is no music file"),
        ("../../etc/passwd", b"root", "passwd is no music file"),
        ("broken.mid", b"MThd nonsense", "broken.mid cannot be used"),
        ("empty.abc", b"", "empty.abc cannot be used"),
        ("bomb.mxl", b"PK\x03\x04" + b"\0" * 1000, "bomb.mxl cannot be used"),
    ],
)
def test_a_file_that_cannot_be_read_costs_a_line_without_our_paths(studio, name, data, line):
    status, answer = dropped(studio, name, data)
    assert status == 422 and answer["error"].startswith(line)
    assert "--" not in answer["error"] and "/tmp" not in answer["error"] and "dropped" not in answer["error"]


def test_the_state_says_when_all_is_ready():
    with Studio(fake_engine()) as studio:
        assert studio.state()["doing"] and not studio.state()["ready"]
        studio.warm()
        state = studio.state()
    assert state["doing"] == "" and state["share"] == 1 and "12 fill" in state["ready"] and not state["trouble"]
    assert [each["suffix"] for each in state["formats"]][:2] == [".mid", ".wav"]


def test_a_studio_that_cannot_get_ready_says_so(monkeypatch, capfd):
    with Studio(fake_engine()) as studio:
        monkeypatch.setattr(studio.engine, "answer", lambda asked: 1 / 0)
        studio.warm()
        assert studio.state()["trouble"].startswith("The studio could not get ready")
    assert "ZeroDivisionError" in capfd.readouterr().err
