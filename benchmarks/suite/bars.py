"""The bars that the project set itself, computed from results; ratios within one run only."""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from suite.registry import OURS
from suite.results import (
    Figure,
    Record,
    Results,
    by_round,
    cpu_us,
    latency_us,
    ping_us,
    run_us,
    throughput,
    wall_us,
)
from suite.scenarios import batching, clients, engines, hot_path, medium, reference

P50, P99 = latency_us("p50"), latency_us("p99")
# Times a peer's best throughput that ours is to reach.
PEER_BARS = {"torchserve": 10.0, "flask": 25.0, "triton": 4.0, "mlserver": 4.0}
# Speed-up over these that the original's announcement reported, and is to be exceeded.
ANNOUNCED = {"torchserve": 16.0, "flask": 81.0}
ONE_MS = 1000.0


@dataclass(frozen=True)
class Bar:
    """A requirement with what was seen."""

    # 0: of an earlier list, kept.
    number: int
    text: str
    # What the bar is about, such as a ratio, and the limit that it must not pass.
    value: float
    limit: float
    at_least: bool
    # Both sides, for people.
    figures: str
    command: str

    @property
    def met(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"met": self.met}


def all_bars(results: Results) -> list[Bar]:
    """Those that the results suffice for."""
    functions = (
        cost,
        one_client,
        steadiness,
        against_peers,
        all_engines,
        large_reference,
        medium_model,
        duration,
        batching_gain,
    )
    return [bar for function in functions for bar in function(results)]


def cost(results: Results) -> Iterator[Bar]:
    name = hot_path.SCENARIO.name
    for point, variant, limit in ((1, hot_path.PLAIN, 1.35), (50, hot_path.PLAIN, 1.35), (64, hot_path.BATCHED, 1.2)):
        if bar := _floor_bar(
            results, 1, f"{point} clients, {variant}: CPU", name, variant, hot_path.ENGINE, point, limit
        ):
            yield bar


def all_engines(results: Results) -> Iterator[Bar]:
    name = engines.SCENARIO.name
    for engine in results.variants(name, OURS):
        text = f"{engine}, {engines.CLIENTS} clients: CPU"
        if bar := _floor_bar(results, 5, text, name, engine, engine, engines.CLIENTS, 1.3):
            yield bar


def _floor_bar(
    results: Results, number: int, text: str, scenario: str, variant: str, engine: str, point: float, limit: float
) -> Bar | None:
    """CPU per inference against E + R, each round by itself."""
    groups = [
        results.select(scenario, OURS, variant, point),
        results.select(scenario, "echo", variant, point),
        results.select(scenario, "engine", engine, point),
    ]
    if not all(groups):
        return None
    ratio = floor_ratio(*groups)
    ours, echo, engine_us = (_median(figure, group) for figure, group in zip((cpu_us, cpu_us, run_us), groups))
    figures = f"{ours:.1f} µs; E {echo:.1f} + R {engine_us:.1f} µs"
    return Bar(number, f"{text} against E + R", ratio, limit, False, figures, _command(scenario))


def floor_ratio(ours: list[Record], echo: list[Record], engine: list[Record]) -> float:
    """The median over the rounds of CPU / (E + R)."""
    rounds = by_round(ours, echo, engine)
    return statistics.median(cpu_us(o) / (cpu_us(e) + run_us(r)) for o, e, r in rounds)


def one_client(results: Results) -> Iterator[Bar]:
    name = hot_path.SCENARIO.name
    ours = results.select(name, OURS, hot_path.PLAIN, 1)
    echo = results.select(name, "echo", hot_path.PLAIN, 1)
    engine = results.select(name, "engine", hot_path.ENGINE, 1)
    if not (ours and echo and engine):
        return
    ratio = statistics.median(P50(o) / (P50(e) + run_us(r)) for o, e, r in by_round(ours, echo, engine))
    figures = f"{_median(P50, ours):.0f} µs; ECHO {_median(P50, echo):.0f} + R {_median(run_us, engine):.1f} µs"
    yield Bar(2, "one client: p50 against that of ECHO + R", ratio, 1.3, False, figures, _command(name))
    ratio = statistics.median(P99(record) / P50(record) for record in ours)
    figures = f"p99 {_median(P99, ours):.0f} µs; p50 {_median(P50, ours):.0f} µs"
    yield Bar(2, "one client: p99 against p50", ratio, 3.0, False, figures, _command(name))


def steadiness(results: Results) -> Iterator[Bar]:
    name = clients.SCENARIO.name
    rates = _by_point(results, throughput, name, OURS, clients.PLAIN)
    rates.pop(1, None)
    if clients.MOST in rates:
        last, most = rates[clients.MOST], max(rates.values())
        figures = f"{last:,.0f}/s at {clients.MOST} clients; at most {most:,.0f}/s"
        text = "16 to 160 clients: throughput at 160 against the maximum"
        yield Bar(3, text, last / most, 0.9, True, figures, _command(name))
    variant = clients.OPEN + clients.PLAIN
    ours = results.median(P99, name, OURS, variant, clients.SHARE)
    echo = results.median(P99, name, "echo", variant, clients.SHARE)
    if ours is not None and echo is not None:
        figures = f"{ours:,.0f} µs; ECHO at the same rate {echo:,.0f} µs"
        text = f"p99 in µs at {clients.SHARE:.0%} of the maximum rate (1 ms or 5 x ECHO)"
        yield Bar(3, text, ours, max(ONE_MS, 5 * echo), False, figures, _command(name))


