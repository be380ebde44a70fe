"""Runs the programs of Tests/integration/clients, which use the clients that people use.

They run in the Python that holds those clients, one process per server, and report every check by itself.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.server import tail
from support.workshop import from_environment, workshop

PROGRAMS = Path(__file__).resolve().parent.parent / "clients"
PREFIX = "check_"
LIMIT_SECONDS = 150


def checks_of(program: str) -> list[str]:
    """The names of a program's checks, in the order in which they stand; nothing is run."""
    tree = ast.parse((PROGRAMS / program).read_text())
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [name.removeprefix(PREFIX) for name in functions if name.startswith(PREFIX)]


@dataclass
class Report:
    """What a program has said."""

    ending: str
    """How the program ended, and the last it wrote."""
    errors: dict[str, str | None] = field(default_factory=dict)
    """By check: None, or the traceback."""
    seconds: dict[str, float] = field(default_factory=dict)
    not_called: list[str] | None = None
    """The methods that no check called."""

    def assert_passed(self, check: str) -> None:
        if check not in self.errors:
            pytest.fail(f"the program did not come to {check}: {self.ending}", pytrace=False)
        if self.errors[check] is not None:
            pytest.fail(f"{self.errors[check]}\n{self.ending}", pytrace=False)

    def assert_all_called(self) -> None:
        assert self.not_called is not None, self.ending
        assert not self.not_called, f"public methods that no check calls: {self.not_called}"


def run_program(program: str, *arguments: str | Path, environment: dict[str, str] | None = None) -> Report:
    """Run a program to its end; its arguments are a file for the report and the given ones."""
    folder = Path(tempfile.mkdtemp(prefix=program.removesuffix(".py"), dir=workshop()))
    lines = folder / "report"
    command = [from_environment("REDISAI_CLIENTS_PYTHON"), PROGRAMS / program, lines, *arguments]
    try:
        result = subprocess.run(
            command,
            cwd=folder,
            env=os.environ | (environment or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_SECONDS,
        )
        report = Report(f"{program} ended with status {result.returncode}\n{tail(result.stdout)}")
    except subprocess.TimeoutExpired as expired:
        said = (expired.stdout or b"").decode(errors="replace")
        report = Report(f"{program} did not end within {LIMIT_SECONDS} s\n{tail(said)}")
    for line in lines.read_text().splitlines() if lines.exists() else []:
        fields = json.loads(line)
        if "check" in fields:
            report.errors[fields["check"]] = fields["error"]
            report.seconds[fields["check"]] = fields["seconds"]
        else:
            report.not_called = fields["not_called"]
    return report


def model_files(**models: Callable[[], bytes]) -> Path:
    """A folder with the models, each in the file of its name."""
    folder = Path(tempfile.mkdtemp(prefix="for-clients-", dir=workshop()))
    for name, make in models.items():
        (folder / name).write_bytes(make())
    return folder
