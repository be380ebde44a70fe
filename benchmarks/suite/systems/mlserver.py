"""MLServer with a runtime of ours on ONNX Runtime: the KServe v2 protocol in JSON.

One process, since handing a request to a worker process costs more than the run; one thread of the engine; with
batching, adaptive batches of up to 16 that wait 1 ms at most.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from suite import data, models
from suite.serving import Process, Step, Target, Workload
from suite.systems import http, processes
from suite.systems.check import verify
from suite.systems.ports import free_ports
from suite.systems.reference_store import reference_store_if_needed
from suite.systems.running import Running

PARTS = Path(__file__).with_suffix("")
PYTHON = "REDISAI_MLSERVER"
BATCHING = {"max_batch_size": 16, "max_batch_time": 0.001}
START_SECONDS = 180


class MLServer:
    name = "mlserver"
    title = "MLServer 1.7.1 (ONNX Runtime 1.31.1)"
    warm_up_seconds = 3.0

    def unavailable(self) -> str | None:
        return None if processes.program(PYTHON) else processes.missing(PYTHON)

    @contextmanager
    def start(self, workload: Workload, folder: Path) -> Iterator[Running]:
        python = processes.required_program(PYTHON)
        ports = free_ports(3)
        _write_model(folder, workload)
        (folder / "settings.json").write_text(json.dumps(_settings(ports)))
        with reference_store_if_needed(workload) as store:
            environment = store.environment if store else {}
            command = [Path(python).with_name("mlserver"), "start", folder]
            ready = "/v2/models/fraud/ready"
            with processes.running(
                command, folder, lambda: http.answers_ok(ports[0], ready), START_SECONDS, **environment
            ) as server:
                transactions = data.transactions(workload.entries)
                running = Running(
                    targets={"main": Target("http1", ports[0])},
                    processes=[Process("MLServer", server.pid), *([store.process] if store else [])],
                    request=lambda index: (Step("main", _request(transactions[index], index)),),
                    probabilities=_probabilities,
                )
                verify(running, workload)
                yield running


def _request(transaction: np.ndarray, index: int) -> bytes:
    inputs = [
        _tensor("transaction", "FP32", transaction.tolist()),
        _tensor("number", "INT64", [index]),
    ]
    return http.post_json("/v2/models/fraud/infer", {"inputs": inputs})


def _tensor(name: str, data_type: str, values: list[Any]) -> dict[str, Any]:
    return {"name": name, "shape": [1, len(values)], "datatype": data_type, "data": values}


def _probabilities(body: bytes) -> np.ndarray:
    return np.array(json.loads(body)["outputs"][0]["data"], np.float32)


def _write_model(folder: Path, workload: Workload) -> None:
    (folder / "fraud_runtime.py").write_bytes((PARTS / "fraud_runtime.py").read_bytes())
    (folder / "fraud.onnx").write_bytes(models.onnx_model(workload))
    settings = {
        "name": "fraud",
        "implementation": "fraud_runtime.FraudRuntime",
        "parameters": {"uri": "fraud.onnx"},
    }
    (folder / "model-settings.json").write_text(json.dumps(settings | (BATCHING if workload.batching else {})))


def _settings(ports: list[int]) -> dict[str, Any]:
    return {
        "debug": False,
        "host": "127.0.0.1",
        "http_port": ports[0],
        "grpc_port": ports[1],
        "metrics_port": ports[2],
        "metrics_endpoint": None,
        "parallel_workers": 0,
        "gzip_enabled": False,
    }


SYSTEM = MLServer()
