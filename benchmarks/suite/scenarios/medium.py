"""A model whose own time dominates: what is lost around it, and whether others notice."""

import dataclasses
import os
from pathlib import Path

import numpy as np
from support.commands import execute_command, pairs, set_tensor
from support.resp import OK

from suite.errors import BenchmarkError
from suite.load import Closed, Ping
from suite.measuring import Bench
from suite.registry import ours, ours_untuned
from suite.scenarios.scenario import Scenario
from suite.systems.redisai import RedisAI, ServedModel, command, store_model

# Mono sound of two seconds.
SHAPE = (1, 43844, 1)
# One request always waits while the other one runs.
CLIENTS = 2
# A run takes tens of milliseconds.
LEAST_SECONDS = 5.0
DEFAULT, ALL_THREADS = "all cores but one (the default)", "an engine thread per core"
VARIABLE = "REDISAI_BASIC_PITCH"


def model() -> bytes:
    """The basic-pitch network as its package brings it."""
    files = sorted(Path(os.environ.get(VARIABLE, "/nowhere")).rglob("*.onnx"))
    if not files:
        raise BenchmarkError(f"{VARIABLE} names no folder with basic-pitch")
    return files[0].read_bytes()


def run(bench: Bench) -> None:
    cores = len(os.sched_getaffinity(0))
    measure(bench, ours_untuned(bench.settings), DEFAULT, max(1, cores - 1))
    # Nothing is left to the server: what that does to others is what the default avoids.
    every = dataclasses.replace(ours(bench.settings), module_arguments=("INTRA_OP_PARALLELISM", str(cores)))
    measure(bench, every, ALL_THREADS, cores)


def measure(bench: Bench, system: RedisAI, variant: str, threads: int) -> None:
    blob = model()
    with system.serve() as server, server.raw(timeout=60) as raw:
        store_model(raw, "m", "onnx", blob)
        set_tensor(raw, "x", np.random.default_rng(5).standard_normal(SHAPE, dtype=np.float32))
        outputs = pairs(raw.call("AI.MODELGET", "m", "META"))["outputs"]
        words = execute_command("m", ["x"], [f"y{number}" for number in range(len(outputs))])
        if (reply := raw.call(*words)) != OK:
            raise BenchmarkError(f"basic-pitch: {reply}")
        running, request = ServedModel(server), (command(*words),)
        bench.alternate(
            [
                bench.engine("onnx", variant, CLIENTS, blob, threads=threads),
                bench.loaded("redisai", variant, CLIENTS, running, [request], Closed(CLIENTS), Ping("main")),
            ],
            least_seconds=LEAST_SECONDS,
        )
        running.check_counters("m")


SCENARIO = Scenario(
    "medium",
    "A model that takes milliseconds",
    "basic-pitch (two seconds of sound to notes) on ONNX Runtime, kept busy by two clients, with a thousand PINGs a "
    "second beside it; compared with the engine alone with the same number of threads.",
    run,
)
