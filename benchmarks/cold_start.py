#!/usr/bin/env python3
"""How long an empty server takes until it answers, and until the first answer of a model of each engine.

    PYTHONPATH=Tests python benchmarks/cold_start.py --server redis-server --module dist/redisai.so

A server is started; PING is repeated until it answers; then the fraud network of the tests is stored, run on one
transaction, and read. The first of these commands opens the engine's library. Everything is done once before it is
measured, so that files are in the page cache. Prints a table in Markdown with medians.
"""

import argparse
import os
import statistics
import sys
import time
from dataclasses import dataclass, field

from reliability.engine_models import FORMATS, chosen_engines, formats_of, in_model_order, script_call, script_command
from reliability.processes import resident_bytes
from support import fraud_models
from support.commands import execute_command
from support.resp import OK, Argument, RawClient
from support.server import Server

SCRIPT = "script"
LABELS = {
    "onnx": "ONNX",
    "frozen_graph": "TF, frozen graph",
    "saved_model": "TF, SavedModel",
    "tflite": "TFLITE",
    "torch": "TORCH",
    SCRIPT: "TORCH, a script",
}
TRANSACTIONS = 1


@dataclass
class Times:
    """Seconds and bytes of all rounds of one format with one setting."""

    until_pong: list[float] = field(default_factory=list)
    until_answer: list[float] = field(default_factory=list)
    rss_before: list[int] = field(default_factory=list)
    rss_after: list[int] = field(default_factory=list)


def store_command(name: str) -> list[Argument]:
    return script_command("m") if name == SCRIPT else FORMATS[name].fraud().store_command("m")


def run_commands(raw: RawClient, name: str) -> list[list[Argument]]:
    """What sets the inputs, runs and reads; in the order of the model's own inputs."""
    samples = fraud_models.samples(TRANSACTIONS)
    order = (
        list(samples) if name == SCRIPT else [list(samples)[place] for place in in_model_order(raw, "m", list(samples))]
    )
    commands = [
        ["AI.TENSORSET", f"i{index}", "FLOAT", *samples[key].shape, "BLOB", samples[key].tobytes()]
        for index, key in enumerate(order)
    ]
    keys = [f"i{index}" for index in range(len(order))]
    if name == SCRIPT:
        commands.append(script_call("m", "count", keys[:1], ["o"], arguments=[1]))
    else:
        commands.append(execute_command("m", keys, ["o"]))
    return [*commands, ["AI.TENSORGET", "o", "BLOB"]]


def measure_once(binary: str, module: str, name: str, check: str, times: Times | None) -> None:
    """One server's life; ``times`` is None for the round that is not measured."""
    store = store_command(name)
    server = Server("cold", binary, module, module_args=("MODEL_CHECK", check), lifetime=300)
    try:
        start = time.perf_counter()
        server.start()
        pong = time.perf_counter()
        before = resident_bytes(server.pid)
        with server.raw(timeout=120) as raw:
            connected = time.perf_counter()
            reply = raw.call(*store)
            assert reply == OK, reply
            *steps, read = run_commands(raw, name)
            for command in steps:
                reply = raw.call(*command)
                assert reply == OK, (command[:2], reply)
            assert isinstance(raw.call(*read), bytes)
            answer = time.perf_counter()
        if times is not None:
            times.until_pong.append(pong - start)
            times.until_answer.append(answer - connected)
            times.rss_before.append(before)
            times.rss_after.append(resident_bytes(server.pid))
    finally:
        server.close()


def measure(binary: str, module: str, name: str, rounds: int) -> dict[str, Times]:
    """The times by the setting of MODEL_CHECK."""
    result = {}
    for check in ("YES", "NO"):
        times = Times()
        measure_once(binary, module, name, check, None)
        for _ in range(rounds):
            measure_once(binary, module, name, check, times)
        result[check] = times
        print(
            f"{name}, MODEL_CHECK {check}: {statistics.median(times.until_answer):.2f} s", file=sys.stderr, flush=True
        )
    return result


def row(name: str, by_check: dict[str, Times]) -> str:
    checked, unchecked = by_check["YES"], by_check["NO"]
    median = statistics.median
    milliseconds = [
        1000 * median(seconds)
        for seconds in (checked.until_pong + unchecked.until_pong, checked.until_answer, unchecked.until_answer)
    ]
    engine = LABELS[name]
    return (
        f"| {engine} | {' | '.join(f'{value:.0f}' for value in milliseconds)} "
        f"| {median(checked.rss_before + unchecked.rss_before) / 1e6:.0f} "
        f"| {median(checked.rss_after + unchecked.rss_after) / 1e6:.0f} |"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="cold_start", description=__doc__.splitlines()[0])
    parser.add_argument("--server", required=True, help="path of redis-server or valkey-server")
    parser.add_argument("--module", required=True, help="path of redisai.so, with the engines beside it")
    parser.add_argument("--engines", default="", help="such as onnx,torch; default: all")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    engines = chosen_engines(options.engines)
    rows = [
        row(name, measure(options.server, os.path.abspath(options.module), name, options.rounds))
        for name in [*formats_of(engines), *([SCRIPT] if "TORCH" in engines else [])]
    ]
    print("| | ms until PONG | then ms until the first answer | with `MODEL_CHECK NO` | MB before | MB after |")
    print("|---|---|---|---|---|---|")
    print("\n".join(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
