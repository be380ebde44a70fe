"""Plots of results; each function returns a figure, or None where there is nothing to show."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
from matplotlib.figure import Figure as Plot

from suite.report import style
from suite.results import Figure, Record, Results, cpu_us, latency_us, run_us, throughput
from suite.scenarios import clients, reference

P50, P99 = latency_us("p50"), latency_us("p99")
WIDTH = 9.0


@dataclass(frozen=True)
class Row:
    """Server CPU of an inference beside the least that it could be, in microseconds."""

    label: str
    cpu: float
    echo: float
    engine: float = 0.0


def cost_bars(rows: Sequence[Row], title: str) -> Plot | None:
    """Each row has a bar for us and one for the floor, which is put together of ECHO and the engine's own run."""
    if not rows:
        return None
    plot, axes = plt.subplots(figsize=(WIDTH, 0.9 + 0.62 * len(rows)), layout="constrained")
    places = [float(len(rows) - index) for index in range(len(rows))]
    floors = [row.echo + row.engine for row in rows]
    height = 0.36
    upper = [place + height / 2 for place in places]
    lower = [place - height / 2 for place in places]
    axes.barh(upper, [row.cpu for row in rows], height, color=style.OURS, label="RedisAI in Swift")
    axes.barh(lower, [row.echo for row in rows], height, color=style.ECHO, label="floor: ECHO of the same bytes")
    if any(row.engine for row in rows):
        engine = [row.engine for row in rows]
        left = [row.echo for row in rows]
        axes.barh(lower, engine, height, left=left, color=style.ENGINE, label="floor: the engine alone")
    most = max(max(row.cpu for row in rows), max(floors))
    for row, floor, up, low in zip(rows, floors, upper, lower):
        text = f"{row.cpu:.1f} µs  ({row.cpu / floor:.2f} × floor)"
        axes.text(row.cpu + most * 0.01, up, text, va="center", fontsize=9, color="#111827")
        axes.text(floor + most * 0.01, low, f"{floor:.1f} µs", va="center", fontsize=9, color="#6b7280")
    axes.set_yticks(places, [row.label for row in rows])
    axes.set_xlim(0, most * 1.3)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("server CPU per inference, µs")
    axes.set_title(title)
    plot.legend(loc="outside lower center", ncols=3)
    return plot


def pairs(rows: Sequence[tuple[str, float, float]], names: tuple[str, str]) -> Plot | None:
    """CPU per inference in two ways, beside each other."""
    if not rows:
        return None
    plot, axes = plt.subplots(figsize=(WIDTH, 1.2 + 0.7 * len(rows)), layout="constrained")
    places = [float(len(rows) - index) for index in range(len(rows))]
    for index, (name, colour) in enumerate(zip(names, (style.ENGINE, style.OURS))):
        shift = 0.18 - 0.36 * index
        bars = axes.barh(
            [place + shift for place in places], [row[1 + index] for row in rows], 0.36, color=colour, label=name
        )
        axes.bar_label(bars, [f"{row[1 + index]:,.1f} µs" for row in rows], padding=4, fontsize=9)
    axes.set_yticks(places, [row[0] for row in rows])
    axes.margins(x=0.15)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("server CPU per inference, µs")
    plot.legend(loc="outside lower center", ncols=2)
    return plot


def floor_rows(results: Results, scenario: str, choice: Sequence[tuple[str, str, float, str | None]]) -> list[Row]:
    """For each (label, variant, point, the engine's variant if it counts) what was seen, if it was."""
    rows = []
    for label, variant, point, engine in choice:
        cpu = results.median(cpu_us, scenario, "redisai", variant, point)
        echo = results.median(cpu_us, scenario, "echo", variant, point)
        raw = results.median(run_us, scenario, "engine", engine, point) if engine else 0.0
        if cpu is not None and echo is not None and raw is not None:
            rows.append(Row(label, cpu, echo, raw))
    return rows


