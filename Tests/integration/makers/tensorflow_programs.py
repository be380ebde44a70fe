"""tensorflow_programs.py FOLDER: frozen graphs that do more than calculate, and such whose results have odd shapes.

`tf-NAME.pb`; support/tf_models.py says what is in them.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf
from tensorflow.core.framework.graph_pb2 import GraphDef

FOLDER = Path(sys.argv[1])
raw = tf.raw_ops


def placeholder(dtype: tf.DType = tf.float32, shape: list[int | None] | None = None, name: str = "input") -> tf.Tensor:
    return tf.compat.v1.placeholder(dtype, shape, name)


def graph_def(build: Callable[[], object]) -> GraphDef:
    with tf.Graph().as_default() as graph:
        build()
    return graph.as_graph_def()


def write(name: str, definition: GraphDef) -> None:
    (FOLDER / f"tf-{name}.pb").write_bytes(definition.SerializeToString())


# Operations that reach out of the computation.


def in_function(body: Callable[[tf.Tensor], tf.Tensor], name: str) -> Callable[[], object]:
    """The operation in the function library only: called by the graph, or by nobody."""

    def build() -> None:
        function = tf.function(body).get_concrete_function(tf.TensorSpec([], tf.string))
        function.add_to_graph(tf.compat.v1.get_default_graph())
        if name == "called":
            tf.identity(function(placeholder(tf.string, [])), name="output")
        else:
            tf.identity(placeholder(tf.string, []), name="output")

    return build


def operations() -> dict[str, Callable[[], object]]:
    text = lambda: placeholder(tf.string, [])  # noqa: E731
    return {
        "ReadFile": lambda: raw.ReadFile(filename=text(), name="output"),
        "MatchingFiles": lambda: raw.MatchingFiles(pattern=text(), name="output"),
        "PyFunc": lambda: raw.PyFunc(input=[text()], token="t", Tout=[tf.string], name="output"),
        "WriteFile": write_file,
        "PrintV2": print_to_file,
        "SaveV2": save,
        "Abort": lambda: (tf.identity(text(), name="output"), raw.Abort(error_msg="x", name="node")),
        "called": in_function(lambda path: raw.ReadFile(filename=path), "called"),
        "uncalled": in_function(lambda path: raw.ReadFile(filename=path), "uncalled"),
    }


def write_file() -> None:
    """The first of two texts is the name, the second the content."""
    texts = placeholder(tf.string, [2])
    with tf.control_dependencies([raw.WriteFile(filename=texts[0], contents=texts[1], name="node")]):
        tf.identity(texts, name="output")


def print_to_file() -> None:
    text = placeholder(tf.string, [])
    with tf.control_dependencies([raw.PrintV2(input=text, output_stream="file:///tmp/redisai-printed")]):
        tf.identity(text, name="output")


def save() -> None:
    text = placeholder(tf.string, [])
    with tf.control_dependencies([raw.SaveV2(prefix=text, tensor_names=["t"], shape_and_slices=[""], tensors=[1.0])]):
        tf.identity(text, name="output")


# Loops, whose number of rounds is the input.


def loop(flow: str) -> Callable[[], object]:
    """FLOAT [1]: the number of rounds goes in and comes out; never reached when it is not finite."""

    def build() -> None:
        (tf.compat.v1.enable_control_flow_v2 if flow == "v2" else tf.compat.v1.disable_control_flow_v2)()
        rounds = placeholder(shape=[1])
        counted = tf.while_loop(lambda i: i[0] < rounds[0], lambda i: (i + 1.0,), (tf.zeros([1]),))
        tf.identity(counted[0], name="output")

    return build


def write_operations() -> None:
    for name, build in operations().items():
        write(f"unsafe-{name}", graph_def(build))


def write_shapes() -> None:
    write("where", graph_def(lambda: raw.Where(condition=placeholder(), name="output")))
    write("split", graph_def(lambda: tf.split(placeholder(shape=[4]), 2, name="output")))
    write("constant", graph_def(lambda: (placeholder(), tf.constant([1.0, 2.0], name="output"))))
    write("no_output", graph_def(lambda: (placeholder(), tf.no_op(name="output"))))
    write("half_input", graph_def(lambda: tf.cast(placeholder(tf.float16), tf.float32, name="output")))
    write("ranks", graph_def(lambda: tf.reshape(placeholder(), placeholder(tf.int32, name="shape"), name="output")))
    write("fill", graph_def(lambda: tf.fill(placeholder(tf.int64), 1.0, name="output")))
    write("parse", graph_def(lambda: tf.strings.to_number(placeholder(tf.string), name="output")))
    write("characters", graph_def(lambda: tf.strings.join([placeholder(tf.string), "\0x"], name="output")))
    write("matmul", graph_def(lambda: matmul()))


def matmul() -> None:
    square = placeholder(shape=[None, None])
    tf.matmul(square, square, name="output")


write_operations()
write_shapes()
write("loop-v1", graph_def(loop("v1")))
write("loop-v2", graph_def(loop("v2")))
