"""Plain blocking clients for the steps of a request, to check answers with; load comes from aibench."""

from __future__ import annotations

from collections.abc import Mapping
from http.client import HTTPResponse
from socket import IPPROTO_TCP, TCP_NODELAY, create_connection
from types import TracebackType

from support.resp import RawClient

from suite.errors import BenchmarkError
from suite.serving import Step, Target

TIMEOUT_SECONDS = 60


class HttpClient:
    """One connection that is kept open."""

    def __init__(self, port: int) -> None:
        self._socket = create_connection(("127.0.0.1", port), TIMEOUT_SECONDS)
        self._socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)

    def exchange(self, step: Step, payload: bytes) -> bytes:
        """The answer's body."""
        self._socket.sendall(payload)
        response = HTTPResponse(self._socket, method="POST")
        try:
            response.begin()
            body = response.read()
        finally:
            response.close()
        if response.status // 100 != 2:
            raise BenchmarkError(f"HTTP status {response.status}: {body[:400]!r}")
        return body

    def close(self) -> None:
        self._socket.close()


class RespClient(RawClient):
    def exchange(self, step: Step, payload: bytes) -> bytes:
        """The last reply."""
        self.send_bytes(payload)
        replies = [self.read() for _ in range(step.replies)]
        if not isinstance(replies[-1], bytes):
            raise BenchmarkError(f"no bulk string but {replies[-1]!r}")
        return replies[-1]


CLIENTS = {"http1": HttpClient, "resp": RespClient}


class Player:
    """Plays requests, one after the other, on one connection per target."""

    def __init__(self, targets: Mapping[str, Target]) -> None:
        self._targets = targets
        self._clients: dict[str, HttpClient | RespClient] = {}

    def __enter__(self) -> Player:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients.values():
            client.close()

    def play(self, steps: tuple[Step, ...]) -> bytes:
        """The last step's reply: an HTTP body or a bulk string."""
        reply = b""
        for step in steps:
            reply = self._client(step.target).exchange(step, spliced(step, reply))
        return reply

    def _client(self, name: str) -> HttpClient | RespClient:
        if name not in self._clients:
            target = self._targets[name]
            self._clients[name] = CLIENTS[target.protocol](target.port)
        return self._clients[name]


def spliced(step: Step, previous: bytes) -> bytes:
    """The step's payload with the previous step's reply in its place."""
    if step.splice is None:
        return step.payload
    if len(previous) != step.splice.length:
        raise BenchmarkError(f"{len(previous)} bytes to splice, not {step.splice.length}")
    end = step.splice.offset + step.splice.length
    return step.payload[: step.splice.offset] + previous + step.payload[end:]
