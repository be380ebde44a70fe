"""Results made up for the tests: what aibench would say of given figures."""

from collections.abc import Callable

import pytest

from suite.results import Record, Results


def loaded(cpu: float, rate: float = 1000, p50: float = 100, p99: float = 200, errors: dict | None = None) -> dict:
    return {
        "throughput": rate,
        "seconds": 3.0,
        "server_cpu_us_per_inference": cpu,
        "latency_us": {"min": p50 / 2, "mean": p50, "p50": p50, "p90": p99, "p99": p99, "p99.9": p99, "max": p99},
        "distribution": [[50, p50], [99, p99], [100, p99]],
        "series": [
            {"second": second, "completed": rate, "errors": 0, "p50_us": p50, "p99_us": p99} for second in range(3)
        ],
        "processes": [{"name": "server", "peak_rss_bytes": 50_000_000}],
        "ping_us": {"p50": 20, "p99": 300},
        "errors": errors or {},
    }


def empty_results() -> Results:
    environment = {
        "date": "2026-01-01T00:00:00+00:00",
        "processor": "a processor",
        "cores": 2,
        "memory_gb": 8,
        "system": "Linux",
        "load_average": 0.1,
        "server": "a server",
        "commit": "abc",
        "rounds": 3,
        "seconds": 3.0,
        "short": True,
        "minutes": 7.5,
        "command": "make bench",
    }
    systems = {
        "redisai": {"title": "RedisAI in Swift", "tuning": "one thread", "unavailable": None},
        "torchserve": {"title": "TorchServe", "tuning": "two workers", "unavailable": None},
        "mlserver": {"title": "MLServer", "tuning": "", "unavailable": "it is <not> there"},
    }
    return Results(environment, systems)


def adder(results: Results) -> Callable[..., None]:
    """A function that adds one record per figure, as rounds 0, 1 and so on."""

    def record(scenario: str, subject: str, variant: str, point: float, *rounds: dict) -> None:
        results.records += [
            Record(scenario, subject, variant, point, number, figures) for number, figures in enumerate(rounds)
        ]

    return record


@pytest.fixture
def results() -> Results:
    return empty_results()


@pytest.fixture
def add(results: Results) -> Callable[..., None]:
    return adder(results)
