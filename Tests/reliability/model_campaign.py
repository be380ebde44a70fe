"""Stores, runs and deletes damaged model files on one server and watches it."""

from __future__ import annotations

import resource
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto
from support import onnx_models
from support.resp import OK, Argument, ConnectionClosed, Error, RawClient, Status
from support.server import Server, ServerKind

from reliability import model_corpus
from reliability.command_campaign import post_mortem
from reliability.model_mutations import damage
from reliability.processes import Footprint, footprint_when_empty, resident_bytes

RUN_TIMEOUT_MS = 1000
LOAD_TIMEOUT_MS = 5000
# Far more than both; a run or a load that is overdue is ended within moments.
HANG_SECONDS = 20.0
MODULE_ARGS = (
    "MODEL_EXECUTION_TIMEOUT",
    str(RUN_TIMEOUT_MS),
    "MODEL_LOAD_TIMEOUT",
    str(LOAD_TIMEOUT_MS),
    "BACKEND_MEMORY_LIMIT",
    "1000",
    "MAX_TENSOR_SIZE",
    "64000000",
    "ONNX",
    "redisai_onnxruntime/redisai_onnxruntime.so",
)
# Magika takes a tenth of a second to build, the others some milliseconds.
MAGIKA_SHARE = 0.03
TROUBLE_LIMIT = 10
RSS_TOLERANCE_BYTES = 40_000_000
USED_MEMORY_TOLERANCE_BYTES = 65_536

ADDRESS_SPACE_BYTES = 12 * 10**9

_ITEM_SIZES = {"STRING": 1, "FLOAT": 4, "DOUBLE": 8, "BOOL": 1, "INT8": 1, "INT16": 2, "INT32": 4, "INT64": 8}
_ITEM_SIZES |= {"UINT8": 1, "UINT16": 2}
_NAMES = {element_type: name for name, element_type in onnx_models.DTYPES.items()}
_ELEMENT_LIMIT = 100_000

Tensor = tuple[str, Sequence[int]]


@dataclass
class ModelTally:
    """What became of the files."""

    outcomes: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    slowest_store: float = 0.0
    slowest_run: float = 0.0
    # What is told of a server in trouble.
    last_step: str = ""


class ModelFuzzer:
    """Damaged files, numbered; each depends on the seed and its number alone."""

    def __init__(self, seed: str, magika_share: float = MAGIKA_SHARE) -> None:
        self._seed = seed
        self._magika_share = magika_share
        self._bases = model_corpus.small_models()
        self._magika = model_corpus.magika() if magika_share else b""

    def file(self, number: int) -> tuple[str, bytes]:
        """The base model's name and the damaged file."""
        random = Random(f"{self._seed}:model:{number}")
        if random.random() < self._magika_share:
            return "magika", damage(self._magika, random)
        name = random.choice(sorted(self._bases))
        return name, damage(self._bases[name], random)

    def random_for_runs(self, number: int) -> Random:
        return Random(f"{self._seed}:runs:{number}")


def run(kind: ServerKind, module: str, seed: str, count: int) -> list[str]:
    """``count`` files on a server of this kind; returns the problems. A server in trouble is replaced by a new one."""
    fuzzer = ModelFuzzer(seed)
    tally = ModelTally()
    problems: list[str] = []
    number = 0
    while number < count and len(problems) < TROUBLE_LIMIT:
        with Server(kind.name, kind.binary, module, module_args=MODULE_ARGS, lifetime=6 * 3600) as server:
            limit_address_space(server)
            number, found = run_range(server, fuzzer, tally, number, count)
            problems += found
    _report(tally, number)
    return problems


def limit_address_space(server: Server) -> None:
    """A file that makes the engine take all memory is to bring down the server and not the machine."""
    resource.prlimit(server.pid, resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))


def run_range(
    server: Server, fuzzer: ModelFuzzer, tally: ModelTally, first: int, end: int, footprints_every: int = 250
) -> tuple[int, list[str]]:
    """Files ``first ..< end``, or up to the one that brings the server into trouble; the next number and problems."""
    footprints: list[Footprint] = []
    for number in range(first, end):
        name, blob = fuzzer.file(number)
        try:
            _try_file(server, blob, tally, fuzzer.random_for_runs(number))
        except (OSError, ConnectionClosed, AssertionError) as error:
            return number + 1, [_describe_trouble(server, tally.last_step, number, name, blob, error)]
        if number % footprints_every == footprints_every - 1:
            footprints.append(footprint_when_empty(server))
            print(f"  {number + 1:,} files; empty: {footprints[-1]}", flush=True)
    report = server.crash_report()
    return end, _memory_problems(footprints) + ([report] if report else [])


