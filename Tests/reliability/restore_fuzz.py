"""Damaged payloads of RESTORE against real servers: ``python -m reliability.restore_fuzz --help``.

Each payload has a right checksum, so that the damage reaches the module's readers. A reader of our own says what has to
come of it (``restore_oracle``): an error, or a value that DUMP writes as expected, that can be read back, copied and
restored once more with the same digest. Needs REDISAI_SERVERS and REDISAI_MODULE. Ends with status 1 when a server dies or
hangs, when an answer is wrong, or when memory is kept.

Most payloads go to a server without engines: what is read there is kept and not built. A share goes to one with all of
them, where models and scripts are tried out.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from support import dump
from support.resp import OK, ConnectionClosed, Error, ProtocolViolation, RawClient
from support.server import Server, ServerKind, kinds_from_environment, module_from_environment

from reliability.command_campaign import post_mortem
from reliability.each_server import campaign_parser
from reliability.engine_models import LIBRARIES
from reliability.model_campaign import limit_address_space
from reliability.processes import Footprint, footprint_when_empty
from reliability.restore_mutations import Payloads
from reliability.restore_oracle import TYPES, Undecided, expected

NO_ENGINES = ("BACKENDSPATH", "/nonexistent")
ALL_ENGINES = tuple(word for engine in LIBRARIES.items() for word in engine)
BATCH = 200
STAGES = 10
HANG_SECONDS = 30.0
FINDING_LIMIT = 20
USED_MEMORY_TOLERANCE_BYTES = 65_536
RSS_TOLERANCE_BYTES = 16_000_000
REFUSED = "ERR Bad data format"
# Of payloads that are built as well: each costs an engine's process.
BUILT_SHARE = 0.01

_READ = {
    "AI_TENSOR": (["AI.TENSORGET", "k", "META", "BLOB"], ["AI.TENSORGET", "k", "VALUES"]),
    "AI__MODEL": (["AI.MODELGET", "k"], ["AI.INFO", "k", "STATE"]),
    "AI_SCRIPT": (["AI.SCRIPTGET", "k"], ["AI.INFO", "k", "STATE"]),
}
_SIZES = {
    **{b"FLOAT": 4, b"DOUBLE": 8, b"INT8": 1, b"INT16": 2, b"INT32": 4, b"INT64": 8},
    **{b"UINT8": 1, b"UINT16": 2, b"BOOL": 1},
}


@dataclass
class Tally:
    """What became of the payloads."""

    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)


class Campaign:
    """The payloads of a seed on one server. ``is_built``: the server has engines, and names may be the engine's."""

    def __init__(self, server: Server, seed: str, tally: Tally, is_built: bool = False) -> None:
        self._server = server
        self._payloads = Payloads(seed)
        self._tally = tally
        self._is_built = is_built

    def run(self, type_name: str, first: int, end: int) -> str | None:
        """Payloads ``first ..< end``; returns what brought the server into trouble."""
        for start in range(first, end, BATCH):
            numbers = range(start, min(end, start + BATCH))
            try:
                with RawClient(self._server.port, timeout=HANG_SECONDS) as client:
                    self._run_batch(client, type_name, numbers)
            except (OSError, ConnectionClosed, ProtocolViolation) as error:
                return f"{type_name} {numbers}: {error!r}\n{post_mortem(self._server)}"
            if len(self._tally.findings) >= FINDING_LIMIT:
                break
        return None

    def _run_batch(self, client: RawClient, type_name: str, numbers: range) -> None:
        payloads = [dump.seal(self._payloads.body(type_name, number)) for number in numbers]
        read = _READ[type_name]
        steps = len(read) + 3
        commands: list[list[Any]] = []
        for payload in payloads:
            commands += [["RESTORE", "k", 0, payload, "REPLACE"], *read]
            commands += [["DUMP", "k"], ["DEBUG", "DIGEST-VALUE", "k"], ["DEL", "k"]]
        replies = client.pipeline(commands)
        restored = []
        for index, (number, payload) in enumerate(zip(numbers, payloads)):
            answers = replies[index * (steps + 1) : (index + 1) * (steps + 1)]
            complaint = self._complaint(type_name, payload, answers)
            if complaint:
                self._tally.findings.append(f"{type_name} {number}: {complaint}\n    {payload.hex()}")
            elif answers[0] == OK and not self._is_built:
                restored.append((number, answers[-3], answers[-2]))
        self._restore_again(client, type_name, restored)

    def _restore_again(self, client: RawClient, type_name: str, restored: list[tuple[int, bytes, Any]]) -> None:
        """What DUMP has written is the same value; so is a copy."""
        commands: list[list[Any]] = []
        for _, payload, _ in restored:
            commands += [["RESTORE", "k", 0, payload, "REPLACE"], ["COPY", "k", "l", "REPLACE"]]
            commands += [["DEBUG", "DIGEST-VALUE", "k", "l"], ["DEL", "k", "l"]]
        replies = client.pipeline(commands)
        for index, (number, _, digest) in enumerate(restored):
            answers = replies[index * 4 : index * 4 + 4]
            if answers != [OK, 1, [digest[0], digest[0]], 2]:
                self._tally.findings.append(f"{type_name} {number}: not the same again: {digest} {answers}")

    def _complaint(self, type_name: str, payload: bytes, answers: list[Any]) -> str | None:
        restored, *read, dumped, digest, deleted = answers
        self._tally.outcomes["restored" if restored == OK else "refused"] += 1
        try:
            wanted = expected(payload)
        except Undecided:
            self._tally.outcomes["undecided"] += 1
            return None
        if wanted is None:
            return None if restored == Error(REFUSED) and deleted == 0 else f"{restored} and {deleted} instead of an error"
        if restored != OK:
            return f"{restored} instead of a value"
        if type_name != wanted[0]:
            return None if digest and deleted == 1 else f"{digest}, {deleted}"
        if any(isinstance(answer, Error) for answer in [*read, digest]) or deleted != 1:
            return f"{read}, {digest}, {deleted}"
        got = dump.decode(dumped)
        if (got.type_name, got.version) != (wanted[0], 4) or not self._is_same(type_name, got.values, wanted[1]):
            return f"{got} instead of {wanted}"
        return _unequal_tensor(read) if type_name == "AI_TENSOR" else None

    def _is_same(self, type_name: str, got: list[Any], wanted: list[Any]) -> bool:
        if type_name == "AI__MODEL" and self._is_built:
            # The names may have come from the model itself by now.
            return got[:6] == wanted[:6] and got[-1] == wanted[-1]
        return got == wanted


