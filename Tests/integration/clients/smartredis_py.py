"""smartredis_py.py REPORT MODELS [LEFT_OUT ...]: what simulations do with SmartRedis 0.6, and what they see.

The environment says where the database is and of which kind, as for every program that uses SmartRedis: SSDB and
SR_DB_TYPE. MODELS is a folder with `rows.tf`, `rows.tflite`, `rows.torch` and `rows.onnx`, which double FLOAT [any, 3],
and with `sum_and_difference.onnx` (`a`, `b`: `s`, `d`) of any shape. LEFT_OUT are names of checks.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import redis
from checks import Recorder, each, equal, fails, run
from smartredis import Client, ConfigOptions, Dataset, LLInfo, LogContext, SRObject, log_data, log_error, log_warning
from smartredis.error import RedisReplyError

ROWS = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32)
DTYPES = ("float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16")
ENGINES = ("TF", "TFLITE", "TORCH", "ONNX")
GPU = Path("/dev/nvidia0")
# Enough for every shard of a cluster to have some of them.
NAMES = [f"tensor{number}" for number in range(9)]
CHUNK_SIZE = 535822336
NO_TENSOR = "ERR tensor key is empty or in a different shard"
NO_MODEL = "ERR model key is empty"
NO_SCRIPT = "ERR script key is empty"

SCRIPT = """
def add(a, b):
    return a + b

def both(a, b):
    return a + b, a - b

def total(first, others: List[Tensor]):
    return first + torch.stack(others).sum(0)
