"""The short form for CI: the CPU of an inference against its floor, compared with what it once was."""

import math
import statistics
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from suite import models
from suite.bars import floor_ratio
from suite.load import Closed
from suite.measuring import Bench, requests_of
from suite.registry import OURS, ours
from suite.results import by_round, cpu_us, run_us
from suite.scenarios.hot_path import ENGINE, PLAIN, PLAIN_CLIENTS
from suite.serving import Workload

# How much more than recorded is a regression.
ALLOWED = 1.25
# Rounds whose ratios differ by more than this, in relation to their median, are not to be trusted: there are more then.
TRUSTED_SPREAD = 0.2
MOST_TRIES = 3
HEADER = """# CPU per inference against E + R (see docs/performance.md), by number of clients. `make bench-smoke` fails
# at more than 1.25 times these; `make bench-smoke RECORD=1` writes them anew.
"""


@dataclass(frozen=True)
class Outcome:
    """Median of the rounds' ratios, and how far the middle half of them is spread in relation to it."""

    ratio: float
    spread: float


def run(bench: Bench, file: Path, record: bool) -> int:
    bench.scenario = "smoke"
    limits = {} if record else recorded(file)
    seen = measure(bench, limits)
    if record:
        lines = [f'"{clients}" = {outcome.ratio:.2f}\n' for clients, outcome in seen.items()]
        file.write_text(HEADER + "[clients]\n" + "".join(lines))
        print(f"recorded in {file}")
        return 0
    return judge(seen, limits)


def recorded(file: Path) -> dict[int, float]:
    return {int(clients): ratio for clients, ratio in tomllib.loads(file.read_text())["clients"].items()}


def judge(seen: dict[int, Outcome], limits: dict[int, float]) -> int:
    """The exit status: 1 if a ratio has grown too much."""
    worse = [clients for clients, outcome in seen.items() if is_worse(outcome, limits[clients])]
    for clients, outcome in seen.items():
        verdict = "WORSE" if clients in worse else "ok"
        print(f"{clients} clients: CPU / (E + R) = {outcome.ratio:.2f}, recorded {limits[clients]:.2f}: {verdict}")
    if worse:
        print(f"benchmark: CPU per inference has grown by more than {ALLOWED - 1:.0%}", file=sys.stderr)
    return 1 if worse else 0


def is_worse(outcome: Outcome, limit: float) -> bool:
    return outcome.ratio > ALLOWED * limit


def measure(bench: Bench, limits: dict[int, float]) -> dict[int, Outcome]:
    """Rounds are added while they disagree, and where they say that something got worse."""
    workload = Workload()
    model = models.onnx_model(workload)
    with bench.started(ours(bench.settings), workload) as running:
        requests = requests_of(running, workload)
        result = {}
        for clients in PLAIN_CLIENTS:
            load = Closed(clients)
            subjects = [
                bench.engine(ENGINE, ENGINE, clients, model),
                bench.echoed(PLAIN, clients, running, requests, load),
                bench.loaded(OURS, PLAIN, clients, running, requests, load),
            ]
            for _ in range(MOST_TRIES):
                bench.alternate(subjects)
                seen = result[clients] = outcome(bench, clients)
                bench.say(f"{clients} clients: CPU / (E + R) = {seen.ratio:.2f}, rounds differ by {seen.spread:.0%}")
                if seen.spread <= TRUSTED_SPREAD and not is_worse(seen, limits.get(clients, math.inf)):
                    break
        running.check_counters()
    return result


def outcome(bench: Bench, clients: int) -> Outcome:
    results = bench.results
    groups = (
        results.select(bench.scenario, OURS, PLAIN, clients),
        results.select(bench.scenario, "echo", PLAIN, clients),
        results.select(bench.scenario, "engine", ENGINE, clients),
    )
    ratios = [cpu_us(o) / (cpu_us(e) + run_us(r)) for o, e, r in by_round(*groups)]
    low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")
    ratio = floor_ratio(*groups)
    return Outcome(ratio, (high - low) / ratio)
