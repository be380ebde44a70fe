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

from support.resp import OK, Argument, ConnectionClosed, Error, RawClient, Status
from support.server import Server, ServerKind

from reliability.command_campaign import post_mortem
from reliability.engine_models import LIBRARIES, script_call
from reliability.model_families import Base, Family, Tensor, declared_inputs, odd_files
from reliability.processes import Footprint, footprint_when_empty, resident_bytes

RUN_TIMEOUT_MS = 1000
# An engine of 0.8 GB takes a second or more to start in the process that tries a model out.
LOAD_TIMEOUT_MS = 10_000
# Far more than both; a run or a load that is overdue is ended within moments.
HANG_SECONDS = 30.0
# Large files take a tenth of a second and more to build, the others some milliseconds.
LARGE_SHARE = 0.03
TROUBLE_LIMIT = 10
ERRORS_SHOWN = 6
RSS_TOLERANCE_BYTES = 40_000_000
USED_MEMORY_TOLERANCE_BYTES = 65_536

ADDRESS_SPACE_BYTES = 12 * 10**9

_ITEM_SIZES = {"STRING": 1, "FLOAT": 4, "DOUBLE": 8, "BOOL": 1, "INT8": 1, "INT16": 2, "INT32": 4, "INT64": 8}
_ITEM_SIZES |= {"UINT8": 1, "UINT16": 2}


def module_args(family: Family) -> tuple[str, ...]:
    """The family's engine from the start, and limits that damaged files reach soon."""
    return (
        *("MODEL_EXECUTION_TIMEOUT", str(RUN_TIMEOUT_MS)),
        *("MODEL_LOAD_TIMEOUT", str(LOAD_TIMEOUT_MS)),
        *("BACKEND_MEMORY_LIMIT", "1000"),
        *("MAX_TENSOR_SIZE", "64000000"),
        *(family.engine, LIBRARIES[family.engine]),
    )


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
    """Damaged files of a family, numbered; each depends on the seed and its number alone."""

    def __init__(self, seed: str, family: Family, large_share: float = LARGE_SHARE) -> None:
        self.family = family
        self._seed = seed
        self._bases = family.bases()
        self._large = family.large() if large_share else {}
        self._large_share = large_share if self._large else 0.0

    def file(self, number: int) -> tuple[str, Base, bytes]:
        """The base model's name, the base, and the damaged file."""
        random = Random(f"{self._seed}:model:{number}")
        bases = self._large if random.random() < self._large_share else self._bases
        name = random.choice(sorted(bases))
        return name, bases[name], self.family.damage(bases[name].blob, random)

    def random_for_runs(self, number: int) -> Random:
        return Random(f"{self._seed}:runs:{number}")


def run(kind: ServerKind, module: str, seed: str, count: int, family: Family) -> list[str]:
    """``count`` files on a server of this kind; returns the problems. A server in trouble is replaced by a new one."""
    fuzzer = ModelFuzzer(seed, family)
    tally = ModelTally()
    problems = _run_sound_and_odd_files(kind, module, family)
    number = 0
    while number < count and len(problems) < TROUBLE_LIMIT:
        with Server(kind.name, kind.binary, module, module_args=module_args(family), lifetime=6 * 3600) as server:
            limit_address_space(server)
            number, found = run_range(server, fuzzer, tally, number, count)
            for problem in found:
                print(f"  TROUBLE {problem.splitlines()[0]}", flush=True)
            problems += found
    _report(tally, number)
    return [f"{kind.name} {family.name}: {problem}" for problem in problems]


def _run_sound_and_odd_files(kind: ServerKind, module: str, family: Family) -> list[str]:
    with Server(kind.name, kind.binary, module, module_args=module_args(family), lifetime=3600) as server:
        limit_address_space(server)
        problems = try_sound_files(server, family) + try_odd_files(server, family)
        report = server.crash_report()
        return problems + ([report] if report else [])


def limit_address_space(server: Server) -> None:
    """A file that makes the engine take all memory is to bring down the server and not the machine."""
    resource.prlimit(server.pid, resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))


def try_sound_files(server: Server, family: Family) -> list[str]:
    """A test of the test: the bases are stored and run, or nothing would be learnt from what is done to them."""
    problems = []
    for name, base in {**family.bases(), **family.large()}.items():
        tally = ModelTally()
        try:
            _try_file(server, family, base, base.blob, tally, Random(name))
        except (OSError, ConnectionClosed, AssertionError) as error:
            return [*problems, f"sound file {name}, {tally.last_step}: {error!r}\n{post_mortem(server)}"]
        if not tally.outcomes["stored"] and name not in family.refused_bases:
            problems.append(f"sound file {name} is refused: {dict(tally.errors)}")
        if tally.outcomes["stored"] and name in family.refused_bases:
            problems.append(f"sound file {name} is stored and was to be refused")
    return problems


