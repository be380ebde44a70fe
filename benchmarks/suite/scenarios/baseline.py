"""All systems without reference data."""

from suite.errors import BenchmarkError
from suite.load import Closed
from suite.measuring import Bench, requests_of
from suite.registry import OURS, ours, peers
from suite.scenarios.scenario import Scenario
from suite.serving import ServingSystem, Workload
from suite.systems.redisai import RedisAI

PLAIN, BATCHED = "one by one", "batched"


def run(bench: Bench) -> None:
    measure(bench, ours(bench.settings))
    for peer in peers(bench.settings):
        try:
            measure(bench, peer)
        except BenchmarkError as error:
            bench.problem(f"{peer.title}: {error}")


def measure(bench: Bench, system: ServingSystem) -> None:
    # Other kinds of servers do more with batching.
    workload = Workload(reference="none", batching=not isinstance(system, RedisAI))
    variant = BATCHED if workload.batching else PLAIN
    with bench.started(system, workload) as running:
        requests = requests_of(running, workload)
        if system.name != OURS:
            bench.warm(system, running, requests)
        subjects = []
        for clients in bench.settings.pick((64,), (1, 16, 64)):
            load = Closed(clients)
            subjects.append(bench.loaded(system.name, variant, clients, running, requests, load))
            if system.name == OURS:
                subjects.append(bench.echoed(variant, clients, running, requests, load))
        bench.alternate(subjects, bench.rounds_of(system))


SCENARIO = Scenario(
    "baseline",
    "Without reference data",
    "A transaction's 30 features go in, two probabilities come out; nothing is fetched from anywhere. This is the "
    "first scenario of the original's announcement.",
    run,
)
