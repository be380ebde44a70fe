"""A RESP2 client for many connections in one process."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterable
from typing import Any

from support.resp import Argument, Error, Status, encode_command

REPLY_TIMEOUT_SECONDS = 30.0
_STREAM_LIMIT = 1 << 20


class AsyncClient:
    """One connection; replies have the forms of ``support.resp``, and have ``timeout`` seconds to come."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, timeout: float) -> None:
        self._reader = reader
        self._writer = writer
        self._timeout = timeout

    @classmethod
    async def connect(cls, port: int, timeout: float = REPLY_TIMEOUT_SECONDS) -> AsyncClient:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=_STREAM_LIMIT)
        return cls(reader, writer, timeout)

    async def call(self, *arguments: Argument) -> Any:
        return (await self.pipeline([arguments]))[0]

    async def pipeline(self, commands: Iterable[Iterable[Argument]]) -> list[Any]:
        """All commands in one write, one reply each."""
        encoded = [encode_command(*command) for command in commands]
        self._writer.write(b"".join(encoded))
        async with asyncio.timeout(self._timeout):
            return [await self._read() for _ in encoded]

    async def send_and_leave(self, data: bytes, reset: bool) -> None:
        """Sends bytes, whole commands or not, and goes without reading."""
        self._writer.write(data)
        async with asyncio.timeout(self._timeout):
            await self._writer.drain()
        if reset:
            connection = self._writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.close()

    def close(self) -> None:
        self._writer.close()

    async def _read(self) -> Any:
        line = await self._reader.readuntil(b"\r\n")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return Status(rest.decode())
        if kind == b"-":
            return Error(rest.decode("utf-8", "replace"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else (await self._reader.readexactly(int(rest) + 2))[:-2]
        if kind == b"*":
            return [await self._read() for _ in range(int(rest))]
        raise AssertionError(f"reply starts with {line[:40]!r}")
