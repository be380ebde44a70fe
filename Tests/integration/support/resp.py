"""A raw RESP client that hides nothing.

redis-py strips a leading ``ERR `` from errors, turns simple strings into bytes and decodes replies by command
name. The contract is about exactly those details, so tests compare the values below instead:

=====================  =============================================
on the wire            here
=====================  =============================================
``+OK``                ``Status("OK")``
``-ERR text``          ``Error("ERR text")`` (a value, never raised)
``:5``                 ``5``
``$3 abc``             ``b"abc"``
``$-1``, ``*-1``       ``NIL`` (``None``); RESP3 ``_`` as well
``*2 ...``             ``[..., ...]``
RESP3 ``,1.5``         ``Double("1.5")`` (``.value`` is the float)
RESP3 ``#t``           ``True``
RESP3 ``(123``         ``BigNumber("123")``
RESP3 ``=9 txt:hello`` ``Verbatim("txt", b"hello")``
RESP3 ``%``, ``~``     ``Map([(key, value), ...])``, ``Set([...])``
RESP3 ``>``            ``Push([...])``
=====================  =============================================
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Argument = bytes | str | int | float

NIL = None
DEFAULT_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class Status:
    """A simple string (``+text``)."""

    text: str


@dataclass(frozen=True)
class Error:
    """An error reply with its text exactly as emitted after the ``-``."""

    text: str


@dataclass(frozen=True)
class Double:
    """A RESP3 double; the text is kept because the contract fixes the form of numbers."""

    text: str

    @property
    def value(self) -> float:
        return float(self.text)


@dataclass(frozen=True)
class BigNumber:
    """A RESP3 big number."""

    text: str


@dataclass(frozen=True)
class Verbatim:
    """A RESP3 verbatim string with its three-letter format."""

    format: str
    data: bytes


class _Aggregate(list):
    """A list that does not equal a plain array."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and list.__eq__(self, other)  # type: ignore[arg-type]

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]


class Map(_Aggregate):
    """A RESP3 map as a list of pairs (keys need not be hashable)."""


class Set(_Aggregate):
    """A RESP3 set."""


class Push(_Aggregate):
    """A RESP3 out-of-band message."""


OK = Status("OK")
QUEUED = Status("QUEUED")
TIMEDOUT = Status("TIMEDOUT")


class ConnectionClosed(Exception):
    """The server closed the connection where a reply was expected."""


class ProtocolViolation(Exception):
    """The server sent something that is not RESP."""


def encode_argument(argument: Argument) -> bytes:
    """The bytes of one command argument; text is UTF-8, numbers are written in decimal."""
    if isinstance(argument, (bytes, bytearray, memoryview)):
        return bytes(argument)
    if isinstance(argument, str):
        return argument.encode("utf-8", "surrogateescape")
    return repr(argument).encode("ascii")


def encode_command(*arguments: Argument) -> bytes:
    """A command as a RESP array of bulk strings."""
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        data = encode_argument(argument)
        parts.append(b"$%d\r\n" % len(data))
        parts.append(data)
        parts.append(b"\r\n")
    return b"".join(parts)


class RawClient:
    """One connection speaking RESP2, or RESP3 after ``HELLO 3``.

    ``call`` sends a command and reads one reply. ``send`` and ``read`` are separate for pipelining, for blocking
    commands and for tests that leave in the middle. ``send_bytes`` puts anything at all on the wire.
    """

    def __init__(
        self, port: int, resp: int = 2, timeout: float = DEFAULT_TIMEOUT_SECONDS, source: str | None = None
    ) -> None:
        """``source``: the address of this machine that the server is to see; a loopback address unless given."""
        own = None if source is None else (source, 0)
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=timeout, source_address=own)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()
        self._position = 0
        if resp == 3:
            self.call("HELLO", 3)

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Sending

    def send_bytes(self, data: bytes) -> None:
        self._socket.sendall(data)

    def send(self, *arguments: Argument) -> None:
        self.send_bytes(encode_command(*arguments))

    # Receiving

    def read(self) -> Any:
        """The next reply; raises ``ConnectionClosed`` at end of stream and ``TimeoutError`` when none comes."""
        line = self.read_line()
        kind, rest = line[:1], line[1:]
        reader = self._READERS.get(kind)
        if reader is None:
            raise ProtocolViolation(f"reply starts with {line[:40]!r}")
        return reader(self, rest)

    def call(self, *arguments: Argument) -> Any:
        self.send(*arguments)
        return self.read()

    def pipeline(self, commands: Iterable[Iterable[Argument]]) -> list[Any]:
        """Send all commands in one write, then read one reply each."""
        encoded = [encode_command(*command) for command in commands]
        self.send_bytes(b"".join(encoded))
        return [self.read() for _ in encoded]

    def has_reply(self, within: float) -> bool:
        """True when at least one byte is there or arrives within the given seconds."""
        if self._position < len(self._buffer):
            return True
        previous = self._socket.gettimeout()
        self._socket.settimeout(within)
        try:
            self._fill()
            return True
        except (TimeoutError, BlockingIOError):
            return False
        finally:
            self._socket.settimeout(previous)

    # Leaving

    def close(self) -> None:
        self._socket.close()

    def abort(self) -> None:
        """Close with a TCP reset, as a killed client process does with unread data."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    # Parsing

    def _fill(self) -> None:
        chunk = self._socket.recv(1 << 18)
        if not chunk:
            raise ConnectionClosed("the server closed the connection")
        self._buffer += chunk

    def _discard_consumed(self) -> None:
        if self._position > 1 << 20 or self._position == len(self._buffer):
            del self._buffer[: self._position]
            self._position = 0

    def read_line(self) -> bytes:
        """The next line as it came, without its end."""
        while True:
            end = self._buffer.find(b"\r\n", self._position)
            if end >= 0:
                line = bytes(self._buffer[self._position : end])
                self._position = end + 2
                self._discard_consumed()
                return line
            self._fill()

    def _read_exactly(self, count: int) -> bytes:
        while len(self._buffer) - self._position < count + 2:
            self._fill()
        end = self._position + count
        data = bytes(self._buffer[self._position : end])
        if self._buffer[end : end + 2] != b"\r\n":
            raise ProtocolViolation("bulk string without its final CRLF")
        self._position = end + 2
        self._discard_consumed()
        return data

    def _bulk(self, rest: bytes) -> Any:
        return NIL if int(rest) < 0 else self._read_exactly(int(rest))

    def _bulk_error(self, rest: bytes) -> Error:
        return Error(_text(self._read_exactly(int(rest))))

    def _verbatim(self, rest: bytes) -> Verbatim:
        data = self._read_exactly(int(rest))
        return Verbatim(_text(data[:3]), data[4:])

    def _array(self, rest: bytes) -> Any:
        return NIL if int(rest) < 0 else [self.read() for _ in range(int(rest))]

    def _map(self, rest: bytes) -> Map:
        return Map((self.read(), self.read()) for _ in range(int(rest)))

    _READERS = {
        b"+": lambda self, rest: Status(_text(rest)),
        b"-": lambda self, rest: Error(_text(rest)),
        b":": lambda self, rest: int(rest),
        b"$": _bulk,
        b"*": _array,
        b"_": lambda self, rest: NIL,
        b",": lambda self, rest: Double(_text(rest)),
        b"#": lambda self, rest: rest == b"t",
        b"(": lambda self, rest: BigNumber(_text(rest)),
        b"!": _bulk_error,
        b"=": _verbatim,
        b"%": _map,
        b"~": lambda self, rest: Set(self._array(rest)),
        b">": lambda self, rest: Push(self._array(rest)),
    }


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
