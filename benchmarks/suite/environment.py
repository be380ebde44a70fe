"""What a run was measured on."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from suite.settings import Settings


def describe(settings: Settings) -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": _field(Path("/proc/cpuinfo"), "model name"),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "load_average": round(os.getloadavg()[0], 2),
        "server": _output([settings.server, "--version"]),
        "commit": _output(["git", "-C", settings.repository, "describe", "--always", "--dirty"]),
        "rounds": settings.rounds,
        "seconds": settings.duration.seconds,
        "short": settings.short,
        "command": settings.command,
    }


def _field(path: Path, name: str) -> str:
    for line in path.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"


def _output(words: list) -> str:
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
