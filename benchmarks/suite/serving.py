"""What the suite and the serving systems know of each other."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Target:
    """Where a server listens, and what it speaks: resp, http1 or grpc."""

    protocol: str
    port: int
    host: str = "127.0.0.1"


@dataclass(frozen=True)
class Splice:
    """Where the previous step's reply, a bulk string of `length` bytes, goes into the payload."""

    offset: int
    length: int


@dataclass(frozen=True)
class Step:
    """One message of a request; `path` is for grpc, `replies` counts what a RESP payload is answered with."""

    target: str
    payload: bytes
    path: str | None = None
    replies: int = 1
    splice: Splice | None = None


@dataclass(frozen=True)
class Process:
    """A process whose CPU time, with that of all its descendants, counts as the system's."""

    name: str
    pid: int


@dataclass(frozen=True)
class Workload:
    """What is asked of a serving system."""

    # "none": the model has no reference input; "store": it is read from the reference store by key.
    reference: str = "store"
    # FLOAT32 values of one record; the model takes 256 of them, evenly spread.
    reference_bytes: int = 1024
    batching: bool = False
    # Ours only: onnx, tf, torch or tflite.
    engine: str = "onnx"
    # How many transactions and reference records there are.
    entries: int = 1000


class Reachable(Protocol):
    """What load can be sent to, and whose CPU time can be told."""

    targets: Mapping[str, Target]
    processes: Sequence[Process]


class RunningSystem(Reachable, Protocol):
    """A serving system that answers."""

    def request(self, index: int) -> tuple[Step, ...]:
        """The request for transaction `index` with reference record `index`."""

    def probabilities(self, reply: bytes) -> np.ndarray:
        """Both classes' probabilities from the last step's reply, to check the answer."""


class ServingSystem(Protocol):
    """One adapter: how a system is started and asked."""

    # flask, torchserve, tensorflow-serving, triton, mlserver or redisai.
    name: str
    # For people, with the version.
    title: str
    # How long it takes under load to get fast: what runs in a JVM or compiles as it goes needs many seconds.
    warm_up_seconds: float

    def unavailable(self) -> str | None:
        """Why it cannot run here, for the report."""

    def start(self, workload: Workload, folder: Path) -> AbstractContextManager[RunningSystem]:
        """Started with its model and the reference data in place; `folder` is its own."""
