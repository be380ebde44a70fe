"""The reference data where the other systems find it: a plain Redis 7."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from support.resp import RawClient
from support.server import Server, kinds_from_environment

from suite import data
from suite.errors import BenchmarkError
from suite.serving import Process, Target, Workload

KIND = "redis7"
# Bytes of records that are sent before their answers are read.
CHUNK = 4 << 20


@dataclass(frozen=True)
class ReferenceStore:
    target: Target
    process: Process

    @property
    def environment(self) -> dict[str, str]:
        """How the handlers learn where it is."""
        return {"REFERENCE_STORE_PORT": str(self.target.port)}


def key(index: int) -> str:
    return f"ref:{index}"


@contextmanager
def running_reference_store(workload: Workload) -> Iterator[ReferenceStore]:
    """The store with the records of the workload: little-endian FLOAT32 by the key ref:<index>."""
    with Server(KIND, _binary(), None) as server:
        with server.raw() as client:
            _fill(client, workload)
        yield ReferenceStore(Target("resp", server.port), Process("reference store", server.pid))


@contextmanager
def reference_store_if_needed(workload: Workload) -> Iterator[ReferenceStore | None]:
    if workload.reference == "none":
        yield None
    else:
        with running_reference_store(workload) as store:
            yield store


def _binary() -> str:
    for kind in kinds_from_environment():
        if kind.name == KIND:
            return kind.binary
    raise BenchmarkError(f"REDISAI_SERVERS names no {KIND}: {os.environ['REDISAI_SERVERS']}")


def _fill(client: RawClient, workload: Workload) -> None:
    records = data.references(workload.entries, workload.reference_bytes)
    step = max(1, CHUNK // workload.reference_bytes)
    for first in range(0, workload.entries, step):
        chunk = range(first, min(first + step, workload.entries))
        client.pipeline([("SET", key(index), records[index].tobytes()) for index in chunk])
