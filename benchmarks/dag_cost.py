#!/usr/bin/env python3
"""What a whole DAG costs, beside an ECHO of the same bytes and the engine's own run in the same rounds.

    PYTHONPATH=Tests python benchmarks/dag_cost.py --server redis-server --module dist/redisai.so --raw .build/raw_run

The DAG sets the two inputs of the fraud network, runs it on ONNX Runtime, and reads the result: everything that a
client needs for one score, in one command. The floor is an ECHO that has as many bytes on the wire, plus one run of the
engine by a program in C (benchmarks/raw_run.c), which has nothing to do but run. CPU is that of all threads of the
server.
"""

import argparse
import statistics
import sys
from dataclasses import dataclass

import numpy as np
from load import BenchmarkError, Operation, Sample, measure_in_turn, medians, process_clock, without_zero_bytes
from raw_runs import raw_run_us
from reliability.engine_models import FORMATS
from support import fraud_models
from support.resp import OK, RawClient, encode_command
from support.server import Server

CLIENTS = (1, 50)
BAR = 2.0
# The engines' own threads would fight with the server's for two cores, and count as its CPU while they wait for work.
MODULE_ARGS = ("INTRA_OP_PARALLELISM", "1", "INTER_OP_PARALLELISM", "1")
TOLERANCE = 1e-5
_ECHO_OVERHEAD = len(encode_command("ECHO", b"x" * 1000)) - 1000


@dataclass(frozen=True)
class Row:
    """The figures at one number of clients, medians of the rounds."""

    clients: int
    raw_us: float
    echo: dict[str, float]
    dag: dict[str, float]
    ratio: float

    def __str__(self) -> str:
        floor = self.echo["server_cpu_us"] + self.raw_us
        return (
            f"| {self.clients} | {self.dag['requests_per_second']:,.0f} | {self.dag['p50_us']:.0f} "
            f"| {self.dag['p99_us']:.0f} | {self.dag['server_cpu_us']:.1f} | {self.echo['server_cpu_us']:.1f} "
            f"| {self.raw_us:.1f} | {floor:.1f} | {self.ratio:.2f} |"
        )


def dag_words(inputs: dict[str, np.ndarray]) -> tuple[str | bytes, ...]:
    words: list[str | bytes] = ["AI.DAGEXECUTE", "ROUTING", "fraud"]
    for name, array in inputs.items():
        words += ["|>", "AI.TENSORSET", name, "FLOAT", "1", str(array.shape[1]), "BLOB", array.tobytes()]
    words += ["|>", "AI.MODELEXECUTE", "fraud", "INPUTS", "2", *inputs, "OUTPUTS", "1", "score"]
    return (*words, "|>", "AI.TENSORGET", "score", "BLOB")


def prepare(raw: RawClient) -> tuple[Operation, Operation]:
    """Stores the model, checks one answer, and returns what to measure: the ECHO and the DAG."""
    reply = raw.call(*FORMATS["onnx"].fraud().store_command("fraud"))
    if reply != OK:
        raise BenchmarkError(f"the model is not stored: {reply}")
    inputs = {name: without_zero_bytes(array) for name, array in fraud_models.samples(1).items()}
    words = dag_words(inputs)
    reply = raw.call(*words)
    if not isinstance(reply, list) or reply[:3] != [OK, OK, OK]:
        raise BenchmarkError(f"the DAG fails: {reply}")
    expected = fraud_models.answers(**inputs).ravel()
    answer = np.frombuffer(reply[3], np.float32)
    if not np.allclose(answer, expected, atol=TOLERANCE):
        raise BenchmarkError(f"wrong answer: {answer} instead of {expected}")
    size = len(encode_command(*words))
    echo = Operation(f"ECHO, {size} bytes", ("ECHO",), b"x" * (size - _ECHO_OVERHEAD), size)
    return echo, Operation("DAG", words, None, size)


def measure_row(clients: int, options: argparse.Namespace, operations: tuple, server: Server, clock: int) -> Row:
    """One round at a time, so that the engine's own run is measured between the others."""
    samples: list[tuple[Sample, ...]] = []
    raw_us: list[float] = []
    for _ in range(options.rounds):
        raw_us += raw_run_us(options.raw, options.module, FORMATS["onnx"].fraud().blob, rows=1)
        samples += measure_in_turn(operations, clients, 1, options.seconds, server.port, clock)
    engine = statistics.median(raw_us)
    ratios = [dag.server_cpu_us / (echo.server_cpu_us + engine) for echo, dag in samples]
    echoes, dags = zip(*samples)
    return Row(clients, engine, medians(echoes), medians(dags), statistics.median(ratios))


def check_counters(raw: RawClient) -> None:
    """A run that failed is not a fast run."""
    reply = raw.call("AI.INFO", "fraud")
    if reply[-1] != 0:
        raise BenchmarkError(f"{reply[-1]} executions failed")


def main() -> int:
    options = parse_arguments()
    try:
        with Server("bench", options.server, options.module, module_args=MODULE_ARGS) as server:
            clock = process_clock(server.pid)
            with server.raw() as raw:
                operations = prepare(raw)
                rows = [measure_row(clients, options, operations, server, clock) for clients in CLIENTS]
                check_counters(raw)
    except BenchmarkError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    print(f"DAG and {operations[0].name}; medians of {options.rounds} rounds of {options.seconds} s; bar {BAR}")
    print("| clients | DAGs/s | p50 µs | p99 µs | CPU µs | `ECHO` CPU µs | engine µs | floor µs | CPU / floor |")
    print("|---|---|---|---|---|---|---|---|---|")
    print(*rows, sep="\n")
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dag_cost", description=__doc__.splitlines()[0])
    parser.add_argument("--server", required=True, help="path of redis-server or valkey-server")
    parser.add_argument("--module", required=True, help="path of redisai.so, with the engines beside it")
    parser.add_argument("--raw", required=True, help="path of raw_run, compiled from raw_run.c")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a measurement")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
