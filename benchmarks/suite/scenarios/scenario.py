from collections.abc import Callable
from dataclasses import dataclass

from suite.measuring import Bench


@dataclass(frozen=True)
class Scenario:
    """A question, and how it is measured."""

    name: str
    title: str
    # For readers of the report: what is done and why, in a few sentences.
    text: str
    run: Callable[[Bench], None]
