"""Triton with its Python backend, whose model reads the reference records of a batch in one go and runs ONNX Runtime.

HTTP with the binary tensor extension of the KServe v2 protocol (JSON for the description, the numbers as they are), one
instance of the model with one thread of the engine; with batching, dynamic batches of up to 64 without a delay.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from suite import data, models
from suite.serving import Process, Step, Target, Workload
from suite.systems import http, kserve, processes
from suite.systems.check import verify
from suite.systems.ports import free_ports
from suite.systems.reference_store import reference_store_if_needed
from suite.systems.running import Running

PARTS = Path(__file__).with_suffix("")
FOLDER = "REDISAI_TRITON"
PYTHON = "REDISAI_TRITON_PYTHON"
INSTANCES = 1
HTTP_THREADS = 1
BATCH = 64
BATCHING = "dynamic_batching { max_queue_delay_microseconds: 0 }"
START_SECONDS = 60
CONFIGURATION = f"""
backend: "python"
max_batch_size: {BATCH}
instance_group [{{ kind: KIND_CPU count: {INSTANCES} }}]
input [
  {{ name: "transaction" data_type: TYPE_FP32 dims: [ {data.FEATURES} ] }},
  {{ name: "number" data_type: TYPE_INT64 dims: [ 1 ] }}
]
output [ {{ name: "output" data_type: TYPE_FP32 dims: [ 2 ] }} ]
"""


class Triton:
    name = "triton"
    title = "Triton 2.51 (Python backend, ONNX Runtime)"
    warm_up_seconds = 3.0

    def unavailable(self) -> str | None:
        missing = [variable for variable in (FOLDER, PYTHON) if not processes.program(variable)]
        return processes.missing(missing[0]) if missing else None

    @contextmanager
    def start(self, workload: Workload, folder: Path) -> Iterator[Running]:
        home, packages = _server(), _packages()
        _write_repository(folder / "models", workload)
        [port] = free_ports(1)
        with reference_store_if_needed(workload) as store:
            environment = {"MODEL_PACKAGES": packages} | (store.environment if store else {})
            command = _command(home, folder / "models", port)
            with processes.running(
                command, folder, lambda: http.answers_ok(port, "/v2/health/ready"), START_SECONDS, **environment
            ) as server:
                transactions = data.transactions(workload.entries)
                running = Running(
                    targets={"main": Target("http1", port)},
                    processes=[Process("Triton", server.pid), *([store.process] if store else [])],
                    request=lambda index: (Step("main", _request(transactions[index], index)),),
                    probabilities=kserve.last_floats,
                )
                verify(running, workload)
                yield running


def _request(transaction: np.ndarray, index: int) -> bytes:
    inputs = {"transaction": transaction[np.newaxis], "number": np.array([[index]], np.int64)}
    return kserve.binary_request("fraud", inputs)


def _server() -> Path:
    return Path(processes.required_program(FOLDER))


def _packages() -> str:
    python = Path(processes.required_program(PYTHON))
    [packages] = python.parent.parent.glob("lib/python*/site-packages")
    return str(packages)


def _write_repository(repository: Path, workload: Workload) -> None:
    model = repository / "fraud"
    version = model / "1"
    version.mkdir(parents=True)
    (model / "config.pbtxt").write_text(CONFIGURATION + (BATCHING if workload.batching else ""))
    (version / "model.py").write_bytes((PARTS / "model.py").read_bytes())
    (version / "fraud.onnx").write_bytes(models.onnx_model(workload))


def _command(home: Path, repository: Path, port: int) -> list[str | Path]:
    options = {
        "model-repository": repository,
        "backend-directory": home / "backends",
        "http-address": "127.0.0.1",
        "http-port": port,
        "http-thread-count": HTTP_THREADS,
        "allow-grpc": "false",
        "allow-metrics": "false",
    }
    return [home / "bin" / "tritonserver", *(f"--{name}={value}" for name, value in options.items())]


SYSTEM = Triton()
