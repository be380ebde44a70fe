"""docs/configuration.md#threads: how many there are after heavy use of all engines, and that names tell the owner."""

import functools
import threading
from collections import Counter

import numpy as np
import pytest

from support.commands import execute, set_tensor
from support.engines import ENGINES, NAMES, ROWS, assert_doubles, assert_script_doubles, store, store_script, threads
from support.resp import OK
from support.server import Server
from support.wait import eventually

DEVICES = ("CPU", "CPU:1")
MODELS = 10
LOADERS = 2
SETTINGS = [(2, 1, 2), (1, 1, 1), (2, 2, 1)]
# Threads of the server's allocator: as many as it likes, with more of them where more threads allocate.
ALLOCATOR = "jemalloc_bg_thd"


def documented(intra: int, inter: int, workers: int) -> dict[str, int]:
    """The table of docs/configuration.md#threads: the most threads of each owner."""
    total = workers * len(DEVICES)
    return {
        # PyTorch's have the name of the worker that they help.
        "workers": total + (intra - 1) * total,
        "loaders, keeper, replies": LOADERS + 2,
        "ONNX Runtime": intra + inter - 1,
        "TensorFlow": intra + inter + 1,
        "PyTorch": (intra - 1) * LOADERS + inter,
        "LiteRT": 0,
    }


OWNERS = {
    "ai-CPU-": "workers",
    "ai-CPU:1-": "workers",
    "ai-loader-": "loaders, keeper, replies",
    "ai-keeper-": "loaders, keeper, replies",
    "ai-replies-": "loaders, keeper, replies",
    "ai-ONNX": "ONNX Runtime",
    "ai-TF": "TensorFlow",
    "tf_Compute": "TensorFlow",
    "tf_graph_runner": "TensorFlow",
    "ai-TORCH": "PyTorch",
    "ai-TFLITE": "LiteRT",
}


def settled_threads(server) -> Counter[str]:
    """When half a second has brought no other: a thread names itself some time after it has started."""
    samples: list[Counter[str]] = []

    def is_settled() -> bool:
        samples.append(threads(server))
        return len(samples) > 10 and all(sample == samples[-1] for sample in samples[-10:])

    eventually(is_settled, "no thread comes, goes or is renamed", interval=0.05)
    return samples[-1]


@functools.cache
def plain_threads(kind) -> Counter[str]:
    with Server(kind.name, kind.binary, None) as plain:
        return settled_threads(plain)


def by_owner(server, kind) -> Counter[str]:
    """Threads that a server of the same kind without the module does not have; an owner for each."""
    extra = settled_threads(server) - plain_threads(kind)
    extra.pop(ALLOCATOR, None)
    unknown = {name: count for name, count in extra.items() if name not in OWNERS}
    assert unknown == {}, f"threads of nobody: {unknown}"
    owners: Counter[str] = Counter()
    for name, count in extra.items():
        owners[OWNERS[name]] += count
    return owners


def store_everything(raw, count: int) -> list[str]:
    keys = []
    for index in range(count):
        for engine in ENGINES:
            device = DEVICES[index % len(DEVICES)]
            keys.append(f"{engine.name} {device} {index}")
            store(raw, engine, keys[-1], device)
    for device in DEVICES:
        store_script(raw, f"script {device}", device)
    return keys


def use_everything(server, keys: list[str]) -> None:
    """Rows enough for operators to share, from several clients at once: every worker runs every engine."""
    failures = []

    def work(number: int) -> None:
        try:
            with server.raw() as client:
                for key in keys:
                    assert execute(client, key, ["many"], [f"out {number}"]) == OK, key
                    script = f"script {DEVICES[number % len(DEVICES)]}"
                    command = ["AI.SCRIPTEXECUTE", script, "double", "KEYS", 1, key, "INPUTS", 1, "many"]
                    assert client.call(*command, "OUTPUTS", 1, f"out {number}") == OK, key
        except Exception as failure:
            failures.append(failure)

    set_tensor(server.raw(), "many", np.ones((50_000, 3), np.float32))
    workers = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failures == []


@pytest.fixture(params=SETTINGS, ids=str)
def settings(request):
    return request.param


def test_as_many_as_documented(start_server, server_kind, settings):
    intra, inter, workers = settings
    server = start_server(
        "INTRA_OP_PARALLELISM", str(intra), "INTER_OP_PARALLELISM", str(inter), "THREADS_PER_QUEUE", str(workers),
        "MODEL_CHECK", "NO",
    )  # fmt: skip
    raw = server.raw()
    assert by_owner(server, server_kind) == {"workers": workers, "loaders, keeper, replies": LOADERS + 2}

    keys = store_everything(raw, 2)
    use_everything(server, keys)
    few = by_owner(server, server_kind)
    bound = documented(intra, inter, workers)
    assert all(count <= bound[owner] for owner, count in few.items()), (few, bound)

    keys += store_everything(raw, MODELS)
    use_everything(server, keys)
    many = by_owner(server, server_kind)
    assert all(count <= bound[owner] for owner, count in many.items()), (many, bound)
    # As many as with a fifth of the models; one or two may have been late to help.
    assert sum(many.values()) <= sum(few.values()) + 2, (few, many)


def test_threads_of_a_device_stay_when_its_models_go(start_server, server_kind):
    """And deleting models ends no thread of an engine, nor does it leave one more."""
    server = start_server("INTRA_OP_PARALLELISM", "2", "MODEL_CHECK", "NO")
    raw = server.raw()
    keys = store_everything(raw, 2)
    use_everything(server, keys)
    before = by_owner(server, server_kind)
    assert raw.call("FLUSHALL") == OK
    use_everything(server, store_everything(raw, 2))
    assert sum(by_owner(server, server_kind).values()) <= sum(before.values()) + 2


def test_names_are_there_before_the_first_run(start_server, server_kind):
    server = start_server("MODEL_CHECK", "NO")
    raw = server.raw()
    for engine in ENGINES:
        assert raw.call("AI.CONFIG", "LOADBACKEND", engine.name, engine.library) == OK
    by_owner(server, server_kind)
    store_everything(raw, 1)
    set_tensor(raw, "rows", ROWS)
    for name in NAMES:
        assert_doubles(raw, f"{name} CPU 0")
        assert_script_doubles(raw, f"{name} CPU 0", "script CPU:1")
    by_owner(server, server_kind)
