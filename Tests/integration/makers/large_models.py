"""large_models.py FOLDER: TensorFlow and LiteRT models of 80 MB, for what is said of memory.

`tf-large.pb`, a frozen graph: `output` = `input` + 20 million numbers; `tflite-large.tflite`: FLOAT [any, 2000] times a matrix of
[2000, 10000].
"""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

FOLDER = Path(sys.argv[1])
numbers = np.random.default_rng(1)


def write_frozen_graph() -> None:
    with tf.Graph().as_default() as graph:
        placeholder = tf.compat.v1.placeholder(tf.float32, [1], name="input")
        weights = tf.constant(numbers.random(20_000_000, np.float32), name="weights")
        tf.add(placeholder, weights, name="output")
    (FOLDER / "tf-large.pb").write_bytes(graph.as_graph_def().SerializeToString())


def write_litert_model() -> None:
    weights = tf.constant(numbers.random((2000, 10_000), np.float32))
    module = tf.Module()
    module.serve = tf.function(lambda x: x @ weights, input_signature=[tf.TensorSpec([None, 2000], tf.float32)])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.serve.get_concrete_function()], module)
    (FOLDER / "tflite-large.tflite").write_bytes(converter.convert())


write_frozen_graph()
write_litert_model()
