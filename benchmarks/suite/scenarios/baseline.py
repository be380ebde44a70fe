"""All systems without reference data."""

from suite.load import Closed
from suite.measuring import Bench, requests_of
from suite.registry import OURS, ours, peers
from suite.scenarios.scenario import Scenario
from suite.serving import ServingSystem, Workload

PLAIN, BATCHED = "one by one", "batched"


def run(bench: Bench) -> None:
    measure(bench, ours(bench.settings), False)
    for peer in peers(bench.settings):
        for batching in bench.settings.pick((True,), (False, True)):
            measure(bench, peer, batching)


def measure(bench: Bench, system: ServingSystem, batching: bool) -> None:
    workload = Workload(reference="none", batching=batching)
    variant = BATCHED if batching else PLAIN
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
        bench.alternate(subjects)


SCENARIO = Scenario(
    "baseline",
    "Without reference data",
    "A transaction's 30 features go in, two probabilities come out; nothing is fetched from anywhere. This is the first "
    "scenario of the original's announcement.",
    run,
)
