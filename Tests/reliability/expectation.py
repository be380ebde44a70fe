"""What a command may answer, as an independent reading of the contract says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from support.resp import Error


@dataclass(frozen=True, slots=True)
class Expectation:
    """``succeeds`` is None where the model of the contract leaves it open.

    ``text`` is the error's exact text, ``prefix`` its beginning; both None where any error will do.
    """

    succeeds: bool | None
    text: str | None = None
    prefix: str | None = None

    def complaint(self, reply: Any) -> str | None:
        """What is wrong with the reply, or None."""
        failed = isinstance(reply, Error)
        if self.succeeds is True and failed:
            return f"should have succeeded, but: {reply.text[:200]}"
        if self.succeeds is False and not failed:
            return f"should have failed ({self.text or self.prefix or 'any error'}), but: {reply!r:.200}"
        if not failed:
            return None
        if self.text is not None and reply.text != self.text:
            return f"wrong error: {reply.text[:200]!r} instead of {self.text!r}"
        if self.prefix is not None and not reply.text.startswith(self.prefix):
            return f"wrong error: {reply.text[:200]!r} instead of {self.prefix!r}..."
        return None


SUCCEEDS = Expectation(True)
OPEN = Expectation(None)
FAILS = Expectation(False)


def fails(text: str) -> Expectation:
    """A certain failure with exactly this text; CR and LF arrive as spaces."""
    return Expectation(False, text.replace("\r", " ").replace("\n", " "))


def fails_with_prefix(prefix: str) -> Expectation:
    return Expectation(False, None, prefix)


def wrong_arity(name: bytes) -> Expectation:
    """The name as the client typed it, or a fixed one."""
    return fails(f"ERR wrong number of arguments for '{name.decode('utf-8', 'surrogateescape')}' command")


WRONG_TYPE = fails("WRONGTYPE Operation against a key holding the wrong kind of value")
NO_TENSOR = fails("ERR tensor key is empty or in a different shard")
NO_MODEL = fails("ERR model key is empty")
IN_TRANSACTION = fails("ERR Cannot run RedisAI command within a transaction or a LUA script")
