"""TorchScript scripts: their sources, and short forms of the commands that store and run them."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from support.commands import set_tensor, stats
from support.resp import OK, Argument, Error, RawClient
from support.server import Server
from support.wait import eventually

NO_SCRIPT = Error("ERR script key is empty")
INTERRUPTED = "the run took longer than MODEL_EXECUTION_TIMEOUT and was interrupted"
REPLIED = "Redis command returned an error: "

# An entry point that occupies its worker until somebody sets the key that it is given.
GATE = """
def wait_for(tensors: List[Tensor], keys: List[str], args: List[str]):
    while str(redis.execute("EXISTS", keys[0])) == "0":
        pass
    return torch.tensor([1])
"""


_HEAD = re.compile(r"^def (\w+)\(tensors: List\[Tensor\], keys: ", re.MULTILINE)


def entry_point(name: str, *body: str) -> str:
    """The source of an entry point; ``body`` are its lines, indented among themselves only."""
    lines = [f"def {name}(tensors: List[Tensor], keys: List[str], args: List[str]):", *(f"    {line}" for line in body)]
    return "\n".join(lines) + "\n"


def fresh(source: str) -> str:
    """The same script in other words: one that no server has tried out yet."""
    return f"# {secrets.token_hex(8)}\n{source}"


def store_script_command(
    key: Argument, source: Argument, *entry_points: Argument, tag: Argument | None = None, device: Argument = "CPU"
) -> list[Argument]:
    """AI.SCRIPTSTORE, or AI.SCRIPTSET when there are no entry points."""
    label = [] if tag is None else ["TAG", tag]
    if not entry_points:
        return ["AI.SCRIPTSET", key, device, *label, "SOURCE", source]
    return ["AI.SCRIPTSTORE", key, device, *label, "ENTRY_POINTS", len(entry_points), *entry_points, "SOURCE", source]


def store_script(
    raw: RawClient,
    key: Argument,
    source: Argument,
    *entry_points: Argument,
    tag: Argument | None = None,
    device: Argument = "CPU",
) -> None:
    reply = raw.call(*store_script_command(key, source, *entry_points, tag=tag, device=device))
    assert reply == OK, reply


def store_entry_points(raw: RawClient, key: str, source: str) -> None:
    """Stores a script unless it is there; the functions that ``entry_point`` made are its entry points."""
    if not raw.call("EXISTS", key):
        store_script(raw, key, source, *_HEAD.findall(source))


def script_command(
    key: Argument,
    function: Argument,
    inputs: Sequence[Argument] = (),
    outputs: Sequence[Argument] = (),
    *tail: Argument,
    keys: Sequence[Argument] = (),
    args: Sequence[Argument] = (),
) -> list[Argument]:
    """AI.SCRIPTEXECUTE with the sections that are wanted."""
    command: list[Argument] = ["AI.SCRIPTEXECUTE", key, function]
    if keys:
        command += ["KEYS", len(keys), *keys]
    command += ["INPUTS", len(inputs), *inputs]
    if args:
        command += ["ARGS", len(args), *args]
    return [*command, "OUTPUTS", len(outputs), *outputs, *tail]


def run_script(
    raw: RawClient,
    key: Argument,
    function: Argument,
    inputs: Sequence[Argument] = (),
    outputs: Sequence[Argument] = (),
    *tail: Argument,
    keys: Sequence[Argument] = (),
    args: Sequence[Argument] = (),
) -> Any:
    """The reply of AI.SCRIPTEXECUTE, errors included."""
    return raw.call(*script_command(key, function, inputs, outputs, *tail, keys=keys, args=args))


def failure(reply: Any) -> str:
    """The text of what must be an error of a running program: on one line, and without a prefix."""
    assert isinstance(reply, Error), reply
    assert "\n" not in reply.text and not reply.text.startswith("ERR "), reply
    return reply.text


@contextmanager
def nothing_runs(raw: RawClient) -> Iterator[None]:
    """Within the block there are a script ``s`` with an entry point ``f``, a tensor ``a`` and a string ``t``; at its end
    there is nothing else, and no run has been counted."""
    store_entry_points(raw, "s", entry_point("f", "return tensors[0]"))
    set_tensor(raw, "a", [1])
    raw.call("SET", "t", "text")
    yield
    assert stats(raw, "s")["calls"] == 0
    assert sorted(raw.call("KEYS", "*")) == [b"a", b"s", b"t"]


@contextmanager
def occupied_worker(server: Server, script: str, gate: str = "gate", device_name: str = "CPU") -> Iterator[RawClient]:
    """Within the block the worker runs ``wait_for`` of ``script`` (see ``GATE``), until the key ``gate`` is set.

    Yields the connection that waits for the run.
    """
    with server.raw() as waiting, server.raw() as other:
        waiting.send(*script_command(script, "wait_for", [], ["{gate}:out"], keys=[gate]))
        eventually(lambda: _is_running(server, device_name), "the run has started")
        try:
            yield waiting
        finally:
            other.call("SET", gate, "open")
            eventually(lambda: server.info("clients")["blocked_clients"] == "0", "the run has ended")
            other.call("DEL", gate)


def _is_running(server: Server, device_name: str) -> bool:
    """A client waits, and nothing waits in the queue: the worker has taken it."""
    queued = int(server.info("modules")[f"ai_queue_{device_name}_waiting_requests"])
    return int(server.info("clients")["blocked_clients"]) == 1 and queued == 0
