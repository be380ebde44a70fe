"""What the campaigns have in common: arguments, one campaign on each server, and a verdict."""

from __future__ import annotations

import argparse
import secrets
import sys
from collections.abc import Callable, Sequence

from support.server import Server, kinds_from_environment, module_from_environment

from reliability.engine_models import chosen_engines


def campaign_parser(name: str, documentation: str, *, engines: bool = True) -> argparse.ArgumentParser:
    """The arguments of a seeded campaign: ``seed``, the ``servers``, and the ``engines``, as commands name them."""
    parser = argparse.ArgumentParser(prog=name, description=documentation.splitlines()[0])
    parser.add_argument("--seed", type=_seed, default="", help="default: a new one, which is printed")
    if engines:
        parser.add_argument("--engines", type=chosen_engines, default="", help="such as onnx,torch; default: all")
    parser.add_argument("servers", nargs="*", help="names from REDISAI_SERVERS; default: all")
    return parser


def _seed(text: str) -> str:
    return text or secrets.token_hex(4)


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
