"""Devices whose worker is held, and requests that wait behind it: order without guessing how long anything takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from support.resp import OK, Argument, RawClient
from support.scripts import store_script
from support.server import Server
from support.wait import eventually

# Occupies its worker until the key that it is given exists; `<key>:held` says that it has begun.
HOLD = """
def hold(tensors: List[Tensor], keys: List[str], args: List[str]):
    redis.execute("SET", keys[0] + ":held", "yes")
    while str(redis.execute("EXISTS", keys[0])) == "0":
        pass
    return torch.tensor([1])
"""


def hold_key(device: str = "CPU") -> str:
    """Where ``store_hold`` puts the script; test files keep these keys, as compiling takes a while."""
    return f"hold {device}"


def store_hold(raw: RawClient, *devices: str) -> None:
    """The script for each device, unless it is there."""
    for device in devices or ("CPU",):
        if not raw.call("EXISTS", hold_key(device)):
            store_script(raw, hold_key(device), HOLD, "hold", device=device)


def hold_operation(gate: Argument, device: str = "CPU", output: Argument | None = None) -> list[Argument]:
    """The command, or the operation of a DAG, that holds the device until the key ``gate`` exists."""
    outputs = [] if output is None else ["OUTPUTS", 1, output]
    return ["AI.SCRIPTEXECUTE", hold_key(device), "hold", "KEYS", 1, gate, *outputs]


def await_held(raw: RawClient, gate: str) -> None:
    eventually(lambda: raw.call("EXISTS", f"{gate}:held"), "the worker is held")


@contextmanager
def held(server: Server, device: str = "CPU") -> Iterator[Callable[[], None]]:
    """Within the block, or until the yielded function is called, the device's only worker is held."""
    gate = f"gate {device}"
    with server.raw() as raw, server.raw() as holder:
        store_hold(raw, device)
        holder.send(*hold_operation(gate, device))
        await_held(raw, gate)
        open_gates: list[str] = []

        def release() -> None:
            if not open_gates:
                open_gates.append(gate)
                raw.call("SET", gate, "open")
                reply = holder.read()
                raw.call("DEL", gate, f"{gate}:held")
                assert reply == OK, reply

        try:
            yield release
        finally:
            release()


def queue(server: Server, *commands: Sequence[Argument]) -> list[RawClient]:
    """Sends each command on a connection of its own, one after the other: each is queued before the next is sent."""
    clients = []
    with server.raw() as observer:
        for command in commands:
            client = server.raw()
            identity = client.call("CLIENT", "ID")
            client.send(*command)
            eventually(lambda: _is_queued(observer, identity) or client.has_reply(within=0), "the request is queued")
            clients.append(client)
    return clients


def _is_queued(observer: RawClient, identity: int) -> bool:
    """A client that waits for its request has the flag ``b``."""
    flags = re.search(rb" flags=(\w+) ", observer.call("CLIENT", "LIST", "ID", identity))
    return flags is not None and b"b" in flags[1]


def blocked_clients(server: Server) -> int:
    return int(server.info("clients")["blocked_clients"])


def await_nobody_blocked(server: Server) -> None:
    """Until every client has been answered or has gone."""
    eventually(lambda: blocked_clients(server) == 0, "no client is blocked")


def queue_field(server: Server, name: str, device: str = "CPU") -> int:
    """One of INFO's numbers about a device's queue, such as ``waiting_requests``; the device may have a colon."""
    with server.raw() as raw:
        text = raw.call("INFO", "modules").decode()
    found = re.search(rf"^ai_queue_{re.escape(device)}_{name}:(\d+)\r$", text, re.MULTILINE)
    assert found, f"no field {name} of {device}"
    return int(found[1])
