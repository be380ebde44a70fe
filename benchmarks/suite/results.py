"""What was measured: one flat list of records, kept as JSON, and the medians that everything else is computed from."""

import json
import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from suite.load import Measurement

FILE = "results.json"


@dataclass(frozen=True)
class Record:
    """One measurement of one round."""

    scenario: str
    # What was measured: a system's name, "echo" or "engine" (the engine's raw run).
    subject: str
    # Tells apart what the scenario compares, such as "tuned" and "defaults".
    variant: str
    # The place on the scenario's axis: clients, bytes of reference data, share of the maximum rate.
    point: float
    round: int
    # Raw runs have "run_us" (CPU) and, where several threads share a run, "wall_us"; all others are aibench's.
    figures: Measurement


Figure = Callable[[Record], float]


def throughput(record: Record) -> float:
    """Inferences a second."""
    return record.figures["throughput"]


def cpu_us(record: Record) -> float:
    """Server CPU per inference."""
    return record.figures["server_cpu_us_per_inference"]


def run_us(record: Record) -> float:
    """CPU of a raw run."""
    return record.figures["run_us"]


def wall_us(record: Record) -> float:
    """Duration of a raw run."""
    return record.figures["wall_us"]


def latency_us(percentile: str) -> Figure:
    return lambda record: record.figures["latency_us"][percentile]


def ping_us(percentile: str) -> Figure:
    return lambda record: record.figures["ping_us"][percentile]


@dataclass
class Results:
    """Everything the report is made from."""

    # What it was measured on and with.
    environment: dict[str, Any] = field(default_factory=dict)
    # By name: {"title", "tuning", "unavailable"}.
    systems: dict[str, dict[str, Any]] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    # By scenario: why it or a part of it could not be measured.
    problems: list[dict[str, str]] = field(default_factory=list)
    bars: list[dict[str, Any]] = field(default_factory=list)

    def select(
        self, scenario: str, subject: str | None = None, variant: str | None = None, point: float | None = None
    ) -> list[Record]:
        """The records that match all that is given."""
        wanted = {"scenario": scenario, "subject": subject, "variant": variant, "point": point}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        return [each for each in self.records if all(getattr(each, name) == wanted[name] for name in wanted)]

    def median(self, figure: Figure, *selection: Any, **further: Any) -> float | None:
        """Of the rounds; None where there is no such record."""
        values = [figure(record) for record in self.select(*selection, **further)]
        return statistics.median(values) if values else None

    def points(self, scenario: str, subject: str, variant: str | None = None) -> list[float]:
        return sorted({record.point for record in self.select(scenario, subject, variant)})

    def variants(self, scenario: str, subject: str | None = None) -> list[str]:
        """In the order in which they were measured."""
        return list(dict.fromkeys(record.variant for record in self.select(scenario, subject)))

    def subjects(self, scenario: str) -> list[str]:
        return list(dict.fromkeys(record.subject for record in self.select(scenario)))

    def errors(self, scenario: str, subject: str) -> dict[str, int]:
        """How often each error was the answer, over all records of a subject."""
        counts: dict[str, int] = {}
        for record in self.select(scenario, subject):
            for text, count in record.figures.get("errors", {}).items():
                counts[text] = counts.get(text, 0) + count
        return counts

    def save(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / FILE
        path.write_text(json.dumps(asdict(self), indent=1))
        return path


def load_results(folder: Path) -> Results:
    content = json.loads((folder / FILE).read_text())
    return Results(**content | {"records": [Record(**record) for record in content["records"]]})


def by_round(*groups: list[Record]) -> Iterator[tuple[Record, ...]]:
    """The records of several subjects that were measured in the same round, for ratios within a round."""
    indexed = [{record.round: record for record in group} for group in groups]
    for number in sorted(set.intersection(*map(set, indexed))) if indexed else ():
        yield tuple(group[number] for group in indexed)
