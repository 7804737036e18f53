"""A server on loopback that gives files, and faults that servers and networks have."""

import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ETAG = '"first"'


class FileServer:
    """Files by their paths, and what goes wrong with them; `asked` has the Range of each request, '' for none."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.etag = ETAG  # '' sends none
        self.ranges = True  # else every answer is the whole file
        self.length = True  # else neither Content-Length nor chunks: the end of the connection ends the file
        self.cuts: list[int] = []  # after so many bytes of the next answers the connection ends
        self.statuses: list[int] = []  # of the next answers, which hold nothing
        self.moved: dict[str, str] = {}  # path -> path of a redirect
        self.page = b""  # sent with text/html in place of everything
        self.silent = 0.0  # seconds before the body
        self.pauses: list[float] = []  # seconds after the first half of the next bodies

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(request.headers.get("Range", ""))
        if self.statuses and (status := self.statuses.pop(0)):
            return self._head(request, status, {"Content-Length": "0"})
        if target := self.moved.get(request.path):
            return self._head(request, 302, {"Location": target, "Content-Length": "0"})
        if self.page:
            self._head(request, 200, {"Content-Type": "text/html; charset=utf-8"})
            request.wfile.write(self.page)
            return None
        data = self.files.get(request.path)
        if data is None:
            return self._head(request, 404, {"Content-Length": "0"})
        return self._send(request, data)

    def _send(self, request: BaseHTTPRequestHandler, data: bytes) -> None:
        headers = {"Content-Type": "application/octet-stream"} | ({"ETag": self.etag} if self.etag else {})
        start, asked = 0, request.headers.get("Range", "")
        if self.ranges and asked and request.headers.get("If-Range", self.etag) == self.etag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(data):
                return self._head(request, 416, {"Content-Range": f"bytes */{len(data)}", "Content-Length": "0"})
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        body = data[start:]
        if self.length:
            headers["Content-Length"] = str(len(body))
        self._head(request, 206 if "Content-Range" in headers else 200, headers)
        time.sleep(self.silent)
        body = body[: self.cuts.pop(0)] if self.cuts else body
        half = len(body) // 2
        request.wfile.write(body[:half])
        request.wfile.flush()
        time.sleep(self.pauses.pop(0) if self.pauses else 0)
        request.wfile.write(body[half:])

    def _head(self, request: BaseHTTPRequestHandler, status: int, headers: dict[str, str]) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()


@contextlib.contextmanager
def serving() -> Iterator[tuple[FileServer, str]]:
    """A FileServer and its address, while the block lasts."""
    files = FileServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the client has seen enough
                files.answer(self)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield files, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
