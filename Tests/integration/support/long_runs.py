"""A run that lasts: for everything that has to happen while a worker is busy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from support import onnx_models
from support.commands import execute_command, set_tensor, store_model
from support.resp import Argument, RawClient
from support.server import Server
from support.wait import eventually

TINY = 10_000  # iterations: some hundredths of a second
SHORT = 200_000  # some tenths of a second
ENDLESS = 2**62


def store_loop(raw: RawClient, key: str = "loop", device: str = "CPU") -> None:
    """A counting loop under ``key`` with its inputs: ``{key}:x`` and the numbers of iterations below."""
    store_model(raw, key, onnx_models.counting_loop(), device=device)
    set_tensor(raw, f"{key}:x", [0])
    set_tensor(raw, f"{key}:tiny", [TINY], "INT64")
    set_tensor(raw, f"{key}:short", [SHORT], "INT64")
    set_tensor(raw, f"{key}:endless", [ENDLESS], "INT64")


def loop_command(key: str = "loop", length: str = "short", output: str = "loop:y", *tail: Argument) -> list[Argument]:
    return execute_command(key, [f"{key}:{length}", f"{key}:x"], [output], *tail)


@contextmanager
def busy_worker(server: Server, key: str = "loop", length: str = "short") -> Iterator[RawClient]:
    """Within the block the device of ``key`` is busy with one run; yields the connection that waits for it.

    The worker may need a moment to pick the run up. Requests sent later are behind it in the queue all the same.
    """
    with server.raw() as waiting:
        waiting.send(*loop_command(key, length))
        # The command is parsed when its connection shows up as blocked.
        _await_blocked(server)
        yield waiting


def _await_blocked(server: Server) -> None:
    eventually(lambda: int(server.info("clients")["blocked_clients"]) > 0, "the run is queued", timeout=5)
