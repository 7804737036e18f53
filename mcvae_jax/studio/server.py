"""The page over HTTP, for the browser of this machine and nobody else.

Every request must bear the token of the address, name the address that is bound in Host, and come from its own page
where it says where it comes from (Origin, Sec-Fetch-Site). A body is JSON of a stated length, which is looked at before
anything of it is read. No path is read from a request: the files of the page are a table.
"""

import hmac
import json
import secrets
import socket
import threading
import traceback
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

from mcvae_jax import __version__
from mcvae_jax.errors import UserError
from mcvae_jax.studio.dropped import read_dropped
from mcvae_jax.studio.engine import Engine
from mcvae_jax.studio.formats import FORMATS, exported
from mcvae_jax.studio.messages import KEYS, MOST_BARS, MOST_DROPPED, Dropped, Export, parse, parse_asked

HOST = "127.0.0.1"
MOST_BODY = 1 << 20  # bytes of a message
MOST_FILE = MOST_DROPPED * 4 // 3 + 10_000  # bytes of one that holds a file in base64
PATIENCE = 15.0  # seconds in which a request must have come
CONNECTIONS = 32  # at a time; more are closed at once
SCRIPTS = ("song", "sound", "roll", "playing", "server", "asking", "studio", "pieces", "start")  # as they run
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Refused(Exception):
    """A request that is not answered."""

    def __init__(self, status: HTTPStatus, line: str) -> None:
        super().__init__(line)
        self.status = status


class Studio(ThreadingHTTPServer):
    """The server; `address` is what the musician opens."""

    daemon_threads = True
    request_queue_size = 2 * CONNECTIONS

    def __init__(self, engine: Engine, port: int = 0) -> None:
        self.engine, self.token = engine, secrets.token_urlsafe(18)
        self.doing = "Getting ready"  # while it warms, for the page
        self._places = threading.BoundedSemaphore(CONNECTIONS)
        super().__init__((HOST, port), _Handler)
        self.authority = f"{HOST}:{self.server_address[1]}"
        names = ["index.html", "style.css", "shared.css", *(f"{each}.js" for each in SCRIPTS)]
        self.page = {f"/{name}": self._file(name) for name in names}
        self.page["/"] = self.page.pop("/index.html")

    @property
    def address(self) -> str:
        """With the token."""
        return f"http://{self.authority}/?token={self.token}"

    def warm(self) -> None:
        """Compiles what will be asked for; a failure is said by the page, and told in the terminal."""
        try:
            for doing in self.engine.warm():
                self.doing = doing
            self.doing = ""
        except Exception as error:
            self.engine.trouble = f"The studio could not get ready: {error}"
            traceback.print_exc()

    def state(self) -> dict[str, Any]:
        """What the page asks for until all is ready."""
        engine = self.engine
        return {
            "models": engine.about(),
            "ready": [f"{steps} {name}" for steps, name in sorted(engine.ready)],
            "doing": self.doing,
            "share": engine.share,
            "trouble": engine.trouble,
            "formats": [{"suffix": suffix, "label": each.label} for suffix, each in FORMATS.items()],
            "keys": KEYS,
            "most_bars": MOST_BARS,
            "most_dropped": MOST_DROPPED,
            "version": __version__,
        }

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own, while there are places."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Gives the place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away is no error."""

    def _file(self, name: str) -> tuple[str, bytes]:
        """Its media type and its bytes, with the token in the addresses of what the page loads."""
        folder = files("mcvae_jax.studio").joinpath("page")
        source = files("mcvae_jax.pages").joinpath("style.css") if name == "shared.css" else folder.joinpath(name)
        text = source.read_text("utf-8")
        if name.endswith(".html"):
            scripts = "\n".join(f'<script src="{each}.js?token={self.token}" defer></script>' for each in SCRIPTS)
            text = text.replace("$SCRIPTS", scripts).replace("$TOKEN", self.token)
        return f"{_TYPES[name[name.index('.') :]]}; charset=utf-8", text.encode()


