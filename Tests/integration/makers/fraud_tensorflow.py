"""fraud_tensorflow.py FOLDER WEIGHTS: the network of support/fraud_models.py as `frozen.pb`, `saved_model`, `model.tflite`."""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

WIDTHS = {"transaction": 30, "reference": 256}


def network(transaction: tf.Tensor, reference: tf.Tensor, parameters: list) -> tf.Tensor:
    """`parameters` are kernels and biases in turn."""
    state = tf.concat([transaction, reference], axis=1)
    *hidden, (kernel, bias) = zip(parameters[::2], parameters[1::2])
    for hidden_kernel, hidden_bias in hidden:
        state = tf.nn.relu(tf.matmul(state, hidden_kernel) + hidden_bias)
    return tf.nn.softmax(tf.matmul(state, kernel) + bias, name="output")


def frozen_graph(weights: list[np.ndarray]) -> bytes:
    with tf.Graph().as_default() as graph:
        inputs = [tf.compat.v1.placeholder(tf.float32, (None, width), name) for name, width in WIDTHS.items()]
        network(*inputs, [tf.constant(array) for array in weights])
        return graph.as_graph_def().SerializeToString()


class Fraud(tf.Module):
    def __init__(self, weights: list[np.ndarray]) -> None:
        super().__init__()
        self.parameters = [tf.Variable(array) for array in weights]

    @tf.function(input_signature=[tf.TensorSpec((None, width), tf.float32, name) for name, width in WIDTHS.items()])
    def serve(self, transaction: tf.Tensor, reference: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"output": network(transaction, reference, self.parameters)}


def main() -> None:
    folder, weights = Path(sys.argv[1]), list(np.load(sys.argv[2]).values())
    (folder / "frozen.pb").write_bytes(frozen_graph(weights))
    module = Fraud(weights)
    saved_model = str(folder / "saved_model")
    tf.saved_model.save(module, saved_model, signatures={"serving_default": module.serve})
    converter = tf.lite.TFLiteConverter.from_saved_model(saved_model)
    (folder / "model.tflite").write_bytes(converter.convert())


main()
