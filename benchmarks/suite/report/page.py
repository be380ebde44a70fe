"""Puts the report together: plots as files, and a page that holds them all."""

import io
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure as Plot

from suite.bars import best_point, speed_up_of
from suite.report import plots, style
from suite.results import Record, Results, cpu_us, latency_us, ping_us, run_us, throughput, wall_us
from suite.scenarios import SCENARIOS, batching, commands, dag, engines, hot_path, scripts

HERE = Path(__file__).parent
PAGE = "index.html"
PNG_DPI = 130


@dataclass(frozen=True)
class Section:
    """One scenario in the report."""

    title: str
    text: str
    # SVG, ready to stand in the page.
    plots: list[Markup]
    headings: list[str]
    rows: list[list[str]]
    problems: list[str]


def write_report(results: Results, folder: Path) -> Path:
    """The path of the page; plots lie in `plots` beside it, as SVG and PNG."""
    style.use()
    pictures = Pictures(folder / "plots")
    sections = [
        section(results, name, pictures) for name in SCENARIOS if results.select(name) or _problems(results, name)
    ]
    templates = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    text = templates.get_template("page.html.jinja").render(
        css=Markup((HERE / "page.css").read_text()),
        environment=results.environment,
        systems=results.systems,
        bars=results.bars,
        sections=sections,
        speed_ups=speed_ups(results),
        errors=errors(results),
    )
    page = folder / PAGE
    page.write_text(text)
    return page


@dataclass(frozen=True)
class Pictures:
    """Writes plots as files."""

    folder: Path

    def keep(self, name: str, plot: Plot | None) -> list[Markup]:
        """The plot as SVG for the page; nothing where there is none."""
        if plot is None:
            return []
        self.folder.mkdir(parents=True, exist_ok=True)
        plot.savefig(self.folder / f"{name}.png", dpi=PNG_DPI)
        text = io.StringIO()
        plot.savefig(text, format="svg", metadata={"Date": None})
        plt.close(plot)
        (self.folder / f"{name}.svg").write_text(text.getvalue())
        return [Markup(_unique(text.getvalue(), name))]


def _unique(svg: str, name: str) -> str:
    """Without the XML head, and with names that no other plot of the page has."""
    body = svg[svg.index("<svg") :]
    for mark in ('id="', 'href="#', "url(#"):
        body = body.replace(mark, f"{mark}{name}-")
    return body


def section(results: Results, name: str, pictures: Pictures) -> Section:
    scenario = SCENARIOS[name]
    figures = [svg for title, plot in _plots(results, name) for svg in pictures.keep(f"{name}-{title}", plot)]
    rows = _rows(results, name)
    return Section(scenario.title, scenario.text, figures, HEADINGS, rows, _problems(results, name))


def _problems(results: Results, name: str) -> list[str]:
    return [problem["text"] for problem in results.problems if problem["scenario"] == name]


# Plots


def _plots(results: Results, name: str) -> list[tuple[str, Plot | None]]:
    """What to show of a scenario, with names for the files."""
    makers: dict[str, Callable[[], list[tuple[str, Plot | None]]]] = {
        "hot-path": lambda: _hot_path(results),
        "clients": lambda: [
            ("sweep", plots.client_sweep(results)),
            ("latency-throughput", plots.latency_throughput(results)),
            ("cpu", plots.cpu_of_systems(results, "clients", _floor(results))),
            ("per-second", plots.per_second(results)),
        ],
        "baseline": lambda: [("cpu", plots.cpu_of_systems(results, "baseline", None))],
        "reference": lambda: [("sweep", plots.reference_sweep(results))],
        "batching": lambda: [("cpu", _batching(results))],
        "dag": lambda: [("cpu", _by_clients(results, "dag", (dag.DAG, dag.SEPARATE, dag.PIPELINED), dag.CLIENTS))],
        "commands": lambda: [
            ("cpu", _by_clients(results, "commands", results.variants("commands", "redisai"), commands.CLIENTS))
        ],
        "engines": lambda: [("cpu", _engines(results))],
        "scripts": lambda: [
            ("cpu", _by_clients(results, "scripts", (scripts.PLAIN, scripts.WITH_SCRIPTS), scripts.CLIENTS))
        ],
    }
    return makers[name]() if name in makers else []