def try_odd_files(server: Server, family: Family) -> list[str]:
    """Files that are no models of the family: an error each, soon, and no key."""
    problems = []
    base = next(iter(family.bases().values()))
    for name, blob in odd_files(family).items():
        start = time.monotonic()
        try:
            with RawClient(server.port, timeout=HANG_SECONDS) as client:
                reply = client.call(*family.store_command("m", base, blob))
                there = client.call("EXISTS", "m")
                client.call("FLUSHALL")
        except (OSError, ConnectionClosed) as error:
            return [*problems, f"{name}: {error!r}\n{post_mortem(server)}"]
        shown = reply.text if isinstance(reply, Error) else reply
        print(f"  {name:26} {len(blob):>8,} bytes  {time.monotonic() - start:5.2f} s  {shown!s:.90}", flush=True)
        if not isinstance(reply, Error) or there:
            problems.append(f"{name} is not refused: {reply}")
    return problems


def run_range(
    server: Server, fuzzer: ModelFuzzer, tally: ModelTally, first: int, end: int, footprints_every: int = 250
) -> tuple[int, list[str]]:
    """Files ``first ..< end``, or up to the one that brings the server into trouble; the next number and problems."""
    footprints: list[Footprint] = []
    for number in range(first, end):
        name, base, blob = fuzzer.file(number)
        try:
            _try_file(server, fuzzer.family, base, blob, tally, fuzzer.random_for_runs(number))
        except (OSError, ConnectionClosed, AssertionError) as error:
            return number + 1, [_describe_trouble(server, tally.last_step, number, name, fuzzer.family, blob, error)]
        if number % footprints_every == footprints_every - 1:
            footprints.append(footprint_when_empty(server))
            print(f"  {number + 1:,} files; empty: {footprints[-1]}", flush=True)
    report = server.crash_report()
    return end, _memory_problems(footprints) + ([report] if report else [])


def _try_file(server: Server, family: Family, base: Base, blob: bytes, tally: ModelTally, random: Random) -> None:
    """Store, look, run with three kinds of inputs, delete; every answer within its time."""
    with RawClient(server.port, timeout=HANG_SECONDS) as client:
        tally.last_step = "store"
        start = time.monotonic()
        reply = client.call(*family.store_command("m", base, blob))
        tally.slowest_store = max(tally.slowest_store, time.monotonic() - start)
        if isinstance(reply, Error):
            tally.outcomes["refused"] += 1
            tally.errors[reply.text[:70]] += 1
            assert client.call("EXISTS", "m") == 0, "an error, and yet a model"
            return
        assert reply == OK, reply
        tally.outcomes["stored"] += 1
        calls = _calls(client, family, base, blob)
        for filling in ("zeros", "random", "odd"):
            for tensors, words in calls:
                tally.last_step = f"run {words[:2]} with {filling}"
                start = time.monotonic()
                reply = _run(client, tensors, words, filling, random)
                tally.slowest_run = max(tally.slowest_run, time.monotonic() - start)
                tally.outcomes["run failed" if isinstance(reply, Error) else "ran"] += 1
        tally.last_step = "delete"
        assert client.call("AI.SCRIPTDEL" if family.is_script else "AI.MODELDEL", "m") == OK
        client.call("FLUSHALL")


def _calls(client: RawClient, family: Family, base: Base, blob: bytes) -> list[tuple[list[Tensor], list[Argument]]]:
    """The tensors to set and the command to send, for each way to run what has been stored."""
    if family.is_script:
        points = base.options[2:]
        tensors = list(base.inputs)
        keys = [f"i{index}" for index in range(len(tensors))]
        return [
            (tensors, script_call("m", str(point), keys, ["o0"], keys=["k"], arguments=arguments))
            for point in points
            for arguments in (["3"], ["m", "x"])
        ]
    meta = client.call("AI.MODELGET", "m", "META")
    inputs, outputs = len(meta[11]), len(meta[13])
    tensors = declared_inputs(family, base, blob, inputs)
    # A model without inputs or outputs cannot be run at all.
    words: list[Argument] = ["AI.MODELEXECUTE", "m", "INPUTS", len(tensors)]
    words += [f"i{index}" for index in range(len(tensors))]
    return [(tensors, words + ["OUTPUTS", outputs, *(f"o{index}" for index in range(outputs))])]


def _run(
    client: RawClient, tensors: Sequence[Tensor], command: Sequence[Argument], filling: str, random: Random
) -> Status | Error:
    """Sets the inputs and sends the command; its reply."""
    for index, (dtype, dims) in enumerate(tensors):
        if filling == "odd":
            dims = [*dims[:-1], random.choice((1, 5)), 2][: random.randrange(4)]
        reply = client.call("AI.TENSORSET", f"i{index}", dtype, *dims, *_data(dtype, dims, filling, random))
        assert reply == OK, reply
    reply = client.call(*command)
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


def _describe_trouble(
    server: Server, step: str, number: int, name: str, family: Family, blob: bytes, error: Exception
) -> str:
    """Keeps the file and says what happened."""
    # A server that is about to die may need a moment to write its report.
    time.sleep(1)
    memory = f"RSS {resident_bytes(server.pid) / 1e6:.0f} MB"
    folder = Path(tempfile.mkdtemp(prefix="redisai-fuzz-"))
    path = folder / f"{number}-{name}.{family.suffix}"
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
    for text, times in tally.errors.most_common(ERRORS_SHOWN):
        print(f"    {times:>6,} x {text}")
    print(f"  slowest store {tally.slowest_store:.2f} s, slowest run {tally.slowest_run:.2f} s")