"""


def three_times(a):
    return a * 3


class Session:
    def __init__(self, models: Path) -> None:
        self.models = models
        self.client = Client(None, "checks")
        self.addresses = os.environ["SSDB"].split(",")
        self.cluster = os.environ["SR_DB_TYPE"] == "Clustered"
        ports = [int(address.rpartition(":")[2]) for address in self.addresses]
        self.nodes = [redis.Redis(host="127.0.0.1", port=port) for port in ports]

    def model(self, name: str) -> bytes:
        return (self.models / name).read_bytes()

    def set_rows(self, name: str = "m", backend: str = "ONNX", **options: object) -> bytes:
        """The model that doubles rows, of that engine."""
        blob = self.model(f"rows.{backend.lower()}")
        self.client.set_model(name, blob, backend, **node_names(backend), **options)
        return blob

    def keys(self) -> list[bytes]:
        """All keys of all nodes."""
        return sorted(key for node in self.nodes for key in node.keys())

    def stored(self, scan: str) -> list[list[tuple[str, str]]]:
        """Per node: what AI._MODELSCAN or AI._SCRIPTSCAN lists; the names without what SmartRedis puts in front."""

        def listed(node: redis.Redis) -> list[tuple[str, str]]:
            rows = node.execute_command(scan)
            return sorted((key.decode(errors="replace").rpartition("}.")[2], tag.decode()) for key, tag in rows)

        return [listed(node) for node in self.nodes]

    @contextmanager
    def of_an_ensemble(self) -> Iterator[Client]:
        """A client of the member `member1`, which reads what `member1` and `member2` have written."""
        names = {"SSKEYOUT": "member1", "SSKEYIN": "member1,member2"}
        os.environ.update(names)
        try:
            yield Client(None, "ensemble")
        finally:
            for name in names:
                del os.environ[name]


def node_names(backend: str) -> dict[str, list[str]]:
    return {"inputs": ["input"], "outputs": ["output"]} if backend == "TF" else {}


def empty(session: Session) -> None:
    for node in session.nodes:
        node.flushall()


def same(seen: np.ndarray, expected: np.ndarray) -> None:
    assert seen.dtype == expected.dtype and np.array_equal(seen, expected), (seen, expected)


# Tensors


def check_tensors_of_all_types(session: Session) -> None:
    def round_trip(dtype: str, shape: tuple[int, ...]) -> None:
        array = np.random.default_rng(7).integers(0, 100, shape).astype(dtype)
        session.client.put_tensor("x", array)
        same(session.client.get_tensor("x"), array)

    each([(dtype, shape) for dtype in DTYPES for shape in [(5,), (2, 3), (2, 1, 2, 2)]], round_trip)


def check_extreme_values(session: Session) -> None:
    def round_trip(dtype: str) -> None:
        limits = np.finfo(dtype) if dtype.startswith("float") else np.iinfo(dtype)
        array = np.array([limits.min, limits.max], dtype=dtype)
        session.client.put_tensor("x", array)
        same(session.client.get_tensor("x"), array)

    each(DTYPES, round_trip)


def check_large_tensor(session: Session) -> None:
    array = np.random.default_rng(7).normal(size=(512, 512))
    session.client.put_tensor("x", array)
    same(session.client.get_tensor("x"), array)


def check_arrays_that_are_views(session: Session) -> None:
    array = np.arange(24, dtype=np.int32).reshape(4, 6)
    for view in (array.T, array[::2, ::3]):
        session.client.put_tensor("x", view)
        same(session.client.get_tensor("x"), view)


def check_tensor_exists_and_delete(session: Session) -> None:
    client = session.client
    for name in NAMES:
        assert not client.tensor_exists(name)
        client.put_tensor(name, ROWS)
        assert client.tensor_exists(name) and client.key_exists(name)
        client.delete_tensor(name)
        assert not client.tensor_exists(name)
    equal(session.keys(), [])


def check_copy_tensor(session: Session) -> None:
    """From every shard to others."""
    session.client.put_tensor(NAMES[0], ROWS)
    for source, target in zip(NAMES, NAMES[1:]):
        session.client.copy_tensor(source, target)
    for name in NAMES:
        same(session.client.get_tensor(name), ROWS)


def check_rename_tensor(session: Session) -> None:
    session.client.put_tensor(NAMES[0], ROWS)
    for source, target in zip(NAMES, NAMES[1:]):
        session.client.rename_tensor(source, target)
        same(session.client.get_tensor(target), ROWS)
    equal(session.keys(), [NAMES[-1].encode()])


def check_poll_tensor(session: Session) -> None:
    client = session.client
    client.put_tensor("x", ROWS)
    equal([client.poll_tensor("x", 1, 3), client.poll_tensor("none", 1, 3)], [True, False])
    equal([client.poll_key("x", 1, 3), client.poll_key("none", 1, 3)], [True, False])


def check_tensor_errors(session: Session) -> None:
    client = session.client
    with fails(RedisReplyError, NO_TENSOR, whole=False):
        client.get_tensor("none")
    for node in session.nodes:
        try:
            node.set("text", "no tensor")
        except redis.ResponseError as moved:
            assert str(moved).startswith("MOVED"), moved
    for call in (client.get_tensor, lambda name: client.put_tensor(name, ROWS)):
        with fails(RedisReplyError, "WRONGTYPE Operation against a key holding the wrong kind of value", whole=False):
            call("text")


# Data sets


def make_dataset(name: str) -> Dataset:
    dataset = Dataset(name)
    for dtype in DTYPES:
        dataset.add_tensor(dtype, ROWS.astype(dtype))
    for number in (1.5, 2.5):
        dataset.add_meta_scalar("numbers", number)
    dataset.add_meta_scalar("count", 7)
    for text in ("first", "second"):
        dataset.add_meta_string("texts", text)
    return dataset


def assert_is_dataset(dataset: Dataset, name: str) -> None:
    equal(dataset.get_name(), name)
    equal(sorted(dataset.get_tensor_names()), sorted(DTYPES))
    for dtype in DTYPES:
        same(dataset.get_tensor(dtype), ROWS.astype(dtype))
        equal(list(dataset.get_tensor_dims(dtype)), [2, 3])
    equal(sorted(dataset.get_metadata_field_names()), ["count", "numbers", "texts"])
    equal(list(dataset.get_meta_scalars("numbers")), [1.5, 2.5])
    equal(list(dataset.get_meta_scalars("count")), [7])
    equal(dataset.get_meta_strings("texts"), ["first", "second"])
    equal([dataset.get_tensor_type(dtype) for dtype in ("float64", "uint8")], [np.float64, np.uint8])
    equal(dataset.get_metadata_field_type("numbers"), np.float64)
    equal(dataset.get_metadata_field_type("texts"), str)


def check_dataset(session: Session) -> None:
    client = session.client
    for name in NAMES[:3]:
        assert not client.dataset_exists(name)
        client.put_dataset(make_dataset(name))
        assert client.dataset_exists(name)
        assert_is_dataset(client.get_dataset(name), name)
    equal([client.poll_dataset(NAMES[0], 1, 3), client.poll_dataset("none", 1, 3)], [True, False])
    for name in NAMES[:3]:
        client.delete_dataset(name)
        assert not client.dataset_exists(name)
    equal(session.keys(), [])
    with fails(RedisReplyError, "none", whole=False):
        client.get_dataset("none")


def check_copy_and_rename_dataset(session: Session) -> None:
    client = session.client
    client.put_dataset(make_dataset(NAMES[0]))
    for source, target in zip(NAMES[:3], NAMES[1:]):
        client.copy_dataset(source, target)
        assert_is_dataset(client.get_dataset(target), target)
        client.rename_dataset(target, "renamed")
        assert not client.dataset_exists(target)
        client.rename_dataset("renamed", target)
    for name in NAMES[:4]:
        assert_is_dataset(client.get_dataset(name), name)


def check_tensor_of_a_dataset_as_input(session: Session) -> None:
    session.set_rows()
    session.client.put_dataset(make_dataset("d"))
    session.client.run_model("m", ["{d}.float32"], ["y"])
    same(session.client.get_tensor("y"), ROWS * 2)


def check_lists_of_datasets(session: Session) -> None:
    client = session.client
    for name in NAMES[:3]:
        client.put_dataset(make_dataset(name))
        client.append_to_list("list", client.get_dataset(name))
    equal(client.get_list_length("list"), 3)
    polls = [
        client.poll_list_length("list", 3, 1, 2),
        client.poll_list_length("list", 4, 1, 2),
        client.poll_list_length_gte("list", 2, 1, 2),
        client.poll_list_length_gte("list", 4, 1, 2),
        client.poll_list_length_lte("list", 3, 1, 2),
        client.poll_list_length_lte("list", 2, 1, 2),
    ]
    equal(polls, [True, False] * 3)
    for dataset, name in zip(client.get_datasets_from_list("list"), NAMES):
        assert_is_dataset(Dataset.from_pybind(dataset), name)
    (last,) = client.get_dataset_list_range("list", 2, 2)
    assert_is_dataset(Dataset.from_pybind(last), NAMES[2])
    client.copy_list("list", "copy")
    client.rename_list("list", "renamed")
    equal([client.get_list_length(name) for name in ("list", "copy", "renamed")], [0, 3, 3])
    client.delete_list("renamed")
    equal(client.get_list_length("renamed"), 0)


# Models


def check_model_of_each_engine(session: Session) -> None:
    client = session.client
    client.put_tensor("x", ROWS)

    def used(backend: str) -> None:
        assert not client.model_exists(backend)
        blob = session.set_rows(backend, backend, device="CPU")
        assert client.model_exists(backend)
        equal(client.get_model(backend), blob)
        client.run_model(backend, ["x"], ["y"])
        same(client.get_tensor("y"), ROWS * 2)
        client.run_model(backend, "y", "y")
        same(client.get_tensor("y"), ROWS * 4)
        client.delete_model(backend)
        assert not client.model_exists(backend)

    each(ENGINES, used)


def check_model_from_file(session: Session) -> None:
    client = session.client
    path = session.models / "rows.tf"
    client.set_model_from_file("m", str(path), "TF", "CPU", tag="v1", **node_names("TF"))
    equal(client.get_model("m"), path.read_bytes())
    client.put_tensor("x", ROWS)
    client.run_model("m", ["x"], ["y"])
    same(client.get_tensor("y"), ROWS * 2)


def check_model_options(session: Session) -> None:
    session.set_rows("m", batch_size=4, min_batch_size=2, min_batch_timeout=10, tag="v1")
    equal(session.stored("AI._MODELSCAN"), [[("m", "v1")]] * len(session.nodes))
    for node in session.nodes:
        (key,) = node.keys()
        meta = node.execute_command("AI.MODELGET", key, "META")
        options = dict(zip(meta[::2], meta[1::2]))
        equal([options[name] for name in (b"batchsize", b"minbatchsize", b"minbatchtimeout")], [4, 2, 10])


def check_models_are_on_every_shard(session: Session) -> None:
    session.set_rows("m")
    session.client.set_script("s", SCRIPT)
    equal(session.stored("AI._MODELSCAN"), [[("m", "")]] * len(session.nodes))
    equal(session.stored("AI._SCRIPTSCAN"), [[("s", "")]] * len(session.nodes))
    session.client.delete_model("m")
    session.client.delete_script("s")
    equal(session.keys(), [])


def check_tensors_of_other_shards(session: Session) -> None:
    """Inputs and outputs need not be where the model is; nothing but the outputs is left behind."""
    client = session.client
    client.set_model("m", session.model("sum_and_difference.onnx"), "ONNX")
    before = session.keys()
    for a, b, s, d in (NAMES[:4], NAMES[2:6], NAMES[5:]):
        client.put_tensor(a, ROWS)
        client.put_tensor(b, np.ones_like(ROWS))
        client.run_model("m", [a, b], [s, d])
        same(client.get_tensor(s), ROWS + 1)
        same(client.get_tensor(d), ROWS - 1)
        for name in (a, b, s, d):
            client.delete_tensor(name)
        equal(session.keys(), before)


def check_default_timeouts(session: Session) -> None:
    """The client waits 250 ms for a reply, leaves, and tries again: the model must be stored after a few times."""
    options = ConfigOptions.create_from_environment("")
    options.override_integer_option("SR_SOCKET_TIMEOUT", 250)
    options.override_integer_option("SR_CMD_TIMEOUT", 10)
    client = Client(options, "default timeouts")
    client.put_tensor("x", ROWS)

    def stored(backend: str) -> None:
        client.set_model(backend, session.model(f"rows.{backend.lower()}"), backend, **node_names(backend))
        client.run_model(backend, ["x"], ["y"])
        same(client.get_tensor("y"), ROWS * 2)

    each(ENGINES, stored)
    client.set_script("s", SCRIPT)
    client.run_script("s", "add", ["x", "x"], ["y"])


def check_poll_model(session: Session) -> None:
    session.set_rows("m")
    equal([session.client.poll_model("m", 1, 3), session.client.poll_model("none", 1, 3)], [True, False])


def check_model_chunk_size(session: Session) -> None:
    """Uploads are chunked. SmartRedis tells one node, and cannot read models that come back in chunks."""
    client = session.client
    client.set_model_chunk_size(40)
    try:
        assert 40 in [node.execute_command("AI.CONFIG", "GET", "MODEL_CHUNK_SIZE") for node in session.nodes]
        blob = session.set_rows("m")
    finally:
        for node in session.nodes:
            node.execute_command("AI.CONFIG", "MODEL_CHUNK_SIZE", CHUNK_SIZE)
    equal(client.get_model("m"), blob)
    client.put_tensor("x", ROWS)
    client.run_model("m", ["x"], ["y"])
    same(client.get_tensor("y"), ROWS * 2)


def check_multigpu_models(session: Session) -> None:
    """The copies are stored under the names that the client gives them, but on the CPU."""
    client = session.client
    copies = {f"m.GPU:{number}": session.set_rows(f"m.GPU:{number}") for number in (0, 1)}
    session.set_rows("m")
    client.put_tensor("x", ROWS)
    for offset in range(5):
        client.run_model_multigpu("m", offset, 0, 2, ["x"], ["y"])
        same(client.get_tensor("y"), ROWS * 2)
    for name, calls in (("m", 0), ("m.GPU:0", 3), ("m.GPU:1", 2)):
        equal(sum(int(info["calls"]) for info in client.get_ai_info(session.addresses, name)), calls)
    equal({name: client.get_model(name) for name in copies}, copies)
    client.delete_model_multigpu("m", 0, 2)
    equal([client.model_exists(name) for name in ("m", *copies)], [False] * 3)


def check_models_for_gpus(session: Session) -> None:
    """With a GPU there is one copy on it; without one the error of the first copy comes back, and nothing is left."""
    client = session.client
    blob = session.model("rows.onnx")
    path = str(session.models / "rows.onnx")
    client.put_tensor("x", ROWS)
    for call in (
        lambda: client.set_model_multigpu("m", blob, "ONNX", 0, 1),
        lambda: client.set_model_from_file_multigpu("m", path, "ONNX", 0, 1),
    ):
        if not GPU.exists():
            with fails(RedisReplyError, "ERR GPU requested but ONNX couldn't find CUDA", whole=False):
                call()
            equal([client.model_exists(name) for name in ("m", "m.GPU:0")], [False, False])
            continue
        call()
        client.run_model_multigpu("m", 7, 0, 1, ["x"], ["y"])
        same(client.get_tensor("y"), ROWS * 2)
        client.delete_model_multigpu("m", 0, 1)


def check_model_errors(session: Session) -> None:
    client = session.client
    session.set_rows("m")
    client.put_tensor("x", ROWS)
    client.put_tensor("wide", np.zeros((1, 4), dtype=np.float32))
    graph = session.model("rows.tf")
    cases = [
        (lambda: client.run_model("m", ["none"], ["y"]), NO_TENSOR),
        (lambda: client.run_model("none", ["x"], ["y"]), NO_MODEL),
        (lambda: client.run_model("m", ["x", "x"], ["y"]), "Number of keys given as INPUTS here does not match"),
        (lambda: client.run_model("m", ["x"], ["y", "z"]), "Number of keys given as OUTPUTS here does not match"),
        (lambda: client.run_model("m", ["wide"], ["y"]), "Got invalid dimensions for input: x"),
        (lambda: client.get_model("none"), NO_MODEL),
        (lambda: client.delete_model("none"), NO_MODEL),
        (lambda: client.set_model("n", b"no model", "TFLITE"), "Failed to load model from buffer"),
        (
            lambda: client.set_model("n", graph, "TF", inputs=["wrong"], outputs=["output"]),
            'ERR Input node named "wrong" not found in TF graph.',
        ),
    ]
    for call, text in cases:
        with fails(RedisReplyError, text, whole=False):
            call()
    equal([client.model_exists("n"), client.tensor_exists("y")], [False, False])


# Scripts


def check_script(session: Session) -> None:
    client = session.client
    client.set_script("s", SCRIPT, "CPU")
    equal(client.get_script("s"), SCRIPT)
    client.put_tensor("a", ROWS)
    client.put_tensor("b", np.ones_like(ROWS))
    client.run_script("s", "add", ["a", "b"], ["c"])
    same(client.get_tensor("c"), ROWS + 1)
    client.run_script("s", "both", ["a", "b"], ["c", "d"])
    same(client.get_tensor("c"), ROWS + 1)
    same(client.get_tensor("d"), ROWS - 1)
    client.run_script("s", "total", ["a", "b", "b"], "e")
    same(client.get_tensor("e"), ROWS + 2)
    client.delete_script("s")
    for call in (
        lambda: client.get_script("s"),
        lambda: client.delete_script("s"),
        lambda: client.run_script("s", "add", ["a", "b"], ["c"]),
    ):
        with fails(RedisReplyError, NO_SCRIPT, whole=False):
            call()


def check_script_from_file(session: Session) -> None:
    path = Path("script.txt")
    path.write_text(SCRIPT)
    session.client.set_script_from_file("s", str(path), "CPU")
    equal(session.client.get_script("s"), SCRIPT)
    for a, b, c in (NAMES[:3], NAMES[3:6], NAMES[6:]):
        session.client.put_tensor(a, ROWS)
        session.client.put_tensor(b, ROWS)
        session.client.run_script("s", "add", [a, b], [c])
        same(session.client.get_tensor(c), ROWS * 2)


def check_function(session: Session) -> None:
    session.client.set_function("f", three_times)
    equal(session.client.get_script("f"), "def three_times(a):\n    return a * 3\n")
    session.client.put_tensor("x", ROWS)
    session.client.run_script("f", "three_times", ["x"], ["y"])
    same(session.client.get_tensor("y"), ROWS * 3)


def check_multigpu_scripts(session: Session) -> None:
    """As for models."""
    client = session.client
    names = ("s", "s.GPU:0", "s.GPU:1")
    for name in names:
        client.set_script(name, SCRIPT)
    client.put_tensor("x", ROWS)
    for offset in range(5):
        client.run_script_multigpu("s", "add", ["x", "x"], ["y"], offset, 0, 2)
        same(client.get_tensor("y"), ROWS * 2)
    for name, calls in zip(names, (0, 3, 2)):
        equal(sum(int(info["calls"]) for info in client.get_ai_info(session.addresses, name)), calls)
    client.delete_script_multigpu("s", 0, 2)
    equal(session.stored("AI._SCRIPTSCAN"), [[]] * len(session.nodes))


def check_scripts_for_gpus(session: Session) -> None:
    """As for models."""
    client = session.client
    path = Path("script.txt")
    path.write_text(SCRIPT)
    client.put_tensor("x", ROWS)
    for call, function, inputs, answer in (
        (lambda: client.set_script_multigpu("s", SCRIPT, 0, 1), "add", ["x", "x"], ROWS * 2),
        (lambda: client.set_script_from_file_multigpu("s", str(path), 0, 1), "add", ["x", "x"], ROWS * 2),
        (lambda: client.set_function_multigpu("s", three_times, 0, 1), "three_times", ["x"], ROWS * 3),
    ):
        if not GPU.exists():
            with fails(RedisReplyError, "GPU requested but Torch couldn't find CUDA", whole=False):
                call()
            equal([client.key_exists(name) for name in ("s", "s.GPU:0")], [False, False])
            continue
        call()
        client.run_script_multigpu("s", function, inputs, ["y"], 7, 0, 1)
        same(client.get_tensor("y"), answer)
        client.delete_script_multigpu("s", 0, 1)


def check_script_errors(session: Session) -> None:
    client = session.client
    client.set_script("s", SCRIPT)
    client.put_tensor("x", ROWS)
    cases = [
        (lambda: client.run_script("s", "none", ["x"], ["y"]), "Function does not exist: none"),
        (lambda: client.run_script("s", "add", ["x"], ["y"]), "Wrong number of inputs provided to function: add"),
        (lambda: client.run_script("s", "add", ["none", "x"], ["y"]), NO_TENSOR),
        (lambda: client.set_script("t", "def broken(a:\n"), "expected"),
    ]
    for call, text in cases:
        with fails(RedisReplyError, text, whole=False):
            call()
    assert not client.key_exists("y")


# The database


def check_ai_info(session: Session) -> None:
    client = session.client
    session.set_rows("m", tag="v1")
    client.put_tensor("x", ROWS)
    for _ in range(3):
        client.run_model("m", ["x"], ["y"])
    infos = client.get_ai_info(session.addresses, "m")
    equal(len(infos), len(session.nodes))
    fixed = {"key": "m", "type": "MODEL", "backend": "ONNX", "device": "CPU", "tag": "v1", "errors": "0"}
    for info in infos:
        equal({name: info[name] for name in fixed}, fixed)
    totals = {name: sum(int(info[name]) for info in infos) for name in ("calls", "samples", "duration")}
    assert totals.pop("duration") > 0
    equal(totals, {"calls": 3, "samples": 6})
    with fails(RedisReplyError, "ERR cannot find run info for key", whole=False):
        client.get_ai_info(session.addresses, "none")


def check_ai_info_reset(session: Session) -> None:
    """The counts are reset. The client does not understand the `OK` that says so, one node at a time."""
    client = session.client
    session.set_rows("m")
    client.put_tensor("x", ROWS)
    client.run_model("m", ["x"], ["y"])
    for address in session.addresses:
        with fails(RedisReplyError, "REDIS_REPLY_STATUS", whole=False):
            client.get_ai_info([address], "m", reset_stat=True)
    infos = client.get_ai_info(session.addresses, "m")
    counts = [(info["calls"], info["samples"], info["duration"]) for info in infos]
    equal(counts, [("0", "0", "0")] * len(session.nodes))


def check_node_info(session: Session) -> None:
    """INFO EVERYTHING with the module's sections is understood."""
    session.set_rows("m")
    for info in session.client.get_db_node_info(session.addresses):
        assert info["ai_versions"]["ai_low_level_API_version"] == "1"
        assert "ai_onnxruntime_version" in info["ai_backends_info"]
        assert "redis_version" in info["Server"]


