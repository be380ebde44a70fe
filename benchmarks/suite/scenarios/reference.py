"""More and more reference data."""

from contextlib import ExitStack

from suite import models
from suite.errors import BenchmarkError
from suite.load import Closed
from suite.measuring import Bench, requests_of
from suite.registry import ours, peers
from suite.scenarios.scenario import Scenario
from suite.serving import ServingSystem, Workload

PLAIN, ENGINE = "one by one", "onnx"
CLIENTS = 16
KB = 1024
SIZES = (KB, 4 * KB, 16 * KB, 64 * KB, 256 * KB, KB * KB, 4 * KB * KB)
# How much memory all records of a workload may take.
RECORDS_BYTES = 64 * KB * KB
# No fewer, so that not all clients ask for the same few.
LEAST_ENTRIES = 16
MOST_ENTRIES = 1000


def workload(size: int) -> Workload:
    """0 bytes are a model without reference data."""
    if not size:
        return Workload(reference="none")
    entries = min(MOST_ENTRIES, max(LEAST_ENTRIES, RECORDS_BYTES // size))
    return Workload(reference_bytes=size, entries=entries)


def run(bench: Bench) -> None:
    measure_ours(bench)
    for peer in peers(bench.settings):
        for size in (0, *SIZES):
            try:
                measure_peer(bench, peer, size)
            except BenchmarkError as error:
                bench.problem(f"{peer.title}, {size} bytes: {error}")


def measure_ours(bench: Bench) -> None:
    """All sizes in the same rounds, each in a server of its own."""
    subjects = []
    with ExitStack() as stack:
        for size in (0, *SIZES):
            running = stack.enter_context(bench.started(ours(bench.settings), workload(size)))
            requests = requests_of(running, workload(size))
            subjects.append(bench.loaded("redisai", PLAIN, size, running, requests, Closed(CLIENTS)))
            subjects.append(bench.echoed(PLAIN, size, running, requests, Closed(CLIENTS)))
            subjects.append(bench.engine(ENGINE, ENGINE, size, models.onnx_model(workload(size))))
        bench.alternate(subjects)


def measure_peer(bench: Bench, peer: ServingSystem, size: int) -> None:
    work = workload(size)
    with bench.started(peer, work) as running:
        requests = requests_of(running, work)
        bench.warm(peer, running, requests)
        subject = bench.loaded(peer.name, PLAIN, size, running, requests, Closed(CLIENTS))
        bench.alternate([subject], bench.rounds_of(peer))


SCENARIO = Scenario(
    "reference",
    "1 KB to 4 MB of reference data",
    f"The records get larger while the network stays: it takes 256 values from the middle of each record. {CLIENTS} "
    "clients. Where the data has to travel to the model, its size is what a request costs. 0 bytes are the network "
    "without reference data.",
    run,
)
