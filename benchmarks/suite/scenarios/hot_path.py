"""How far a request is from what it must cost."""

from contextlib import ExitStack

from suite import models
from suite.load import Closed
from suite.measuring import Bench, requests_of
from suite.registry import ours, ours_untuned
from suite.scenarios.scenario import Scenario
from suite.serving import Workload

PLAIN, BATCHED = "one by one", "batched"
DEFAULTS = "one by one, module's defaults"
PLAIN_CLIENTS = (1, 50)
BATCHED_CLIENTS = 64
ENGINE = "onnx"


def run(bench: Bench) -> None:
    plain, batched = Workload(), Workload(batching=True)
    model = models.onnx_model(plain)
    requests = None
    with ExitStack() as stack:
        one_by_one = stack.enter_context(bench.started(ours(bench.settings), plain))
        together = stack.enter_context(bench.started(ours(bench.settings), batched))
        requests = requests_of(one_by_one, plain)
        untuned = None
        if not bench.settings.short:
            untuned = stack.enter_context(bench.started(ours_untuned(bench.settings), plain))
        for clients in PLAIN_CLIENTS:
            load = Closed(clients)
            subjects = [
                bench.engine(ENGINE, ENGINE, clients, model),
                bench.echoed(PLAIN, clients, one_by_one, requests, load),
                bench.loaded("redisai", PLAIN, clients, one_by_one, requests, load),
            ]
            if untuned is not None:
                subjects.append(bench.loaded("redisai", DEFAULTS, clients, untuned, requests, load))
            bench.alternate(subjects)
        load = Closed(BATCHED_CLIENTS)
        bench.alternate(
            [
                bench.engine(ENGINE, ENGINE, BATCHED_CLIENTS, model),
                bench.echoed(BATCHED, BATCHED_CLIENTS, together, requests, load),
                bench.loaded("redisai", BATCHED, BATCHED_CLIENTS, together, requests, load),
            ]
        )
        one_by_one.check_counters()
        together.check_counters()


SCENARIO = Scenario(
    "hot-path",
    "From a request to an answer",
    "One AI.DAGEXECUTE_RO per card payment: it reads 1 KB of reference data from its key, takes the 30 features along, "
    "runs the network on ONNX Runtime and returns the probabilities. The floor is an ECHO of as many bytes to the same "
    "server plus the engine's own run in one thread; all are measured in alternating rounds.",
    run,
)
