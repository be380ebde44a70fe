"""tensorflow_models.py FOLDER: small frozen graphs and LiteRT models, each for one behaviour.

`tf-NAME.pb` and `tflite-NAME.tflite`; support/tf_models.py and support/tflite_models.py say what is in them.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf
from quantised_network import calibration, dense

DTYPES = {
    "FLOAT": tf.float32,
    "DOUBLE": tf.float64,
    "INT8": tf.int8,
    "INT16": tf.int16,
    "INT32": tf.int32,
    "INT64": tf.int64,
    "UINT8": tf.uint8,
    "UINT16": tf.uint16,
    "BOOL": tf.bool,
    "STRING": tf.string,
}

Shape = list[int | None] | None
FOLDER = Path(sys.argv[1])


def write_graph(name: str, build: Callable[[], object]) -> None:
    with tf.Graph().as_default() as graph:
        build()
    (FOLDER / f"tf-{name}.pb").write_bytes(graph.as_graph_def().SerializeToString())


def placeholder(name: str, dtype: tf.DType = tf.float32, shape: Shape = None) -> tf.Tensor:
    return tf.compat.v1.placeholder(dtype, shape, name)


def write_graphs() -> None:
    pair = [2, None]
    write_graph("mul", lambda: tf.multiply(placeholder("a", shape=pair), placeholder("b", shape=pair), name="mul"))
    write_graph("scalar", lambda: tf.reduce_sum(placeholder("input"), name="output"))
    write_graph("rows", lambda: tf.multiply(placeholder("input", shape=[None, 3]), 2.0, name="output"))
    write_graph("variable", lambda: tf.compat.v1.get_variable("output", shape=[1]))
    write_graph("read_file", lambda: tf.identity(tf.io.read_file(placeholder("input", tf.string, [])), name="output"))
    for name, dtype in DTYPES.items():
        write_graph(f"identity-{name}", lambda: tf.identity(placeholder("input", dtype), name="output"))
    for name in ("HALF", "COMPLEX64"):
        dtype = {"HALF": tf.float16, "COMPLEX64": tf.complex64}[name]
        write_graph(f"cast-{name}", lambda: tf.cast(placeholder("input"), dtype, name="output"))


def write_tflite(name: str, function: Callable, specs: list[tf.TensorSpec], **options: object) -> None:
    """One signature, whose inputs and outputs have the names of the function's parameters and results."""
    module = tf.Module()
    module.serve = tf.function(function, input_signature=specs)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.serve.get_concrete_function()], module)
    for option, value in options.items():
        setattr(converter, option, value)
    (FOLDER / f"tflite-{name}.tflite").write_bytes(converter.convert())


def write_tflites() -> None:
    spec = tf.TensorSpec
    rows = spec([None, 3], tf.float32, "input")
    write_tflite("rows", lambda input: {"output": input * 2.0}, [rows])
    write_tflite("fixed", lambda input: {"output": input * 2.0}, [spec([2, 3], tf.float32, "input")])
    write_tflite(
        "two", lambda a, b: {"sum": a + b, "difference": a - b}, [spec([None, 3], tf.float32, n) for n in "ab"]
    )
    write_tflite("bool", lambda a, b: {"output": tf.logical_and(a, b)}, [spec([None, 3], tf.bool, n) for n in "ab"])
    write_tflite(
        "int8", dense, [spec([None, 4], tf.float32, "x")],
        optimizations=[tf.lite.Optimize.DEFAULT],
        representative_dataset=calibration,
        inference_input_type=tf.int8,
        inference_output_type=tf.int8,
    )  # fmt: skip
    for name, dtype in DTYPES.items():
        # A reshape, since a model may not have its input as its output.
        reshape = lambda input: {"output": tf.reshape(input, [3, 2])}  # noqa: E731
        write_tflite(f"reshape-{name}", reshape, [spec([2, 3], dtype, "input")])


write_graphs()
write_tflites()