def _hot_path(results: Results) -> list[tuple[str, Plot | None]]:
    engine = hot_path.ENGINE
    choice = [
        ("1 client", hot_path.PLAIN, 1, engine),
        ("50 clients", hot_path.PLAIN, 50, engine),
        ("64 clients, batched", hot_path.BATCHED, 64, engine),
    ]
    rows = plots.floor_rows(results, "hot-path", choice)
    return [
        ("cpu", plots.cost_bars(rows, "One request and its floor")),
        *(
            (f"distribution-{point}", plots.distribution(results, "hot-path", hot_path.PLAIN, point))
            for point in (1, 50)
        ),
    ]


def _floor(results: Results) -> float | None:
    """E + R of the fraud request at 50 clients, if that was measured in this run."""
    echo = results.median(cpu_us, "hot-path", "echo", hot_path.PLAIN, 50)
    engine = results.median(run_us, "hot-path", "engine", hot_path.ENGINE, 50)
    return echo + engine if echo is not None and engine is not None else None


def _by_clients(results: Results, name: str, variants: tuple[str, ...], points: tuple[int, ...]) -> Plot | None:
    choice = [(f"{variant}, {_clients(point)}", variant, point, None) for point in points for variant in variants]
    return plots.cost_bars(plots.floor_rows(results, name, choice), SCENARIOS[name].title)


def _engines(results: Results) -> Plot | None:
    choice = [(engine, engine, engines.CLIENTS, engine) for engine in results.variants("engines", "redisai")]
    return plots.cost_bars(plots.floor_rows(results, "engines", choice), SCENARIOS["engines"].title)


def _batching(results: Results) -> Plot | None:
    return plots.pairs(
        [
            (
                network,
                *(results.median(cpu_us, "batching", "redisai", network, size) for size in (0, batching.BATCH_SIZE)),
            )
            for network in results.variants("batching", "redisai")
        ],
        (batching.WITHOUT, batching.WITH),
    )


def _clients(count: float) -> str:
    return f"{count:g} client{'' if count == 1 else 's'}"


# Tables

HEADINGS = ["system", "", "at", "inferences/s", "p50 µs", "p99 µs", "p99.9 µs", "CPU µs", "memory MB", "PING p99 µs"]


def _rows(results: Results, name: str) -> list[list[str]]:
    """One row per subject, variant and point; medians of the rounds."""
    return [
        _row(results, results.select(name, subject, variant, point))
        for subject in results.subjects(name)
        for variant in results.variants(name, subject)
        for point in results.points(name, subject, variant)
    ]


def _row(results: Results, records: list[Record]) -> list[str]:
    first = records[0]
    cells = [plots.system_title(results, first.subject), first.variant, f"{first.point:,g}"]
    if first.subject == "engine":
        figure = wall_us if "wall_us" in first.figures else run_us
        empty = [""] * 4
        rate = f"{1e6 / _median(figure, records):,.0f}"
        return [*cells, rate, *empty[:3], f"{_median(figure, records):,.1f}", *empty[:2]]
    cells.append(f"{_median(throughput, records):,.0f}")
    cells += [f"{_median(latency_us(percentile), records):,.0f}" for percentile in ("p50", "p99", "p99.9")]
    cells.append(f"{_median(cpu_us, records):,.1f}")
    cells.append(f"{_median(_memory, records) / 1e6:,.0f}")
    cells.append(f"{_median(ping_us('p99'), records):,.0f}" if first.figures["ping_us"] else "")
    return cells


def _memory(record: Record) -> float:
    return sum(process["peak_rss_bytes"] for process in record.figures["processes"])


def _median(figure: Callable[[Record], float], records: list[Record]) -> float:
    return statistics.median(map(figure, records))


def speed_ups(results: Results) -> list[dict[str, str]]:
    """As the original's announcement counted: throughput ratio x p50 ratio, at the clients where the peer does best."""
    rows = []
    for peer in results.subjects("clients"):
        best = best_point(results, peer) if peer not in ("redisai", "echo") else None
        if best is None or best[1] not in results.points("clients", "redisai", hot_path.PLAIN):
            continue
        variant, point, _ = best
        value, figures = speed_up_of(results, peer, variant, point)
        rows.append({"title": plots.system_title(results, peer, variant), "value": f"{value:,.0f}", "figures": figures})
    return rows


def errors(results: Results) -> list[tuple[str, str, int]]:
    """Scenario with system, text of the error, and how often it came."""
    return [
        (f"{SCENARIOS[name].title}: {plots.system_title(results, subject)}", text, count)
        for name in SCENARIOS
        for subject in results.subjects(name)
        for text, count in results.errors(name, subject).items()
    ]