def check_cluster_info(session: Session) -> None:
    if session.cluster:
        for info in session.client.get_db_cluster_info(session.addresses):
            equal((info["cluster_state"], info["cluster_size"]), ("ok", "3"))
    else:
        with fails(RedisReplyError, "Cannot run on non-cluster environment", whole=False):
            session.client.get_db_cluster_info(session.addresses)


def check_config(session: Session) -> None:
    for address in session.addresses:
        session.client.config_set("hash-max-listpack-entries", "77", address)
        equal(session.client.config_get("hash-max-listpack-entries", address), {"hash-max-listpack-entries": "77"})


def check_save_and_flush(session: Session) -> None:
    session.set_rows("m")
    session.client.set_script("s", SCRIPT)
    session.client.put_tensor("x", ROWS)
    session.client.save(session.addresses)
    session.client.flush_db(session.addresses)
    equal(session.keys(), [])
    equal([session.client.model_exists("m"), session.client.tensor_exists("x")], [False, False])


# Ensembles, and what does not touch the server


def check_prefixes_of_an_ensemble(session: Session) -> None:
    with session.of_an_ensemble() as client:
        client.use_tensor_ensemble_prefix(True)
        client.use_model_ensemble_prefix(True)
        client.use_dataset_ensemble_prefix(True)
        client.use_list_ensemble_prefix(True)
        client.put_tensor("x", ROWS)
        client.put_dataset(make_dataset("d"))
        client.append_to_list("l", make_dataset("d"))
        client.set_model("m", session.model("rows.onnx"), "ONNX")
        client.set_script("s", SCRIPT)
        client.set_data_source("member1")
        client.run_model("m", ["x"], ["y"])
        same(client.get_tensor("y"), ROWS * 2)
        client.run_script("s", "add", ["x", "y"], ["z"])
        same(client.get_tensor("z"), ROWS * 3)
        assert_is_dataset(client.get_dataset("d"), "d")
        assert all(b"member1." in key for key in session.keys()), session.keys()
        client.set_data_source("member2")
        equal([client.tensor_exists("x"), client.model_exists("m"), client.dataset_exists("d")], [False] * 3)


