"""A primary with its replica, and what the replica was told."""

from __future__ import annotations

import re
from collections.abc import Callable

from support.resp import OK, RawClient
from support.server import Server
from support.wait import eventually

# Nobody waits for further replicas before the first copy, nor for this one when the primary ends.
PRIMARY = ("--repl-diskless-sync-delay", "0", "--shutdown-timeout", "0")
_COMMAND = re.compile(r"^\S+ \[\d+ \S+:(\d+)\] (.*)$", re.DOTALL)
_OF_THE_SERVER = (b"ping", b"replconf", b"select", b"multi", b"exec")
_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)


def start_replica(start_server: Callable[..., Server], primary: Server) -> Server:
    """A replica that has all of the primary's data."""
    replica = start_server(config=("--replicaof", f"127.0.0.1 {primary.port}"))
    eventually(lambda: replica.info("replication").get("master_link_status") == "up", "the replica is connected")
    return replica


def caught_up(primary: Server, replica: Server) -> RawClient:
    """A connection to the replica when it holds what the primary holds."""
    expected = primary.raw().call("DEBUG", "DIGEST")
    raw = replica.raw()
    eventually(lambda: raw.call("DEBUG", "DIGEST") == expected, "the replica holds the same")
    return raw


class Listener:
    """Reads along what a replica is told by its primary."""

    def __init__(self, primary: Server, replica: Server) -> None:
        self._port = primary.port
        self._primary = primary.raw()
        self._monitor = replica.raw()
        assert self._monitor.call("MONITOR") == OK

    def commands(self) -> list[list[bytes]]:
        """All that came since the listener was made, or was asked before; without the server's own commands."""
        self._primary.call("PUBLISH", "marker", "end")
        commands = []
        while True:
            match = _COMMAND.match(self._monitor.read().text)
            if match is None or int(match[1]) != self._port:
                continue  # what a test does on the replica
            command = [_unescape(word) for word in _WORD.findall(match[2])]
            if command[0] == b"PUBLISH":
                return commands
            if command[0].lower() not in _OF_THE_SERVER:
                commands.append(command)


def _unescape(word: str) -> bytes:
    return word.encode("latin1", "surrogateescape").decode("unicode_escape").encode("latin1")
