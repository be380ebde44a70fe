"""fraud_tensorflow.py FOLDER WEIGHTS [VALUES]: the network of support/fraud_models.py, for that many values of
reference data, as `frozen.pb`, `saved_model`, `model.tflite`."""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

TAKEN = 256
VALUES = int(sys.argv[3]) if len(sys.argv) > 3 else TAKEN
FIRST = (VALUES - TAKEN) // 2
WIDTHS = {"transaction": 30} | ({"reference": VALUES} if VALUES else {})


def network(inputs: list[tf.Tensor], parameters: list) -> tf.Tensor:
    """`parameters` are kernels and biases in turn."""
    transaction, *references = inputs
    state = tf.concat([transaction, *(reference[:, FIRST : FIRST + TAKEN] for reference in references)], axis=1)
    *hidden, (kernel, bias) = zip(parameters[::2], parameters[1::2])
    for hidden_kernel, hidden_bias in hidden:
        state = tf.nn.relu(tf.matmul(state, hidden_kernel) + hidden_bias)
    return tf.nn.softmax(tf.matmul(state, kernel) + bias, name="output")


def frozen_graph(weights: list[np.ndarray]) -> bytes:
    with tf.Graph().as_default() as graph:
        inputs = [tf.compat.v1.placeholder(tf.float32, (None, width), name) for name, width in WIDTHS.items()]
        network(inputs, [tf.constant(array) for array in weights])
        return graph.as_graph_def().SerializeToString()


class Fraud(tf.Module):
    def __init__(self, weights: list[np.ndarray]) -> None:
        super().__init__()
        self.parameters = [tf.Variable(array) for array in weights]

    @tf.function(input_signature=[tf.TensorSpec((None, width), tf.float32, name) for name, width in WIDTHS.items()])
    def serve(self, *inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"output": network(inputs, self.parameters)}


def main() -> None:
    folder, weights = Path(sys.argv[1]), list(np.load(sys.argv[2]).values())
    (folder / "frozen.pb").write_bytes(frozen_graph(weights))
    module = Fraud(weights)
    saved_model = str(folder / "saved_model")
    tf.saved_model.save(module, saved_model, signatures={"serving_default": module.serve})
    converter = tf.lite.TFLiteConverter.from_saved_model(saved_model)
    (folder / "model.tflite").write_bytes(converter.convert())


main()
