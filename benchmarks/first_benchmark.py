#!/usr/bin/env python3
"""What a command of the module costs, beside an ECHO of the same bytes in the same run.

    python benchmarks/first_benchmark.py --server redis-server --module dist/redisai.so

Absolute figures belong to one machine at one moment; the ratios to ECHO are what to compare. Each operation is
measured right after its ECHO, in several rounds, and the table shows medians. The load is closed-loop and comes from
redis-benchmark on the same machine, so latencies at 50 clients include waiting for each other. Server CPU is all
threads of the server, by the kernel's clock of the process.
"""

import argparse
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import redis
from load import (
    HOST,
    BenchmarkError,
    Operation,
    measure_in_turn,
    medians,
    process_clock,
    request_size,
    without_zero_bytes,
)
from onnx import TensorProto, helper, numpy_helper

CLIENTS = (1, 50)
RESULTS = Path(__file__).resolve().parent / "results"
START_SECONDS = 10
TRANSACTION, REFERENCE, HIDDEN, CLASSES = 30, 256, 64, 2


# The model and its inputs


def fraud_network(random: np.random.Generator) -> bytes:
    """Two inputs, one hidden layer, two classes: the size of network that scores a payment."""

    def weights(name: str, *shape: int) -> TensorProto:
        return numpy_helper.from_array((random.standard_normal(shape) / 8).astype(np.float32), name)

    layers = [
        helper.make_node("Concat", ["transaction", "reference"], ["features"], axis=1),
        helper.make_node("Gemm", ["features", "w1", "b1"], ["sum1"]),
        helper.make_node("Relu", ["sum1"], ["hidden"]),
        helper.make_node("Gemm", ["hidden", "w2", "b2"], ["sum2"]),
        helper.make_node("Softmax", ["sum2"], ["score"], axis=1),
    ]
    graph = helper.make_graph(
        layers,
        "fraud",
        inputs=[
            helper.make_tensor_value_info("transaction", TensorProto.FLOAT, ["N", TRANSACTION]),
            helper.make_tensor_value_info("reference", TensorProto.FLOAT, ["N", REFERENCE]),
        ],
        outputs=[helper.make_tensor_value_info("score", TensorProto.FLOAT, ["N", CLASSES])],
        initializer=[
            weights("w1", TRANSACTION + REFERENCE, HIDDEN),
            weights("b1", HIDDEN),
            weights("w2", HIDDEN, CLASSES),
            weights("b2", CLASSES),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def prepare(client: redis.Redis) -> list[Operation]:
    """Store model and inputs, check one answer against the engine's own, and say what to measure."""
    random = np.random.default_rng(1)
    model = fraud_network(random)
    inputs = {"transaction": features(random, TRANSACTION), "reference": features(random, REFERENCE)}
    client.execute_command("AI.MODELSTORE", "fraud", "ONNX", "CPU", "BLOB", model)
    for name, values in inputs.items():
        client.execute_command("AI.TENSORSET", name, "FLOAT", *values.shape, "BLOB", values.tobytes())
    execute = ("AI.MODELEXECUTE", "fraud", "INPUTS", "2", *inputs, "OUTPUTS", "1", "score")
    client.execute_command(*execute)
    check_answer(client.execute_command("AI.TENSORGET", "score", "BLOB"), model, inputs)

    blob = inputs["reference"].tobytes()
    set_words = ("AI.TENSORSET", "reference", "FLOAT", "1", str(REFERENCE), "BLOB")
    return [
        Operation("AI.TENSORSET BLOB", set_words, blob, request_size(set_words) + len(blob)),
        Operation("AI.TENSORGET BLOB", ("AI.TENSORGET", "reference", "BLOB"), None, len(blob)),
        Operation("AI.MODELEXECUTE", execute, None, request_size(execute)),
    ]


def features(random: np.random.Generator, count: int) -> np.ndarray:
    return without_zero_bytes(random.standard_normal((1, count), dtype=np.float32))


def check_answer(blob: bytes, model: bytes, inputs: dict[str, np.ndarray]) -> None:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    expected = session.run(None, inputs)[0].ravel()
    answer = np.frombuffer(blob, dtype=np.float32)
    if answer.shape != expected.shape or not np.allclose(answer, expected, atol=1e-5):
        raise BenchmarkError(f"wrong answer: {answer} where the engine itself says {expected}")


# The server


@contextmanager
def running_server(binary: str, module: Path) -> Iterator[tuple[subprocess.Popen, redis.Redis]]:
    """A server on a free port, without persistence, stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="redisai-bench-") as folder:
        port = free_port()
        log = Path(folder) / "log"
        command = [binary, "--port", str(port), "--bind", HOST, "--dir", folder, "--save", "", "--logfile", str(log)]
        server = subprocess.Popen([*command, "--loadmodule", str(module.resolve())])
        try:
            yield server, connect(server, port, log)
        finally:
            server.terminate()
            server.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def connect(server: subprocess.Popen, port: int, log: Path) -> redis.Redis:
    client = redis.Redis(host=HOST, port=port)
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            client.ping()
            return client
        except redis.ConnectionError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise BenchmarkError(f"the server did not start:\n{log.read_text()}") from None
            time.sleep(0.05)


# Measuring


def measure_all(arguments: argparse.Namespace) -> tuple[dict, list[dict]]:
    """What was measured on, and one entry per operation and number of clients."""
    with running_server(arguments.server, arguments.module) as (server, client):
        port = client.connection_pool.connection_kwargs["port"]
        clock = process_clock(server.pid)
        operations = prepare(client)
        environment = description(client, arguments)
        entries = []
        for clients in CLIENTS:
            for operation in operations:
                pair = (operation.echo(), operation)
                rounds = measure_in_turn(pair, clients, arguments.rounds, arguments.seconds, port, clock)
                entries.append(
                    {"clients": clients, "operation": operation.name, "bytes": operation.size} | summary(rounds)
                )
        check_counters(client)
        return environment, entries


def summary(rounds: list) -> dict:
    """Medians over the rounds; the ratio is taken within each round first."""
    return {
        "echo": medians([echo for echo, _ in rounds]),
        "measured": medians([sample for _, sample in rounds]),
        "cpu_ratio": statistics.median(sample.server_cpu_us / echo.server_cpu_us for echo, sample in rounds),
        "rounds": [{"echo": asdict(echo), "measured": asdict(sample)} for echo, sample in rounds],
    }


def check_counters(client: redis.Redis) -> None:
    """A run that failed is not a fast run."""
    reply = client.execute_command("AI.INFO", "fraud")
    counters = dict(zip(reply[::2], reply[1::2], strict=True))
    if counters[b"errors"]:
        raise BenchmarkError(f"{counters[b'errors']} of {counters[b'calls']} executions failed")


# Reporting


def description(client: redis.Redis, arguments: argparse.Namespace) -> dict:
    server = client.info("server")
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "server": f"{server.get('server_name', 'redis')} {server.get('valkey_version', server['redis_version'])}",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "load_average": os.getloadavg()[0],
        "rounds": arguments.rounds,
        "seconds": arguments.seconds,
        "network": f"[N,{TRANSACTION}] + [N,{REFERENCE}] -> {HIDDEN} -> [N,{CLASSES}]",
    }


def table(environment: dict, entries: list[dict]) -> Iterator[str]:
    yield f"{environment['server']} on {environment['machine']}; load average {environment['load_average']:.1f}"
    yield f"medians of {environment['rounds']} rounds of {environment['seconds']} s; ratio: server CPU against its ECHO"
    yield f"{'clients':>7}  {'operation':<18}{'requests/s':>11}{'p50 µs':>9}{'p99 µs':>9}{'CPU µs':>9}{'ratio':>8}"
    for entry in entries:
        yield line(entry["clients"], f"ECHO {entry['bytes']} B", entry["echo"], 1.0)
        yield line(entry["clients"], entry["operation"], entry["measured"], entry["cpu_ratio"])


def line(clients: int, name: str, figures: dict, ratio: float) -> str:
    return (
        f"{clients:>7}  {name:<18}{figures['requests_per_second']:>11,.0f}{figures['p50_us']:>9.0f}"
        f"{figures['p99_us']:>9.0f}{figures['server_cpu_us']:>9.1f}{ratio:>8.2f}"
    )


def save(environment: dict, entries: list[dict]) -> Path:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"first-{environment['date'].replace(':', '')}.json"
    path.write_text(json.dumps({"environment": environment, "entries": entries}, indent=1))
    return path


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", required=True, help="redis-server or valkey-server")
    parser.add_argument("--module", type=Path, required=True, help="redisai.so")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each operation (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a measurement (default: %(default)s)")
    return parser.parse_args()


def main() -> int:
    try:
        environment, entries = measure_all(parse_arguments())
    except (BenchmarkError, redis.RedisError) as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    print(*table(environment, entries), sep="\n")
    print(f"all figures: {save(environment, entries)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
