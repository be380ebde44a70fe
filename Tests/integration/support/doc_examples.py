"""The examples of the documentation: sessions with redis-cli, files that they use, grammars and names of commands.

A session is a fenced block with lines ``$ command``, each followed by what the command prints; a line that ends in
``\\`` goes on. A fenced block whose first line is ``# NAME.py`` is the file of that name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
PAGES = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")))

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PROMPT = "$ "
_COMMAND_NAME = re.compile(r"\bAI\.[A-Z_]+")
_FILE_NAME = re.compile(r"# (\w+\.py)\n")


@dataclass(frozen=True)
class Example:
    """One command of a session, as typed, and the lines that it prints."""

    command: str
    printed: list[str]


def text_of(page: Path) -> str:
    return page.read_text()


def blocks_of(page: Path) -> list[str]:
    """The contents of the fenced blocks."""
    return [content for _, content in _BLOCK.findall(text_of(page))]


def sessions_of(page: Path) -> list[Example]:
    """The examples of a page, in order."""
    return [example for block in blocks_of(page) if block.startswith(_PROMPT) for example in _examples(block)]


def files_of(page: Path) -> dict[str, str]:
    """The files that a page shows, by name."""
    named = ((_FILE_NAME.match(block), block) for block in blocks_of(page))
    return {match[1]: block for match, block in named if match}


def lines_outside_sessions(page: Path) -> list[str]:
    """All lines but those of sessions."""
    without = _BLOCK.sub(lambda block: "" if block[2].startswith(_PROMPT) else block[0], text_of(page))
    return without.splitlines()


def command_names(page: Path) -> set[str]:
    """Every command of the module that the page mentions; `AI.MODEL*` and the like stand for several, not for one."""
    return {name for name in _COMMAND_NAME.findall(re.sub(r"AI\.[A-Z_]*\*", "", text_of(page)))}


def grammars(page: Path) -> dict[str, list[str]]:
    """Command to the lines of its grammar: lines indented by four, further ones deeper."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in lines_outside_sessions(page):
        if line.startswith("    AI."):
            lines = found.setdefault(line.split()[0], [])
            lines.append(line.strip())
        elif line.startswith("        ") and lines:
            lines.append(line.strip())
        else:
            lines = []
    return found


def _examples(block: str) -> list[Example]:
    examples: list[Example] = []
    continued = False
    for line in block.splitlines():
        if line.startswith(_PROMPT):
            examples.append(Example(line.removeprefix(_PROMPT), []))
        elif continued:
            last = examples.pop()
            examples.append(Example(f"{last.command}\n{line}", []))
        else:
            examples[-1].printed.append(line)
        continued = line.endswith("\\")
    return examples
