"""A real Redis or Valkey server with the module loaded, in a private directory on a port of its own.

    with Server("redis7", "/usr/bin/redis-server", "dist/redisai.so", module_args=("THREADS_PER_QUEUE", "2")) as server:
        server.client().ping()                    # redis-py
        server.raw().call("AI.INFO", "nothing")   # exact protocol values, see support/resp.py

The server never outlives the test process: it is ended by pid when the object is stopped, at interpreter exit, when
the parent dies (Linux parent-death signal) and, whatever else happens, after ``lifetime`` seconds.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from support.resp import DEFAULT_TIMEOUT_SECONDS, ConnectionClosed, RawClient, Status
from support.wait import eventually

START_TIMEOUT_SECONDS = 30.0
STOP_TIMEOUT_SECONDS = 10.0
LOG_TAIL_LINES = 80

_CRASH_MARKS = re.compile(r"BUG REPORT START|ASSERTION FAILED|crashed by signal|Fatal error:|\*\*\* stack smashing")
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class ServerKind:
    """A server program the tests run against, e.g. ``redis7`` at ``/usr/bin/redis-server``."""

    name: str
    binary: str


class EnvironmentProblem(Exception):
    """The environment does not say which servers or which module to test."""


def kinds_from_environment() -> list[ServerKind]:
    """The servers named by ``REDISAI_SERVERS="redis7=/usr/bin/redis-server valkey9=/path ..."``."""
    entries = os.environ.get("REDISAI_SERVERS", "").split()
    if not entries:
        raise EnvironmentProblem('set REDISAI_SERVERS, e.g. "redis7=/usr/bin/redis-server valkey9=/path/valkey-server"')
    kinds = []
    for entry in entries:
        name, _, binary = entry.partition("=")
        if not binary or not os.access(binary, os.X_OK):
            raise EnvironmentProblem(f"REDISAI_SERVERS: '{entry}' is not NAME=PATH of an executable server")
        kinds.append(ServerKind(name, binary))
    return kinds


def module_from_environment() -> str:
    """The module under test, named by ``REDISAI_MODULE``."""
    path = os.environ.get("REDISAI_MODULE", "")
    if not path or not os.path.isfile(path):
        raise EnvironmentProblem(f"set REDISAI_MODULE to the built redisai.so (now: '{path}'); 'make build' makes it")
    return os.path.abspath(path)


class ServerStartError(Exception):
    """The server did not come up; ``log`` is everything it said."""

    def __init__(self, reason: str, log: str) -> None:
        super().__init__(f"{reason}\n--- server log, tail ---\n{tail(log)}")
        self.log = log


def tail(text: str, lines: int = LOG_TAIL_LINES) -> str:
    return "\n".join(text.splitlines()[-lines:])


class Server:
    """One server process with its directory.

    ``kind`` is a label only ("redis7", "redis8", "valkey9"). ``module`` may be None for a plain server. ``config``
    holds further ``--name value`` words. The directory survives ``restart`` and ``kill9``; ``stop`` keeps it as well
    until ``close`` (or the end of the ``with`` block) removes it.
    """

    def __init__(
        self,
        kind: str,
        binary: str,
        module: str | None,
        module_args: Sequence[str] = (),
        config: Sequence[str] = (),
        lifetime: float = 1800.0,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.kind = kind
        self.binary = binary
        self.module = module
        self.module_args = tuple(str(argument) for argument in module_args)
        self.config = tuple(str(word) for word in config)
        self.lifetime = lifetime
        # Seconds until it has to answer; reading a large data file takes longer than the default.
        self.start_timeout = START_TIMEOUT_SECONDS
        self.environment = environment
        self.port = 0
        self.directory = Path(tempfile.mkdtemp(prefix=f"redisai-{kind}-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._end_of_life: threading.Timer | None = None
        self._clients: list[redis.Redis] = []
        self._raw_clients: list[RawClient] = []
        atexit.register(self.close)

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    # Life

    def start(self) -> Server:
        """Start the process and wait until it answers PING; raises ``ServerStartError`` with the log otherwise."""
        assert not self.alive(), "already running"
        for attempt in range(3):
            self.port = free_port()
            log_length = len(self.log_text())
            self._launch()
            try:
                self._await_ready()
                return self
            except ServerStartError as error:
                self.kill9()
                if "Address already in use" not in error.log[log_length:] or attempt == 2:
                    raise
        raise AssertionError("unreachable")

    def stop(self) -> None:
        """End the process by pid: SIGTERM, then SIGKILL. The data directory stays."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._forget_process()

    def kill9(self) -> None:
        """End the process at once, as a power cut would."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
        self._forget_process()

    def restart(self) -> None:
        """SHUTDOWN SAVE and start again in the same directory, so that the RDB file is read back."""
        with RawClient(self.port) as client:
            client.send("SHUTDOWN", "SAVE")
            try:
                refused = client.read()
            except (ConnectionClosed, ConnectionResetError):
                refused = None
        if refused is not None:
            raise AssertionError(f"SHUTDOWN SAVE was refused: {refused}\n{tail(self.log_text())}")
        assert self._process is not None
        self._process.wait(STOP_TIMEOUT_SECONDS)
        self._forget_process()
        self.start()

    def close(self) -> None:
        """Stop the process and remove its directory."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)
        atexit.unregister(self.close)

    def alive(self) -> bool:
        """True while the process runs (it may still be deaf: see ``responsive``)."""
        return self._process is not None and self._process.poll() is None

    def responsive(self, timeout: float = 5.0) -> bool:
        """True when the server answers PING on a new connection."""
        try:
            with RawClient(self.port, timeout=timeout) as client:
                return client.call("PING") == Status("PONG")
        except (OSError, ConnectionClosed):
            return False

    # Looking inside

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """None while running; negative for death by that signal."""
        return None if self._process is None else self._process.poll()

    def log_text(self) -> str:
        """Everything logged since the directory was made, standard output and error included."""
        texts = []
        for name in ("output.log", "server.log"):
            path = self.directory / name
            if path.exists():
                texts.append(path.read_text(errors="replace"))
        return "".join(texts)

    def crash_report(self) -> str | None:
        """The tail of the log if it holds the marks of a crash."""
        log = self.log_text()
        return tail(log) if _CRASH_MARKS.search(log) else None

    def info(self, *sections: str) -> dict[str, str]:
        """The fields of INFO as text, sections flattened."""
        return dict(self.info_lines(*sections))

    def info_lines(self, *sections: str) -> list[tuple[str, str]]:
        """INFO's lines in order: ``("# Section", "")`` for a header, ``(field, value)`` otherwise."""
        with self.raw() as client:
            text = client.call("INFO", *sections).decode()
        lines = []
        for line in filter(None, text.split("\r\n")):
            field, _, value = (line, "", "") if line.startswith("#") else line.partition(":")
            lines.append((field, value))
        return lines

    def used_memory(self) -> int:
        return int(self.info("memory")["used_memory"])

    # Connections

    def client(self, **options: Any) -> redis.Redis:
        """A redis-py client, replies as bytes; closed with the server."""
        options.setdefault("decode_responses", False)
        options.setdefault("socket_timeout", DEFAULT_TIMEOUT_SECONDS)
        client = redis.Redis(host="127.0.0.1", port=self.port, **options)
        self._clients.append(client)
        return client

    def raw(self, resp: int = 2, timeout: float = DEFAULT_TIMEOUT_SECONDS) -> RawClient:
        """A raw protocol client; closed with the server at the latest."""
        client = RawClient(self.port, resp=resp, timeout=timeout)
        self._raw_clients.append(client)
        return client

    # Internals

    def _command_line(self) -> list[str]:
        words = [self.binary, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory)]
        words += ["--save", "", "--appendonly", "no", "--logfile", "server.log", "--enable-debug-command", "yes"]
        words += self.config
        if self.module is not None:
            words += ["--loadmodule", self.module, *self.module_args]
        return words

    def _launch(self) -> None:
        with open(self.directory / "output.log", "ab") as output:
            self._process = subprocess.Popen(
                self._command_line(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                env=self.environment,
                preexec_fn=_die_with_parent if _on_main_thread() else None,
                # As Python does: a file that has reached its limit is an error, not the end of the process.
                restore_signals=False,
            )
        self._end_of_life = threading.Timer(self.lifetime, self._process.kill)
        self._end_of_life.daemon = True
        self._end_of_life.start()

    def _await_ready(self) -> None:
        deadline = time.monotonic() + self.start_timeout
        # Another server may have taken the port and answer in its place.
        while not (self.responsive(timeout=1.0) and self.alive()):
            if not self.alive():
                raise ServerStartError(f"{self.kind} ended with status {self.exit_status} at start", self.log_text())
            if time.monotonic() > deadline:
                raise ServerStartError(f"{self.kind} did not answer within {self.start_timeout} s", self.log_text())
            time.sleep(0.01)

    def _forget_process(self) -> None:
        for client in self._clients:
            client.close()
        for raw_client in self._raw_clients:
            raw_client.close()
        self._clients.clear()
        self._raw_clients.clear()
        if self._end_of_life is not None:
            self._end_of_life.cancel()
            self._end_of_life = None
        if self._process is not None:
            self._process.wait(STOP_TIMEOUT_SECONDS)


def wait_until_dead(server: Server, timeout: float = STOP_TIMEOUT_SECONDS) -> None:
    """Wait for a process that ends by itself."""
    eventually(lambda: not server.alive(), "the server ends", timeout)


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _on_main_thread() -> bool:
    # The parent-death signal is tied to the creating thread, so only the main thread may ask for it.
    return threading.current_thread() is threading.main_thread()


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
