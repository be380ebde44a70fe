"""What a campaign with damaged files stores: per format sound files, how to damage them, and how to run them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from google.protobuf.message import DecodeError
from onnx import ModelProto
from support import fraud_models, onnx_models, tf_models, tflite_models, torch_models
from support.resp import Argument
from support.workshop import from_environment

from reliability import (
    engine_models,
    flatbuffer_mutations,
    model_corpus,
    model_mutations,
    script_mutations,
    tensorflow_mutations,
    torch_mutations,
)

Tensor = tuple[str, Sequence[int]]
_FRAUD: tuple[Tensor, ...] = (("FLOAT", [2, 30]), ("FLOAT", [2, 256]))
_X: tuple[Tensor, ...] = (("FLOAT", [2, 3]),)
_PAIR: tuple[Tensor, ...] = (("FLOAT", [2, 3]), ("FLOAT", [2, 3]))
_DTYPES = tuple(onnx_models.DTYPES)


@dataclass(frozen=True)
class Base:
    """A sound file, the tensors that it takes, and what else AI.MODELSTORE has to be told."""

    blob: bytes
    inputs: tuple[Tensor, ...] = _X
    options: tuple[Argument, ...] = ()


@dataclass(frozen=True)
class Family:
    """A format. ``large`` are files that are damaged now and then only; ``odd`` ones are to be refused: of another
    version, with sizes beyond reason. So are the sound files of ``refused_bases``, which have something to damage."""

    name: str
    engine: str
    suffix: str
    bases: Callable[[], dict[str, Base]]
    large: Callable[[], dict[str, Base]]
    damage: Callable[[bytes, Random], bytes]
    odd: Callable[[], dict[str, bytes]]
    is_script: bool = False
    refused_bases: tuple[str, ...] = ()

    def store_command(self, key: Argument, base: Base, blob: bytes) -> list[Argument]:
        if self.is_script:
            return ["AI.SCRIPTSTORE", key, "CPU", *base.options, "SOURCE", blob]
        return ["AI.MODELSTORE", key, self.engine, "CPU", *base.options, "BLOB", blob]


# ONNX


def _onnx_bases() -> dict[str, Base]:
    """What these take is read from the file itself."""
    return {name: Base(blob) for name, blob in model_corpus.small_models().items()}


def _magika() -> dict[str, Base]:
    return {"magika": Base(model_corpus.magika())}


def _onnx_odd() -> dict[str, bytes]:
    newer = ModelProto.FromString(onnx_models.mul_by_weights())
    newer.ir_version = 999
    opset = ModelProto.FromString(onnx_models.mul_by_weights())
    opset.opset_import[0].version = 99_999
    return {
        "ir_version 999": newer.SerializeToString(),
        "opset 99999": opset.SerializeToString(),
        "graph of 2 GB": b"\x08\x0a" + tensorflow_mutations.claiming_2_gb(7),
        "initializer of 2 GB": _onnx_claiming(),
    }


def _onnx_claiming() -> bytes:
    """Weights that are said to have two thousand million elements."""
    model = ModelProto.FromString(onnx_models.mul_by_weights())
    model.graph.initializer[0].dims[:] = [2**31 - 1]
    return model.SerializeToString()


# TensorFlow


def _named(inputs: Sequence[str], outputs: Sequence[str]) -> tuple[Argument, ...]:
    return ("INPUTS", len(inputs), *inputs, "OUTPUTS", len(outputs), *outputs)


def _graph_bases() -> dict[str, Base]:
    plain = _named(["input"], ["output"])
    bases = {
        "fraud": Base(fraud_models.frozen_graph(), _FRAUD, _named(list(fraud_models.INPUTS), [fraud_models.OUTPUT])),
        "mul": Base(tf_models.mul(), (("FLOAT", [2, 2]), ("FLOAT", [2, 2])), _named(["a", "b"], ["mul"])),
        "rows": Base(tf_models.rows(), _X, plain),
        "scalar": Base(tf_models.scalar(), _X, plain),
        "half": Base(tf_models.half(), _X, plain),
    }
    for dtype in _DTYPES:
        bases[f"identity-{dtype}"] = Base(tf_models.identity(dtype), ((dtype, [2, 3]),), plain)
    return bases


def _graph_odd() -> dict[str, bytes]:
    return {
        "min_consumer 99999": tensorflow_mutations.with_minimum_consumer(tf_models.rows(), 99_999),
        "node of 2 GB": tensorflow_mutations.claiming_2_gb(1),
        "library of 2 GB": tensorflow_mutations.claiming_2_gb(2),
    }


def _saved_model_bases() -> dict[str, Base]:
    return {"fraud": Base(fraud_models.saved_model(), _FRAUD)}


def _nmp_saved_model() -> dict[str, Base]:
    return {"nmp": Base(tf_models.archive(_basic_pitch() / "nmp"), (("FLOAT", [1, 43844, 1]),))}


def _saved_model_odd() -> dict[str, bytes]:
    sound = fraud_models.saved_model()
    members = tensorflow_mutations.read_archive(sound)
    return {
        "members of 2 GB": tensorflow_mutations.with_members_of_2_gb(sound),
        "no saved_model.pb": tensorflow_mutations.write_tar({"variables/x": b"x"}),
        "empty archive": tensorflow_mutations.write_tar({}),
        "graph of 2 GB": tensorflow_mutations.write_tar(
            members | {"saved_model.pb": tensorflow_mutations.claiming_2_gb(2)}
        ),
    }


# LiteRT


def _tflite_bases() -> dict[str, Base]:
    bases = {
        "fraud": Base(fraud_models.tflite_model(), _FRAUD),
        "rows": Base(tflite_models.rows()),
        "fixed": Base(tflite_models.fixed()),
        "two": Base(tflite_models.two(), _PAIR),
        "both": Base(tflite_models.both(), (("BOOL", [2, 3]), ("BOOL", [2, 3]))),
        "int8": Base(tflite_models.int8(), (("INT8", [2, 4]),)),
    }
    for dtype in _DTYPES:
        bases[f"reshape-{dtype}"] = Base(tflite_models.reshape(dtype), ((dtype, [2, 3]),))
    return bases


def _nmp_tflite() -> dict[str, Base]:
    return {"nmp": Base((_basic_pitch() / "nmp.tflite").read_bytes(), (("FLOAT", [1, 43844, 1]),))}


def _tflite_odd() -> dict[str, bytes]:
    sound = tflite_models.rows()
    return {
        "schema 99": flatbuffer_mutations.with_version(sound, 99),
        "vectors of 2 GB": flatbuffer_mutations.with_vectors_of_2_gb(sound),
        "offset of 2 GB": (2**31 - 1).to_bytes(4, "little") + sound[4:],
        "mark only": b"\0\0\0\0TFL3",
    }


# PyTorch


def _torch_bases() -> dict[str, Base]:
    makers: dict[str, tuple[Callable[[], bytes], tuple[Tensor, ...]]] = {
        "identity": (torch_models.identity, _X),
        "two": (torch_models.two, _PAIR),
        "rows": (torch_models.rows, _X),
        "linear": (torch_models.linear, _X),
        "traced": (torch_models.traced, _X),
        "tuple_output": (torch_models.tuple_output, _PAIR),
        "number": (torch_models.number, (("FLOAT", [2, 3]), ("INT64", []))),
        "half": (torch_models.half, _X),
        "scalar": (torch_models.scalar, _X),
        "transposed_output": (torch_models.transposed_output, _X),
        "counter": (torch_models.counter, _X),
        "failing": (torch_models.failing, _X),
        "fraud": (fraud_models.torch_model, _FRAUD),
    }
    return {name: Base(make(), inputs) for name, (make, inputs) in makers.items()}


def _silero() -> dict[str, Base]:
    path = Path(from_environment("REDISAI_SILERO_VAD")) / "silero_vad" / "data" / "silero_vad.jit"
    return {"silero_vad": Base(path.read_bytes(), (("FLOAT", [1, 512]), ("INT64", [])))}


def _torch_odd() -> dict[str, bytes]:
    sound = torch_models.linear()
    return {
        "version 999": torch_mutations.with_version(sound, b"999\n"),
        "version 0": torch_mutations.with_version(sound, b"0\n"),
        "records of 2 GB": torch_mutations.with_records_of_2_gb(sound),
        "empty archive": torch_mutations.write_records({}),
        "other archive": torch_mutations.write_records({"x/a.txt": b"a"}),
    }


def _script_bases() -> dict[str, Base]:
    points: tuple[Argument, ...] = (
        "ENTRY_POINTS", len(engine_models.SCRIPT_ENTRY_POINTS), *engine_models.SCRIPT_ENTRY_POINTS
    )  # fmt: skip
    return {
        "engines": Base(engine_models.SCRIPT.encode(), _PAIR, points),
        "numbers": Base(_NUMBERS_SCRIPT.encode(), _PAIR, ("ENTRY_POINTS", 2, "count", "through_model")),
        "objects": Base(_OBJECTS_SCRIPT.encode(), _PAIR, ("ENTRY_POINTS", 1, "count")),
    }


_NUMBERS_SCRIPT = """
def scaled(x: Tensor, factor: float) -> Tensor:
    y = torch.mul(x, factor)
    return torch.cat([y, y], 0)