def against_peers(results: Results) -> Iterator[Bar]:
    name = clients.SCENARIO.name
    our_best = best_point(results, OURS)
    for peer in results.subjects(name):
        best = best_point(results, peer)
        if best is None or our_best is None or peer in (OURS, "echo"):
            continue
        variant, point, rate = best
        ours = our_best[2]
        figures = f"{ours:,.0f}/s; {peer} {rate:,.0f}/s at {point:g} clients"
        if peer in PEER_BARS:
            text = f"best throughput against the best of {peer}"
            yield Bar(4, text, ours / rate, PEER_BARS[peer], True, figures, _command(name))
        if peer in ANNOUNCED and results.select(name, OURS, clients.PLAIN, point):
            speed_up, figures = speed_up_of(results, peer, variant, point)
            text = f"speed-up over {peer}, throughput ratio x p50 ratio"
            yield Bar(4, text, speed_up, ANNOUNCED[peer], True, figures, _command(name))


def best_point(results: Results, system: str) -> tuple[str, float, float] | None:
    """Variant, clients and rate of a system's best throughput in the closed loop."""
    name = clients.SCENARIO.name
    found = [
        (variant, point, rate)
        for variant in results.variants(name, system)
        if not variant.startswith(clients.OPEN)
        for point, rate in _by_point(results, throughput, name, system, variant).items()
    ]
    return max(found, key=lambda each: each[2], default=None)


def speed_up_of(results: Results, peer: str, variant: str, point: float) -> tuple[float, str]:
    """As the original's announcement counted: throughput ratio x p50 ratio at the same number of clients."""
    name = clients.SCENARIO.name
    rates, medians = (
        [results.median(figure, name, system, of, point) for system, of in ((OURS, clients.PLAIN), (peer, variant))]
        for figure in (throughput, P50)
    )
    in_rate, in_time = rates[0] / rates[1], medians[1] / medians[0]
    return in_rate * in_time, f"{in_rate:.1f} x {in_time:.1f} at {point:g} clients"


def large_reference(results: Results) -> Iterator[Bar]:
    name, most = reference.SCENARIO.name, max(reference.SIZES)
    with_data, without = (results.select(name, OURS, reference.PLAIN, size) for size in (most, 0))
    if not (with_data and without):
        return
    for what, figure, unit in (("CPU per inference", cpu_us, "µs"), ("p50", P50, "µs")):
        ratio = statistics.median(figure(many) / figure(none) for many, none in by_round(with_data, without))
        figures = f"{_median(figure, with_data):.1f} {unit}; without {_median(figure, without):.1f} {unit}"
        text = f"4 MB of reference data: {what} against none"
        yield Bar(6, text, ratio, 1.1, False, figures, _command(name))


def medium_model(results: Results) -> Iterator[Bar]:
    name = medium.SCENARIO.name
    for variant in results.variants(name, OURS):
        ours = results.select(name, OURS, variant)
        engine = results.select(name, "engine", variant)
        if not (ours and engine):
            continue
        ratio = statistics.median(throughput(o) * wall_us(e) / 1e6 for o, e in by_round(ours, engine))
        figures = f"{_median(throughput, ours):.1f}/s; engine alone {1e6 / _median(wall_us, engine):.1f}/s"
        text = f"basic-pitch, {variant}: throughput against the engine alone"
        yield Bar(7, text, ratio, 0.95, True, figures, _command(name))
        ping = _median(ping_us("p99"), ours)
        text = f"basic-pitch, {variant}: p99 in µs of PING beside it"
        yield Bar(7, text, ping, ONE_MS, False, f"{ping:,.0f} µs", _command(name))


def duration(results: Results) -> Iterator[Bar]:
    """Of the short suite, counted from the start of `make`."""
    minutes = results.environment.get("minutes")
    if results.environment.get("short") and minutes is not None:
        figures = f"{minutes:.1f} minutes for this run; a fresh clone with an empty cache is what counts"
        yield Bar(8, "minutes that `make bench` takes", minutes, 15.0, False, figures, "make bench")


def batching_gain(results: Results) -> Iterator[Bar]:
    name = batching.SCENARIO.name
    for network in batching.NETWORKS:
        without, with_batching = (results.select(name, OURS, network.name, size) for size in (0, batching.BATCH_SIZE))
        if without and with_batching:
            ratio = statistics.median(cpu_us(b) / cpu_us(p) for p, b in by_round(without, with_batching))
            figures = f"{_median(cpu_us, with_batching):.1f} µs; without {_median(cpu_us, without):.1f} µs"
            text = f"{network.name}: CPU per inference with batching against without"
            yield Bar(0, text, ratio, network.bar, False, figures, _command(name))


def table(results: Results) -> Iterator[str]:
    """In Markdown."""
    yield "| bar | what | seen | required | | figures |"
    yield "|---|---|---|---|---|---|"
    for bar in results.bars:
        sign, verdict = ("≥" if bar["at_least"] else "≤"), ("met" if bar["met"] else "NOT met")
        yield (
            f"| {bar['number'] or ''} | {bar['text']} | {bar['value']:,.2f} | {sign} {bar['limit']:,.2f} | {verdict} "
            f"| {bar['figures']} |"
        )


def _by_point(results: Results, figure: Figure, scenario: str, subject: str, variant: str) -> dict[float, float]:
    points = results.points(scenario, subject, variant)
    return {point: results.median(figure, scenario, subject, variant, point) for point in points}


def _median(figure: Callable[[Record], float], records: list[Record]) -> float:
    return statistics.median(map(figure, records))


def _command(scenario: str) -> str:
    return f"make bench-full SCENARIOS={scenario}"
