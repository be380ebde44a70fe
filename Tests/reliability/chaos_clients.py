"""The clients of the chaos campaign: each keeps a ledger, and stops when its connection does."""

from __future__ import annotations

import threading
import time
from collections import Counter
from random import Random

from support.resp import ConnectionClosed, RawClient
from support.server import Server

from reliability.ledger import Ledger, is_error

CLIENTS = 8
LONGEST_WAIT_SECONDS = 15.0
# What the few are told whose runs end at the moment in which writing is paused.
TRY_AGAIN = "TRYAGAIN"
_REPLY_TIMEOUT_SECONDS = 60.0


class Load:
    """Mixed work of several clients, for as long as the server answers or until it is ended."""

    def __init__(self, seed: str, engines: frozenset[str], clients: int = CLIENTS) -> None:
        self.ledgers = [Ledger(number, seed, engines) for number in range(clients)]
        self.tally: Counter[str] = Counter()
        self.problems: list[str] = []
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def start(self, server: Server, tolerated: tuple[str, ...] = ()) -> None:
        """``tolerated`` are the first words of errors after which a client rests."""
        self._stop.clear()
        self._threads = [
            threading.Thread(target=self._run, args=(ledger, server.port, tolerated)) for ledger in self.ledgers
        ]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Each client waits for the answer that is on its way, or has lost its connection."""
        self._stop.set()
        for thread in self._threads:
            thread.join(_REPLY_TIMEOUT_SECONDS + 10)
            if thread.is_alive():
                self.problems.append("a client got no answer")
        self._threads = []

    def work(self, random: Random) -> None:
        """Lets the clients work until some moment: now and then the first, in which models are still being built."""
        goal = self.tally.total() + random.choice((0, 100, 300, 1000))
        deadline = time.monotonic() + LONGEST_WAIT_SECONDS
        while self.tally.total() < goal and time.monotonic() < deadline and not self.problems:
            time.sleep(0.005)
        time.sleep(random.uniform(0, 0.1))

    def check(self, server: Server) -> None:
        """Compares what the server has with what it has acknowledged, and goes on from there."""
        with server.raw() as raw:
            keys = 0
            for ledger in self.ledgers:
                actual = ledger.read(raw)
                keys += len(actual)
                wrong = ledger.settle(actual)
                if wrong is not None:
                    self.problems.append(wrong)
            size = raw.call("DBSIZE")
            if size != keys:
                self.problems.append(f"{size} keys, of which {size - keys} are nobody's")

    def _run(self, ledger: Ledger, port: int, tolerated: tuple[str, ...]) -> None:
        try:
            with RawClient(port, timeout=_REPLY_TIMEOUT_SECONDS) as raw:
                while not self._stop.is_set() and self._do(ledger, raw, tolerated):
                    pass
        except (ConnectionClosed, OSError) as error:
            if isinstance(error, TimeoutError):
                self._note_problem(f"client {ledger.client}: no answer within {_REPLY_TIMEOUT_SECONDS:g} s")

    def _do(self, ledger: Ledger, raw: RawClient, tolerated: tuple[str, ...]) -> bool:
        """Returns whether to go on."""
        step = ledger.next_step()
        ledger.begin(step)
        replies = raw.pipeline(step.command)
        name = str(step.command[0][0])
        if replies == step.expected:
            ledger.end(step)
            self._count(name)
            return True
        if is_error(replies):
            ledger.refused(step)
        if not any(text in repr(replies) for text in tolerated):
            self._note_problem(f"client {ledger.client}: {step.command!r:.300} -> {replies!r:.300}")
            return False
        self._count("refused")
        # It may be tried again, unless it is unknown how far it has come.
        return TRY_AGAIN in repr(replies) and len(ledger.possible) == 1

    def _count(self, name: str) -> None:
        with self._lock:
            self.tally[name] += 1

    def _note_problem(self, text: str) -> None:
        with self._lock:
            self.problems.append(text)


