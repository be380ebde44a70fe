"""tflite_programs.py FOLDER: LiteRT models with odd types, shapes and operators, and what LiteRT itself answers.

`tflite-NAME.tflite`; `uint8-inputs.npy` and `uint8-answers.npy` belong to the quantised network `uint8`.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import flatbuffers
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from quantised_network import calibration, dense
from tensorflow.lite.python import schema_py_generated as schema

FOLDER = Path(sys.argv[1])
SAMPLES = 5
spec = tf.TensorSpec


def convert(function: Callable, specs: list[tf.TensorSpec], **options: object) -> bytes:
    module = tf.Module()
    module.serve = tf.function(function, input_signature=specs)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.serve.get_concrete_function()], module)
    for option, value in options.items():
        setattr(converter, option, value)
    return converter.convert()


def write(name: str, model: bytes) -> None:
    (FOLDER / f"tflite-{name}.tflite").write_bytes(model)


def write_quantised() -> None:
    model = convert(
        dense, [spec([None, 4], tf.float32, "x")],
        optimizations=[tf.lite.Optimize.DEFAULT],
        representative_dataset=calibration,
        inference_input_type=tf.uint8,
        inference_output_type=tf.uint8,
    )  # fmt: skip
    write("uint8", model)
    inputs = np.random.default_rng(2).integers(0, 256, (SAMPLES, 4), dtype=np.uint8)
    np.save(FOLDER / "uint8-inputs.npy", inputs)
    np.save(FOLDER / "uint8-answers.npy", np.concatenate([answer(model, row[None]) for row in inputs]))


def answer(model: bytes, array: np.ndarray) -> np.ndarray:
    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], array)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def with_custom_operator(model: bytes, code: str) -> bytes:
    """The model with its first operator replaced by one that has only a name."""
    tree = schema.ModelT.InitFromPackedBuf(model, 0)
    operator = tree.operatorCodes[0]
    operator.builtinCode, operator.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM, 32
    operator.customCode = code
    return packed(tree)


def with_external_buffer(model: bytes) -> bytes:
    """The model saying that weights stand behind the file."""
    tree = schema.ModelT.InitFromPackedBuf(model, 0)
    tree.buffers[-1].offset, tree.buffers[-1].size = 4096, 64
    return packed(tree)


def packed(tree: schema.ModelT) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def loop(rounds: tf.Tensor) -> dict[str, tf.Tensor]:
    return {"output": tf.while_loop(lambda i: i[0] < rounds[0], lambda i: (i + 1.0,), (tf.zeros([1]),))[0]}


def write_odd() -> None:
    any_float = [spec([None, 3], tf.float32, "input")]
    rows = convert(lambda input: {"output": input * 2.0}, any_float)
    fixed = convert(lambda input: {"output": input * 2.0}, [spec([2, 3], tf.float32, "input")])
    write("custom", with_custom_operator(fixed, "Unheard-of"))
    write("dispatch", with_custom_operator(rows, "DISPATCH_OP"))
    write("offset", with_external_buffer(rows))
    write("where", convert(lambda input: {"output": tf.where(input > 0)}, any_float))
    write("half-input", convert(halves, [spec([2, 3], tf.float16, "input")]))
    write("half-output", convert(lambda input: {"output": tf.cast(input, tf.float16)}, any_float))
    write("uint32", convert(lambda input: {"output": tf.cast(input, tf.uint32)}, any_float))
    write("loop", convert(loop, [spec([1], tf.float32, "rounds")]))
    write("pairs", convert(pairs, [spec([None, 3], tf.float32, name) for name in ("a", "b")]))


def halves(input: tf.Tensor) -> dict[str, tf.Tensor]:
    return {"output": tf.cast(tf.reshape(input, [3, 2]), tf.float32)}


def pairs(a: tf.Tensor, b: tf.Tensor) -> dict[str, tf.Tensor]:
    return {"output": tf.matmul(a, b, transpose_b=True)}


write_quantised()
write_odd()
