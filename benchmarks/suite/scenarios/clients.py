"""All systems with 1 KB of reference data, with more and more clients, and at given rates."""

from collections.abc import Sequence

from suite.errors import BenchmarkError
from suite.load import Closed, Open, Request
from suite.measuring import Bench, requests_of
from suite.registry import OURS, ours, peers
from suite.results import throughput
from suite.scenarios.scenario import Scenario
from suite.serving import RunningSystem, ServingSystem, Workload
from suite.systems.redisai import RedisAI

PLAIN, BATCHED = "one by one", "batched"
# Records of the open loop are told apart by this prefix; their point is the share of the maximum.
OPEN = "open loop, "
MOST = 160
# Where the third bar looks.
SHARE = 0.7
OPEN_CONNECTIONS = 64


def run(bench: Bench) -> None:
    for batching in bench.settings.pick((False,), (False, True)):
        measure(bench, ours(bench.settings), Workload(batching=batching), BATCHED if batching else PLAIN)
    for peer in peers(bench.settings):
        both = isinstance(peer, RedisAI) or not bench.settings.short
        for batching in (False, True) if both else (True,):
            try:
                measure(bench, peer, Workload(batching=batching), BATCHED if batching else PLAIN)
            except BenchmarkError as error:
                bench.problem(f"{peer.title}: {error}")


def measure(bench: Bench, system: ServingSystem, workload: Workload, variant: str) -> None:
    with bench.started(system, workload) as running:
        requests = requests_of(running, workload)
        if system.name != OURS:
            bench.warm(system, running, requests)
        sweep(bench, system, variant, running, requests)
        curve(bench, system, variant, running, requests)


def sweep(
    bench: Bench, system: ServingSystem, variant: str, running: RunningSystem, requests: Sequence[Request]
) -> None:
    short = (1, 16, 64, MOST)
    subjects = []
    for clients in bench.settings.pick(short, (1, *range(16, MOST + 1, 16))):
        load = Closed(clients)
        subjects.append(bench.loaded(system.name, variant, clients, running, requests, load))
        if system.name == OURS:
            subjects.append(bench.echoed(variant, clients, running, requests, load))
    bench.alternate(subjects, bench.rounds_of(system))


def curve(
    bench: Bench, system: ServingSystem, variant: str, running: RunningSystem, requests: Sequence[Request]
) -> None:
    """Rates are shares of the most that the system did in a closed loop; ECHO is asked at the same rates as ours."""
    name = system.name
    points = bench.results.points(bench.scenario, name, variant)
    most = max(bench.results.median(throughput, bench.scenario, name, variant, point) for point in points)
    subjects = []
    for share in bench.settings.pick((0.3, SHARE, 0.9), (0.1, 0.3, 0.5, 0.6, SHARE, 0.8, 0.9, 0.95)):
        load = Open(round(most * share), OPEN_CONNECTIONS)
        subjects.append(bench.loaded(name, OPEN + variant, share, running, requests, load))
        if name == OURS:
            subjects.append(bench.echoed(OPEN + variant, share, running, requests, load))
    bench.alternate(subjects, bench.rounds_of(system))


SCENARIO = Scenario(
    "clients",
    "1 KB of reference data, 16 to 160 clients",
    "Each transaction needs the 1 KB record of its card holder. Ours keeps the records as tensors in the same server; "
    "the other systems read them from a Redis beside them, as people do. First each client sends its next request when "
    "it has its answer (closed loop), with more and more clients; then requests start at given rates, whether or not "
    "earlier ones are answered (open loop), at shares of the most that the system has done. These are the second and "
    "third scenarios of the original's announcement.",
    run,
)
