"""Campaigns whose clients are spread over processes, and what these have seen, put together."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.pool import Pool
from typing import Self, TypeVar

WORKERS = 2
PROBLEM_LIMIT = 20


@dataclass(frozen=True)
class Task:
    """The clients of one process; each has a connection."""

    port: int
    seed: str
    worker: int
    clients: int


@dataclass
class WorkerResult:
    """What is wrong with what the clients of one process have seen, or those of all."""

    wrong: int = 0
    problems: list[str] = field(default_factory=list)

    def note_problem(self, text: str) -> None:
        self.wrong += 1
        if len(self.problems) < PROBLEM_LIMIT:
            self.problems.append(text[:3000])

    def add(self, other: Self) -> None:
        self.wrong += other.wrong
        self.problems += other.problems


TaskType = TypeVar("TaskType", bound=Task)
ResultType = TypeVar("ResultType", bound=WorkerResult)


def worker_pool() -> Pool:
    """A process for each worker."""
    # Forking a process that holds sockets and threads invites trouble.
    return multiprocessing.get_context("spawn").Pool(WORKERS)


def collect(run_worker: Callable[[TaskType], ResultType], tasks: Sequence[TaskType], whole: ResultType) -> float:
    """Adds to ``whole`` what the workers see, each with its task, and returns the seconds that they take together."""
    start = time.monotonic()
    with worker_pool() as pool:
        for part in pool.map(run_worker, tasks):
            whole.add(part)
    return time.monotonic() - start
