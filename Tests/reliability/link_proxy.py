"""A TCP connection in between that can be cut, held up, left half open, or cut in the middle of a transfer."""

from __future__ import annotations

import socket
import threading
import time

_CHUNK_BYTES = 16_384
_POLL_SECONDS = 0.1


class LinkProxy:
    """Listens on ``port`` of loopback and passes everything on to ``target``, but for what it has been told to spoil."""

    def __init__(self, target: int) -> None:
        self.target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(_POLL_SECONDS)
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._is_closed = False
        self._is_silent = False
        self._refuses = False
        self._delay_seconds = 0.0
        self._bytes_until_cut: int | None = None
        self.cuts = 0
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self) -> LinkProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What can go wrong

    def cut(self) -> None:
        """Closes all connections; new ones are welcome."""
        with self._lock:
            connections, self._connections = self._connections, set()
            self.cuts += len(connections) // 2
        for connection in connections:
            _close(connection)

    def refuse(self, refuses: bool) -> None:
        """While it refuses, new connections are closed at once."""
        self._refuses = refuses

    def fall_silent(self, is_silent: bool) -> None:
        """While it is silent nothing is passed on, and no connection ends: half open, as behind a dead router."""
        self._is_silent = is_silent

    def delay(self, seconds: float) -> None:
        """Everything is passed on later by so much."""
        self._delay_seconds = seconds

    def cut_after(self, count: int) -> None:
        """Closes the connection once it has passed so many bytes on towards the one who has connected."""
        self._bytes_until_cut = count

    def close(self) -> None:
        self._is_closed = True
        self._listener.close()
        self.cut()
        self._thread.join(5)

    # Passing on

    def _accept(self) -> None:
        while not self._is_closed:
            try:
                near, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            self._connect(near)

    def _connect(self, near: socket.socket) -> None:
        if self._refuses:
            return _close(near)
        try:
            far = socket.create_connection(("127.0.0.1", self.target), timeout=2)
        except OSError:
            return _close(near)
        with self._lock:
            self._connections |= {near, far}
        for source, sink, is_inward in ((near, far, False), (far, near, True)):
            threading.Thread(target=self._pass_on, args=(source, sink, is_inward), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, is_inward: bool) -> None:
        try:
            source.settimeout(None)
            sink.settimeout(None)
            while data := source.recv(_CHUNK_BYTES):
                while self._is_silent and not self._is_closed and source in self._connections:
                    time.sleep(0.01)
                if self._delay_seconds:
                    time.sleep(self._delay_seconds)
                if is_inward and self._is_cut_by(len(data)):
                    sink.sendall(data[: len(data) // 2])
                    break
                sink.sendall(data)
        except OSError:
            pass
        self._forget(source, sink)

    def _is_cut_by(self, count: int) -> bool:
        with self._lock:
            if self._bytes_until_cut is None:
                return False
            self._bytes_until_cut -= count
            if self._bytes_until_cut > 0:
                return False
            self._bytes_until_cut = None
            self.cuts += 1
            return True

    def _forget(self, *connections: socket.socket) -> None:
        with self._lock:
            self._connections -= set(connections)
        for connection in connections:
            _close(connection)


def _close(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()