def client_sweep(results: Results) -> Plot | None:
    """Throughput and latency by the number of clients."""
    name = clients.SCENARIO.name
    lines = list(_closed_lines(results, name))
    if not lines:
        return None
    plot, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 4.2), layout="constrained")
    shades = style.colours(results.systems)
    for subject, variant in lines:
        look = {"color": shades[subject], **_look(subject, variant)}
        label = system_title(results, subject, variant)
        left.plot(*_line(results, throughput, name, subject, variant), label=label, **look)
        right.plot(*_line(results, P50, name, subject, variant), **look)
        right.plot(*_line(results, P99, name, subject, variant), **look | {"linestyle": ":", "marker": ""})
    left.set(yscale="log", xlabel="clients", ylabel="inferences/s", title="Throughput")
    right.set(yscale="log", xlabel="clients", ylabel="µs", title="Latency: p50 (solid), p99 (dotted)")
    for axes in (left, right):
        axes.set_xlim(0)
        style.thousands(axes, "y")
    plot.legend(loc="outside lower center", ncols=2)
    return plot


def latency_throughput(results: Results) -> Plot | None:
    """Open loop: what latency becomes as the rate grows."""
    name = clients.SCENARIO.name
    lines = [
        (subject, variant)
        for subject in results.subjects(name)
        for variant in results.variants(name, subject)
        if variant.startswith(clients.OPEN)
    ]
    if not lines:
        return None
    plot, panels = plt.subplots(1, 2, figsize=(WIDTH, 4.2), layout="constrained", sharey=True)
    shades = style.colours(results.systems)
    for axes, figure, title in zip(panels, (P50, P99), ("p50", "p99")):
        for subject, variant in lines:
            _, rates = _line(results, throughput, name, subject, variant)
            _, times = _line(results, figure, name, subject, variant)
            label = system_title(results, subject, variant.removeprefix(clients.OPEN)) if axes is panels[0] else None
            axes.plot(rates, times, label=label, color=shades[subject], **_look(subject, variant))
        axes.set(xscale="log", yscale="log", xlabel="inferences/s", title=f"{title} by rate")
        style.thousands(axes, "x")
        style.thousands(axes, "y")
    panels[0].set_ylabel("µs from the intended start")
    plot.legend(loc="outside lower center", ncols=2)
    return plot


def cpu_of_systems(results: Results, scenario: str, floor: float | None) -> Plot | None:
    """CPU per inference of each system where its throughput is best, the floor marked."""
    found = []
    for subject, variant in _closed_lines(results, scenario):
        places, rates = _line(results, throughput, scenario, subject, variant)
        if subject != "echo" and rates:
            point = max(zip(rates, places))[1]
            found.append((subject, variant, point, results.median(cpu_us, scenario, subject, variant, point)))
    if not found:
        return None
    found.sort(key=lambda each: each[3])
    shades = style.colours(results.systems)
    plot, axes = plt.subplots(figsize=(WIDTH, 1.2 + 0.42 * len(found)), layout="constrained")
    labels = [f"{system_title(results, subject, variant)}, {point:g} clients" for subject, variant, point, _ in found]
    bars = axes.barh(labels, [cpu for *_, cpu in found], 0.6, color=[shades[subject] for subject, *_ in found])
    axes.bar_label(bars, [f"{cpu:,.1f} µs" for *_, cpu in found], padding=4, fontsize=9)
    if floor is not None:
        axes.axvline(floor, color="#111827", linewidth=1.2, linestyle="--")
        axes.annotate(f" floor {floor:.1f} µs", (floor, 1), xycoords=("data", "axes fraction"), va="bottom", fontsize=9)
    axes.set(xscale="log", xlabel="CPU of the whole system per inference, µs (logarithmic)")
    axes.set_xlim((floor or found[0][3]) / 2, found[-1][3] * 3)
    style.thousands(axes, "x")
    axes.grid(axis="y", visible=False)
    axes.invert_yaxis()
    return plot


def per_second(results: Results) -> Plot | None:
    """Throughput and p99 second by second, all rounds in a row."""
    name, point = clients.SCENARIO.name, 64
    series = {
        (subject, variant): _seconds(results.select(name, subject, variant, point))
        for subject, variant in _closed_lines(results, name)
    }
    series = {line: seconds for line, seconds in series.items() if len(seconds) > 2}
    if not series:
        return None
    plot, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.8), layout="constrained")
    shades = style.colours(results.systems)
    for (subject, variant), seconds in series.items():
        look = {"color": shades[subject], **_look(subject, variant)}
        places = range(1, len(seconds) + 1)
        left.plot(
            places, [each["completed"] for each in seconds], label=system_title(results, subject, variant), **look
        )
        right.plot(places, [each["p99_us"] for each in seconds], **look)
    left.set(yscale="log", xlabel="second of measurement", ylabel="inferences/s", title=f"{point} clients: throughput")
    right.set(yscale="log", xlabel="second of measurement", ylabel="µs", title=f"{point} clients: p99")
    for axes in (left, right):
        style.thousands(axes, "y")
    plot.legend(loc="outside lower center", ncols=2)
    return plot


