"""A network to be quantised, and inputs that show the range of its numbers."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf


def dense(x: tf.Tensor) -> dict[str, tf.Tensor]:
    kernel = tf.constant(np.linspace(-1, 1, 12).reshape(4, 3), tf.float32)
    return {"output": tf.nn.relu(tf.matmul(x, kernel))}


def calibration() -> Iterator[list[np.ndarray]]:
    generator = np.random.default_rng(1)
    for _ in range(64):
        yield [generator.uniform(-1, 1, (1, 4)).astype(np.float32)]
