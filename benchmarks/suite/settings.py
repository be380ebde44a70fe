"""What a run of the suite is to do, and with which programs."""

from dataclasses import dataclass
from pathlib import Path

from suite.load import Duration


@dataclass(frozen=True)
class Settings:
    server: str
    module: Path
    aibench: Path
    raw_programs: Path
    # By title: further modules with the same commands, such as the original.
    other_modules: dict[str, Path]
    peers: tuple[str, ...]
    engines: tuple[str, ...]
    scenarios: tuple[str, ...]
    rounds: int
    # Fewer suffice for those that differ by many times.
    peer_rounds: int
    duration: Duration
    # Fewer points, and no comparison of a system with itself; what `make bench` does.
    short: bool
    command: str
    repository: Path

    def pick(self, short: tuple, full: tuple) -> tuple:
        """The points of an axis."""
        return short if self.short else full
