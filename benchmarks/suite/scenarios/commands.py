"""What single commands cost beside ECHO."""

from suite.load import Closed
from suite.measuring import Bench
from suite.registry import ours
from suite.scenarios.scenario import Scenario
from suite.serving import Workload
from suite.systems.redisai import command

CLIENTS = (1, 50)
KEY = "ref:0"


def run(bench: Bench) -> None:
    with bench.started(ours(bench.settings), Workload()) as running, running.server.raw() as raw:
        blob = raw.call("AI.TENSORGET", KEY, "BLOB")
        set_reference = command("AI.TENSORSET", KEY, "FLOAT", 1, len(blob) // 4, "BLOB", blob)
        raw.call(*running.set_transaction("t", 0))
        requests = {
            "AI.TENSORSET BLOB, 1 KB": set_reference,
            "AI.TENSORGET BLOB, 1 KB": command("AI.TENSORGET", KEY, "BLOB"),
            "AI.MODELEXECUTE": command(*running.execute("t", KEY, "y")),
        }
        # The larger of request and reply is what an ECHO has in both directions.
        echoes = requests | {"AI.TENSORGET BLOB, 1 KB": set_reference}
        for clients in CLIENTS:
            load = Closed(clients)
            subjects = []
            for variant, request in requests.items():
                subjects.append(bench.echoed(variant, clients, running, [(echoes[variant],)], load))
                subjects.append(bench.loaded("redisai", variant, clients, running, [(request,)], load))
            bench.alternate(subjects)


SCENARIO = Scenario(
    "commands",
    "What a command costs",
    "Single commands beside an ECHO of as many bytes as the larger of their request and their reply.",
    run,
)
