"""redisai_py.py REPORT PORT MODELS: what applications do with redisai-py 1.3, and what they see.

MODELS is a folder with `rows.tf`, `rows.tflite`, `rows.torch` and `rows.onnx`, which double FLOAT [any, 3], and with
`sum_and_difference.onnx` (`a`, `b`: `s`, `d`) of any shape.
"""

from __future__ import annotations

import contextlib
import io
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from checks import WAIT_SECONDS, Recorder, each, equal, eventually, fails, run
from redis.exceptions import ResponseError
from redisai import Client
from redisai.dag import Dag
from redisai.pipeline import Pipeline

ROWS = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32)
NUMBERS = ("float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16")
CHUNK_SIZE = 535822336

SCRIPT = """
def add(tensors: List[Tensor], keys: List[str], args: List[str]):
    return tensors[0] + tensors[1]

def scaled(tensors: List[Tensor], keys: List[str], args: List[str]):
    return tensors[0] * float(args[0]), tensors[0] * float(args[1])

def counted(tensors: List[Tensor], keys: List[str], args: List[str]):
    redis.execute("SET", keys[0], args[0])
    redis.execute("INCRBY", [keys[0], args[1]])
    return torch.tensor(int(str(redis.execute("GET", keys[0]))))

def fails(tensors: List[Tensor], keys: List[str], args: List[str]):
    redis.execute("LPUSH", keys[0], "a")
    redis.execute("INCR", keys[0])

def with_model(tensors: List[Tensor], keys: List[str], args: List[str]):
    return redisAI.model_execute(keys[0], tensors, 1)[0]

def wait_for(tensors: List[Tensor], keys: List[str], args: List[str]):
    while str(redis.execute("EXISTS", keys[0])) == "0":
        pass
"""
ENTRY_POINTS = ["add", "scaled", "counted", "fails", "with_model", "wait_for"]
PLAIN_SCRIPT = """
def both(a, b):
    return a + b

def all(first, others: List[Tensor]):
    return first + torch.cat(others)
"""


class Session:
    def __init__(self, port: int, models: Path) -> None:
        self.port = port
        self.models = models
        self.con = self.client()

    def client(self, **options: bool) -> Client:
        return Client(host="127.0.0.1", port=self.port, **options)

    def model(self, name: str) -> bytes:
        return (self.models / name).read_bytes()

    def store_rows(self, key: str = "m", backend: str = "onnx", **options: object) -> bytes:
        """The model that doubles rows, of that engine."""
        blob = self.model(f"rows.{backend.lower()}")
        names = {"inputs": ["input"], "outputs": ["output"]} if backend.lower() == "tf" else {}
        equal(self.con.modelstore(key, backend, "cpu", blob, **names, **options), "OK")
        return blob

    def store_script(self, key: str = "s") -> None:
        equal(self.con.scriptstore(key, "cpu", SCRIPT, ENTRY_POINTS), "OK")

    @contextlib.contextmanager
    def busy_worker(self) -> Iterator[None]:
        """Within the block the only worker of the CPU is occupied, until somebody sets the key `gate`."""
        self.store_script("gate-script")
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(self.client().scriptexecute, "gate-script", "wait_for", keys=["gate"])
            try:
                eventually(lambda: self.blocked() == 1 and self.queued() == 0, "the worker is occupied")
                yield
            finally:
                self.con.set("gate", "open")
            equal(waiting.result(WAIT_SECONDS), "OK")

    def blocked(self) -> int:
        return self.con.info("clients")["blocked_clients"]

    def queued(self) -> int:
        return self.con.info("modules")["ai_queue_CPU_waiting_requests"]

    def late(self, execute: Callable[[], object]) -> object:
        """The result of something with a timeout of 1 ms that comes to the worker too late."""
        with self.busy_worker(), ThreadPoolExecutor() as pool:
            result = pool.submit(execute)
            eventually(lambda: result.done() or self.blocked() == 2, "the second request waits as well")
            time.sleep(0.01)  # more than the timeout
            self.con.set("gate", "open")
            return result.result(WAIT_SECONDS)


def empty(session: Session) -> None:
    session.con.flushall()


# Configuration


def check_loadbackend(session: Session) -> None:
    """Comes first: a backend can be loaded once."""
    con = session.con
    equal(con.loadbackend("TFLITE", "redisai_tflite/redisai_tflite.so"), "OK")
    assert "ai_TensorFlowLite_version" in con.info("modules")
    with fails(ResponseError, "error loading backend"):
        con.loadbackend("TFLITE", "redisai_tflite/redisai_tflite.so")
    with fails(ResponseError, "error loading backend"):
        con.loadbackend("TF", ".")
    with fails(ResponseError, "unsupported backend"):
        con.loadbackend("CAFFE", "redisai_tflite/redisai_tflite.so")


