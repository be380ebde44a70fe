"""Transactions with the shape and statistics of the public data set of European card payments, and reference records.

The data set (284,807 payments of two days in September 2013, 492 of them frauds) has 30 features: the time in seconds
since its first payment, 28 principal components whose meaning is kept secret, and the amount in euros. As models for it
do, time and amount are given in standard deviations from their means; the components have a mean of zero to begin with.
The first rows do not depend on how many are asked for.
"""

import numpy as np

FEATURES = 30
COMPONENTS = 28
FRAUDS = 492 / 284_807
SECONDS = 172_792
TIME_MEAN, TIME_DEVIATION = 94_813.86, 47_488.15
AMOUNT_MEAN, AMOUNT_DEVIATION, AMOUNT_MEDIAN, AMOUNT_MAX = 88.35, 250.12, 22.0, 25_691.16
# Of all payments; the principal components are ordered by it.
DEVIATIONS = np.array(
    [1.959, 1.651, 1.516, 1.416, 1.380, 1.332, 1.237, 1.194, 1.099, 1.089, 1.021, 0.999, 0.995, 0.959]
    + [0.915, 0.876, 0.849, 0.838, 0.814, 0.771, 0.735, 0.726, 0.624, 0.606, 0.521, 0.482, 0.404, 0.330]
)
# Of the frauds alone.
FRAUD_MEANS = np.array(
    [-4.77, 3.62, -7.03, 4.54, -3.15, -1.40, -5.57, 0.57, -2.58, -5.68, 3.80, -6.26, -0.11, -6.97]
    + [-0.09, -4.14, -6.67, -2.25, 0.68, 0.37, 0.71, 0.01, -0.04, -0.11, 0.04, 0.05, 0.17, 0.08]
)
# Degrees of freedom of Student's distribution: the components' tails are heavy.
TAIL = 5
# The share of payments that follow the rhythm of the day, which has its peak in the evening.
RHYTHM, PEAK, DAY = 0.6, 17 * 3600, 86_400
SEED = 20130901


def transactions(count: int) -> np.ndarray:
    """FLOAT [count, 30]: time, components, amount."""
    columns = [_times(count)[:, None], _components(count), _amounts(count)[:, None]]
    return np.hstack(columns).astype(np.float32)


def references(count: int, size: int) -> np.ndarray:
    """FLOAT [count, size / 4]: one record of `size` bytes per transaction."""
    return _generator("references").standard_normal((count, size // 4), dtype=np.float32)


def _generator(part: str) -> np.random.Generator:
    """Each part of the data is drawn by itself, so that no part depends on another's length."""
    return np.random.default_rng([SEED, *part.encode()])


def _times(count: int) -> np.ndarray:
    draws = _generator("times").random((count, 3))
    # The time of day by inverting an approximate distribution: a cosine's density added to an even one.
    even = draws[:, 1] * DAY
    peaked = PEAK + (np.arcsin(2 * draws[:, 1] - 1) / np.pi) * DAY
    times = np.where(draws[:, 0] < RHYTHM, peaked % DAY, even) + np.floor(draws[:, 2] * 2) * DAY
    return (np.minimum(times, SECONDS) - TIME_MEAN) / TIME_DEVIATION


def _components(count: int) -> np.ndarray:
    generator = _generator("components")
    tails = generator.standard_t(TAIL, (count, COMPONENTS)) / np.sqrt(TAIL / (TAIL - 2))
    frauds = _generator("frauds").random(count) < FRAUDS
    # The frauds add to the deviation of all.
    honest = np.sqrt(DEVIATIONS**2 - FRAUDS * (1 - FRAUDS) * FRAUD_MEANS**2)
    return tails * honest + (frauds[:, None] - FRAUDS) * FRAUD_MEANS


def _amounts(count: int) -> np.ndarray:
    spread = np.sqrt(2 * np.log(AMOUNT_MEAN / AMOUNT_MEDIAN))
    amounts = _generator("amounts").lognormal(np.log(AMOUNT_MEDIAN), spread, count)
    return (np.minimum(np.round(amounts, 2), AMOUNT_MAX) - AMOUNT_MEAN) / AMOUNT_DEVIATION
