"""What batching saves: the same model stored without BATCHSIZE and with it, in alternating rounds."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from support import fraud_models
from support.commands import execute_command, set_tensor
from support.resp import OK, RawClient
from support.server import Server

from suite.errors import BenchmarkError
from suite.load import Closed
from suite.measuring import Bench
from suite.networks import FEATURES, wide_network
from suite.registry import ours
from suite.scenarios.scenario import Scenario
from suite.serving import Workload
from suite.systems.redisai import BATCH_SIZE, ServedModel, command, fraud_model, store_model

CLIENTS = 64
WITHOUT, WITH = "without batching", "with batching"
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Network:
    """A model with its inputs, and the share of the CPU per inference that batching is to come down to."""

    name: str
    engine: str
    model: Callable[[], bytes]
    inputs: Callable[[], list[np.ndarray]]
    bar: float


def _fraud(engine: str) -> Callable[[], bytes]:
    return lambda: fraud_model(Workload(engine=engine))


def _fraud_inputs() -> list[np.ndarray]:
    return list(fraud_models.samples(1).values())


def _wide_inputs() -> list[np.ndarray]:
    return [np.random.default_rng(4).standard_normal((1, FEATURES), dtype=np.float32)]


NETWORKS = (
    Network("fraud network, TF", "tf", _fraud("tf"), _fraud_inputs, 0.5),
    Network("fraud network, ONNX", "onnx", _fraud("onnx"), _fraud_inputs, 0.85),
    Network("wide network, ONNX", "onnx", wide_network, _wide_inputs, 0.5),
)


def run(bench: Bench) -> None:
    for network in NETWORKS:
        if network.engine in bench.settings.engines:
            measure(bench, network)


def measure(bench: Bench, network: Network) -> None:
    """The records' point is 0 without batching, and BATCHSIZE with it."""
    with ours(bench.settings).serve() as server, server.raw() as raw:
        subjects = [bench.engine(network.engine, network.name, 0, network.model())]
        answers = []
        for key, batch_size in ((WITHOUT, 0), (WITH, BATCH_SIZE)):
            request = prepare(raw, network, key.partition(" ")[0], batch_size)
            answers.append(np.frombuffer(raw.call("AI.TENSORGET", "y", "BLOB"), np.float32))
            running = ServedModel(server)
            subjects.append(bench.loaded("redisai", network.name, batch_size, running, [request], Closed(CLIENTS)))
        if not np.allclose(*answers, atol=TOLERANCE):
            raise BenchmarkError(f"{network.name}: different answers: {answers}")
        bench.alternate(subjects)
        bench.say(f"{network.name}: {requests_per_batch(server):.1f} requests in a batch")


def prepare(raw: RawClient, network: Network, key: str, batch_size: int) -> tuple:
    """Stores model and inputs, runs it once, and returns the request that does so again."""
    inputs = network.inputs()
    keys = [f"x{number}" for number in range(len(inputs))]
    for name, array in zip(keys, inputs):
        set_tensor(raw, name, array)
    store_model(raw, key, network.engine, network.model(), *(("BATCHSIZE", batch_size) if batch_size else ()))
    words = execute_command(key, keys, ["y"])
    if (reply := raw.call(*words)) != OK:
        raise BenchmarkError(f"{network.name}: {reply}")
    return (command(*words),)


def requests_per_batch(server: Server) -> float:
    info = server.info("modules")
    batches = int(info["ai_queue_CPU_batches"])
    if not batches:
        raise BenchmarkError("nothing ran together")
    return int(info["ai_queue_CPU_batched_requests"]) / batches


SCENARIO = Scenario(
    "batching",
    "What batching saves",
    f"{CLIENTS} clients run a model for one row each (AI.MODELEXECUTE), stored without batching and with BATCHSIZE "
    f"{BATCH_SIZE}. The engine reads a model's weights once per batch; what is left is what each request costs by "
    "itself.",
    run,
)
