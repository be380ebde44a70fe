"""Servers that run the module built with Address Sanitizer: prints the environment for the integration tests.

    eval "$(python3 scripts/sanitized_server.py .build/asan dist .build/reports/asan-server)"

The module's file is linked without the sanitizer's runtime, which has to be there before anything is allocated: a
program beside the module starts each server of REDISAI_SERVERS with it (LD_PRELOAD). Where the server takes its memory
from the system's allocator, as those of the distributions do, what the module does with the server's strings and keys
is checked too.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

import toolchain

# Leaks are looked for by the unit tests: a server does not free what it has when it ends.
# Data that claim to be larger than any memory are answered, not reported: the allocator says no, as the system's does.
OPTIONS = "detect_leaks=0:abort_on_error=1:disable_coredump=1:allocator_may_return_null=1"


def main() -> None:
    build, staged, reports = (Path(word).resolve() for word in sys.argv[1:4])
    folder = build / "server"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(reports, ignore_errors=True)
    folder.mkdir(parents=True)
    reports.mkdir(parents=True)
    shutil.copy(build / "debug/libRedisAI.so", folder / "redisai.so")
    # Folders of its own: paths with dots are to lead to the same places.
    shutil.copytree(staged / "backends", folder / "backends", copy_function=os.link, symlinks=True)
    # The trial has a limit on its address space, which the sanitizer's shadow memory exceeds: it runs without.
    _program(folder / "redisai-model-check", {}, ["LD_PRELOAD"], staged / "redisai-model-check")
    options = {"ASAN_OPTIONS": f"{OPTIONS}:log_path={reports}/report", "SWIFT_BACKTRACE": "enable=no"}
    servers = []
    for entry in os.environ["REDISAI_SERVERS"].split():
        name, _, binary = entry.partition("=")
        servers.append(f"{name}={folder / name}")
        _program(folder / name, {"LD_PRELOAD": str(toolchain.sanitizer("asan")), **options}, [], Path(binary))
    print(f"export REDISAI_SERVERS={shlex.quote(' '.join(servers))}")
    print(f"export REDISAI_MODULE={shlex.quote(str(folder / 'redisai.so'))}")


def _program(path: Path, variables: dict[str, str], without: list[str], program: Path) -> None:
    """A program that starts another one with a changed environment, in the same process."""
    changes = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    changes += [f"unset {name}" for name in without]
    path.write_text("\n".join(["#!/bin/sh", *changes, f'exec {shlex.quote(str(program))} "$@"', ""]))
    path.chmod(0o755)


if __name__ == "__main__":
    main()
