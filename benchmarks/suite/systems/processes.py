"""Server programs: started with a log of their own, waited for, and ended with all that they started."""

import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from support.server import tail

from suite.errors import BenchmarkError

STOP_SECONDS = 10
POLL_SECONDS = 0.05
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)

Server = subprocess.Popen[bytes]


def program(variable: str) -> str | None:
    """The executable that an environment variable names, if it is there."""
    path = os.environ.get(variable, "")
    return path if os.access(path, os.X_OK) else None


def required_program(variable: str) -> str:
    path = program(variable)
    if path is None:
        raise BenchmarkError(missing(variable))
    return path


def missing(variable: str) -> str:
    return f"{variable} names nothing that is there; 'make bench' fetches it"


@contextmanager
def running(
    command: Sequence[str | Path], folder: Path, ready: Callable[[], bool], seconds: float, **environment: str
) -> Iterator[Server]:
    """The program with its log `folder`/log, once `ready` says so; raises BenchmarkError if that takes too long."""
    log = folder / "log"
    with log.open("ab") as output:
        server = subprocess.Popen(
            command,
            cwd=folder,
            # Nothing of the suite's own modules is for it.
            env=os.environ | {"PYTHONPATH": ""} | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Its processes are a group, so that those it leaves behind are found.
            start_new_session=True,
            preexec_fn=_die_with_parent if threading.current_thread() is threading.main_thread() else None,
        )
    try:
        _await(server, ready, seconds, log)
        yield server
    finally:
        _end(server)


def _await(server: Server, ready: Callable[[], bool], seconds: float, log: Path) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if server.poll() is not None:
            raise _failure(server, f"ended with status {server.returncode}", log)
        if time.monotonic() > deadline:
            raise _failure(server, f"is not ready after {seconds:g} s", log)
        time.sleep(POLL_SECONDS)


def _failure(server: Server, what: str, log: Path) -> BenchmarkError:
    return BenchmarkError(f"{Path(server.args[0]).name} {what}\n{tail(log.read_text(errors='replace'))}")


def _end(server: Server) -> None:
    server.terminate()
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    # Its group has its own number as long as one of the group lives, whether or not it does itself.
    try:
        os.killpg(server.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    server.wait()


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
