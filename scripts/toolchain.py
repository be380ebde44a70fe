"""Where the Swift toolchain has what its sanitizers need: ``python3 scripts/toolchain.py clang++`` prints a path."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def _resources() -> Path:
    answer = subprocess.run(["swiftc", "-print-target-info"], check=True, capture_output=True, text=True)
    return Path(json.loads(answer.stdout)["paths"]["runtimeResourcePath"])


def program(name: str) -> Path:
    """A program of the toolchain that need not be on the PATH."""
    return _resources().parents[1] / "bin" / name


def sanitizer(name: str) -> Path:
    """The shared library of a sanitizer, such as ``asan``; raises ``SystemExit`` when there is none."""
    libraries = sorted(_resources().parent.glob(f"clang/*/lib/linux/libclang_rt.{name}-x86_64.so"))
    if not libraries:
        raise SystemExit(f"the Swift toolchain has no sanitizer {name}")
    return libraries[-1]


if __name__ == "__main__":
    print(program(sys.argv[1]))
