"""Measures what serving costs, here and elsewhere, and writes a report.

    python -m suite run --server redis-server --module dist/redisai.so --aibench aibench --raw .build/raw
    python -m suite smoke ...       ours only, against the ratio recorded in benchmarks/recorded.toml
    python -m suite report FOLDER   computes the bars of earlier results and makes their report anew

`make bench`, `make bench-full` and `make bench-smoke` say where everything is.
"""

import argparse
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from suite import bars, environment, smoke
from suite.errors import BenchmarkError
from suite.load import Duration
from suite.measuring import Bench
from suite.registry import adapters, describe
from suite.report import write_report
from suite.results import Results, load_results
from suite.scenarios import SCENARIOS, SHORT
from suite.settings import Settings

BENCHMARKS = Path(__file__).resolve().parents[1]
ENGINES = ("onnx", "tf", "torch", "tflite")
# What the short run compares with.
SHORT_PEERS = ("flask", "torchserve", "triton")


def main(words: Sequence[str] | None = None) -> int:
    arguments = parser().parse_args(words)
    # Servers end with what started them.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        return arguments.action(arguments)
    except BenchmarkError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def run(arguments: argparse.Namespace) -> int:
    """Measures the scenarios; what was measured until an error or an interruption is kept."""
    settings, began = settings_of(arguments), arguments.began or time.time()
    folder = arguments.output or BENCHMARKS / "results" / datetime.now(UTC).strftime("%Y-%m-%d-%H%M%S")
    results = Results(environment.describe(settings), describe(settings))
    bench = Bench(settings, results, folder)
    try:
        for name in settings.scenarios:
            bench.scenario = name
            try:
                SCENARIOS[name].run(bench)
            except BenchmarkError as error:
                bench.problem(str(error))
            results.save(folder)
    finally:
        results.environment["minutes"] = round((time.time() - began) / 60, 2)
        finish(results, folder)
    return 1 if results.problems else 0


def finish(results: Results, folder: Path) -> None:
    """Bars, files and report of what was measured."""
    results.bars = [bar.as_json() for bar in bars.all_bars(results)]
    results.save(folder)
    print(*bars.table(results), sep="\n")
    print(f"report: {write_report(results, folder)}")


def make_report(arguments: argparse.Namespace) -> int:
    finish(load_results(arguments.folder), arguments.folder)
    return 0


def run_smoke(arguments: argparse.Namespace) -> int:
    settings = settings_of(arguments)
    bench = Bench(settings, Results(), arguments.output or BENCHMARKS / "results")
    return smoke.run(bench, BENCHMARKS / "recorded.toml", arguments.record)


def settings_of(arguments: argparse.Namespace) -> Settings:
    short = arguments.short
    scenarios = _list(arguments.scenarios) or (SHORT if short else tuple(SCENARIOS))
    peers = _list(arguments.systems) or (SHORT_PEERS if short else tuple(adapters()))
    engines = _list(arguments.engines) or ENGINES
    for chosen, known, what in (
        (scenarios, SCENARIOS, "scenario"),
        (engines, ENGINES, "engine"),
        (_list(arguments.systems), ("none", *adapters()), "system"),
    ):
        if unknown := sorted(set(chosen) - set(known)):
            raise BenchmarkError(f"no such {what}: {', '.join(unknown)}; there are {', '.join(known)}")
    others = dict(each.split("=", 1) for each in arguments.other_module)
    return Settings(
        server=arguments.server,
        module=arguments.module.resolve(),
        aibench=arguments.aibench.resolve(),
        raw_programs=arguments.raw.resolve(),
        other_modules={title: Path(path).resolve() for title, path in others.items()},
        peers=() if peers == ("none",) else peers,
        engines=engines,
        scenarios=scenarios,
        rounds=arguments.rounds or (3 if short else 5),
        peer_rounds=arguments.rounds or (2 if short else 3),
        duration=Duration(arguments.seconds or (1.5 if short else 3.0)),
        short=short,
        command=shlex.join(["python", "-m", "suite", *sys.argv[1:]]),
        repository=BENCHMARKS.parent,
    )


def _list(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(prog="python -m suite", description=__doc__.splitlines()[0])
    commands = result.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("run", help="measure, and write the report")
    _add_programs(command)
    command.add_argument("--short", action="store_true", help="the short suite: fewer scenarios, systems and points")
    command.add_argument(
        "--scenarios", default="", help=f"of {', '.join(SCENARIOS)}; default: all, or the short suite's"
    )
    command.add_argument("--systems", default="", help="peers to compare with, or none; default: all that can run here")
    command.add_argument(
        "--other-module",
        action="append",
        default=[],
        metavar="TITLE=PATH",
        help="also measure a module with the same commands, such as the original",
    )
    command.add_argument("--began", type=float, help="when `make` began (seconds since 1970), for the report")
    command.set_defaults(action=run)

    command = commands.add_parser("smoke", help="compare CPU per inference with the recorded ratio")
    _add_programs(command)
    command.add_argument("--record", action="store_true", help="write the ratio down instead")
    command.set_defaults(action=run_smoke, short=True, scenarios="", systems="none", other_module=[])
    command.set_defaults(engines="onnx", rounds=5, seconds=1.0)

    command = commands.add_parser("report", help="compute the bars and make the report anew")
    command.add_argument("folder", type=Path, help="where the results are")
    command.set_defaults(action=make_report)
    return result


def _add_programs(command: argparse.ArgumentParser) -> None:
    command.add_argument("--server", required=True, help="path of redis-server or valkey-server")
    command.add_argument("--module", required=True, type=Path, help="path of redisai.so, with the engines beside it")
    command.add_argument("--aibench", required=True, type=Path, help="path of the load generator")
    command.add_argument("--raw", required=True, type=Path, help="folder with the programs raw_run_ENGINE")
    command.add_argument("--engines", default="", help=f"of {', '.join(ENGINES)}; default: all")
    command.add_argument("--rounds", type=int, help="how often each figure is taken")
    command.add_argument("--seconds", type=float, help="length of a measurement")
    command.add_argument("--output", type=Path, help="folder for results; default: a new one in benchmarks/results")


if __name__ == "__main__":
    sys.exit(main())
