"""A primary and two replicas under load, two full copies and a failover: ``python -m reliability.replication --help``.

Many clients send pipelines of commands on keys that they share. Meanwhile each replica is made to copy everything, once
through the disk and once without, and one of them becomes the primary. In the end all three hold the same, and none of them
has run a model as a replica.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from support.commands import NO_RUN_INFO
from support.resp import OK
from support.server import Server, ServerKind, kinds_from_environment, module_from_environment
from support.wait import eventually

from reliability.command_campaign import post_mortem
from reliability.each_server import campaign_parser
from reliability.replication_clients import ReplicationResult, ReplicationTask, run_worker, set_up_commands
from reliability.workers import WORKERS, worker_pool

CLIENTS = 16
_CONFIG = ("--repl-diskless-sync-delay", "0", "--repl-backlog-size", "64mb", "--shutdown-timeout", "0")
_CONFIG += ("--client-output-buffer-limit", "replica 0 0 0")
_EXECUTIONS = ("modelexecute", "modelrun", "scriptexecute", "scriptrun", "dagexecute", "dagrun")
_SAME_WITHIN_SECONDS = 60.0


@dataclass
class Replication:
    """Three servers, what was sent to them, and what is wrong."""

    kind: ServerKind
    seed: str
    engines: frozenset[str]
    result: ReplicationResult = field(default_factory=ReplicationResult)
    problems: list[str] = field(default_factory=list)
    full_copies: int = 0
    seconds: float = 0.0
    # After the failover: the primary, the former one, and the other replica; and what the former had run by then.
    order: tuple[Server, Server, Server] | None = None
    runs_before: dict[str, int] = field(default_factory=dict)

    def run(self, count: int) -> None:
        """Sends ``count`` commands in four parts, with something happening in the middle of each but the first."""
        servers = [self._server() for _ in range(3)]
        try:
            primary, first, second = (server.start() for server in servers)
            self._set_up(primary, first, second)
            start = time.monotonic()
            parts: list[Callable[[], None]] = [
                lambda: None,
                lambda: self._copy_again(primary, first, diskless=False),
                lambda: self._copy_again(primary, second, diskless=True),
                lambda: self._fail_over(primary, first, second),
            ]
            for number, event in enumerate(parts):
                self._part(number, count // len(parts), servers, event)
                if self.problems or self.result.wrong:
                    break
            self.seconds = time.monotonic() - start
            if not self.problems and not self.result.wrong:
                self._compare()
        except (AssertionError, OSError) as error:
            self.problems.append(repr(error)[:2000])
        finally:
            self.problems += self.result.problems
            self.problems += [post_mortem(server) for server in servers if server.crash_report()]
            for server in servers:
                server.close()

    def _server(self) -> Server:
        return Server(self.kind.name, self.kind.binary, module_from_environment(), config=_CONFIG, lifetime=7200)

    def _set_up(self, primary: Server, *replicas: Server) -> None:
        with primary.raw() as raw:
            for command in set_up_commands(self.engines):
                assert raw.call(*command) == OK
        for replica in replicas:
            follow(replica, primary)

    def _part(self, number: int, count: int, servers: list[Server], event: Callable[[], None]) -> None:
        ports = tuple(server.port for server in servers)
        tasks = [
            ReplicationTask(
                ports, f"{self.seed}:{number}", worker, CLIENTS // WORKERS, count // WORKERS, self.engines
            )
            for worker in range(WORKERS)
        ]
        with worker_pool() as pool:
            before = _commands(servers)
            outcome = pool.map_async(run_worker, tasks, chunksize=1)
            while _commands(servers) - before < count // 3 and not outcome.ready():
                time.sleep(0.02)
            event()
            for result in outcome.get(timeout=3600):
                self.result.add(result)
        print(f"  part {number + 1}: {sum(self.result.tally.values()):,} commands answered", flush=True)

    # What happens

    def _copy_again(self, primary: Server, replica: Server, diskless: bool) -> None:
        """The replica is made to copy everything while clients write."""
        with primary.raw() as raw, replica.raw() as copy:
            before = int(primary.info("stats")["sync_full"])
            assert raw.call("CONFIG", "SET", "repl-diskless-sync", "yes" if diskless else "no") == OK
            # It forgets what it has, and asks for everything.
            assert copy.call("REPLICAOF", "NO", "ONE") == OK
            assert copy.call("DEBUG", "CHANGE-REPL-ID") == OK
            follow(replica, primary)
            self.full_copies += int(primary.info("stats")["sync_full"]) - before

    def _fail_over(self, primary: Server, chosen: Server, other: Server) -> None:
        self._check_idle(chosen)
        with primary.raw() as raw, other.raw() as following:
            assert raw.call("FAILOVER", "TO", "127.0.0.1", chosen.port, "TIMEOUT", 30_000) == OK
            eventually(lambda: chosen.info("replication")["role"] == "master", "the replica is the primary", 40)
            eventually(lambda: primary.info("replication")["role"] == "slave", "the primary is a replica", 40)
            runs = _runs(primary)
            assert following.call("REPLICAOF", "127.0.0.1", chosen.port) == OK
        self.runs_before = runs
        self.order = (chosen, primary, other)

    def _check_idle(self, replica: Server) -> None:
        runs = _runs(replica)
        assert not runs, f"a replica was told to run: {runs}"
        with replica.raw() as raw:
            for key, _ in raw.call("AI._MODELSCAN") + raw.call("AI._SCRIPTSCAN"):
                info = raw.call("AI.INFO", key)
                # One that was replaced may go at this moment.
                calls = 0 if info == NO_RUN_INFO else info[15]
                assert calls == 0, f"a replica has run {key!r} {calls} times"

    def _compare(self) -> None:
        assert self.order is not None, "no failover"
        primary, former, other = self.order
        for replica in (former, other):
            eventually(lambda replica=replica: is_up(replica), "the replica is connected", _SAME_WITHIN_SECONDS)
        with primary.raw() as raw:
            # Nothing is left that expires while the digests are taken.
            time.sleep(1.2)
            digests = [raw.call("DEBUG", "DIGEST")]
            for replica in (former, other):
                with replica.raw() as copy:
                    eventually(
                        lambda copy=copy: copy.call("DEBUG", "DIGEST") == digests[0], "the same", _SAME_WITHIN_SECONDS
                    )
            keys = raw.call("DBSIZE")
        self._check_idle(other)
        assert _runs(former) == self.runs_before, f"the former primary ran: {self.runs_before} -> {_runs(former)}"
        assert self.full_copies >= 2, f"{self.full_copies} full copies"
        print(f"  {keys} keys, digest {digests[0].text} on all three")


def follow(replica: Server, primary: Server) -> None:
    """Makes a server the replica of another one, and waits until it has everything."""
    with replica.raw() as raw:
        assert raw.call("REPLICAOF", "127.0.0.1", primary.port) == OK
    eventually(lambda: is_up(replica), "the replica is connected", 60)


def is_up(replica: Server) -> bool:
    return replica.info("replication").get("master_link_status") == "up"


def _commands(servers: list[Server]) -> int:
    """Of the server that has had most: replicas count what they are told."""
    return max(int(server.info("stats")["total_commands_processed"]) for server in servers)


def _runs(server: Server) -> dict[str, int]:
    """How often commands that run models or scripts were carried out."""
    stats = server.info("commandstats")
    calls = {name: int(stats.get(f"cmdstat_ai.{name}", "calls=0,").split(",")[0][6:]) for name in _EXECUTIONS}
    return {name: count for name, count in calls.items() if count}


def main() -> int:
    options = _parse_arguments()
    problems: list[str] = []
    for kind in kinds_from_environment():
        if options.servers and kind.name not in options.servers:
            continue
        print(f"==> replication on {kind.name}, seed {options.seed}", flush=True)
        replication = Replication(kind, options.seed, frozenset(options.engines.split(",")))
        replication.run(options.count)
        tally = replication.result.tally
        print("  " + ", ".join(f"{name} {number:,}" for name, number in tally.most_common()))
        print(
            f"  {sum(tally.values()):,} answers in {replication.seconds:.0f} s, {replication.full_copies} full copies, "
            f"{replication.result.reconnections} connections"
        )
        problems += [f"{kind.name}: {problem}" for problem in replication.problems]
    for problem in problems:
        print(f"PROBLEM {problem}", file=sys.stderr)
    print(f"{len(problems)} problems")
    return 1 if problems else 0


def _parse_arguments() -> argparse.Namespace:
    parser = campaign_parser("replication", __doc__, engines=False)
    parser.add_argument("--count", type=int, default=1_000_000, help="commands per server")
    parser.add_argument("--engines", default="onnx,torch", help="without torch no scripts are run")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
