from pathlib import Path

import pytest

from suite import smoke
from suite.smoke import Outcome

RECORDED = Path(__file__).resolve().parents[1] / "recorded.toml"


def test_the_committed_ratios_can_be_read() -> None:
    limits = smoke.recorded(RECORDED)
    assert set(limits) == set(smoke.PLAIN_CLIENTS)
    assert all(1 < ratio < 5 for ratio in limits.values())


@pytest.mark.parametrize(("ratio", "status"), [(1.2, 0), (1.49, 0), (1.51, 1)])
def test_a_quarter_more_than_recorded_is_too_much(ratio: float, status: int) -> None:
    assert smoke.judge({50: Outcome(ratio, 0.1)}, {50: 1.2}) == status


def test_one_of_several_suffices(capsys: pytest.CaptureFixture[str]) -> None:
    assert smoke.judge({1: Outcome(1.0, 0), 50: Outcome(9.0, 0)}, {1: 1.2, 50: 1.2}) == 1
    assert "1 clients: CPU / (E + R) = 1.00, recorded 1.20: ok" in capsys.readouterr().out
