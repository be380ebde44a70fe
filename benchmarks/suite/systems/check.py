"""Whether a system answers what the network says."""

import numpy as np

from suite import data, models
from suite.errors import BenchmarkError
from suite.serving import RunningSystem, Workload
from suite.systems.clients import Player

TOLERANCE = 1e-4


def expected_answers(workload: Workload) -> np.ndarray:
    """One row per transaction."""
    references = None
    if workload.reference != "none":
        references = data.references(workload.entries, workload.reference_bytes)
    return models.answers(workload, data.transactions(workload.entries), references)


def compare(index: int, answer: np.ndarray, expected: np.ndarray) -> None:
    if answer.shape != expected.shape or not np.allclose(answer, expected, atol=TOLERANCE):
        raise BenchmarkError(f"wrong answer for transaction {index}: {answer} where the network says {expected}")


def verify(running: RunningSystem, workload: Workload) -> None:
    """Raises BenchmarkError unless the first and the last transaction are answered as they should be."""
    expected = expected_answers(workload)
    with Player(running.targets) as player:
        for index in (0, workload.entries - 1):
            compare(index, running.probabilities(player.play(running.request(index))), expected[index])
