"""The four engines side by side: for each one model that doubles FLOAT [any, 3], and where its library is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from support import tf_models, tflite_models, torch_models
from support.commands import execute, get_tensor, set_tensor
from support.resp import OK, Argument, RawClient
from support.server import Server

ROWS = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32)
SCRIPT = """
def double(tensors: List[Tensor], keys: List[str], args: List[str]):
    return redisAI.model_execute(keys[0], tensors, 1)[0]
"""


def _onnx_rows() -> bytes:
    info = helper.make_tensor_value_info
    two = numpy_helper.from_array(np.array([2], dtype=np.float32), "two")
    nodes = [helper.make_node("Mul", ["x", "two"], ["y"])]
    row = [TensorProto.FLOAT, ["n", 3]]
    graph = helper.make_graph(nodes, "rows", [info("x", *row)], [info("y", *row)], [two])
    return helper.make_model(
        graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]
    ).SerializeToString()


@dataclass(frozen=True)
class Engine:
    name: str
    model: Callable[[], bytes]
    library: str
    fields: tuple[str, ...]
    """Of INFO, once the engine has been loaded."""
    names: tuple[Argument, ...] = ()


# In the order in which INFO has them.
ENGINES = (
    Engine(
        "TF", tf_models.rows, "redisai_tensorflow/redisai_tensorflow.so", ("TensorFlow_version",),
        ("INPUTS", 1, "input", "OUTPUTS", 1, "output"),
    ),
    Engine("TFLITE", tflite_models.rows, "redisai_tflite/redisai_tflite.so", ("TensorFlowLite_version",)),
    Engine("TORCH", torch_models.rows, "redisai_torch/redisai_torch.so", ("Torch_version",)),
    Engine(
        "ONNX", _onnx_rows, "redisai_onnxruntime/redisai_onnxruntime.so",
        (
            "onnxruntime_version", "onnxruntime_memory", "onnxruntime_memory_access_num",
            "onnxruntime_maximum_run_sessions_number",
        ),
    ),
)  # fmt: skip
NAMES = [engine.name for engine in ENGINES]


def store_command(engine: Engine, key: Argument, device: str = "CPU") -> list[Argument]:
    return ["AI.MODELSTORE", key, engine.name, device, *engine.names, "BLOB", engine.model()]


def store(raw: RawClient, engine: Engine, key: Argument, device: str = "CPU") -> None:
    reply = raw.call(*store_command(engine, key, device))
    assert reply == OK, (engine.name, reply)


def store_all(raw: RawClient, engines: Sequence[Engine] = ENGINES, devices: Sequence[str] = ("CPU",)) -> list[str]:
    """One model per engine and device; the keys."""
    keys = []
    for engine in engines:
        for device in devices:
            keys.append(f"{engine.name} {device}")
            store(raw, engine, keys[-1], device)
    return keys


def store_script(raw: RawClient, key: Argument = "script", device: str = "CPU") -> None:
    """Its function `double` runs the model that is its key."""
    reply = raw.call("AI.SCRIPTSTORE", key, device, "ENTRY_POINTS", 1, "double", "SOURCE", SCRIPT)
    assert reply == OK, reply


def assert_doubles(raw: RawClient, key: str) -> None:
    set_tensor(raw, "rows", ROWS)
    reply = execute(raw, key, ["rows"], ["doubled"])
    assert reply == OK, (key, reply)
    assert np.array_equal(get_tensor(raw, "doubled"), ROWS * 2), key


def assert_script_doubles(raw: RawClient, model: str, script: Argument = "script") -> None:
    """Through the script and a model of any engine."""
    set_tensor(raw, "rows", ROWS)
    command = ["AI.SCRIPTEXECUTE", script, "double", "KEYS", 1, model, "INPUTS", 1, "rows", "OUTPUTS", 1, "doubled"]
    reply = raw.call(*command)
    assert reply == OK, (model, reply)
    assert np.array_equal(get_tensor(raw, "doubled"), ROWS * 2), model


def backends_info(server: Server) -> list[tuple[str, str]]:
    """The fields of the section `ai_backends_info`, without their prefix."""
    fields, inside = [], False
    for name, value in server.info_lines("modules"):
        if name.startswith("# "):
            inside = name == "# ai_backends_info"
        elif inside:
            fields.append((name.removeprefix("ai_"), value))
    return fields


def threads(server: Server) -> Counter[str]:
    """The names of the process's threads, numbers left out, and how many there are of each."""
    names: Counter[str] = Counter()
    for file in Path(f"/proc/{server.pid}/task").glob("*/comm"):
        try:
            names[re.sub(r"\d+$", "", file.read_text().strip())] += 1
        except OSError:
            continue  # the thread has ended
    return names
