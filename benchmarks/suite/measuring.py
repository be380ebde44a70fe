"""Measures several subjects in alternating rounds, so that what disturbs the machine disturbs all of them."""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from suite import data, models
from suite.errors import BenchmarkError
from suite.floors import RawRuns, echo_of
from suite.load import Closed, Duration, Load, LoadGenerator, Measurement, Ping, Request, plan, sample_reply
from suite.results import Record, Results
from suite.serving import Reachable, RunningSystem, ServingSystem, Workload
from suite.settings import Settings
from suite.systems.redisai import RedisAI

TOLERANCE = 1e-3
RAW_SECONDS = 0.3
WARM_UP_CONNECTIONS = 64
CHECKED_ENTRY = 3
# An engine may compile at its first run.
CHECK_SECONDS = 1.0


@dataclass(frozen=True)
class Subject:
    """Something that is measured, with its place in the results."""

    name: str
    variant: str
    point: float
    measure: Callable[[Duration], Measurement]


@dataclass
class Bench:
    """One run of the suite."""

    settings: Settings
    results: Results
    folder: Path

    def __post_init__(self) -> None:
        self.generator = LoadGenerator(self.settings.aibench)
        self.raw = RawRuns(self.settings.raw_programs, self.settings.module)
        self.scenario = ""
        self._start = time.monotonic()

    # Subjects

    def loaded(
        self,
        name: str,
        variant: str,
        point: float,
        running: Reachable,
        requests: Sequence[Request],
        load: Load,
        ping: Ping | None = None,
    ) -> Subject:
        """A system under load."""

        def measure(duration: Duration) -> Measurement:
            label = f"{self.scenario}: {name}, {variant}, {point:g}"
            return self.generator.run(plan(label, running.targets, running.processes, requests, load, duration, ping))

        return Subject(name, variant, point, measure)

    def echoed(
        self, variant: str, point: float, running: Reachable, requests: Sequence[Request], load: Load
    ) -> Subject:
        """The same server with ECHOs of the same bytes."""
        return self.loaded("echo", variant, point, running, [echo_of(request) for request in requests], load)

    def engine(
        self, engine: str, variant: str, point: float, model: bytes, rows: str = "1", threads: int | None = None
    ) -> Subject:
        """The engine alone."""
        if problem := self.raw.missing(engine):
            raise BenchmarkError(problem)

        def measure(duration: Duration) -> Measurement:
            seconds = min(duration.seconds, RAW_SECONDS) if threads is None else duration.seconds
            return self.raw.measure(engine, model, rows, seconds, threads)

        return Subject("engine", variant, point, measure)

    # Measuring

    def alternate(self, subjects: Sequence[Subject], rounds: int = 0, least_seconds: float = 0) -> None:
        """Each subject once per round; the results go to the records of the current scenario."""
        rounds = rounds or self.settings.rounds
        duration = replace(self.settings.duration, seconds=max(least_seconds, self.settings.duration.seconds))
        first = self._rounds_so_far(subjects[0])
        for number in range(first, first + rounds):
            for subject in subjects:
                figures = subject.measure(duration)
                self.results.records.append(
                    Record(self.scenario, subject.name, subject.variant, subject.point, number, figures)
                )
                place = f"{number + 1}/{first + rounds} {subject.name}, {subject.variant}, {subject.point:g}"
                self.say(f"{place}: {_line(figures)}")

    def _rounds_so_far(self, subject: Subject) -> int:
        return len(self.results.select(self.scenario, subject.name, subject.variant, subject.point))

    @contextmanager
    def started(self, system: ServingSystem, workload: Workload) -> Iterator[RunningSystem]:
        """A system that is warm and answers right."""
        self.say(f"starting {system.title} ({workload.reference}, {workload.reference_bytes} bytes)")
        with (
            tempfile.TemporaryDirectory(prefix=f"bench-{system.name}-") as folder,
            system.start(workload, Path(folder)) as running,
        ):
            self.check_answer(system, workload, running)
            yield running

    def check_answer(self, system: ServingSystem, workload: Workload, running: RunningSystem) -> None:
        """A wrong answer is not a fast answer."""
        request = running.request(CHECKED_ENTRY)
        load, duration = Closed(1), Duration(CHECK_SECONDS, 0)
        label = f"the first answer of {system.title}"
        measurement = self.generator.run(plan(label, running.targets, running.processes, [request], load, duration))
        answer = running.probabilities(sample_reply(measurement)).ravel()
        entry = slice(CHECKED_ENTRY, CHECKED_ENTRY + 1)
        transaction = data.transactions(workload.entries)[entry]
        reference = data.references(workload.entries, workload.reference_bytes)[entry]
        expected = models.answers(workload, transaction, reference).ravel()
        if answer.shape != expected.shape or not np.allclose(answer, expected, atol=TOLERANCE):
            raise BenchmarkError(f"{label} is wrong: {answer} instead of {expected}")

    def warm(self, system: ServingSystem, running: RunningSystem, requests: Sequence[Request]) -> None:
        """Load that does not count."""
        label = f"warming up {system.title} for {system.warm_up_seconds:g} s"
        self.say(label)
        duration, load = Duration(system.warm_up_seconds, 0), Closed(WARM_UP_CONNECTIONS)
        self.generator.run(plan(label, running.targets, running.processes, requests, load, duration))

    def rounds_of(self, system: ServingSystem) -> int:
        return self.settings.rounds if isinstance(system, RedisAI) else self.settings.peer_rounds

    def problem(self, text: str) -> None:
        """Something of the current scenario cannot be measured: the report says so."""
        self.results.problems.append({"scenario": self.scenario, "text": text})
        self.say(text)

    def say(self, text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._start), 60)
        print(f"[{minutes}:{seconds:02} {self.scenario}] {text}", file=sys.stderr, flush=True)


def requests_of(running: RunningSystem, workload: Workload) -> list[Request]:
    return [running.request(index) for index in range(workload.entries)]


def _line(figures: Measurement) -> str:
    for name, unit in (("run_us", "µs CPU"), ("wall_us", "µs")):
        if name in figures:
            return f"{figures[name]:.1f} {unit} a run"
    latency = figures["latency_us"]
    errors = f", {sum(figures['errors'].values())} ERRORS" if figures["errors"] else ""
    return (
        f"{figures['throughput']:,.0f}/s, CPU {figures['server_cpu_us_per_inference']:.1f} µs, "
        f"p50 {latency['p50']:,.0f} µs, p99 {latency['p99']:,.0f} µs{errors}"
    )
