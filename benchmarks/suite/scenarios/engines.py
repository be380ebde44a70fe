"""The same network in each engine, beside the engine alone."""

from suite.errors import BenchmarkError
from suite.load import Closed
from suite.measuring import Bench, requests_of
from suite.registry import ours
from suite.scenarios.scenario import Scenario
from suite.serving import Workload
from suite.systems.redisai import fraud_model

CLIENTS = 50
# TorchScript does not say which shapes a model takes.
TORCH_SHAPES = "1x30,1x256"


def run(bench: Bench) -> None:
    for engine in bench.settings.engines:
        try:
            measure(bench, engine)
        except BenchmarkError as error:
            bench.problem(f"{engine}: {error}")


def measure(bench: Bench, engine: str) -> None:
    workload = Workload(engine=engine)
    rows = TORCH_SHAPES if engine == "torch" else "1"
    with bench.started(ours(bench.settings), workload) as running:
        requests, load = requests_of(running, workload), Closed(CLIENTS)
        bench.alternate(
            [
                bench.engine(engine, engine, CLIENTS, fraud_model(workload), rows=rows),
                bench.echoed(engine, CLIENTS, running, requests, load),
                bench.loaded("redisai", engine, CLIENTS, running, requests, load),
            ]
        )
        running.check_counters()


SCENARIO = Scenario(
    "engines",
    "The four engines",
    f"The same network with the same weights as ONNX, TensorFlow, TorchScript and TensorFlow Lite model, {CLIENTS} "
    "clients, each beside its engine's own run by a program in C.",
    run,
)
