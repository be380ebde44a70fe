"""Servers that are killed, stopped, and robbed of disk and network under load: ``python -m reliability.chaos --help``.

In each round several clients set tensors, store models and scripts, run them, run DAGs, copy, rename and delete, and something
happens to the server. Then it is started again, if need be, and has to hold:

- with an append-only file that is synced with every command: what was acknowledged, and nothing else;
- with data files only: what the last one was made of. It is made while the clients are kept from writing, so that its
  digest is known beforehand. When nobody was killed: what was acknowledged.

A replica, behind a proxy that can spoil the link, has to hold the same and to have run nothing.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from support.commands import NO_RUN_INFO
from support.resp import OK, ConnectionClosed, RawClient, Status
from support.server import Server, ServerKind, kinds_from_environment, module_from_environment, tail
from support.wait import eventually

from reliability.chaos_clients import TRY_AGAIN, Load
from reliability.chaos_faults import FAULTS, Fault
from reliability.command_campaign import post_mortem
from reliability.each_server import campaign_parser
from reliability.ledger import State
from reliability.link_proxy import LinkProxy

MODES = ("aof", "rdb")
_COMMON = ("--repl-diskless-sync-delay", "0", "--repl-timeout", "3", "--repl-ping-replica-period", "1")
_COMMON += ("--shutdown-timeout", "2", "--repl-backlog-size", "16mb")
CONFIG = {
    "aof": (*_COMMON, "--appendonly", "yes", "--appendfsync", "always"),
    # Never by itself; with a save point, a server that is asked to end saves.
    "rdb": (*_COMMON, "--save", "100000 1000000"),
}
# What can only happen to one of the two, or needs a file of its own to compare with.
_FAULTS_OF = {
    "aof": tuple(FAULTS),
    "rdb": ("kill", "terminate", "freeze", "full-disk", "slow-save", "killed-save", "cut-link", "cut-transfer"),
}
_EXECUTIONS = ("modelexecute", "modelrun", "scriptexecute", "scriptrun", "dagexecute", "dagrun")


@dataclass
class Snapshot:
    """What a data file was made of."""

    digest: Status
    states: list[list[State]]


@dataclass
class Chaos:
    """One server, its replica, and what has happened to them."""

    kind: ServerKind
    mode: str
    seed: str
    engines: frozenset[str]
    rounds: int = 0
    problems: list[str] = field(default_factory=list)

    def run(self, faults: Sequence[str], rounds: int) -> Load:
        """Plays the rounds; ``problems`` says what is wrong afterwards."""
        load = Load(f"{self.seed}:{self.kind.name}:{self.mode}", self.engines)
        module = module_from_environment()
        common = (self.kind.name, self.kind.binary, module)
        with Server(*common, config=CONFIG[self.mode], lifetime=7200) as server, LinkProxy(server.port) as link:
            config = ("--replicaof", f"127.0.0.1 {link.port}", *_COMMON)
            with Server(*common, config=config, lifetime=7200) as replica:
                for number in range(rounds):
                    self._play(number, faults, load, server, replica, link)
                    if load.problems or self.problems:
                        break
                self.problems += load.problems
                self.problems += [post_mortem(one) for one in (server, replica) if one.crash_report()]
        return load

    def _play(
        self, number: int, faults: Sequence[str], load: Load, server: Server, replica: Server, link: LinkProxy
    ) -> None:
        random = Random(f"{self.seed}:{self.kind.name}:{self.mode}:{number}")
        name = faults[number % len(faults)] if len(faults) > 1 else faults[0]
        fault = FAULTS[name](random)
        try:
            snapshot, text = self._strike(fault, random, load, server, link)
            replayed = self._come_back(fault, server, link)
            if snapshot is not None and replayed and not fault.keeps_everything:
                self._compare(snapshot, load, server)
            load.check(server)
            self._check_replica(server, replica, link)
        except (AssertionError, OSError) as error:
            log = tail(server.log_text(), 15)
            self.problems.append(f"round {number} ({name}): {error!r:.1500}\n{log}")
            return
        self.rounds += 1
        print(f"  {self.mode} round {number}: {text}; {sum(load.tally.values()):,} commands so far", flush=True)

    def _strike(
        self, fault: Fault, random: Random, load: Load, server: Server, link: LinkProxy
    ) -> tuple[Snapshot | None, str]:
        link.target = server.port
        wants_snapshot = self.mode == "rdb" and not fault.keeps_everything
        load.start(server, (*fault.tolerated, TRY_AGAIN) if wants_snapshot else fault.tolerated)
        try:
            load.work(random)
            snapshot = self._snapshot(load, server) if wants_snapshot else None
            if snapshot is not None:
                load.work(random)
            text = fault.strike(server, link)
            if server.alive():
                time.sleep(random.uniform(0, 0.2))
        finally:
            load.end()
        return snapshot, text

    def _snapshot(self, load: Load, server: Server) -> Snapshot:
        """Has the data file made while nobody writes."""
        with server.raw() as raw:
            assert raw.call("CLIENT", "PAUSE", 60_000, "WRITE") == OK
            try:
                # Whoever waits for an answer now has been kept from writing, or has written and will read the answer.
                time.sleep(0.05)
                states = [list(ledger.possible) for ledger in load.ledgers]
                digest = raw.call("DEBUG", "DIGEST")
                # A copy for the replica may be under way.
                eventually(lambda: raw.call("BGSAVE") == Status("Background saving started"), "a save begins", 20)
            finally:
                assert raw.call("CLIENT", "UNPAUSE") == OK
            eventually(lambda: server.info("persistence")["rdb_bgsave_in_progress"] == "0", "the file is made")
            assert server.info("persistence")["rdb_last_bgsave_status"] == "ok"
        return Snapshot(digest, states)

    def _come_back(self, fault: Fault, server: Server, link: LinkProxy) -> bool:
        """The server answers; whether it had to be started again."""
        fault.heal(server, link)
        if server.alive():
            assert server.responsive(timeout=20), "the server does not answer"
            return False
        server.kill9()
        server.start()
        link.target = server.port
        _wait_until_loaded(server)
        return True

    def _compare(self, snapshot: Snapshot, load: Load, server: Server) -> None:
        with server.raw() as raw:
            digest = raw.call("DEBUG", "DIGEST")
        assert digest == snapshot.digest, f"the data file is not what was saved: {digest}, not {snapshot.digest}"
        for ledger, states in zip(load.ledgers, snapshot.states, strict=True):
            ledger.possible = states

    def _check_replica(self, server: Server, replica: Server, link: LinkProxy) -> None:
        with server.raw() as raw, replica.raw() as copy:
            digest = raw.call("DEBUG", "DIGEST")
            eventually(
                lambda: _is_up(replica) and copy.call("DEBUG", "DIGEST") == digest, "the replica holds the same", 30
            )
            for key, _ in copy.call("AI._MODELSCAN") + copy.call("AI._SCRIPTSCAN"):
                info = copy.call("AI.INFO", key)
                # One that was replaced may go at this moment.
                calls = 0 if info == NO_RUN_INFO else info[15]
                assert calls == 0, f"the replica has run {key!r} {calls} times"
        stats = replica.info("commandstats")
        ran = [field for field in stats if field.removeprefix("cmdstat_ai.") in _EXECUTIONS]
        assert not ran, f"the replica was told to run: {ran}"


def _is_up(replica: Server) -> bool:
    return replica.info("replication").get("master_link_status") == "up"


def _wait_until_loaded(server: Server) -> None:
    def is_loaded() -> bool:
        try:
            with RawClient(server.port) as raw:
                return isinstance(raw.call("DBSIZE"), int)
        except (ConnectionClosed, OSError):
            return False

    eventually(is_loaded, "the data is read", 60)


def chosen_faults(names: Sequence[str], mode: str) -> list[str]:
    """The faults that there are in this mode, of those that are wanted."""
    return [name for name in _FAULTS_OF[mode] if not names or name in names]


def main() -> int:
    options = _parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    problems: list[str] = []
    for kind in kinds_from_environment():
        if options.servers and kind.name not in options.servers:
            continue
        for mode in options.modes:
            print(f"==> chaos on {kind.name}, {mode}, seed {options.seed}", flush=True)
            chaos = Chaos(kind, mode, options.seed, frozenset(options.engines))
            load = chaos.run(chosen_faults(options.faults, mode), options.rounds)
            tally = ", ".join(f"{name} {number:,}" for name, number in load.tally.most_common())
            print(f"  {chaos.rounds} of {options.rounds} rounds; {tally}", flush=True)
            for problem in chaos.problems:
                print(f"  {problem}", flush=True)
            problems += [f"{kind.name} {mode}: {problem}" for problem in chaos.problems]
    for problem in problems:
        print(f"PROBLEM {problem}", file=sys.stderr)
    if problems:
        print(f"repeat with: make chaos SEED={options.seed} ROUNDS={options.rounds}", file=sys.stderr)
    print(f"{len(problems)} problems")
    return 1 if problems else 0


def _list(known: Sequence[str]) -> object:
    def parse(text: str) -> list[str]:
        names = [name for name in text.split(",") if name]
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{unknown[0]}: there are {', '.join(known)}")
        return names

    return parse


def _parse_arguments() -> argparse.Namespace:
    parser = campaign_parser("chaos", __doc__, engines=False)
    parser.add_argument("--rounds", type=int, default=50, help="per server and mode")
    parser.add_argument("--faults", type=_list(tuple(FAULTS)), default="", help="such as kill,freeze; default: all in turn")
    parser.add_argument("--modes", type=_list(MODES), default=",".join(MODES), help="aof, rdb; default: both")
    parser.add_argument(
        "--engines", type=_list(("onnx", "torch")), default="onnx,torch", help="without torch no scripts are run"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