class _Handler(BaseHTTPRequestHandler):
    """One request of one connection."""

    server: Studio
    timeout = PATIENCE
    server_version, sys_version = "mcvae-studio", ""

    def setup(self) -> None:
        """The whole request must have come in time, however slowly its parts come."""
        super().setup()
        self._late = threading.Timer(PATIENCE, self._hang_up)
        self._late.daemon = True
        self._late.start()

    def finish(self) -> None:
        """The timer goes, too."""
        self._late.cancel()
        super().finish()

    def do_GET(self) -> None:
        """The page's files, and how far it has got ready."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """Answers, files that were dropped, files to be kept."""
        self._answer(self._post)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal holds one line, the address."""

    def _answer(self, make: Callable[[str], tuple[str, bytes]]) -> None:
        """Sends what is made, or one line that says why not."""
        try:
            kind, body, status = *make(self._checked()), HTTPStatus.OK
        except Refused as refused:
            kind, body, status = *_json({"error": str(refused)}), refused.status
        except UserError as error:
            kind, body, status = *_json({"error": " ".join(str(error).splitlines())}), HTTPStatus.UNPROCESSABLE_ENTITY
        except Exception:
            traceback.print_exc()
            line = "something went wrong in the studio; its terminal says what"
            kind, body, status = *_json({"error": line}), HTTPStatus.INTERNAL_SERVER_ERROR
        self._late.cancel()
        self.close_connection = True
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **_HEADERS}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _checked(self) -> str:
        """The path of a request that the page itself has sent; raises Refused for others."""
        if self.headers.get_all("Host") != [self.server.authority]:
            raise Refused(HTTPStatus.FORBIDDEN, "this host name is not the studio's")
        if any(origin != f"http://{self.server.authority}" for origin in self.headers.get_all("Origin", [])):
            raise Refused(HTTPStatus.FORBIDDEN, "another page may not use the studio")
        follows_link = self.command == "GET" and self.headers.get("Sec-Fetch-Dest") == "document"
        if self.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none") and not follows_link:
            raise Refused(HTTPStatus.FORBIDDEN, "another page may not use the studio")
        asked = urlsplit(self.path)
        given = parse_qs(asked.query, max_num_fields=8).get("token", []) if len(asked.query) < 1000 else []
        if len(given) != 1 or not hmac.compare_digest(given[0].encode(), self.server.token.encode()):
            raise Refused(HTTPStatus.FORBIDDEN, "open the studio by the whole address that its terminal shows")
        return asked.path

    def _get(self, path: str) -> tuple[str, bytes]:
        if path == "/state":
            return _json(self.server.state())
        if path in self.server.page:
            return self.server.page[path]
        raise Refused(HTTPStatus.NOT_FOUND, "there is nothing here")

    def _post(self, path: str) -> tuple[str, bytes]:
        engine = self.server.engine
        if path == "/answer":
            return _json(engine.answer(parse_asked(self._body(MOST_BODY))))
        if path == "/drop":
            return _json(read_dropped(parse(self._body(MOST_FILE), Dropped), list(engine.models)))
        if path == "/export":
            data, media = exported(parse(self._body(MOST_BODY), Export))
            return media, data
        raise Refused(HTTPStatus.NOT_FOUND, "there is nothing here")

    def _body(self, most: int) -> bytes:
        """The body, where it says that it is JSON of at most so many bytes; nothing of others is read."""
        if self.headers.get_content_type() != "application/json":
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the studio is spoken to in JSON")
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()) or self.headers.get("Transfer-Encoding"):
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "a message says how long it is")
        if int(length[:20]) > most:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"this is larger than the {most:,} bytes that are taken")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise Refused(HTTPStatus.REQUEST_TIMEOUT, "the message did not come to its end")
        return body

    def _hang_up(self) -> None:
        """Too slow."""
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:  # it has gone already
            pass


def _json(value: Any) -> tuple[str, bytes]:
    return "application/json", json.dumps(value).encode()
