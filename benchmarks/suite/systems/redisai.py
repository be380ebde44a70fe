"""This module in a Redis or Valkey server, or any other module with the same commands.

A request is one AI.DAGEXECUTE_RO: it reads the reference record from its key, takes the transaction along, runs the
model and brings back the probabilities.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from support.resp import OK, Argument, RawClient, encode_command
from support.server import Server

from suite import data, models
from suite.errors import BenchmarkError
from suite.serving import Process, Step, Target, Workload

# One connection's request is one run: threads of the engine's own would only fight with the server's for the cores.
TUNED = ("INTRA_OP_PARALLELISM", "1", "INTER_OP_PARALLELISM", "1")
TUNING = f"module arguments {' '.join(TUNED)}; server without persistence; BATCHSIZE 32 where batching is on"
BATCH_SIZE = 32
CLASSES = 2
ENGINES = {"onnx": "ONNX", "tf": "TF", "tflite": "TFLITE", "torch": "TORCH"}
LIFETIME_SECONDS = 7200
STORE_TIMEOUT_SECONDS = 120


@dataclass
class ServedModel:
    """A server with the module and whatever a scenario put there."""

    server: Server

    @property
    def targets(self) -> Mapping[str, Target]:
        return {"main": Target("resp", self.server.port)}

    @property
    def processes(self) -> Sequence[Process]:
        return [Process(self.server.kind, self.server.pid)]

    def check_counters(self, key: str = "fraud") -> None:
        """A run that failed is not a fast run."""
        with self.server.raw() as raw:
            if errors := raw.call("AI.INFO", key)[-1]:
                raise BenchmarkError(f"{errors} executions of {key} failed")


@dataclass
class RunningRedisAI(ServedModel):
    """With the model `fraud` and the reference records `ref:<index>`."""

    workload: Workload
    # The model's own order of its inputs, as positions in (transaction, reference).
    order: Sequence[int]
    transactions: np.ndarray

    def request(self, index: int) -> tuple[Step, ...]:
        header = ["LOAD", 1, f"ref:{index}"] if self.workload.reference == "store" else ["ROUTING", "fraud"]
        words = ["AI.DAGEXECUTE_RO", *header, "|>", *self.set_transaction("t", index)]
        words += ["|>", *self.execute("t", f"ref:{index}", "y"), "|>", "AI.TENSORGET", "y", "BLOB"]
        return (command(*words),)

    def set_transaction(self, key: Argument, index: int) -> list[Argument]:
        """The words that set a transaction's tensor."""
        return ["AI.TENSORSET", key, "FLOAT", 1, data.FEATURES, "BLOB", self.transactions[index].tobytes()]

    def execute(self, transaction: Argument, reference: Argument, output: Argument) -> list[Argument]:
        """The words that run the model on these keys."""
        inputs = [(transaction, reference)[position] for position in self.order]
        return ["AI.MODELEXECUTE", "fraud", "INPUTS", len(inputs), *inputs, "OUTPUTS", 1, output]

    def probabilities(self, reply: bytes) -> np.ndarray:
        return last_floats(reply)


@dataclass(frozen=True)
class RedisAI:
    """A server program with a module, started anew for each workload."""

    name: str
    title: str
    binary: str
    module: Path
    module_arguments: tuple[str, ...] = TUNED
    tuning: str = TUNING
    warm_up_seconds: float = 2.0

    def unavailable(self) -> str | None:
        return None if self.module.is_file() else f"{self.module} is missing"

    @contextmanager
    def serve(self) -> Iterator[Server]:
        """The server alone, for scenarios with models of their own."""
        arguments = self.module_arguments
        with Server(self.name, self.binary, str(self.module), arguments, lifetime=LIFETIME_SECONDS) as server:
            yield server

    @contextmanager
    def start(self, workload: Workload, folder: Path) -> Iterator[RunningRedisAI]:
        """The server's folder is one of its own, which it removes at the end; `folder` is left alone."""
        with self.serve() as server:
            with server.raw(timeout=STORE_TIMEOUT_SECONDS) as raw:
                options = ("BATCHSIZE", BATCH_SIZE) if workload.batching else ()
                store_model(raw, "fraud", workload.engine, fraud_model(workload), *options)
                order = [0]
                if workload.reference == "store":
                    order = input_order(raw, "fraud", ["transaction", "reference"])
                    store_records(raw, data.references(workload.entries, workload.reference_bytes))
            yield RunningRedisAI(server, workload, order, data.transactions(workload.entries))


def fraud_model(workload: Workload) -> bytes:
    """The fraud network in the format of the workload's engine."""
    if workload.engine == "onnx":
        return models.onnx_model(workload)
    makers = {"tf": models.frozen_graph, "tflite": models.tflite, "torch": models.torchscript}
    return makers[workload.engine](workload).read_bytes()


def command(*words: Argument) -> Step:
    return Step("main", encode_command(*words))


def last_floats(reply: bytes) -> np.ndarray:
    """The probabilities in the bulk string that a reply ends with."""
    size = CLASSES * 4
    if not reply.endswith(b"\r\n") or not reply[: -size - 2].endswith(b"$%d\r\n" % size):
        raise BenchmarkError(f"the reply does not end with probabilities: {reply!r:.300}")
    return np.frombuffer(reply[-size - 2 : -2], np.float32)


def store_model(raw: RawClient, key: str, engine: str, blob: bytes, *options: Argument) -> None:
    names = ("INPUTS", 2, "transaction", "reference", "OUTPUTS", 1, "output") if engine == "tf" else ()
    reply = raw.call("AI.MODELSTORE", key, ENGINES[engine], "CPU", *options, *names, "BLOB", blob)
    if reply != OK:
        raise BenchmarkError(f"the model {key} is not stored: {reply}")


def store_records(raw: RawClient, records: np.ndarray) -> None:
    for index, record in enumerate(records):
        reply = raw.call("AI.TENSORSET", f"ref:{index}", "FLOAT", 1, len(record), "BLOB", record.tobytes())
        if reply != OK:
            raise BenchmarkError(f"a reference record is not stored: {reply}")


def input_order(raw: RawClient, key: str, names: Sequence[str]) -> list[int]:
    """For each input of the model the position of its name: converters sort inputs and decorate their names."""
    reply = raw.call("AI.MODELGET", key, "META")
    inputs = [name.decode() for name in dict(zip(reply[::2], reply[1::2]))[b"inputs"]]
    if not inputs:
        return list(range(len(names)))
    return [next(place for place, name in enumerate(names) if name in text) for text in inputs]