def _try_file(server: Server, blob: bytes, tally: ModelTally, random: Random) -> None:
    """Store, look, run with three kinds of inputs, delete; every answer within its time."""
    with RawClient(server.port, timeout=HANG_SECONDS) as client:
        tally.last_step = "store"
        start = time.monotonic()
        reply = client.call("AI.MODELSTORE", "m", "ONNX", "CPU", "BLOB", blob)
        tally.slowest_store = max(tally.slowest_store, time.monotonic() - start)
        if isinstance(reply, Error):
            tally.outcomes["refused"] += 1
            tally.errors[reply.text[:70]] += 1
            assert client.call("EXISTS", "m") == 0, "an error, and yet a model"
            return
        assert reply == OK, reply
        tally.outcomes["stored"] += 1
        meta = client.call("AI.MODELGET", "m", "META")
        inputs, outputs = len(meta[11]), len(meta[13])
        for filling in ("zeros", "random", "odd"):
            tally.last_step = f"run with {filling}"
            start = time.monotonic()
            reply = _run(client, _declared_inputs(blob, inputs), outputs, filling, random)
            tally.slowest_run = max(tally.slowest_run, time.monotonic() - start)
            tally.outcomes["run failed" if isinstance(reply, Error) else "ran"] += 1
        tally.last_step = "delete"
        assert client.call("AI.MODELDEL", "m") == OK
        client.call("FLUSHALL")


def _declared_inputs(blob: bytes, count: int) -> list[Tensor]:
    """Types and shapes as the file declares them, as far as they can be read and are of a reasonable size."""
    try:
        graph = ModelProto.FromString(blob).graph
    except DecodeError:
        return [("FLOAT", [1])] * count
    initialized = {tensor.name for tensor in graph.initializer}
    declared = [_declared(value) for value in graph.input if value.name not in initialized]
    return (declared + [("FLOAT", [1])] * count)[:count]


def _declared(value: Any) -> Tensor:
    tensor_type = value.type.tensor_type
    dims = [dim.dim_value if dim.dim_value > 0 else 2 for dim in tensor_type.shape.dim[:8]]
    size = 1
    for dim in dims:
        size *= dim
    element_type = tensor_type.elem_type if tensor_type.elem_type in _NAMES else TensorProto.FLOAT
    return _NAMES[element_type], dims if size <= _ELEMENT_LIMIT else [1] * len(dims)


def _run(client: RawClient, tensors: Sequence[Tensor], outputs: int, filling: str, random: Random) -> Any:
    """One AI.MODELEXECUTE; its reply. A model without inputs or outputs cannot be run at all."""
    for index, (dtype, dims) in enumerate(tensors):
        if filling == "odd":
            dims = [*dims[:-1], random.choice((1, 5)), 2][: random.randrange(4)]
        reply = client.call("AI.TENSORSET", f"i{index}", dtype, *dims, *_data(dtype, dims, filling, random))
        assert reply == OK, reply
    names: list[Argument] = ["INPUTS", len(tensors), *(f"i{index}" for index in range(len(tensors)))]
    names += ["OUTPUTS", outputs, *(f"o{index}" for index in range(outputs))]
    reply = client.call("AI.MODELEXECUTE", "m", *names)
    assert isinstance(reply, (Status, Error)), reply
    return reply


def _data(dtype: str, dims: Sequence[int], filling: str, random: Random) -> list[Argument]:
    if filling == "zeros":
        # With no dimensions at all a word has to follow.
        return [] if dims else ["VALUES", "0"]
    count = 1
    for dim in dims:
        count *= dim
    if dtype == "STRING":
        return ["BLOB", b"".join(random.choice((b"a\0", b"\0", b"\xff\xfe\0")) for _ in range(count))]
    if dtype == "BOOL":
        return ["BLOB", bytes(random.choice((0, 1)) for _ in range(count))]
    if dtype == "INT64" and random.random() < 0.7:
        # Random 64-bit numbers are never a plausible position.
        return ["BLOB", b"".join(random.randrange(-3, 10).to_bytes(8, "little", signed=True) for _ in range(count))]
    return ["BLOB", random.randbytes(count * _ITEM_SIZES[dtype])]


def _describe_trouble(server: Server, step: str, number: int, name: str, blob: bytes, error: Exception) -> str:
    """Keeps the file and says what happened."""
    # A server that is about to die may need a moment to write its report.
    time.sleep(1)
    memory = f"RSS {resident_bytes(server.pid) / 1e6:.0f} MB"
    folder = Path(tempfile.mkdtemp(prefix="redisai-fuzz-"))
    path = folder / f"{number}-{name}.onnx"
    path.write_bytes(blob)
    return f"file {number} ({name}, kept as {path}), {step}: {error!r}, {memory}\n{post_mortem(server)}"


def _memory_problems(footprints: Sequence[Footprint]) -> list[str]:
    """Growth over the second half."""
    if len(footprints) < 4:
        return []
    middle, last = footprints[len(footprints) // 2 - 1], footprints[-1]
    problems = []
    if last.used_memory > middle.used_memory + USED_MEMORY_TOLERANCE_BYTES:
        problems.append(f"used_memory grows: {middle} -> {last}")
    if last.rss > middle.rss + RSS_TOLERANCE_BYTES:
        problems.append(f"RSS grows: {middle} -> {last}")
    return problems


def _report(tally: ModelTally, number: int) -> None:
    print(f"  {number:,} files: {dict(tally.outcomes)}; {len(tally.errors)} different errors")
    print(f"  slowest store {tally.slowest_store:.2f} s, slowest run {tally.slowest_run:.2f} s")
