"""A cluster of three shards, each a real server with the module in a private directory, and a replica if wanted.

    with Cluster("redis7", "/usr/bin/redis-server", "dist/redisai.so") as cluster:
        cluster.client().execute_command("AI.TENSORGET", "x")   # redis-py, finds the shard by itself
        cluster.node_of("x").raw().call("AI.TENSORGET", "x")    # exact protocol values
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis
from redis.cluster import key_slot

from support.resp import DEFAULT_TIMEOUT_SECONDS, OK, Argument, RawClient, Status, encode_argument
from support.server import Server, ServerStartError, free_port, tail
from support.wait import eventually

SHARDS = 3
NOKEY = Status("NOKEY")
SLOTS = 16384
FORM_TIMEOUT_SECONDS = 30.0
AGREEMENT_TIMEOUT_SECONDS = 30.0
# Nobody fails over by accident: a node that was slow for a moment must not make the others say that the cluster is down.
NODE_TIMEOUT_MILLISECONDS = 15000


def slots_of(shard: int) -> tuple[int, int]:
    """The first and the last slot of a shard."""
    return SLOTS * shard // SHARDS, SLOTS * (shard + 1) // SHARDS - 1


def shard_of(key: Argument) -> int:
    """The shard that holds the key."""
    slot = key_slot(encode_argument(key))
    return next(shard for shard in range(SHARDS) if slot <= slots_of(shard)[1])


def tag_of(shard: int) -> str:
    """A hash tag: keys with ``{tag}`` in them are on that shard."""
    return next(tag for tag in map(str, range(SLOTS)) if shard_of(tag) == shard)


class Cluster:
    """Three servers with a third of the slots each, and as many replicas if ``has_replicas``; ``module_args`` and ``config``
    are as for ``Server``. A primary that is silent for ``node_timeout`` milliseconds loses its place to its replica.
    """

    def __init__(
        self,
        kind: str,
        binary: str,
        module: str | None,
        module_args: Sequence[str] = (),
        config: Sequence[str] = (),
        *,
        has_replicas: bool = False,
        node_timeout: int = NODE_TIMEOUT_MILLISECONDS,
        lifetime: float = 1800.0,
    ) -> None:
        self.kind = kind
        self.binary = binary
        self.module = module
        self.module_args = module_args
        self.config = tuple(config)
        self.has_replicas = has_replicas
        self.node_timeout = node_timeout
        self.lifetime = lifetime
        # The primaries, by shard, and their replicas.
        self.nodes: list[Server] = []
        self.replicas: list[Server] = []
        self._clients: list[redis.RedisCluster] = []

    def __enter__(self) -> Cluster:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    # Life

    def start(self) -> Cluster:
        """Start the servers and wait until every one of them knows where all slots are."""
        for _ in range(SHARDS):
            self.nodes.append(self._start_node())
        self._assign_slots()
        eventually(self._formed, "the cluster has formed", FORM_TIMEOUT_SECONDS)
        if self.has_replicas:
            self._add_replicas()
        return self

    def close(self) -> None:
        """End the servers by pid and remove their directories."""
        for client in self._clients:
            client.close()
        self._clients.clear()
        for node in self.all_nodes:
            node.close()
        self.nodes.clear()
        self.replicas.clear()

    def flush(self) -> None:
        """Delete the keys of all shards."""
        for node in self.nodes:
            with node.raw() as raw:
                assert raw.call("FLUSHALL") == OK

    def assert_healthy(self) -> None:
        """No node has died, or become deaf, or logged a crash."""
        for node in self.all_nodes:
            assert node.responsive(), f"a shard does not answer\n{tail(node.log_text())}"
            assert node.crash_report() is None, node.crash_report()

    # Looking inside

    @property
    def all_nodes(self) -> list[Server]:
        return [*self.nodes, *self.replicas]

    @property
    def addresses(self) -> list[str]:
        return [f"127.0.0.1:{node.port}" for node in self.nodes]

    def node_of(self, key: Argument) -> Server:
        """The server that holds the key."""
        return self.nodes[shard_of(key)]

    def raw_of(self, key: Argument) -> RawClient:
        """A raw connection to the server that holds the key."""
        return self.node_of(key).raw()

    def client(self, **options: Any) -> redis.RedisCluster:
        """A redis-py client of the whole cluster, replies as bytes; closed with the cluster."""
        options.setdefault("socket_timeout", DEFAULT_TIMEOUT_SECONDS)
        client = redis.RedisCluster(host="127.0.0.1", port=self.nodes[0].port, **options)
        self._clients.append(client)
        return client

    # Internals

    def _start_node(self) -> Server:
        for attempt in range(3):
            # The default, port + 10000, may be no port at all.
            bus = str(free_port())
            config = ("--cluster-enabled", "yes", "--cluster-port", bus)
            config += ("--cluster-node-timeout", str(self.node_timeout), *self.config)
            node = Server(
                self.kind,
                self.binary,
                self.module,
                module_args=self.module_args,
                config=config,
                lifetime=self.lifetime,
            )
            try:
                return node.start()
            except ServerStartError as error:
                node.close()
                if "Address already in use" not in error.log or attempt == 2:
                    raise
        raise AssertionError("unreachable")

    def _assign_slots(self) -> None:
        for shard, node in enumerate(self.nodes):
            with node.raw() as raw:
                assert raw.call("CLUSTER", "SET-CONFIG-EPOCH", shard + 1) == OK
                assert raw.call("CLUSTER", "ADDSLOTSRANGE", *slots_of(shard)) == OK
                for other in self.nodes[:shard]:
                    assert raw.call("CLUSTER", "MEET", "127.0.0.1", other.port, _bus_port(other)) == OK

    def _add_replicas(self) -> None:
        for primary in self.nodes:
            replica = self._start_node()
            self.replicas.append(replica)
            with replica.raw() as raw, primary.raw() as primary_raw:
                identity = primary_raw.call("CLUSTER", "MYID")
                assert raw.call("CLUSTER", "MEET", "127.0.0.1", primary.port, _bus_port(primary)) == OK
                eventually(
                    lambda: raw.call("CLUSTER", "REPLICATE", identity) == OK,
                    "the replica knows its primary",
                    FORM_TIMEOUT_SECONDS,
                )
        eventually(self._has_all_replicas, "the replicas are connected, and known", FORM_TIMEOUT_SECONDS)

    def _has_all_replicas(self) -> bool:
        if any(replica.info("replication").get("master_link_status") != "up" for replica in self.replicas):
            return False
        for node in self.all_nodes:
            with node.raw() as raw:
                if any(len(shard) < 4 for shard in raw.call("CLUSTER", "SLOTS")):
                    return False
        return True

    def _formed(self) -> bool:
        return all(self._knows_all_slots(node) for node in self.nodes)

    def _knows_all_slots(self, node: Server) -> bool:
        with node.raw() as raw:
            info = raw.call("CLUSTER", "INFO").decode()
            owners = {first: port for first, _, (_, port, *_), *_ in raw.call("CLUSTER", "SLOTS")}
        wanted = {slots_of(shard)[0]: other.port for shard, other in enumerate(self.nodes)}
        return "cluster_state:ok" in info and owners == wanted


def identity_of(node: Server) -> bytes:
    """The name by which the nodes know each other."""
    with node.raw() as raw:
        return raw.call("CLUSTER", "MYID")


def primaries_seen_by(node: Server) -> dict[str, tuple[str, tuple[str, ...]]]:
    """For each primary, by its name, its configuration epoch and the slots it owns, as this node has heard of them."""
    with node.raw() as raw:
        lines = [line.split() for line in raw.call("CLUSTER", "NODES").decode().splitlines()]
    # name, address, flags, primary, times of ping and pong, epoch, link, slots; in brackets slots on their way
    return {
        words[0]: (words[6], tuple(word for word in words[8:] if not word.startswith("[")))
        for words in lines
        if "master" in words[2]
    }


def agree(first: Server, second: Server) -> None:
    """Wait until both nodes have heard of the last changes of each other.

    Who takes a slot over gets an epoch above all that it knows of. A higher one that is still on its way to it, from the owner
    before, would take the slot back as soon as it arrives.
    """
    eventually(
        lambda: primaries_seen_by(first) == primaries_seen_by(second), "the nodes agree", AGREEMENT_TIMEOUT_SECONDS
    )


def open_slot(slot: int, source: Server, target: Server) -> None:
    """Begin to move a slot, as redis-cli does it: new keys go to the target, clients are redirected there one by one."""
    agree(source, target)
    with source.raw() as source_raw, target.raw() as target_raw:
        assert target_raw.call("CLUSTER", "SETSLOT", slot, "IMPORTING", identity_of(source)) == OK
        assert source_raw.call("CLUSTER", "SETSLOT", slot, "MIGRATING", identity_of(target)) == OK


def migrate_keys(slot: int, source: Server, target: Server, count: int = 10_000) -> int:
    """Move so many keys of an open slot at most; returns their number."""
    with source.raw() as raw:
        keys = raw.call("CLUSTER", "GETKEYSINSLOT", slot, count)
        if keys:
            # A key may have expired or been deleted in the meantime.
            reply = raw.call("MIGRATE", "127.0.0.1", target.port, "", 0, 10000, "KEYS", *keys)
            assert reply in (OK, NOKEY), reply
        return len(keys)


def close_slot(slot: int, source: Server, target: Server, *others: Server) -> None:
    """Give the slot, which has no keys left at the source, to the target: that learns of it first. Other primaries that are
    not named hear of it after a while."""
    identity = identity_of(target)
    for node in (target, source, *others):
        with node.raw() as raw:
            assert raw.call("CLUSTER", "SETSLOT", slot, "NODE", identity) == OK


def move_slot(slot: int, source: Server, target: Server) -> None:
    """All of it, while nobody writes."""
    open_slot(slot, source, target)
    migrate_keys(slot, source, target)
    close_slot(slot, source, target)


def _bus_port(node: Server) -> str:
    return node.config[node.config.index("--cluster-port") + 1]
