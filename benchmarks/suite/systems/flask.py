"""gunicorn with an application of Flask that runs TensorFlow: what many a team starts with.

Two workers of four threads each, one TensorFlow thread per run, transaction and answer as raw FLOAT32.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.server import free_port

from suite import data, models
from suite.serving import Process, Step, Target, Workload
from suite.systems import http, processes
from suite.systems.check import verify
from suite.systems.reference_store import reference_store_if_needed
from suite.systems.running import Running

APPLICATION = Path(__file__).with_suffix("")
PYTHON = "REDISAI_FLASK"
THREADS = 4
START_SECONDS = 180


class Flask:
    name = "flask"
    title = "gunicorn 27.0.1 + Flask 3.1.3 + TensorFlow 2.21.0"
    warm_up_seconds = 3.0

    def unavailable(self) -> str | None:
        return None if processes.program(PYTHON) else processes.missing(PYTHON)

    @contextmanager
    def start(self, workload: Workload, folder: Path) -> Iterator[Running]:
        python, port = processes.required_program(PYTHON), free_port()
        with reference_store_if_needed(workload) as store:
            environment = {
                "FRAUD_MODEL": str(models.saved_model(workload)),
                "TF_CPP_MIN_LOG_LEVEL": "2",
                "CUDA_VISIBLE_DEVICES": "",
            } | (store.environment if store else {})
            with processes.running(
                _gunicorn(python, port), folder, lambda: http.answers_ok(port, "/ready"), START_SECONDS, **environment
            ) as server:
                transactions = data.transactions(workload.entries)
                running = Running(
                    targets={"main": Target("http1", port)},
                    processes=[Process("gunicorn", server.pid), *([store.process] if store else [])],
                    request=lambda index: (Step("main", http.post(f"/score/{index}", transactions[index].tobytes())),),
                    probabilities=http.floats,
                )
                verify(running, workload)
                yield running


def _gunicorn(python: str, port: int) -> list[str | Path]:
    # Its access log is off by default.
    return [
        *(python, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--chdir", APPLICATION, "--keep-alive", "75"),
        *("--workers", str(os.cpu_count()), "--worker-class", "gthread", "--threads", str(THREADS), "application:app"),
    ]


SYSTEM = Flask()
