from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from suite.serving import Process, Step, Target


@dataclass(frozen=True)
class Running:
    """A system that answers: a RunningSystem of the parts that its adapter gives."""

    targets: Mapping[str, Target]
    processes: Sequence[Process]
    request: Callable[[int], tuple[Step, ...]]
    probabilities: Callable[[bytes], np.ndarray]
