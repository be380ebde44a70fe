"""Sentinels that watch a primary and promote a replica: processes of the same program, ended by pid."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

from support.resp import ConnectionClosed, RawClient
from support.server import Server, ServerKind, free_port
from support.wait import eventually

NAME = "models"
_LIFETIME_SECONDS = 300.0


class Sentinels:
    """Several, which agree by majority that the primary is gone. Use as a context."""

    def __init__(self, kind: ServerKind, primary: Server, count: int = 3) -> None:
        self.ports = [free_port() for _ in range(count)]
        self._directory = Path(tempfile.mkdtemp(prefix=f"redisai-sentinel-{kind.name}-"))
        self._processes = [self._start(kind, port, primary.port, count // 2 + 1) for port in self.ports]
        self._end_of_life = threading.Timer(_LIFETIME_SECONDS, self._kill)
        self._end_of_life.daemon = True
        self._end_of_life.start()
        atexit.register(self.close)

    def _start(self, kind: ServerKind, port: int, primary: int, quorum: int) -> subprocess.Popen[bytes]:
        folder = self._directory / str(port)
        folder.mkdir()
        configuration = folder / "sentinel.conf"
        lines = [
            f"port {port}",
            "bind 127.0.0.1",
            f"dir {folder}",
            "logfile sentinel.log",
            f"sentinel monitor {NAME} 127.0.0.1 {primary} {quorum}",
            f"sentinel down-after-milliseconds {NAME} 700",
            f"sentinel failover-timeout {NAME} 5000",
        ]
        configuration.write_text("\n".join(lines) + "\n", encoding="ascii")
        return subprocess.Popen(
            [kind.binary, str(configuration), "--sentinel"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )

    def __enter__(self) -> Sentinels:
        eventually(lambda: all(self._agrees(port) for port in self.ports), "the sentinels know each other", 30)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _agrees(self, port: int) -> bool:
        """Whether one knows the replica and all the others."""
        try:
            with RawClient(port) as raw:
                others = raw.call("SENTINEL", "SENTINELS", NAME)
                return len(others) == len(self.ports) - 1 and len(raw.call("SENTINEL", "REPLICAS", NAME)) == 1
        except (ConnectionClosed, OSError):
            return False

    def log_text(self) -> str:
        return "".join(path.read_text(errors="replace") for path in self._directory.rglob("sentinel.log"))

    def close(self) -> None:
        self._end_of_life.cancel()
        self._kill()
        shutil.rmtree(self._directory, ignore_errors=True)
        atexit.unregister(self.close)

    def _kill(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait(10)