def _unequal_tensor(read: list[Any]) -> str | None:
    """The replies of AI.TENSORGET among themselves."""
    (_, dtype, _, shape, _, blob), values = read
    count = 1
    for dim in shape:
        count *= dim
    if len(values) != count or (dtype in _SIZES and len(blob) != count * _SIZES[dtype]):
        return f"{dtype} {shape} has {len(blob)} bytes and {len(values)} values"
    return None


def fuzz(kind: ServerKind, seed: str, count: int) -> list[str]:
    """``count`` payloads per type on a server without engines, and a share of them on one with engines."""
    problems: list[str] = []
    for module_args, share, name in (
        (NO_ENGINES, 1.0, "reading"),
        (ALL_ENGINES, BUILT_SHARE, "reading and building"),
    ):
        tally = Tally()
        module = module_from_environment()
        with Server(kind.name, kind.binary, module, module_args=module_args, lifetime=6 * 3600) as server:
            limit_address_space(server)
            campaign = Campaign(server, seed, tally, is_built=module_args == ALL_ENGINES)
            troubles, footprints = _run_stages(server, campaign, max(STAGES, int(count * share)))
            report = server.crash_report()
        print(f"  {name}: {dict(tally.outcomes)}, {len(tally.findings)} findings")
        problems += troubles + tally.findings + memory_problems(footprints) + ([report] if report else [])
    return [f"{kind.name}: {problem}" for problem in problems]


def _run_stages(server: Server, campaign: Campaign, count: int) -> tuple[list[str], list[Footprint]]:
    footprints = [footprint_when_empty(server)]
    size = -(-count // STAGES)
    for stage in range(STAGES):
        start = time.monotonic()
        for type_name in TYPES:
            trouble = campaign.run(type_name, stage * size, min(count, (stage + 1) * size))
            if trouble:
                return [trouble], footprints
        footprints.append(_settled(server))
        print(f"  {(stage + 1) * size:,} per type, {time.monotonic() - start:.0f} s; empty: {footprints[-1]}", flush=True)
    return [], footprints


def _settled(server: Server) -> Footprint:
    """When nothing waits to be built any more."""
    deadline = time.monotonic() + 300
    while server.info("modules")["ai_pending_loads"] != "0" and time.monotonic() < deadline:
        time.sleep(0.1)
    return footprint_when_empty(server)


def memory_problems(footprints: list[Footprint]) -> list[str]:
    """Growth from the third stage, when every path has been taken, to the last."""
    if len(footprints) < 4:
        return []
    start, end = footprints[3], footprints[-1]
    problems = []
    if end.used_memory > start.used_memory + USED_MEMORY_TOLERANCE_BYTES:
        problems.append(f"used_memory grows: {start} -> {end}")
    if end.rss > start.rss + RSS_TOLERANCE_BYTES:
        problems.append(f"RSS grows: {start} -> {end}")
    return problems


def _kinds(names: list[str]) -> Iterator[ServerKind]:
    return (kind for kind in kinds_from_environment() if not names or kind.name in names)


def main() -> int:
    parser = campaign_parser("restore_fuzz", __doc__, engines=False)
    parser.add_argument("--count", type=int, default=100_000, help="payloads per type and server")
    options = parser.parse_args()
    print(f"seed {options.seed} (repeat with SEED={options.seed}), {options.count:,} payloads per type")
    problems: list[str] = []
    for kind in _kinds(options.servers):
        print(f"==> {kind.name}", flush=True)
        problems += fuzz(kind, options.seed, options.count)
    for problem in problems:
        print(f"PROBLEM {problem}", file=sys.stderr)
    print(f"seed {options.seed}: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
