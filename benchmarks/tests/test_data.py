"""The made-up data against the figures of the data set that it stands for, and the models against numpy."""

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from support import fraud_models

from suite import data, models
from suite.serving import Workload

COUNT = 200_000


@pytest.fixture(scope="module")
def transactions() -> np.ndarray:
    return data.transactions(COUNT)


def test_time_and_amount_are_as_in_the_data_set(transactions: np.ndarray) -> None:
    seconds = transactions[:, 0] * data.TIME_DEVIATION + data.TIME_MEAN
    euros = transactions[:, -1] * data.AMOUNT_DEVIATION + data.AMOUNT_MEAN
    assert 0 <= seconds.min() + 0.1 and seconds.max() <= data.SECONDS + 0.1
    assert seconds.std() == pytest.approx(data.TIME_DEVIATION, rel=0.1)
    # More payments by day than by night.
    hours, _ = np.histogram(seconds % data.DAY, bins=24)
    assert hours[9:21].min() > hours[1:6].max()
    assert np.median(euros) == pytest.approx(data.AMOUNT_MEDIAN, rel=0.05)
    assert euros.mean() == pytest.approx(data.AMOUNT_MEAN, rel=0.1)
    assert -0.01 <= euros.min() and euros.max() <= data.AMOUNT_MAX + 1


def test_components_are_centred_and_spread_as_in_the_data_set(transactions: np.ndarray) -> None:
    components = transactions[:, 1:-1]
    assert np.abs(components.mean(axis=0)).max() < 0.05
    assert components.std(axis=0) == pytest.approx(data.DEVIATIONS, rel=0.05)


def test_the_first_rows_do_not_depend_on_how_many_there_are(transactions: np.ndarray) -> None:
    assert np.array_equal(data.transactions(10), transactions[:10])
    assert np.array_equal(data.references(2, 1024), data.references(5, 1024)[:2])


@pytest.mark.parametrize("workload", [Workload(reference="none"), Workload(), Workload(reference_bytes=8192)])
def test_the_model_takes_evenly_spread_values(workload: Workload) -> None:
    transaction, reference = data.transactions(4), data.references(4, workload.reference_bytes)
    names = list(fraud_models.input_widths(models.reference_values(workload)))
    inputs = dict(zip(names, (transaction, reference)))
    [found] = ReferenceEvaluator(onnx.load_from_string(models.onnx_model(workload))).run(None, inputs)
    expected = models.answers(workload, transaction, reference)
    assert np.allclose(found, expected, atol=1e-5)
    # The answers tell transactions apart, so that a wrong one is noticed.
    assert expected[:, 0].std() > 0.01
