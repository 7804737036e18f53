"""A backend of mido whose ports are mido's own sockets: MIDO_BACKEND=tests.listen.socket_backend, two processes.

SOCKET_MIDI is HOST:PORT, where the other process listens (mido.sockets.PortServer); the only port is called 'Socket'.
"""

import os
import threading

from mido.ports import BaseInput, BaseOutput
from mido.sockets import connect, parse_address

_connection = None


def get_devices(**_):
    closed = _connection is not None and _connection.closed
    return [] if closed else [{"name": "Socket", "is_input": True, "is_output": True}]


def _connected():
    global _connection
    if _connection is None:
        _connection = connect(*parse_address(os.environ["SOCKET_MIDI"]))
    return _connection


class Input(BaseInput):
    def _open(self, callback=None, **_):
        self._thread = threading.Thread(target=self._read, args=(_connected(), callback), daemon=True)
        self._thread.start()

    @staticmethod
    def _read(connection, callback):
        parser = connection._parser
        while data := connection._socket.recv(1):
            parser.feed_byte(data[0])
            for message in parser:
                callback(message)
        connection.closed = True


class Output(BaseOutput):
    def _open(self, **_):
        _connected()

    def send(self, message):
        _connected()._send(message)
