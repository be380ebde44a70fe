"""TorchServe with a TorchScript and a handler of ours, which reads the reference records of a batch in one go.

Two workers with one thread of PyTorch each; with batching, batches of up to 16 that wait 1 ms at most.
"""

import json
import shutil
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from suite import data, models
from suite.errors import BenchmarkError
from suite.serving import Process, Step, Target, Workload
from suite.systems import http, processes
from suite.systems.check import verify
from suite.systems.ports import free_ports
from suite.systems.reference_store import reference_store_if_needed
from suite.systems.running import Running

PARTS = Path(__file__).with_suffix("")
PYTHON = "REDISAI_TORCHSERVE"
WORKERS = 2
# With batching, else 1.
BATCH = 16
BATCH_DELAY_MS = 1
START_SECONDS = 180
# Of an answer, and of connections without a request.
TIMEOUT_SECONDS = 120


class TorchServe:
    name = "torchserve"
    title = "TorchServe 0.12.0"
    # Until the Java machine has compiled what runs often.
    warm_up_seconds = 30.0

    def unavailable(self) -> str | None:
        if not shutil.which("java"):
            return "there is no java on the PATH"
        return None if processes.program(PYTHON) else processes.missing(PYTHON)

    @contextmanager
    def start(self, workload: Workload, folder: Path) -> Iterator[Running]:
        ports = free_ports(5)
        _write_archive(folder, workload)
        (folder / "config.properties").write_text(_configuration(ports, workload.batching))
        with reference_store_if_needed(workload) as store:
            environment = store.environment if store else {}
            with processes.running(
                _java(folder), folder, lambda: _has_worker(ports[1]), START_SECONDS, **environment
            ) as server:
                transactions = data.transactions(workload.entries)
                running = Running(
                    targets={"main": Target("http1", ports[0])},
                    processes=[Process("TorchServe", server.pid), *([store.process] if store else [])],
                    request=lambda index: (Step("main", _request(index, transactions[index].tobytes())),),
                    probabilities=http.floats,
                )
                verify(running, workload)
                yield running


def _request(index: int, transaction: bytes) -> bytes:
    return http.post("/predictions/fraud", struct.pack("<i", index) + transaction)


def _write_archive(folder: Path, workload: Workload) -> None:
    """A model archive, the form in which TorchServe takes models."""
    store = folder / "models"
    store.mkdir()
    manifest = {
        "createdOn": "01/01/2026 00:00:00",
        "runtime": "python",
        "archiverVersion": "0.12.0",
        "model": {
            "modelName": "fraud",
            "modelVersion": "1.0",
            "serializedFile": "model.pt",
            "handler": "fraud_handler.py",
        },
    }
    with zipfile.ZipFile(store / "fraud.mar", "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
        archive.write(models.torchscript(workload), "model.pt")
        archive.write(PARTS / "fraud_handler.py", "fraud_handler.py")


def _configuration(ports: list[int], batching: bool) -> str:
    """Addresses, and what proved fastest on two cores; the models are those of the file alone."""
    fraud = {
        "defaultVersion": True,
        "marName": "fraud.mar",
        "minWorkers": WORKERS,
        "maxWorkers": WORKERS,
        "batchSize": BATCH if batching else 1,
        "maxBatchDelay": BATCH_DELAY_MS,
        "responseTimeout": TIMEOUT_SECONDS,
    }
    properties = {
        "inference_address": f"http://127.0.0.1:{ports[0]}",
        "management_address": f"http://127.0.0.1:{ports[1]}",
        "metrics_address": f"http://127.0.0.1:{ports[2]}",
        "grpc_inference_port": ports[3],
        "grpc_management_port": ports[4],
        "load_models": "fraud.mar",
        "models": json.dumps({"fraud": {"1.0": fraud}}),
        "job_queue_size": 1000,
        "disable_token_authorization": "true",
        "disable_system_metrics": "true",
    }
    return "".join(f"{name}={value}\n" for name, value in properties.items())


def _java(folder: Path) -> list[str | Path]:
    python = processes.required_program(PYTHON)
    found = list(Path(python).parent.parent.glob("lib/python*/site-packages/ts/frontend/model-server.jar"))
    if not found:
        raise BenchmarkError(f"{python} has no TorchServe beside it")
    # As the `torchserve` script does, which leaves a file with a process number in a place that all users share.
    return [
        *("java", f"-Dmodel_server_home={found[0].parents[2]}", f"-Djava.io.tmpdir={folder}"),
        *(f"-Dlog4j2.configurationFile={PARTS / 'log4j2.xml'}", "-cp", found[0], "org.pytorch.serve.ModelServer"),
        *("--python", python, "-f", folder / "config.properties", "-s", folder / "models", "-ncs"),
    ]


def _has_worker(management_port: int) -> bool:
    answer = http.get_json(management_port, "/models/fraud")
    return bool(answer) and any(worker["status"] == "READY" for worker in answer[0]["workers"])


SYSTEM = TorchServe()