def check_config(session: Session) -> None:
    con = session.con
    equal(con.config("MODEL_CHUNK_SIZE"), CHUNK_SIZE)
    equal(con.config("MODEL_CHUNK_SIZE", 1000), "OK")
    equal(con.config("MODEL_CHUNK_SIZE"), 1000)
    equal(con.config("MODEL_CHUNK_SIZE", CHUNK_SIZE), "OK")
    path = con.config("BACKENDSPATH")
    assert path.endswith("/backends"), path
    equal(con.config("BACKENDSPATH", path), "OK")
    equal(con.config("wrong"), None)


def check_config_errors(session: Session) -> None:
    cases = [
        ("MODEL_CHUNK_SIZE", 0, "MODEL_CHUNK_SIZE: invalid chunk size"),
        ("MODEL_CHUNK_SIZE", "not_a_number", "MODEL_CHUNK_SIZE: invalid chunk size"),
        ("MODEL_CHUNK_SIZE", "", "MODEL_CHUNK_SIZE: missing chunk size"),
        ("BACKENDSPATH", "", "BACKENDSPATH: missing path argument"),
        ("WRONG", 1, "unsupported subcommand"),
    ]

    def refused(name: str, value: object, text: str) -> None:
        with fails(ResponseError, text):
            session.con.config(name, value)

    each(cases, refused)


# Tensors


def check_numpy_numbers(session: Session) -> None:
    def round_trip(dtype: str, shape: tuple[int, ...]) -> None:
        generator = np.random.default_rng(7)
        array = generator.integers(0, 100, shape).astype(dtype) if shape else np.array(7, dtype=dtype)
        equal(session.con.tensorset("x", array), "OK")
        seen = session.con.tensorget("x")
        assert seen.dtype == array.dtype and seen.shape == array.shape and np.array_equal(seen, array), seen

    each([(dtype, shape) for dtype in NUMBERS for shape in [(), (5,), (2, 3), (1, 2, 1, 4)]], round_trip)


def check_numpy_extremes(session: Session) -> None:
    def round_trip(dtype: str) -> None:
        limits = np.finfo(dtype) if dtype.startswith("float") else np.iinfo(dtype)
        array = np.array([limits.min, limits.max], dtype=dtype)
        session.con.tensorset("x", array)
        assert np.array_equal(session.con.tensorget("x"), array)
        values = session.con.tensorget("x", as_numpy=False)
        assert np.array_equal(np.array(values["values"], dtype=dtype), array), values

    each(NUMBERS, round_trip)


def check_numpy_bool(session: Session) -> None:
    array = np.array([[True, False], [False, True]])
    equal(session.con.tensorset("x", array), "OK")
    seen = session.con.tensorget("x")
    assert seen.dtype == np.bool_ and np.array_equal(seen, array), seen
    equal(session.con.tensorget("x", as_numpy=False), {"dtype": "BOOL", "shape": [2, 2], "values": [1, 0, 0, 1]})


def check_numpy_strings(session: Session) -> None:
    array = np.array([["hello", ""], ["wörld", "a b"]])
    equal(session.con.tensorset("x", array), "OK")
    seen = session.con.tensorget("x")
    assert seen.shape == (2, 2) and np.array_equal(seen, array), seen
    meta = {"dtype": "STRING", "shape": [2, 2], "values": ["hello", "", "wörld", "a b"]}
    equal(session.con.tensorget("x", as_numpy=False), meta)


def check_lists_of_numbers(session: Session) -> None:
    con = session.con
    equal(con.tensorset("x", [2, 3], dtype="float"), "OK")
    equal(con.tensorget("x", as_numpy=False), {"dtype": "FLOAT", "shape": [2], "values": [2.0, 3.0]})
    equal(con.tensorset("x", (2.5, -3e300, 0.1), dtype="float64"), "OK")
    equal(con.tensorget("x", as_numpy=False), {"dtype": "DOUBLE", "shape": [3], "values": [2.5, -3e300, 0.1]})
    equal(con.tensorset("x", [1, 2, 3, 4, 5, 6], shape=[2, 3], dtype="int32"), "OK")
    equal(con.tensorget("x", as_numpy=False), {"dtype": "INT32", "shape": [2, 3], "values": [1, 2, 3, 4, 5, 6]})
    equal(con.tensorget("x").tolist(), [[1, 2, 3], [4, 5, 6]])
    equal(con.tensorset("x", [1, 0, 1], dtype="bool"), "OK")
    equal(con.tensorget("x").tolist(), [True, False, True])


def check_lists_of_strings(session: Session) -> None:
    con = session.con
    equal(con.tensorset("x", ["a", "bc"], dtype="str"), "OK")
    equal(con.tensorget("x").tolist(), ["a", "bc"])
    equal(con.tensorset("x", ["a", "b", "c", "d"], shape=(2, 2), dtype=str), "OK")
    equal(con.tensorget("x", as_numpy=False), {"dtype": "STRING", "shape": [2, 2], "values": ["a", "b", "c", "d"]})


