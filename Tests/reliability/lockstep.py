"""Many connections in one thread: all get their commands, then all answers are read.

While this program reads the answers of one connection, the server works for the others; so the server always has as
many requests as there are connections, at less cost than with a task for each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from support.resp import Argument, RawClient, encode_command

ANSWER_TIMEOUT_SECONDS = 60.0
Command = Sequence[Argument]


class Lockstep:
    """That many connections to a server, with these versions of the protocol in turn."""

    def __init__(self, port: int, connections: int, versions: Sequence[int] = (2,)) -> None:
        self.clients = [
            RawClient(port, resp=versions[number % len(versions)], timeout=ANSWER_TIMEOUT_SECONDS)
            for number in range(connections)
        ]

    def __enter__(self) -> Lockstep:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self.clients:
            client.close()

    def exchange(self, commands: Sequence[Sequence[Command]]) -> list[list[Any]]:
        """The replies to the commands of each connection, which are sent in one write."""
        for client, own in zip(self.clients, commands, strict=True):
            client.send_bytes(b"".join(encode_command(*command) for command in own))
        return [[client.read() for _ in own] for client, own in zip(self.clients, commands)]
