"""What is left of models that came and went: ``python -m reliability.leaks --help``.

For every format a server of its own stores a model, runs it, and deletes it, again and again; then the same with a
file that is cut off and has to be refused. Resident memory is to have no slope after the first fifth. Ends with status
1 when it has one, when an answer is wrong, or when used_memory does not come back.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from support import fraud_models
from support.commands import execute_command
from support.resp import OK, Argument, Error, RawClient
from support.server import Server, ServerKind, kinds_from_environment, module_from_environment

from reliability.engine_clients import TOLERANCE
from reliability.engine_models import (
    FORMATS,
    Model,
    chosen_engines,
    formats_of,
    in_model_order,
    open_engines,
    script_call,
    script_command,
)
from reliability.processes import footprint_when_empty, resident_bytes, slope

WARM_UP_SHARE = 0.2
CHECKED_SHARE = 0.1
"""Trying models out takes time and happens in another process, so fewer rounds are enough."""
BATCH = 8
SCRIPT = "script"
KEY = "m"
# A model of the campaign takes 75,000 bytes and more: whatever of it is kept is far more than this. What the C library
# holds back moves by some megabytes, which counts less the more rounds there are.
SLOPE_LIMIT_BYTES = 1_000
SWING_BYTES = 8_000_000
USED_MEMORY_LIMIT_BYTES = 65_536
REPORT_SECONDS = 30.0
_COUNTED = 5


@dataclass
class Leakage:
    """The measurements of one format with one setting of MODEL_CHECK."""

    label: str
    rounds: int
    rss: list[float] = field(default_factory=list)
    stores: list[float] = field(default_factory=list)
    used_memory: tuple[int, int] = (0, 0)

    @property
    def _settled(self) -> list[tuple[float, float]]:
        return list(enumerate(self.rss))[int(len(self.rss) * WARM_UP_SHARE) :]

    @property
    def rss_slope(self) -> float:
        """Bytes per round after the warm-up."""
        return slope(self._settled)

    @property
    def store_milliseconds(self) -> float:
        return statistics.median(self.stores) * 1000

    def problems(self) -> list[str]:
        problems = []
        if self.rss_slope * len(self._settled) > SLOPE_LIMIT_BYTES * len(self._settled) + SWING_BYTES:
            problems.append(f"{self.label}: RSS rises by {self.rss_slope:,.0f} bytes per round")
        before, after = self.used_memory
        if after > before + USED_MEMORY_LIMIT_BYTES:
            problems.append(f"{self.label}: used_memory {before:,} -> {after:,}")
        return problems

    def __str__(self) -> str:
        before, after = self.used_memory
        first, last = self._settled[0][1], self._settled[-1][1]
        return (
            f"{self.label:32} {self.rounds:>6,} rounds  RSS {self.rss_slope:>8,.0f} bytes/round "
            f"({first / 1e6:.1f} -> {last / 1e6:.1f} MB)  used_memory {before:,} -> {after:,}  "
            f"store {self.store_milliseconds:.1f} ms"
        )


class Rounds:
    """Stores, runs and deletes one format on one server; a round returns how long the store took."""

    def __init__(self, raw: RawClient, name: str) -> None:
        self._raw = raw
        self._name = name
        samples = fraud_models.samples(BATCH)
        self._inputs = list(samples.values())
        self._expected = fraud_models.answers(**samples)
        self._order: list[int] = []

    def run(self) -> float:
        start = time.monotonic()
        self._expect(OK, *self._store_command())
        seconds = time.monotonic() - start
        inputs = self._inputs if self._name == SCRIPT else self._in_order()
        keys = [f"i{index}" for index in range(len(inputs))]
        for key, array in zip(keys, inputs):
            self._expect(OK, "AI.TENSORSET", key, "FLOAT", *array.shape, "BLOB", array.tobytes())
        self._expect(OK, *self._run_command(keys))
        self._compare(self._raw.call("AI.TENSORGET", "o", "BLOB"))
        self._expect(OK, "AI.SCRIPTDEL" if self._name == SCRIPT else "AI.MODELDEL", KEY)
        return seconds

    def run_refused(self) -> float:
        """The same for a file that ends too early: an error, and nothing stored."""
        command = self._store_command()
        command[-1] = command[-1][: len(command[-1]) * 2 // 3]
        start = time.monotonic()
        reply = self._raw.call(*command)
        seconds = time.monotonic() - start
        assert isinstance(reply, Error), f"{self._name}: a file that was cut off is stored: {reply}"
        assert self._raw.call("EXISTS", KEY) == 0
        return seconds

    def _store_command(self) -> list[Argument]:
        return script_command(KEY) if self._name == SCRIPT else self._model().store_command(KEY)

    def _model(self) -> Model:
        return FORMATS[self._name].fraud()

    def _in_order(self) -> list[np.ndarray]:
        if not self._order:
            self._order = in_model_order(self._raw, KEY, list(fraud_models.INPUTS))
        return [self._inputs[place] for place in self._order]

    def _run_command(self, keys: Sequence[str]) -> list[Argument]:
        if self._name == SCRIPT:
            return script_call(KEY, "count", keys[:1], ["o"], arguments=[_COUNTED])
        return execute_command(KEY, keys, ["o"])

    def _compare(self, blob: bytes) -> None:
        found = np.frombuffer(blob, np.float32)
        expected = np.full_like(self._inputs[0], _COUNTED) if self._name == SCRIPT else self._expected
        difference = np.abs(found.reshape(expected.shape) - expected).max()
        assert difference <= TOLERANCE, f"{self._name}: off by {difference}"

    def _expect(self, expected: object, *command: Argument) -> None:
        reply = self._raw.call(*command)
        assert reply == expected, f"{self._name}: {command[:2]}: {reply}"


def measure(kind: ServerKind, module: str, name: str, count: int, checked: bool, refused: bool = False) -> Leakage:
    """That many rounds on a server of their own."""
    label = f"{name}{', refused' if refused else ''}, check {'YES' if checked else 'NO'}"
    leakage = Leakage(label, count)
    engine = "TORCH" if name == SCRIPT else FORMATS[name].engine
    arguments = ("MODEL_CHECK", "YES" if checked else "NO")
    with Server(kind.name, kind.binary, module, module_args=arguments, lifetime=7200) as server:
        with server.raw(timeout=60) as raw:
            open_engines(raw, [engine])
            rounds = Rounds(raw, name)
            body = rounds.run_refused if refused else rounds.run
            # What engines and servers set up once, with the first model.
            rounds.run()
            before = footprint_when_empty(server).used_memory
            _repeat(server, body, leakage)
        leakage.used_memory = (before, footprint_when_empty(server).used_memory)
        assert server.crash_report() is None, server.crash_report()
    return leakage


def _repeat(server: Server, body: Callable[[], float], leakage: Leakage) -> None:
    reported = time.monotonic()
    for number in range(leakage.rounds):
        leakage.stores.append(body())
        leakage.rss.append(resident_bytes(server.pid))
        if time.monotonic() - reported > REPORT_SECONDS:
            reported = time.monotonic()
            print(f"  {leakage.label}: {number + 1:,} rounds, RSS {leakage.rss[-1] / 1e6:.1f} MB", flush=True)


def main() -> int:
    options = _parse_arguments()
    engines = chosen_engines(options.engines)
    names = [*formats_of(engines), *([SCRIPT] if "TORCH" in engines else [])]
    names = [name for name in names if not options.formats or name in options.formats.split(",")]
    kinds = [kind for kind in kinds_from_environment() if not options.servers or kind.name in options.servers]
    checked_count = max(20, int(options.count * CHECKED_SHARE))
    print(f"{', '.join(names)}: {options.count:,} rounds without MODEL_CHECK, {checked_count:,} with")
    problems: list[str] = []
    for kind in kinds:
        print(f"==> leaks on {kind.name}", flush=True)
        for name in names:
            for checked, refused in ((False, False), (False, True), (True, False)):
                rounds = checked_count if checked else options.count
                leakage = measure(kind, module_from_environment(), name, rounds, checked, refused)
                print(f"  {leakage}", flush=True)
                problems += [f"{kind.name} {problem}" for problem in leakage.problems()]
    for problem in problems:
        print(f"PROBLEM {problem}", file=sys.stderr)
    print(f"{len(problems)} problems")
    return 1 if problems else 0


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="leaks", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="rounds per format without MODEL_CHECK")
    parser.add_argument("--engines", default="", help="such as onnx,torch; default: all")
    parser.add_argument("--formats", default="", help=f"of {', '.join(FORMATS)}, {SCRIPT}; default: all of the engines")
    parser.add_argument("servers", nargs="*", help="names from REDISAI_SERVERS; default: all")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
