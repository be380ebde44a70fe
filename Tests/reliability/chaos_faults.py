"""What can happen to a server, its disk, and the link to its replica: one class each.

A fault says what it is about to do, does it while clients work, and leaves a server that can be asked what it has.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from abc import ABC, abstractmethod
from pathlib import Path
from random import Random

from support.resp import ConnectionClosed, RawClient
from support.server import Server, wait_until_dead
from support.wait import eventually

from reliability.chaos_clients import TRY_AGAIN
from reliability.link_proxy import LinkProxy

# A shutdown gives the module's threads a few seconds to end.
_SHUTDOWN_SECONDS = 30.0


class Fault(ABC):
    """Something that goes wrong while clients work."""

    tolerated: tuple[str, ...] = ()
    """What clients may be answered meanwhile besides what is right."""
    keeps_everything = True
    """Whether what was acknowledged must be there afterwards also when there is only a data file."""

    def __init__(self, random: Random) -> None:
        self.random = random

    @abstractmethod
    def strike(self, server: Server, link: LinkProxy) -> str:
        """Does it; what it did, in words. The server may be dead afterwards."""

    def heal(self, server: Server, link: LinkProxy) -> None:
        """Clients have stopped: puts right what does not right itself."""


class KillHard(Fault):
    """The process is gone from one moment to the next."""

    keeps_everything = False

    def strike(self, server: Server, link: LinkProxy) -> str:
        os.kill(server.pid, signal.SIGKILL)
        wait_until_dead(server)
        return "kill -9"


class KillWhileRewriting(Fault):
    """The same while the append-only file is being rewritten."""

    keeps_everything = False

    def strike(self, server: Server, link: LinkProxy) -> str:
        _ask(server, "BGREWRITEAOF")
        pause = self.random.uniform(0, 0.05)
        time.sleep(pause)
        os.kill(server.pid, signal.SIGKILL)
        wait_until_dead(server)
        return f"kill -9, {pause * 1000:.0f} ms after BGREWRITEAOF"


class Terminate(Fault):
    """The server is asked to end, and saves."""

    # The server refuses writes while it waits for its replica, and so does the module for a run that ends just then.
    tolerated = (TRY_AGAIN,)

    def strike(self, server: Server, link: LinkProxy) -> str:
        os.kill(server.pid, signal.SIGTERM)
        wait_until_dead(server, _SHUTDOWN_SECONDS)
        assert server.exit_status == 0, f"SIGTERM: exit status {server.exit_status}"
        return "SIGTERM"


class Freeze(Fault):
    """The process stands still for a while."""

    def strike(self, server: Server, link: LinkProxy) -> str:
        duration = self.random.uniform(0.1, 1.0)
        os.kill(server.pid, signal.SIGSTOP)
        time.sleep(duration)
        os.kill(server.pid, signal.SIGCONT)
        time.sleep(0.1)
        return f"SIGSTOP for {duration:.2f} s"


class FullDisk(Fault):
    """No file can grow any more: neither the append-only file nor a data file.

    Done by a limit on the size of files, which needs no rights; the server sees EFBIG in place of ENOSPC.
    """

    # The last is of the limit, not of a full disk: it holds for files in memory too, in which models are tried out.
    tolerated = ("MISCONF", "Errors writing", "unable to persist", "not survive loading", "could not be tried out")

    def strike(self, server: Server, link: LinkProxy) -> str:
        appended = max((path.stat().st_size for path in server.directory.rglob("*.incr.aof")), default=0)
        limit = (appended if server_appends(server) else 0) + self.random.randrange(64, 2000)
        _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (limit, hard))
        if not server_appends(server):
            _ask(server, "BGSAVE", "SCHEDULE")
        time.sleep(0.7)
        if server.alive():
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (hard, hard))
        return f"no file above {limit} bytes, the server {'goes on' if server.alive() else 'ends'}"

    def heal(self, server: Server, link: LinkProxy) -> None:
        if not server.alive() or server_appends(server):
            return
        with server.raw() as raw:
            eventually(lambda: raw.call("BGSAVE"), "BGSAVE")
            eventually(lambda: server.info("persistence")["rdb_last_bgsave_status"] == "ok", "the file is saved again")


class SlowSave(Fault):
    """The process that saves stands still for a while, as on a slow disk, and the server serves on."""

    def strike(self, server: Server, link: LinkProxy) -> str:
        child = _start_saving(server)
        duration = self.random.uniform(0.2, 0.8)
        stopped = child is not None and _signal(child, signal.SIGSTOP)
        time.sleep(duration)
        if child is not None and stopped:
            _signal(child, signal.SIGCONT)
        return f"a save takes {duration:.2f} s longer"


class KilledSave(Fault):
    """The process that saves is killed; what was saved before stays."""

    tolerated = FullDisk.tolerated

    def strike(self, server: Server, link: LinkProxy) -> str:
        child = _start_saving(server)
        killed = child is not None and _signal(child, signal.SIGKILL)
        time.sleep(0.3)
        return f"the process that saves is {'killed' if killed else 'done already'}"

    heal = FullDisk.heal


class CutLink(Fault):
    """The link to the replica breaks several times."""

    def strike(self, server: Server, link: LinkProxy) -> str:
        times = self.random.randrange(1, 6)
        for _ in range(times):
            link.cut()
            time.sleep(self.random.uniform(0, 0.2))
        return f"the link to the replica is cut {times} times"


class SlowLink(Fault):
    """Everything reaches the replica late."""

    def strike(self, server: Server, link: LinkProxy) -> str:
        delay = self.random.uniform(0.01, 0.1)
        link.delay(delay)
        time.sleep(0.7)
        link.delay(0)
        return f"the link to the replica is {delay * 1000:.0f} ms late"


class SilentLink(Fault):
    """The link to the replica is half open until both sides give it up, or it comes back before."""

    def strike(self, server: Server, link: LinkProxy) -> str:
        duration = self.random.choice((0.5, 1.0, 4.0))
        link.fall_silent(True)
        time.sleep(duration)
        link.fall_silent(False)
        return f"the link to the replica is silent for {duration:g} s"


class CutTransfer(Fault):
    """The replica has to copy everything, and the link breaks in the middle of it, twice."""

    def strike(self, server: Server, link: LinkProxy) -> str:
        # A new replication ID, and the backlog gone: nothing but a copy will do.
        _ask(server, "DEBUG", "CHANGE-REPL-ID")
        counts = [self.random.randrange(500, 20_000) for _ in range(2)]
        for count in counts:
            link.cut_after(count)
            link.cut()
            time.sleep(0.5)
        return f"the copy for the replica breaks off after {' and '.join(map(str, counts))} bytes"


FAULTS: dict[str, type[Fault]] = {
    "kill": KillHard,
    "kill-rewrite": KillWhileRewriting,
    "terminate": Terminate,
    "freeze": Freeze,
    "full-disk": FullDisk,
    "slow-save": SlowSave,
    "killed-save": KilledSave,
    "cut-link": CutLink,
    "slow-link": SlowLink,
    "silent-link": SilentLink,
    "cut-transfer": CutTransfer,
}


def server_appends(server: Server) -> bool:
    """Whether the server keeps an append-only file."""
    return "--appendonly" in server.config


def _ask(server: Server, *command: str) -> None:
    """Whatever the answer."""
    try:
        with RawClient(server.port) as raw:
            raw.call(*command)
    except (ConnectionClosed, OSError):
        pass


def _start_saving(server: Server) -> int | None:
    """The process that writes the data file, or None when it has been quick."""
    before = _children(server.pid)
    _ask(server, "BGSAVE")
    new = _children(server.pid) - before
    return next(iter(new), None)


def _children(pid: int) -> set[int]:
    found: set[int] = set()
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found |= {int(word) for word in path.read_text(encoding="ascii").split()}
        except OSError:
            continue
    return found


def _signal(pid: int, number: signal.Signals) -> bool:
    try:
        os.kill(pid, number)
        return True
    except ProcessLookupError:
        return False
