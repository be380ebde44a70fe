"""saved_models.py FOLDER: SavedModels, each a folder of that name; support/saved_models.py says what is in them."""

import sys
from pathlib import Path

import tensorflow as tf

FOLDER = Path(sys.argv[1])
ROW = tf.TensorSpec([None, 3], tf.float32)


class Two(tf.Module):
    """Two inputs, two outputs and a variable."""

    def __init__(self) -> None:
        self.factor = tf.Variable(2.0)

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, "b"), tf.TensorSpec([None, 3], tf.float32, "a")])
    def serve(self, b: tf.Tensor, a: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"sum": (a + b) * self.factor, "difference": (a - b) * self.factor}

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, "x")])
    def negate(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"negative": -x}


class Vocabulary(tf.Module):
    """The line of a text file in which a word stands, or -1."""

    def __init__(self) -> None:
        path = FOLDER / "words.txt"
        path.write_text("zero\none\ntwo\n")
        keys = tf.lookup.TextFileInitializer(
            str(path), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        )
        self.table = tf.lookup.StaticHashTable(keys, -1)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "words")])
    def serve(self, words: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"lines": self.table.lookup(words)}


class Writer(tf.Module):
    """Writes a checkpoint to the path that is its input."""

    @tf.function(input_signature=[tf.TensorSpec([], tf.string, "path")])
    def serve(self, path: tf.Tensor) -> dict[str, tf.Tensor]:
        save = tf.raw_ops.SaveV2(prefix=path, tensor_names=["t"], shape_and_slices=[""], tensors=[tf.ones([1])])
        with tf.control_dependencies([save]):
            return {"output": tf.identity(path)}


class Loop(tf.Module):
    """Counts to the number that goes in."""

    @tf.function(input_signature=[tf.TensorSpec([1], tf.float32, "rounds")])
    def serve(self, rounds: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"output": tf.while_loop(lambda i: i[0] < rounds[0], lambda i: (i + 1.0,), (tf.zeros([1]),))[0]}


def save(name: str, module: tf.Module, **signatures: object) -> None:
    tf.saved_model.save(module, str(FOLDER / name), signatures=signatures)


def main() -> None:
    two = Two()
    save("two", two, serving_default=two.serve, negate=two.negate)
    save("without_serving", two, first=two.serve, second=two.negate)
    for name, module in (("vocabulary", Vocabulary()), ("writer", Writer()), ("loop", Loop())):
        save(name, module, serving_default=module.serve)


main()