def count(tensors: List[Tensor], keys: List[str], args: List[str]):
    x = tensors[0]
    y = torch.reshape(x, [-1])
    i = 0
    while i < 10:
        y = y + scaled(y, 0.5)[0]
        i += 1
    return torch.slice(y, 0, 0, 4, 1)

def through_model(tensors: List[Tensor], keys: List[str], args: List[str]):
    x = torch.zeros([2, 3])
    x[0] = tensors[0][0]
    v = x.view([6])
    return torch.index_select(v, 0, torch.tensor([0, 1]))
"""
_OBJECTS_SCRIPT = """
def count(tensors: List[Tensor], keys: List[str], args: List[str]):
    names: Dict[str, int] = {}
    for key in keys:
        names[key] = len(key)
    parts = [float(word) for word in args]
    x = torch.tensor(parts)
    text = redis.execute("SET", "{k}x", "1")
    if len(parts) > 100:
        assert False, "too many"
    return tensors[0].sum() + x.sum()
"""


def _script_odd() -> dict[str, bytes]:
    return {
        "no function": b"x = 1\n",
        "other functions": b"def other(x: Tensor):\n    return x\n",
        "other language": b"return redis.call('GET', KEYS[1])\n",
        "syntax of later Python": b"def count(tensors, keys, args):\n    match tensors:\n        case _: return 1\n",
        "NUL": b"def count(tensors: List[Tensor], keys: List[str], args: List[str]):\n    return\0 tensors[0]\n",
        "deep": b"def f(x: Tensor):\n    return " + b"(" * 100_000 + b"x" + b")" * 100_000 + b"\n",
    }


def _nothing() -> dict[str, Base]:
    return {}


def _basic_pitch() -> Path:
    return Path(from_environment("REDISAI_BASIC_PITCH")) / "basic_pitch" / "saved_models" / "icassp_2022"


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family(
            "onnx", "ONNX", "onnx", _onnx_bases, _magika, model_mutations.damage, _onnx_odd,
            refused_bases=("external_in_function",),
        ),
        Family("graph", "TF", "pb", _graph_bases, _nothing, tensorflow_mutations.damage_graph, _graph_odd),
        Family(
            "saved_model", "TF", "tar", _saved_model_bases, _nmp_saved_model,
            tensorflow_mutations.damage_saved_model, _saved_model_odd,
        ),
        Family(
            "tflite", "TFLITE", "tflite", _tflite_bases, _nmp_tflite, flatbuffer_mutations.damage_flatbuffer,
            _tflite_odd,
        ),
        Family("torch", "TORCH", "pt", _torch_bases, _silero, torch_mutations.damage_module, _torch_odd),
        Family(
            "script", "TORCH", "py", _script_bases, _nothing, script_mutations.damage_source, _script_odd,
            is_script=True,
        ),
    )
}  # fmt: skip


def families_of(engines: Sequence[str]) -> list[Family]:
    return [family for family in FAMILIES.values() if family.engine in engines]


@functools.cache
def sound_files() -> dict[str, Base]:
    """One file of every family that is there, for those of other families to be given."""
    files = {"onnx": Base(onnx_models.mul_by_weights()), "script": _script_bases()["numbers"]}
    files["graph"] = Base(tf_models.rows())
    files["saved_model"] = Base(fraud_models.saved_model())
    files["tflite"] = Base(tflite_models.rows())
    files["torch"] = Base(torch_models.rows())
    return files


def odd_files(family: Family) -> dict[str, bytes]:
    """Files that are no models of this family, all of which have to be refused."""
    files = {"empty": b"", "one byte": b"\x08", "zeros": b"\0" * 1000, "ones": b"\xff" * 1000}
    # The client's names decide whether a TF blob is a graph; both kinds go through the same door.
    others = [
        name for name, other in FAMILIES.items() if other.engine != family.engine or other.is_script != family.is_script
    ]
    files |= {f"{name} file": sound_files()[name].blob for name in others}
    return files | family.odd()


def declared_inputs(family: Family, base: Base, blob: bytes, count: int) -> list[Tensor]:
    """Types and shapes that the damaged file should take: those of the sound one, or what an ONNX file says itself."""
    declared = _of_onnx(blob) if family.engine == "ONNX" else list(base.inputs)
    return (declared + [("FLOAT", [1])] * count)[:count]


_NAMES = {element_type: name for name, element_type in onnx_models.DTYPES.items()}
_ELEMENT_LIMIT = 100_000


def _of_onnx(blob: bytes) -> list[Tensor]:
    """As the file declares them, as far as they can be read and are of a reasonable size."""
    try:
        graph = ModelProto.FromString(blob).graph
    except DecodeError:
        return []
    initialized = {tensor.name for tensor in graph.initializer}
    return [_declared(value) for value in graph.input if value.name not in initialized]


def _declared(value) -> Tensor:  # type: ignore[no-untyped-def]
    tensor_type = value.type.tensor_type
    dims = [dim.dim_value if dim.dim_value > 0 else 2 for dim in tensor_type.shape.dim[:8]]
    size = 1
    for dim in dims:
        size *= dim
    return _NAMES.get(tensor_type.elem_type, "FLOAT"), dims if size <= _ELEMENT_LIMIT else [1] * len(dims)
