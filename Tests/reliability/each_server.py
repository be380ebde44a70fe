"""What the campaigns have in common: one on each server, and a verdict."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from support.server import Server, kinds_from_environment, module_from_environment


def on_each_server(
    title: str,
    names: Sequence[str],
    campaign: Callable[[Server], list[str]],
    *,
    module_args: tuple[str, ...] = (),
    lifetime: float,
) -> int:
    """Start each server of REDISAI_SERVERS, or those of ``names``, and let ``campaign`` say what is wrong with it.

    Prints the problems and returns the exit status. ``lifetime`` ends a server that outlives its campaign, in seconds.
    """
    problems: list[str] = []
    for kind in kinds_from_environment():
        if names and kind.name not in names:
            continue
        print(f"==> {title} on {kind.name}", flush=True)
        module = module_from_environment()
        with Server(kind.name, kind.binary, module, module_args=module_args, lifetime=lifetime) as server:
            problems += campaign(server)
            crash = server.crash_report()
            problems += [crash] if crash else []
    for problem in problems:
        print(f"PROBLEM {problem}", file=sys.stderr)
    print(f"{len(problems)} problems")
    return 1 if problems else 0