def check_tensor_meta(session: Session) -> None:
    session.con.tensorset("x", ROWS)
    equal(session.con.tensorget("x", meta_only=True), {"dtype": "FLOAT", "shape": [2, 3]})


def check_tensor_mutable(session: Session) -> None:
    session.con.tensorset("x", ROWS)
    fixed = session.con.tensorget("x")
    assert not fixed.flags.writeable
    mutable = session.con.tensorget("x", as_numpy_mutable=True)
    mutable[0, 0] = 9
    equal(mutable.tolist(), [[9.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


def check_tensor_errors(session: Session) -> None:
    con = session.con
    con.set("text", "no tensor")
    wrong_type = "WRONGTYPE Operation against a key holding the wrong kind of value"
    missing = "tensor key is empty or in a different shard"
    shape = "invalid or negative value found in tensor shape"
    count = "wrong number of values was given in 'AI.TENSORSET' command"
    cases = [
        (lambda: con.tensorset("x", np.zeros(2, dtype=np.uint32)), "invalid data type"),
        (lambda: con.tensorset("x", np.zeros(2, dtype=np.uint64)), "invalid data type"),
        (lambda: con.tensorset("x", [1, 2, 3], shape=[2], dtype="float"), count),
        (lambda: con.tensorset("x", [1, 2], shape=[-2], dtype="float"), shape),
        (lambda: con.tensorset("x", [1, 2], shape=["a"], dtype="float"), shape),
        (lambda: con.tensorset("x", [1, "a"], dtype="float"), "invalid value"),
        (lambda: con.tensorset("x", [1, 256], dtype="uint8"), "invalid value"),
        (lambda: con.tensorset("x", [1, 2], dtype="bool"), "invalid value"),
        (lambda: con.tensorset("x", ["a\0b"], dtype="str"), "C-string value contains null character"),
        (lambda: con.tensorset("text", ROWS), wrong_type),
        (lambda: con.tensorget("text"), wrong_type),
        (lambda: con.tensorget("none"), missing),
    ]
    for call, text in cases:
        with fails(ResponseError, text):
            call()
    assert con.exists("x") == 0


# Models


def each_engine(body: Callable[[str], None]) -> None:
    each(("TF", "TFLITE", "TORCH", "ONNX"), body)


def check_modelstore_and_get(session: Session) -> None:
    names = {
        "TF": (["input"], ["output"]),
        "TFLITE": (["input"], ["output"]),
        "TORCH": (["x"], [""]),
        "ONNX": (["x"], ["y"]),
    }

    def stored(backend: str) -> None:
        blob = session.store_rows("m", backend.lower(), tag="v1.0", batch=4, minbatch=2, minbatchtimeout=10)
        meta = {
            "backend": backend,
            "device": "cpu",
            "tag": "v1.0",
            "batchsize": 4,
            "minbatchsize": 2,
            "inputs": names[backend][0],
            "outputs": names[backend][1],
            "minbatchtimeout": 10,
        }
        equal(session.con.modelget("m", meta_only=True), meta)
        equal(session.con.modelget("m"), meta | {"blob": blob})

    each_engine(stored)


def check_modelstore_defaults(session: Session) -> None:
    session.store_rows()
    meta = session.con.modelget("m", meta_only=True)
    equal(
        {name: meta[name] for name in ("tag", "batchsize", "minbatchsize", "minbatchtimeout")},
        {"tag": "", "batchsize": 0, "minbatchsize": 0, "minbatchtimeout": 0},
    )


def check_modelset(session: Session) -> None:
    def stored(backend: str) -> None:
        blob = session.model(f"rows.{backend.lower()}")
        names = {"inputs": "input", "outputs": "output"} if backend == "TF" else {}
        batching = {} if backend == "TFLITE" else {"batch": 4, "minbatch": 2}
        equal(session.con.modelset("m", backend, "cpu", blob, tag="old", **batching, **names), "OK")
        meta = session.con.modelget("m")
        equal((meta["backend"], meta["device"], meta["tag"], meta["blob"]), (backend, "cpu", "old", blob))
        equal((meta["batchsize"], meta["minbatchsize"]), tuple(batching.values()) or (0, 0))

    each_engine(stored)


def check_modelexecute(session: Session) -> None:
    def executed(backend: str) -> None:
        session.store_rows("m", backend)
        session.con.tensorset("x", ROWS)
        equal(session.con.modelexecute("m", "x", "y"), "OK")
        equal(session.con.tensorget("y").tolist(), (ROWS * 2).tolist())
        equal(session.con.modelexecute("m", ["y"], ["y"], timeout=10000), "OK")
        equal(session.con.tensorget("y").tolist(), (ROWS * 4).tolist())

    each_engine(executed)


def check_modelrun(session: Session) -> None:
    def executed(backend: str) -> None:
        session.store_rows("m", backend)
        session.con.tensorset("x", ROWS)
        equal(session.con.modelrun("m", ["x"], ["y"]), "OK")
        equal(session.con.tensorget("y").tolist(), (ROWS * 2).tolist())

    each_engine(executed)


def check_several_inputs_and_outputs(session: Session) -> None:
    con = session.con
    con.modelstore("m", "ONNX", "CPU", session.model("sum_and_difference.onnx"))
    con.tensorset("a", ROWS)
    con.tensorset("b", np.ones_like(ROWS))
    equal(con.modelexecute("m", ["a", "b"], ["s", "d"]), "OK")
    equal(con.tensorget("s").tolist(), (ROWS + 1).tolist())
    equal(con.tensorget("d").tolist(), (ROWS - 1).tolist())
    equal(con.modelrun("m", ["a", "b"], ["s", "d"]), "OK")


def check_modelexecute_timeout(session: Session) -> None:
    session.store_rows()
    session.con.tensorset("x", ROWS)
    equal(session.late(lambda: session.client().modelexecute("m", "x", "y", timeout=1)), "TIMEDOUT")
    assert session.con.exists("y") == 0


def check_chunked_upload(session: Session) -> None:
    con = session.con
    size = 40
    con.config("MODEL_CHUNK_SIZE", size)
    try:
        blob = session.store_rows()
        assert len(blob) > 2 * size
        chunks = con.modelget("m")["blob"]
    finally:
        con.config("MODEL_CHUNK_SIZE", CHUNK_SIZE)
    equal([len(chunk) for chunk in chunks[:-1]], [size] * (len(blob) // size))
    equal(b"".join(chunks), blob)
    equal(con.modelget("m")["blob"], blob)
    con.tensorset("x", ROWS)
    equal(con.modelexecute("m", "x", "y"), "OK")


def check_modeldel(session: Session) -> None:
    con = session.con
    session.store_rows()
    equal(con.modeldel("m"), "OK")
    missing = "model key is empty"
    for call in (con.modeldel, con.modelget, lambda key: con.modelexecute(key, "x", "y")):
        with fails(ResponseError, missing):
            call("m")


def check_modelstore_errors(session: Session) -> None:
    con, onnx, graph = session.con, session.model("rows.onnx"), session.model("rows.tf")
    names = {"inputs": ["input"], "outputs": ["output"]}
    con.set("text", "no model")
    cases = [
        (lambda: con.modelstore("m", "ONNX", "CPU:one", onnx), "Invalid DEVICE"),
        (lambda: con.modelstore("m", "ONNX", "CPU", onnx, batch="a"), "Invalid argument for BATCHSIZE"),
        (
            lambda: con.modelstore("m", "ONNX", "CPU", onnx, batch=0, minbatch=1),
            "MINBATCHSIZE specified without BATCHSIZE",
        ),
        (
            lambda: con.modelstore("m", "ONNX", "CPU", onnx, batch=2, minbatch=0, minbatchtimeout=1),
            "MINBATCHTIMEOUT specified without MINBATCHSIZE",
        ),
        (
            lambda: con.modelstore("m", "TF", "CPU", graph, inputs=["wrong"], outputs=["output"]),
            'Input node named "wrong" not found in TF graph.',
        ),
        (
            lambda: con.modelstore("m", "TF", "CPU", graph, inputs=["input"], outputs=["wrong"]),
            'Output node named "wrong" not found in TF graph',
        ),
        (lambda: con.modelstore("m", "TF", "CPU", b"no graph at all", **names), "Invalid GraphDef"),
        (lambda: con.modelstore("m", "TFLITE", "CPU", b"no model"), "Failed to load model from buffer"),
        (lambda: con.modelstore("m", "ONNX", "CPU", b"\x1a\0"), "No graph was found in the protobuf."),
        (lambda: con.modelstore("m", "ONNX", "CPU", b"", tag="t"), "Insufficient arguments, missing model BLOB"),
        (
            lambda: con.modelstore("text", "ONNX", "CPU", onnx),
            "WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
    ]
    for call, text in cases:
        with fails(ResponseError, text):
            call()
    assert con.exists("m") == 0


def check_modelset_errors(session: Session) -> None:
    con, onnx = session.con, session.model("rows.onnx")
    cases = [
        (
            lambda: con.modelset("m", "TFLITE", "CPU", session.model("rows.tflite"), batch=2),
            "Auto-batching not supported by the TFLITE backend",
        ),
        (
            lambda: con.modelset("m", "ONNX", "CPU", onnx, batch=0, minbatch=1),
            "MINBATCHSIZE specified without BATCHSIZE",
        ),
        (lambda: con.modelset("m", "ONNX", "CPU", b""), "Insufficient arguments, missing model BLOB"),
    ]
    for call, text in cases:
        with fails(ResponseError, text):
            call()


def check_modelexecute_errors(session: Session) -> None:
    con = session.con
    session.store_rows()
    con.tensorset("x", ROWS)
    con.tensorset("wide", np.zeros((1, 4), dtype=np.float32))
    inputs = "Number of keys given as INPUTS here does not match model definition"
    outputs = "Number of keys given as OUTPUTS here does not match model definition"
    cases = [
        (lambda: con.modelexecute("m", ["x", "x"], ["y"]), inputs),
        (lambda: con.modelexecute("m", ["x"], ["y", "z"]), outputs),
        (lambda: con.modelexecute("m", ["none"], ["y"]), "tensor key is empty or in a different shard"),
        (lambda: con.modelexecute("m", ["x"], ["y"], timeout=0), "Invalid value for TIMEOUT"),
        (lambda: con.modelrun("m", ["x", "x"], ["y"]), inputs),
        (lambda: con.modelrun("m", ["x"], ["y", "z"]), outputs),
    ]
    for call, text in cases:
        with fails(ResponseError, text):
            call()
    with fails(ResponseError, "Got invalid dimensions for input: x", whole=False):
        con.modelexecute("m", "wide", "y")
    assert con.exists("y") == 0


def check_modelscan(session: Session) -> None:
    session.store_rows("second", tag="v2")
    session.store_rows("first")
    equal(session.con.modelscan(), [["first", ""], ["second", "v2"]])
    session.con.modeldel("second")
    equal(session.con.modelscan(), [["first", ""]])


def check_info(session: Session) -> None:
    con = session.con
    session.store_rows(tag="v1")
    fresh = {
        "key": "m",
        "type": "MODEL",
        "backend": "ONNX",
        "device": "cpu",
        "tag": "v1",
        "duration": 0,
        "samples": 0,
        "calls": 0,
        "errors": 0,
    }
    equal(con.infoget("m"), fresh)
    con.tensorset("x", ROWS)
    con.modelexecute("m", "x", "y")
    first = con.infoget("m")
    assert first["duration"] > 0, first
    equal(first | {"duration": 0}, fresh | {"calls": 1, "samples": 2})
    con.modelexecute("m", "x", "y")
    assert con.infoget("m")["duration"] > first["duration"]
    con.tensorset("bad", np.zeros((2, 4), dtype=np.float32))
    with fails(ResponseError, "invalid dimensions", whole=False):
        con.modelexecute("m", "bad", "y")
    equal(con.infoget("m") | {"duration": 0}, fresh | {"calls": 3, "samples": 4, "errors": 1})
    equal(con.inforeset("m"), "OK")
    equal(con.infoget("m"), fresh)
    for call in (con.infoget, con.inforeset):
        with fails(ResponseError, "cannot find run info for key"):
            call("none")


# Scripts


def check_scriptstore_and_get(session: Session) -> None:
    con = session.con
    equal(con.scriptstore("s", "cpu", SCRIPT, ENTRY_POINTS, tag="v1"), "OK")
    points = [name.encode() for name in ENTRY_POINTS]
    equal(con.scriptget("s"), {"device": "cpu", "tag": "v1", "entry points": points, "source": SCRIPT})
    equal(con.scriptget("s", meta_only=True), {"device": "cpu", "tag": "v1", "entry points": points})
    equal(con.scriptstore("s", "CPU", SCRIPT, "add"), "OK")
    equal(con.scriptget("s", meta_only=True), {"device": "CPU", "tag": "", "entry points": [b"add"]})


def check_scriptset_and_run(session: Session) -> None:
    con = session.con
    equal(con.scriptset("s", "cpu", PLAIN_SCRIPT, tag="old"), "OK")
    equal(con.scriptget("s"), {"device": "cpu", "tag": "old", "entry points": [], "source": PLAIN_SCRIPT})
    con.tensorset("a", ROWS)
    con.tensorset("b", np.ones_like(ROWS))
    equal(con.scriptrun("s", "both", ["a", "b"], ["c"]), "OK")
    equal(con.tensorget("c").tolist(), (ROWS + 1).tolist())
    con.tensorset("one", np.ones((1, 3), dtype=np.float32))
    equal(con.scriptrun("s", "all", ["a", "$", "one", "one"], "c"), "OK")
    equal(con.tensorget("c").tolist(), (ROWS + 1).tolist())
    equal(con.scriptexecute("s", "both", inputs=["a", "b"], outputs="c"), "OK")


def check_scriptexecute(session: Session) -> None:
    con = session.con
    session.store_script()
    con.tensorset("a", ROWS)
    con.tensorset("b", np.ones_like(ROWS))
    equal(con.scriptexecute("s", "add", inputs=["a", "b"], outputs="c"), "OK")
    equal(con.tensorget("c").tolist(), (ROWS + 1).tolist())
    equal(con.scriptexecute("s", "scaled", inputs="a", args=["2", "3"], outputs=["two", "three"], timeout=10000), "OK")
    equal(con.tensorget("two").tolist(), (ROWS * 2).tolist())
    equal(con.tensorget("three").tolist(), (ROWS * 3).tolist())


def check_scriptexecute_with_commands(session: Session) -> None:
    con = session.con
    session.store_script()
    equal(con.scriptexecute("s", "counted", keys="counter", args=["40", "2"], outputs="answer"), "OK")
    answer = con.tensorget("answer")
    equal((answer.dtype.name, answer.shape, int(answer)), ("int64", (), 42))
    equal(con.get("counter"), b"42")


def check_scriptexecute_with_models(session: Session) -> None:
    session.store_script()
    session.con.tensorset("x", ROWS)

    def executed(backend: str) -> None:
        session.store_rows("m", backend)
        equal(session.con.scriptexecute("s", "with_model", keys=["m"], inputs=["x"], outputs=["y"]), "OK")
        equal(session.con.tensorget("y").tolist(), (ROWS * 2).tolist())

    each_engine(executed)


def check_scriptexecute_timeout(session: Session) -> None:
    session.store_script()
    session.con.tensorset("x", ROWS)

    def execute() -> object:
        return session.client().scriptexecute("s", "add", inputs=["x", "x"], outputs="y", timeout=1)

    equal(session.late(execute), "TIMEDOUT")
    assert session.con.exists("y") == 0


def check_scriptscan(session: Session) -> None:
    session.con.scriptset("ket1", "cpu", PLAIN_SCRIPT, tag="v1.0")
    session.con.scriptset("ket2", "cpu", PLAIN_SCRIPT)
    equal(session.con.scriptscan(), [["ket1", "v1.0"], ["ket2", ""]])


def check_scriptdel(session: Session) -> None:
    con = session.con
    session.store_script()
    equal(con.scriptdel("s"), "OK")
    for call in (
        con.scriptdel,
        con.scriptget,
        lambda key: con.scriptexecute(key, "add", inputs=["x"]),
        lambda key: con.scriptrun(key, "add", ["x"], ["y"]),
    ):
        with fails(ResponseError, "script key is empty"):
            call("s")


def check_script_info(session: Session) -> None:
    con = session.con
    session.store_script()
    con.tensorset("a", ROWS)
    con.scriptexecute("s", "add", inputs=["a", "a"], outputs="c")
    info = con.infoget("s")
    assert info.pop("duration") > 0
    fixed = {"key": "s", "type": "SCRIPT", "backend": "TORCH", "device": "cpu", "tag": ""}
    equal(info, fixed | {"samples": -1, "calls": 1, "errors": 0})


def check_script_errors(session: Session) -> None:
    con = session.con
    session.store_script()
    con.tensorset("x", ROWS)
    con.set("text", "abc")
    cases = [
        (
            lambda: con.scriptstore("t", "cpu", SCRIPT, "none"),
            "Function none does not exist in the given script.",
        ),
        (
            lambda: con.scriptstore("t", "cpu", PLAIN_SCRIPT, "both"),
            "Wrong number of inputs in function both. Expected 3 but was 2",
        ),
        (
            lambda: con.scriptexecute("s", "none", inputs=["x"], outputs=["y"]),
            "Function does not exist: none",
        ),
        (
            lambda: con.scriptexecute("s", "add", inputs=["none"], outputs=["y"]),
            "tensor key is empty or in a different shard",
        ),
        (lambda: con.scriptexecute("s", "add", inputs=["x"], timeout=0), "Invalid value for TIMEOUT"),
        (
            lambda: con.scriptrun("s", "add", ["$", "x", "$", "x"], ["y"]),
            "Already encountered a variable size list of tensors",
        ),
    ]
    for call, text in cases:
        with fails(ResponseError, text):
            call()
    wrong_type = "Redis command returned an error: WRONGTYPE Operation against a key holding the wrong kind of value"
    with fails(ResponseError, wrong_type, whole=False):
        con.scriptexecute("s", "fails", keys=["text"])
    with fails(ResponseError, "model key is empty", whole=False):
        con.scriptexecute("s", "with_model", keys=["none"], inputs=["x"], outputs=["y"])
    with fails(ResponseError, "expected", whole=False):
        con.scriptset("t", "cpu", "def broken(a:\n")
    assert con.exists("y", "t") == 0


# DAGs


def check_dag_execute(session: Session) -> None:
    con = session.con
    session.store_rows()
    con.tensorset("x", ROWS)
    dag = con.dag(load=["x"], persist=["y"])
    dag.modelexecute("m", "x", "t").tensorset("one", np.ones((1, 3), dtype=np.float32))
    dag.modelexecute("m", ["t"], ["y"]).tensorget("y").tensorget("one", as_numpy=False)
    first, second, third, answer, one = dag.execute()
    equal([first, second, third], ["OK"] * 3)
    equal(answer.tolist(), (ROWS * 4).tolist())
    equal(one, {"dtype": "FLOAT", "shape": [1, 3], "values": [1.0, 1.0, 1.0]})
    equal(con.tensorget("y").tolist(), (ROWS * 4).tolist())
    equal([con.exists(name) for name in ("t", "one")], [0, 0])


def check_dag_load_and_persist_of_one(session: Session) -> None:
    """Names that are no lists."""
    session.store_rows()
    session.con.tensorset("x", ROWS)
    equal(session.con.dag(load="x", persist="y").modelexecute("m", "x", "y").execute(), ["OK"])
    equal(session.con.tensorget("y").tolist(), (ROWS * 2).tolist())


def check_dag_of_all_engines(session: Session) -> None:
    """One model per engine in a row, and a script."""
    session.store_script()
    backends = ("TF", "TFLITE", "TORCH", "ONNX")
    for backend in backends:
        session.store_rows(backend, backend)
    dag = session.con.dag(persist="last")
    dag.tensorset("x", ROWS)
    for source, backend in zip(("x", *backends), backends):
        dag.modelexecute(backend, source, backend)
    dag.scriptexecute("s", "scaled", inputs="ONNX", args=["0.5", "2"], outputs=["half", "last"]).tensorget("half")
    *replies, half = dag.execute()
    equal(replies, ["OK"] * 6)
    equal(half.tolist(), (ROWS * 8).tolist())
    equal(session.con.tensorget("last").tolist(), (ROWS * 32).tolist())


def check_dag_routing(session: Session) -> None:
    session.store_script()
    dag = session.con.dag(routing="{s}")
    dag.tensorset("a", ROWS).scriptexecute("s", "add", inputs=["a", "a"], outputs=["b"]).tensorget("b")
    *replies, answer = dag.execute()
    equal(replies, ["OK", "OK"])
    equal(answer.tolist(), (ROWS * 2).tolist())
    assert session.con.exists("a", "b") == 0


def check_dag_script_with_keys(session: Session) -> None:
    session.store_script()
    dag = session.con.dag(routing="counter", timeout=10000)
    dag.scriptexecute("s", "counted", keys=["counter"], args=["1", "2"], outputs="three").tensorget("three")
    reply, three = dag.execute()
    equal((reply, int(three)), ("OK", 3))
    equal(session.con.get("counter"), b"3")


def check_dag_readonly(session: Session) -> None:
    con = session.con
    session.store_rows()
    con.tensorset("x", ROWS)
    reply, answer = con.dag(load="x", readonly=True).modelexecute("m", "x", "y").tensorget("y").execute()
    equal((reply, answer.tolist()), ("OK", (ROWS * 2).tolist()))
    assert con.exists("y") == 0
    with fails(RuntimeError, "READONLY", whole=False):
        con.dag(load="x", persist="y", readonly=True)
    with fails(RuntimeError, "AI.SCRIPTEXECUTE cannot be used in readonly mode"):
        con.dag(load="x", readonly=True).scriptexecute("s", "add", inputs=["x", "x"], outputs=["y"])


def check_dag_modelrun_becomes_modelexecute(session: Session) -> None:
    session.store_rows()
    session.con.tensorset("x", ROWS)
    reply, answer = session.con.dag(load="x").modelrun("m", "x", "y").tensorget("y").run()
    equal((reply, answer.tolist()), ("OK", (ROWS * 2).tolist()))


def check_dagrun(session: Session) -> None:
    con = session.con
    session.store_rows()
    for readonly in (False, True):
        dag = con.dag(readonly=readonly).tensorset("x", ROWS).modelrun("m", ["x"], ["y"]).tensorget("y")
        first, second, answer = dag.run()
        equal((first, second, answer.tolist()), ("OK", "OK", (ROWS * 2).tolist()))
    assert con.exists("x", "y") == 0
    with fails(RuntimeError, "does not supports MODELEXECUTE", whole=False):
        con.dag().modelexecute("m", "x", "y")
    with fails(RuntimeError, "does not supports SCRIPTEXECUTE", whole=False):
        con.dag().scriptexecute("s", "add", inputs=["x"])


def check_dag_timeout(session: Session) -> None:
    session.store_rows()
    session.con.tensorset("x", ROWS)

    def execute() -> object:
        dag = session.client().dag(load="x", persist="y", timeout=1)
        dag.enable_postprocess = False
        return dag.modelexecute("m", "x", "y").execute()

    equal(session.late(execute), b"TIMEDOUT")
    assert session.con.exists("y") == 0


def check_dag_with_a_failing_op(session: Session) -> None:
    con = session.con
    session.store_rows()
    con.tensorset("wide", np.zeros((1, 4), dtype=np.float32))
    dag = con.dag(load="wide", persist="z")
    dag.enable_postprocess = False
    dag.modelexecute("m", "wide", "y").modelexecute("m", "y", "z").tensorget("wide").tensorget("z")
    failed, skipped, kept, missing = dag.execute()
    assert isinstance(failed, ResponseError) and "invalid dimensions" in str(failed), failed
    equal((skipped, missing), (b"NA", b"NA"))
    equal(kept[:4], [b"dtype", b"FLOAT", b"shape", [1, 4]])
    assert con.exists("z") == 0


def check_dag_errors(session: Session) -> None:
    con = session.con
    session.store_rows()
    con.tensorset("x", ROWS)
    cases = [
        (con.dag(load="none").tensorget("none"), "tensor key is empty or in a different shard"),
        (con.dag(load="x").tensorget("none"), "INPUT key cannot be found in DAG"),
        (con.dag(load="x").modelexecute("m", "none", "y"), "INPUT key cannot be found in DAG"),
        (con.dag(load="x", persist="none").tensorget("x"), "PERSIST key cannot be found in DAG"),
        (con.dag(load="x", timeout="soon").tensorget("x"), "Invalid value for TIMEOUT"),
        (con.dag(load="x", persist=["y", "y"]).modelexecute("m", "x", "y"), "PERSIST keys must be unique"),
        (con.dag(load="x").modelexecute("none", "x", "y"), "model key is empty"),
        (con.dag(load="x").scriptexecute("none", "f", inputs=["x"]), "script key is empty"),
        (
            con.dag(load="x").modelexecute("m", ["x", "x"], "y"),
            "Number of keys given as INPUTS here does not match model definition",
        ),
        (con.dag(load="x", routing="y"), "DAG is empty"),
        (con.dag(load=[]).tensorget("x"), "invalid or negative value found in number of keys to LOAD"),
    ]

    def refused(dag: Dag, text: str) -> None:
        with fails(ResponseError, text):
            dag.execute()

    each(cases, refused)
    with fails(ResponseError, "missing arguments for 'AI.DAGEXECUTE' command"):
        con.dag(load="x").execute()


# The rest


def check_pipeline(session: Session) -> None:
    for transaction in (True, False):
        pipeline = session.con.pipeline(transaction=transaction)
        pipeline.tensorset("x", ROWS).set("text", "a").tensorset("y", [1, 2], dtype="int8")
        pipeline.tensorget("x").tensorget("y", as_numpy=False).get("text").tensorget("x", meta_only=True)
        *first, array, values, text, meta = pipeline.execute()
        equal(first, [b"OK", True, b"OK"])
        equal(array.tolist(), ROWS.tolist())
        equal(values, {"dtype": "INT8", "shape": [2], "values": [1, 2]})
        equal((text, meta), (b"a", {"dtype": "FLOAT", "shape": [2, 3]}))


def check_executions_in_a_transaction(session: Session) -> None:
    """Refused; the rest of the transaction has happened."""
    session.store_rows()
    session.con.tensorset("x", ROWS)
    pipeline = session.con.pipeline(transaction=True)
    pipeline.set("text", "a")
    pipeline.execute_command("AI.MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "y")
    with fails(ResponseError, "Cannot run RedisAI command within a transaction or a LUA script", whole=False):
        pipeline.execute()
    equal(session.con.get("text"), b"a")


def check_replies_as_they_come(session: Session) -> None:
    con = session.client(enable_postprocess=False)
    equal(con.tensorset("x", ROWS), b"OK")
    equal(con.tensorget("x"), [b"dtype", b"FLOAT", b"shape", [2, 3], b"blob", ROWS.tobytes()])
    equal(con.tensorget("x", meta_only=True), [b"dtype", b"FLOAT", b"shape", [2, 3]])
    equal(con.modelstore("m", "ONNX", "cpu", session.model("rows.onnx"), tag="v1"), b"OK")
    equal(con.modelscan(), [[b"m", b"v1"]])
    equal(con.scriptscan(), [])
    info = con.infoget("m")
    equal(info[::2], [b"key", b"type", b"backend", b"device", b"tag", b"duration", b"samples", b"calls", b"errors"])
    equal(info[1:10:2], [b"m", b"MODEL", b"ONNX", b"cpu", b"v1"])


def check_debug_prints_commands(session: Session) -> None:
    con = session.client(debug=True)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        con.tensorset("x", [1], dtype="int8")
    equal(printed.getvalue(), "AI.TENSORSET x INT8 1 VALUES 1\n")


def main() -> None:
    report, port, models = sys.argv[1:]
    warnings.simplefilter("ignore")
    run(report, Session(int(port), Path(models)), empty, Recorder(Client, Dag, Pipeline))


if __name__ == "__main__":
    main()
