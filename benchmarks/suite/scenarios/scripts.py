"""Scripts before and after the model, in the same DAG."""

from support.resp import OK

from suite.errors import BenchmarkError
from suite.load import Closed, Request
from suite.measuring import Bench, requests_of
from suite.registry import ours
from suite.scenarios.scenario import Scenario
from suite.serving import Workload
from suite.systems.redisai import RunningRedisAI, command

PLAIN, WITH_SCRIPTS = "model only", "script, model, script"
CLIENTS = (1, 50)
SOURCE = """
def prepare(tensors: List[Tensor], keys: List[str], args: List[str]):
    return torch.clamp(tensors[0], -10.0, 10.0)

def verdict(tensors: List[Tensor], keys: List[str], args: List[str]):
    return torch.softmax(torch.log(tensors[0] + 1e-9), 1)
"""


def run(bench: Bench) -> None:
    if "torch" not in bench.settings.engines:
        bench.problem("scripts need the engine torch")
        return
    workload = Workload()
    with bench.started(ours(bench.settings), workload) as running, running.server.raw(timeout=60) as raw:
        points = ("ENTRY_POINTS", 2, "prepare", "verdict")
        if (reply := raw.call("AI.SCRIPTSTORE", "s", "CPU", *points, "SOURCE", SOURCE)) != OK:
            raise BenchmarkError(f"the script is not stored: {reply}")
        ways = {
            PLAIN: requests_of(running, workload),
            WITH_SCRIPTS: [with_scripts(running, index) for index in range(workload.entries)],
        }
        for clients in CLIENTS:
            load = Closed(clients)
            subjects = []
            for variant, requests in ways.items():
                subjects.append(bench.echoed(variant, clients, running, requests, load))
                subjects.append(bench.loaded("redisai", variant, clients, running, requests, load))
            bench.alternate(subjects)
        running.check_counters("s")


def with_scripts(running: RunningRedisAI, index: int) -> Request:
    """A DAG with scripts may not be AI.DAGEXECUTE_RO: scripts can write."""
    reference = f"ref:{index}"
    words = ["AI.DAGEXECUTE", "LOAD", 1, reference, "|>", *running.set_transaction("t", index)]
    words += ["|>", "AI.SCRIPTEXECUTE", "s", "prepare", "INPUTS", 1, "t", "OUTPUTS", 1, "clean"]
    words += ["|>", *running.execute("clean", reference, "y")]
    words += ["|>", "AI.SCRIPTEXECUTE", "s", "verdict", "INPUTS", 1, "y", "OUTPUTS", 1, "z"]
    return (command(*words, "|>", "AI.TENSORGET", "z", "BLOB"),)


SCENARIO = Scenario(
    "scripts",
    "Scripts before and after the model",
    "The DAG of the first scenario, and the same with a TorchScript function before the model (clamp the features) and "
    "one after it (smooth the probabilities). Five operations and two engines in one request.",
    run,
)
