"""A cluster whose slots move under load, and then lose a primary: ``python -m reliability.cluster --help``.

Three primaries and three replicas. Slots with models, scripts and tensors go to and fro while 32 clients use them: each
client must find what it stored, and get no errors but those that redis-py handles. Then one primary is killed: its replica
takes over with its models ready. Needs REDISAI_SERVERS and REDISAI_MODULE. Ends with status 1 when something is wrong.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import redis
from redis.cluster import key_slot

from support.cluster import SHARDS, Cluster, close_slot, migrate_keys, open_slot, shard_of
from support.resp import OK
from support.server import Server, ServerKind, kinds_from_environment, module_from_environment
from support.wait import eventually

from reliability.cluster_clients import ClusterResult, ClusterTask, PatientClient, key, run_worker, set_up_commands
from reliability.command_campaign import post_mortem
from reliability.each_server import campaign_parser
from reliability.workers import WORKERS, collect

CLIENTS = 32
SLOTS_PER_SHARD = 4
# A stall of a busy machine is no death; a death is noticed soon.
NODE_TIMEOUT_MILLISECONDS = 5000
BATCH_OF_KEYS = 20
HANDLED = {"MOVED", "ASK", "TRYAGAIN"}
MODELS_PER_SLOT = 3


@dataclass
class Findings:
    """What the campaign saw on one kind of server."""

    clients: ClusterResult = field(default_factory=ClusterResult)
    moves: int = 0
    moved_keys: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    takeover_seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


def tags(seed: str, per_shard: int) -> tuple[str, ...]:
    """Hash tags, so many on each shard, of different slots."""
    chosen: dict[int, str] = {}
    numbers = random.Random(seed)
    while len(chosen) < SHARDS * per_shard:
        tag = str(numbers.randrange(10**9))
        if sum(shard_of(other) == shard_of(tag) for other in chosen.values()) < per_shard:
            chosen.setdefault(key_slot(tag.encode()), tag)
    return tuple(chosen.values())


class SlotMover(threading.Thread):
    """Moves one slot after the other to another primary, with all that is in it, until it is stopped."""

    def __init__(self, cluster: Cluster, tags: Sequence[str], seed: str) -> None:
        super().__init__(daemon=True)
        self.owners = {tag: cluster.nodes[shard_of(tag)] for tag in tags}
        self.moves = 0
        self.moved_keys = 0
        self.problem: str | None = None
        self._nodes = cluster.nodes
        self._random = random.Random(f"{seed}:mover")
        self._end = threading.Event()

    def run(self) -> None:
        try:
            while not self._end.wait(0.02):
                tag = self._random.choice(list(self.owners))
                self._move(tag, self._random.choice([node for node in self._nodes if node is not self.owners[tag]]))
        except Exception as error:  # Reported by whoever waits for the thread.
            self.problem = f"moving slots: {error!r}"

    def finish(self) -> None:
        self._end.set()
        self.join()

    def _move(self, tag: str, target: Server) -> None:
        slot, source = key_slot(tag.encode()), self.owners[tag]
        open_slot(slot, source, target)
        while moved := migrate_keys(slot, source, target, BATCH_OF_KEYS):
            self.moved_keys += moved
        close_slot(slot, source, target, *(node for node in self._nodes if node not in (source, target)))
        self.owners[tag] = target
        self.moves += 1


def campaign(cluster: Cluster, seed: str, seconds: float, clients: int, slots_per_shard: int) -> Findings:
    """Slots move for so many seconds, then a primary dies."""
    findings = Findings()
    chosen = tags(seed, slots_per_shard)
    _set_up(cluster, chosen)
    before = _errors(cluster)
    mover = SlotMover(cluster, chosen, seed)
    mover.start()
    tasks = [
        ClusterTask(cluster.nodes[0].port, seed, worker, clients // WORKERS, chosen, seconds)
        for worker in range(WORKERS)
    ]
    collect(run_worker, tasks, findings.clients)
    mover.finish()
    findings.moves, findings.moved_keys = mover.moves, mover.moved_keys
    findings.problems += findings.clients.problems + ([mover.problem] if mover.problem else [])
    findings.problems += [post_mortem(node) for node in cluster.all_nodes if not node.responsive(timeout=20)]
    if not all(node.alive() for node in cluster.all_nodes):
        return findings
    findings.errors = _errors(cluster) - before
    for check in (_unhandled_errors, _everything_is_there):
        _note(findings, lambda check=check: check(cluster, findings))
    _note(findings, lambda: _nothing_is_astray(cluster, mover.owners))
    _note(findings, lambda: _replicas_are_equal(cluster))
    _note(findings, lambda: _one_dies(cluster, mover.owners, findings))
    return findings


def _note(findings: Findings, check: Callable[[], None]) -> None:
    try:
        check()
    except (AssertionError, OSError, redis.RedisError) as error:
        findings.problems.append(str(error)[:2000])


def _set_up(cluster: Cluster, tags: Sequence[str]) -> None:
    for tag in tags:
        with cluster.raw_of(key(tag, "m")) as raw:
            for command in set_up_commands(tag):
                reply = raw.call(*command)
                assert reply == OK, (command[:2], reply)


def _errors(cluster: Cluster) -> Counter[str]:
    """How often the primaries have answered with which error."""
    counts: Counter[str] = Counter()
    for node in cluster.nodes:
        for name, value in node.info("errorstats").items():
            if name.startswith("errorstat_"):
                counts[name.removeprefix("errorstat_")] += int(value.removeprefix("count="))
    return counts


# Checks


def _unhandled_errors(cluster: Cluster, findings: Findings) -> None:
    others = {name: count for name, count in findings.errors.items() if name not in HANDLED}
    # See ClusterClient: scripts that have run commands, and whose outputs could not be stored, are not to be repeated.
    if others.get("ERR") == findings.clients.tally["scripts cut off"]:
        del others["ERR"]
    assert not others, f"errors that clients do not handle: {others}"


def _everything_is_there(cluster: Cluster, findings: Findings) -> None:
    """All tensors have the values that were last acknowledged."""
    port = next(node.port for node in cluster.all_nodes if node.alive())
    client = PatientClient(host="127.0.0.1", port=port)
    try:
        wrong = []
        for name, expected in findings.clients.values.items():
            values = client.execute_command("AI.TENSORGET", name, "VALUES")
            if [float(value) for value in values] != [expected]:
                wrong.append(f"{name} is {values}, not {expected}")
        assert not wrong, f"{len(wrong)} of {len(findings.clients.values)} tensors: {wrong[:5]}"
    finally:
        client.close()


def _nothing_is_astray(cluster: Cluster, owners: dict[str, Server]) -> None:
    for tag, owner in owners.items():
        for node in cluster.nodes:
            with node.raw() as raw:
                count = raw.call("CLUSTER", "COUNTKEYSINSLOT", key_slot(tag.encode()))
            assert (count > 0) == (node is owner), f"{count} keys of slot {tag} are on {node.port}, not {owner.port}"


def _replicas_are_equal(cluster: Cluster) -> None:
    for primary, replica in zip(cluster.nodes, cluster.replicas, strict=True):
        with primary.raw() as raw, replica.raw() as replica_raw:
            expected = raw.call("DEBUG", "DIGEST")
            eventually(lambda: replica_raw.call("DEBUG", "DIGEST") == expected, "the replica holds the same", 30)


def _one_dies(cluster: Cluster, owners: dict[str, Server], findings: Findings) -> None:
    """The primary with the most slots is killed; its replica answers for it, with the same tensors, and all models ready."""
    shard = max(range(SHARDS), key=lambda shard: sum(owner is cluster.nodes[shard] for owner in owners.values()))
    victim, heir = cluster.nodes[shard], cluster.replicas[shard]
    tags = [tag for tag, owner in owners.items() if owner is victim]
    models = str(MODELS_PER_SLOT * len(tags))
    eventually(lambda: heir.info("modules")["ai_models_ready"] == models, f"{models} models are ready beforehand", 30)
    start = time.monotonic()
    victim.kill9()
    survivors = [node for node in cluster.all_nodes if node is not victim]
    eventually(
        lambda: heir.info("replication")["role"] == "master" and all(map(_is_up, survivors)), "the replica took over", 60
    )
    findings.takeover_seconds = time.monotonic() - start
    info = heir.info("modules")
    assert (info["ai_models_ready"], info["ai_models_loading"], info["ai_scripts_ready"]) == (models, "0", str(len(tags)))
    _everything_is_there(cluster, findings)
    result = ClusterResult()
    collect(run_worker, [ClusterTask(heir.port, "after", 0, 4, tuple(tags), 2.0)], result)
    assert not result.problems and result.tally, result
    for node in survivors:
        assert node.responsive() and node.crash_report() is None, node.crash_report()


def _is_up(node: Server) -> bool:
    with node.raw() as raw:
        return b"cluster_state:ok" in raw.call("CLUSTER", "INFO")


# Command line


def run(
    kind: ServerKind,
    module: str,
    seed: str,
    seconds: float,
    *,
    clients: int = CLIENTS,
    slots_per_shard: int = SLOTS_PER_SHARD,
) -> Findings:
    """The campaign on a cluster of its own."""
    config = ("--repl-diskless-sync-delay", "0")
    with Cluster(
        kind.name,
        kind.binary,
        module,
        config=config,
        has_replicas=True,
        node_timeout=NODE_TIMEOUT_MILLISECONDS,
        lifetime=seconds + 600,
    ) as cluster:
        return campaign(cluster, seed, seconds, clients, slots_per_shard)


def main() -> int:
    parser = campaign_parser("cluster", __doc__, engines=False)
    parser.add_argument("--seconds", type=float, default=60, help="duration per server")
    options: argparse.Namespace = parser.parse_args()
    print(f"seed {options.seed}, {CLIENTS} clients, {options.seconds:g} s per server")
    problems: list[str] = []
    for kind in kinds_from_environment():
        if options.servers and kind.name not in options.servers:
            continue
        print(f"==> cluster on {kind.name}", flush=True)
        findings = run(kind, module_from_environment(), options.seed, options.seconds)
        for name, number in sorted(findings.clients.tally.items()):
            print(f"  {name:22} {number:>9,}")
        print(f"  {findings.moves:,} moves of slots with {findings.moved_keys:,} keys")
        print(f"  errors of the servers: {dict(findings.errors)}")
        print(f"  the replica took over after {findings.takeover_seconds:.1f} s")
        problems += findings.problems
    for problem in problems:
        print(f"PROBLEM {problem}", file=sys.stderr)
    print(f"{len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