def distribution(results: Results, scenario: str, variant: str, point: float) -> Plot | None:
    """Latency by percentile, the rare ones stretched."""
    chosen = [(each, results.select(scenario, each, variant, point)) for each in ("echo", "redisai")]
    chosen = [(subject, records) for subject, records in chosen if records]
    if not chosen:
        return None
    plot, axes = plt.subplots(figsize=(WIDTH, 3.4), layout="constrained")
    shades = style.colours(results.systems)
    for subject, records in chosen:
        # The round in the middle by its p99.
        record = sorted(records, key=P99)[len(records) // 2]
        points = [
            (1 / (1 - percentile / 100), time)
            for percentile, time in record.figures["distribution"]
            if percentile < 100
        ]
        axes.plot(*zip(*points), color=shades[subject], label=system_title(results, subject), linewidth=1.8)
    axes.set(xscale="log", yscale="log", xlabel="percentile", ylabel="µs", title=f"Latency at {point:g} clients")
    nines = {1: "0", 2: "50", 10: "90", 100: "99", 1000: "99.9", 10000: "99.99"}
    axes.set_xticks(list(nines), list(nines.values()))
    axes.minorticks_off()
    style.thousands(axes, "y")
    axes.legend()
    return plot


def reference_sweep(results: Results) -> Plot | None:
    """Throughput and CPU by the size of the reference data; no reference data stand at the left."""
    name = reference.SCENARIO.name
    lines = list(_closed_lines(results, name))
    if not lines:
        return None
    plot, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 4.2), layout="constrained")
    shades = style.colours(results.systems)
    none = reference.SIZES[0] / 4
    for subject, variant in lines:
        look = {"color": shades[subject], **_look(subject, variant)}
        for axes, figure in ((left, throughput), (right, cpu_us)):
            places, values = _line(results, figure, name, subject, variant)
            label = system_title(results, subject) if axes is left else None
            axes.plot([place or none for place in places], values, label=label, **look)
    ticks = {none: "none", 1024: "1 KB", 16384: "16 KB", 262144: "256 KB", 4194304: "4 MB"}
    for axes, label, title in ((left, "inferences/s", "Throughput"), (right, "µs", "Server CPU per inference")):
        axes.set(xscale="log", yscale="log", xlabel="reference data per transaction", ylabel=label, title=title)
        axes.set_xticks(list(ticks), list(ticks.values()))
        axes.minorticks_off()
        style.thousands(axes, "y")
    plot.legend(loc="outside lower center", ncols=2)
    return plot


def system_title(results: Results, subject: str, variant: str = "") -> str:
    known = {"echo": "ECHO of the same bytes", "engine": "the engine alone"}
    title = known.get(subject) or results.systems.get(subject, {}).get("title", subject)
    return f"{title}, {variant}" if variant == clients.BATCHED else title


def _closed_lines(results: Results, scenario: str) -> Iterator[tuple[str, str]]:
    for subject in results.subjects(scenario):
        for variant in results.variants(scenario, subject):
            if subject != "engine" and not variant.startswith(clients.OPEN):
                yield subject, variant


def _line(
    results: Results, figure: Figure, scenario: str, subject: str, variant: str
) -> tuple[list[float], list[float]]:
    places = results.points(scenario, subject, variant)
    return places, [results.median(figure, scenario, subject, variant, place) for place in places]


def _look(subject: str, variant: str) -> dict[str, object]:
    """Ours is thicker; batched variants are dashed."""
    line = "--" if variant.endswith(clients.BATCHED) else "-"
    return {"linewidth": 2.4 if subject == "redisai" else 1.5, "marker": "o", "markersize": 3.5, "linestyle": line}


def _seconds(records: Sequence[Record]) -> list[dict]:
    """Whole seconds of all rounds."""
    return [each for record in records for each in record.figures["series"][: int(record.figures["seconds"])]]
