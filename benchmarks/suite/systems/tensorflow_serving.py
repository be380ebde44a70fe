"""TensorFlow Serving over gRPC, wherever TENSORFLOW_MODEL_SERVER or the PATH names a tensorflow_model_server.

It cannot read from a store, so the client fetches the reference record and sends it along: as it is (`tensor_content`)
over gRPC. One thread of the engine per run; with batching, batches of up to 32 that wait for nothing. The server has no
option for the address that it listens on: it is all of the machine's.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from support.resp import encode_command

from suite import data, models
from suite.errors import BenchmarkError
from suite.serving import Process, Splice, Step, Target, Workload
from suite.systems import http, prediction_messages, processes
from suite.systems.check import verify
from suite.systems.ports import free_ports
from suite.systems.reference_store import ReferenceStore, key, reference_store_if_needed
from suite.systems.running import Running

PROGRAM = "tensorflow_model_server"
VARIABLE = "TENSORFLOW_MODEL_SERVER"
PREDICT = "/tensorflow.serving.PredictionService/Predict"
SIGNATURE = "serving_default"
START_SECONDS = 180
BATCHING = """
max_batch_size { value: 32 }
batch_timeout_micros { value: 0 }
num_batch_threads { value: 2 }
max_enqueued_batches { value: 1000 }
"""


@dataclass(frozen=True)
class Call:
    """How a server on a port is asked by one of its two protocols."""

    protocol: str
    # From the inputs by name, and whether the reference has been fetched in a step before.
    step: Callable[[dict[str, np.ndarray], bool], Step]
    probabilities: Callable[[bytes], np.ndarray]


def _grpc_step(inputs: dict[str, np.ndarray], fetched: bool) -> Step:
    message = prediction_messages.request("fraud", SIGNATURE, inputs)
    if not fetched:
        return Step("main", message, path=PREDICT)
    record = inputs["reference"].tobytes()
    return Step("main", message, path=PREDICT, splice=Splice(message.index(record), len(record)))


def _rest_step(inputs: dict[str, np.ndarray], fetched: bool) -> Step:
    """The record is in it as text: the client's work of writing it is not part of the measurement."""
    content = {"signature_name": SIGNATURE, "inputs": {name: array.tolist() for name, array in inputs.items()}}
    return Step("main", http.post_json("/v1/models/fraud:predict", content))


GRPC = Call("grpc", _grpc_step, lambda reply: prediction_messages.output(reply, "output"))
REST = Call("http1", _rest_step, http.first_output)


@dataclass(frozen=True)
class TensorFlowServing:
    name: str
    title: str
    call: Call
    warm_up_seconds: float = 3.0

    def unavailable(self) -> str | None:
        return None if _program() else f"{VARIABLE} is not set, and the PATH has no {PROGRAM}"

    @contextmanager
    def start(self, workload: Workload, folder: Path) -> Iterator[Running]:
        program = _program()
        if program is None:
            raise BenchmarkError(self.unavailable())
        grpc_port, rest_port = free_ports(2)
        shutil.copytree(models.saved_model(workload), folder / "fraud" / "1")
        (folder / "batching").write_text(BATCHING)
        command = _command(program, folder, grpc_port, rest_port, workload.batching)
        with (
            reference_store_if_needed(workload) as store,
            processes.running(
                command, folder, lambda: http.answers_ok(rest_port, "/v1/models/fraud"), START_SECONDS
            ) as server,
        ):
            found = [Process("TensorFlow Serving", server.pid), *([store.process] if store else [])]
            # The plain clients of the check speak no gRPC: the answers of the same server are checked over REST.
            verify(_running(REST, rest_port, found, workload, store), workload)
            port = grpc_port if self.call is GRPC else rest_port
            yield _running(self.call, port, found, workload, store)


def _program() -> str | None:
    return processes.program(VARIABLE) if os.environ.get(VARIABLE) else shutil.which(PROGRAM)


def _command(program: str, folder: Path, grpc_port: int, rest_port: int, batching: bool) -> list[str | Path]:
    options = {
        "port": grpc_port,
        "rest_api_port": rest_port,
        "model_name": "fraud",
        "model_base_path": folder / "fraud",
        "tensorflow_intra_op_parallelism": 1,
        "file_system_poll_wait_seconds": 0,
        "enable_batching": str(batching).lower(),
    }
    if batching:
        options["batching_parameters_file"] = folder / "batching"
    return [program, *(f"--{name}={value}" for name, value in options.items())]


def _running(call: Call, port: int, found: list[Process], workload: Workload, store: ReferenceStore | None) -> Running:
    transactions = data.transactions(workload.entries)
    references = data.references(workload.entries, workload.reference_bytes) if store else None

    def request(index: int) -> tuple[Step, ...]:
        inputs = {"transaction": transactions[index : index + 1]}
        if references is None:
            return (call.step(inputs, False),)
        inputs["reference"] = references[index : index + 1]
        return (Step("store", encode_command("GET", key(index))), call.step(inputs, True))

    targets = {"main": Target(call.protocol, port)} | ({"store": store.target} if store else {})
    return Running(targets, found, request, call.probabilities)


SYSTEM = TensorFlowServing("tensorflow-serving", "TensorFlow Serving, gRPC", GRPC)
