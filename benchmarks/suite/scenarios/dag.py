"""One DAG beside the separate commands that do the same."""

from suite.load import Closed, Request
from suite.measuring import Bench, requests_of
from suite.registry import ours
from suite.scenarios.scenario import Scenario
from suite.serving import Step, Workload
from suite.systems.redisai import RunningRedisAI, command

DAG, SEPARATE, PIPELINED = "one DAG", "three commands", "three commands, pipelined"
CLIENTS = (1, 50)


def run(bench: Bench) -> None:
    workload = Workload()
    with bench.started(ours(bench.settings), workload) as running:
        ways = {
            DAG: requests_of(running, workload),
            SEPARATE: [separate(running, index) for index in range(workload.entries)],
            PIPELINED: [(pipelined(running, index),) for index in range(workload.entries)],
        }
        for clients in CLIENTS:
            load = Closed(clients)
            subjects = []
            for variant, requests in ways.items():
                subjects.append(bench.echoed(variant, clients, running, requests, load))
                subjects.append(bench.loaded("redisai", variant, clients, running, requests, load))
            bench.alternate(subjects)
        running.check_counters()


def separate(running: RunningRedisAI, index: int) -> Request:
    """AI.TENSORSET, AI.MODELEXECUTE and AI.TENSORGET, each sent when the one before it is answered."""
    transaction, output = f"t:{index}", f"y:{index}"
    return (
        command(*running.set_transaction(transaction, index)),
        command(*running.execute(transaction, f"ref:{index}", output)),
        command("AI.TENSORGET", output, "BLOB"),
    )


def pipelined(running: RunningRedisAI, index: int) -> Step:
    """The same in one write."""
    return Step("main", b"".join(step.payload for step in separate(running, index)), replies=3)


SCENARIO = Scenario(
    "dag",
    "A DAG against separate commands",
    "The same work (set the transaction, run the model, read the result) as one AI.DAGEXECUTE_RO, as three commands "
    "one after the other, and as three commands sent together. The separate commands also leave tensors in the "
    "keyspace. ECHO stands for as many commands of the same bytes.",
    run,
)
