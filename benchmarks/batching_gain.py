#!/usr/bin/env python3
r"""What batching saves: BATCHSIZE 32 beside no batching for the same model, in alternating rounds of one run.

    PYTHONPATH=Tests python benchmarks/batching_gain.py \
        --server redis-server --module dist/redisai.so --raw .build/raw_run

64 connections send AI.MODELEXECUTE for one row and wait for the answer (redis-benchmark). CPU is that of all threads of
the server per inference, by the kernel's clock of the process; latency is what the clients see.
"""

import argparse
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass

import networks
import numpy as np
from load import BenchmarkError, Operation, measure_in_turn, medians, process_clock, request_size
from raw_runs import raw_run_us
from reliability.engine_models import FORMATS, Model
from support import fraud_models
from support.commands import execute_command
from support.resp import OK, RawClient
from support.server import Server

CLIENTS = 64
BATCH_SIZE = 32
# The engines' own threads would fight with the server's for two cores, and count as its CPU while they wait for work.
MODULE_ARGS = ("INTRA_OP_PARALLELISM", "1", "INTER_OP_PARALLELISM", "1")
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Subject:
    """A model to measure, with the CPU per inference that batching is to come down to, as a share."""

    name: str
    model: Callable[[], Model]
    inputs: Callable[[], list[np.ndarray]]
    bar: float


def wide_model() -> Model:
    return Model("ONNX", networks.wide_network())


def wide_inputs() -> list[np.ndarray]:
    return [np.random.default_rng(4).standard_normal((1, networks.FEATURES), dtype=np.float32)]


def fraud_inputs() -> list[np.ndarray]:
    return list(fraud_models.samples(1).values())


SUBJECTS = (
    Subject("fraud network, TF", FORMATS["frozen_graph"].fraud, fraud_inputs, 0.5),
    Subject("fraud network, ONNX", FORMATS["onnx"].fraud, fraud_inputs, 0.85),
    Subject("wide network, ONNX", wide_model, wide_inputs, 0.5),
)


@dataclass(frozen=True)
class Row:
    """The figures of one model, medians of the rounds; the ratio is taken within each round first."""

    subject: Subject
    plain: dict[str, float]
    batched: dict[str, float]
    ratio: float
    p99_ratio: float
    raw_us: float | None
    # How many requests a batch served.
    together: float

    def __str__(self) -> str:
        raw = "" if self.raw_us is None else f"{self.raw_us:.1f}"
        cells = [self.subject.name, raw]
        for figures in (self.plain, self.batched):
            cells += [f"{figures['requests_per_second']:,.0f}", f"{figures['server_cpu_us']:.1f}"]
        cells += [f"{self.together:.1f}", f"{self.ratio:.2f}", f"{self.subject.bar}"]
        cells += [f"{figures['p99_us']:,.0f}" for figures in (self.plain, self.batched)]
        return f"| {' | '.join([*cells, f'{self.p99_ratio:.2f}'])} |"


def prepare(raw: RawClient, subject: Subject) -> list[Operation]:
    """Stores the model twice, without and with batching; both must give the same answer."""
    model, inputs = subject.model(), subject.inputs()
    keys = [f"x{number}" for number in range(len(inputs))]
    for key, array in zip(keys, inputs):
        expect_ok(raw.call("AI.TENSORSET", key, "FLOAT", *array.shape, "BLOB", array.tobytes()))
    operations, answers = [], []
    for name, options in (("plain", ()), ("batched", ("BATCHSIZE", BATCH_SIZE))):
        expect_ok(raw.call("AI.MODELSTORE", name, model.engine, "CPU", *options, *model.options, "BLOB", model.blob))
        words = tuple(map(str, execute_command(name, keys, [f"{name}:y"])))
        expect_ok(raw.call(*words))
        answers.append(np.frombuffer(raw.call("AI.TENSORGET", f"{name}:y", "BLOB"), np.float32))
        operations.append(Operation(name, words, None, request_size(words)))
    if not np.allclose(*answers, atol=TOLERANCE):
        raise BenchmarkError(f"{subject.name}: different answers: {answers}")
    return operations


def expect_ok(reply: object) -> None:
    if reply != OK:
        raise BenchmarkError(f"not OK: {reply!r:.300}")


def measure_subject(subject: Subject, options: argparse.Namespace) -> Row:
    """On a server of its own."""
    with Server("bench", options.server, options.module, module_args=MODULE_ARGS) as server:
        clock = process_clock(server.pid)
        with server.raw() as raw:
            operations = prepare(raw, subject)
            rounds = measure_in_turn(operations, CLIENTS, options.rounds, options.seconds, server.port, clock)
            together = requests_per_batch(server)
            for operation in operations:
                if (errors := raw.call("AI.INFO", operation.name)[-1]) != 0:
                    raise BenchmarkError(f"{errors} executions failed")
    model, raw_us = subject.model(), None
    if model.engine == "ONNX":
        raw_us = statistics.median(raw_run_us(options.raw, options.module, model.blob, rows=1, rounds=3))
    plain, batched = zip(*rounds)
    ratio = statistics.median(b.server_cpu_us / p.server_cpu_us for p, b in rounds)
    p99_ratio = statistics.median(b.p99_us / p.p99_us for p, b in rounds)
    return Row(subject, medians(plain), medians(batched), ratio, p99_ratio, raw_us, together)


def requests_per_batch(server: Server) -> float:
    info = server.info("modules")
    batches = int(info["ai_queue_CPU_batches"])
    if not batches:
        raise BenchmarkError("nothing ran together")
    return int(info["ai_queue_CPU_batched_requests"]) / batches


def main() -> int:
    options = parse_arguments()
    try:
        rows = [measure_subject(subject, options) for subject in SUBJECTS]
    except BenchmarkError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    print(f"{CLIENTS} clients, BATCHSIZE {BATCH_SIZE}; medians of {options.rounds} rounds of {options.seconds} s each")
    print(
        "| model | engine µs | /s | CPU µs | batched /s | batched CPU µs | requests per batch | CPU ratio | bar "
        "| p99 µs | batched p99 µs | p99 ratio |"
    )
    print(f"|{'---|' * 12}")
    print(*rows, sep="\n")
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="batching_gain", description=__doc__.splitlines()[0])
    parser.add_argument("--server", required=True, help="path of redis-server or valkey-server")
    parser.add_argument("--module", required=True, help="path of redisai.so, with the engines beside it")
    parser.add_argument("--raw", required=True, help="path of raw_run, compiled from raw_run.c")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a measurement")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
