"""What the files of each engine check in the same way: that its models are still there after the data was read back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from support.resp import OK, RawClient
from support.server import Server
from support.wait import eventually

EVERYTHING_IN_COMMANDS = ("--appendonly", "yes", "--aof-use-rdb-preamble", "no", "--appendfsync", "always")


class ModelIsKept:
    """Tests for a class to inherit, which says how the model ``m`` is made and what it has to be afterwards."""

    def stored(self, raw: RawClient) -> Any:
        """Stores the model; what AI.MODELGET says."""
        raise NotImplementedError

    def assert_same(self, raw: RawClient, before: Any) -> None:
        """That the model runs, and AI.MODELGET says what it said."""
        raise NotImplementedError

    def test_restart(self, server: Server, raw: RawClient) -> None:
        before = self.stored(raw)
        server.restart()
        self.assert_same(server.raw(), before)

    def test_append_only_file(self, start_server: Callable[..., Server], request: pytest.FixtureRequest) -> None:
        server = start_server(*getattr(request.module, "MODULE_ARGS", ()), config=EVERYTHING_IN_COMMANDS)
        raw = server.raw()
        before = self.stored(raw)
        assert raw.call("BGREWRITEAOF") != OK
        eventually(lambda: server.info("persistence")["aof_rewrite_in_progress"] == "0", "the file is written")
        server.restart()
        self.assert_same(server.raw(), before)

    def test_dump_and_restore(self, raw: RawClient) -> None:
        before = self.stored(raw)
        payload = raw.call("DUMP", "m")
        assert raw.call("DEL", "m") == 1
        assert raw.call("RESTORE", "m", 0, payload) == OK
        self.assert_same(raw, before)