def check_logging(session: Session) -> None:
    dataset = make_dataset("d")
    context = LogContext("context")
    for target in (session.client, dataset, context):
        target.log_data(LLInfo, "data")
        target.log_warning(LLInfo, "warning")
        target.log_error(LLInfo, "error")
    for log in (log_data, log_warning, log_error):
        log("context", LLInfo, "text")


def check_config_options(session: Session) -> None:
    names = {"SSDB_OTHER": os.environ["SSDB"], "SR_DB_TYPE_OTHER": os.environ["SR_DB_TYPE"]}
    os.environ.update(names)
    options = ConfigOptions.create_from_environment("OTHER")
    equal(options.get_string_option("SR_DB_TYPE"), os.environ["SR_DB_TYPE"])
    equal([options.is_configured("SR_DB_TYPE"), options.is_configured("SR_NONE")], [True, False])
    options.override_integer_option("SR_MODEL_TIMEOUT", 50000)
    equal(options.get_integer_option("SR_MODEL_TIMEOUT"), 50000)
    options.override_string_option("SR_NAME", "name")
    equal(options.get_string_option("SR_NAME"), "name")
    client = Client(options, "other")
    client.put_tensor("x", ROWS)
    session.set_rows("m")
    client.run_model("m", ["x"], ["y"])
    same(session.client.get_tensor("y"), ROWS * 2)


def main() -> None:
    report, models, *left_out = sys.argv[1:]
    recorder = Recorder(Client, Dataset, SRObject, ConfigOptions)
    # What the others use to build themselves from the client's inner objects.
    recorder.not_called -= {"Dataset.set_data", "ConfigOptions.from_pybind", "ConfigOptions.set_configoptions"}
    run(report, Session(Path(models)), empty, recorder, left_out)


if __name__ == "__main__":
    main()
