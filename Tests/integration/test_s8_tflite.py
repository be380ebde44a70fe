"""Reference section 8, TFLITE row: models of LiteRT at store and at run, with the texts of today's engine."""

import time

import numpy as np
import pytest

from support import tf_models, tflite_models
from support.commands import NUMPY_TYPES, execute, get_tensor, pairs, set_tensor, stats
from support.persistence import ModelIsKept
from support.resp import OK, Error
from support.tflite_models import special
from support.wait import eventually

pytestmark = pytest.mark.one_server
MODULE_ARGS = ("MODEL_EXECUTION_TIMEOUT", "1000")
CANNOT_LOAD = Error("Failed to load model from buffer")
CANNOT_RESIZE = Error("Failed to resize input tensors")
CANNOT_ALLOCATE = Error("Failed to allocate tensors")
WRONG_TYPE = Error("Input tensor type doesn't match the type expected by the model definition")
CANCELLED = Error("Failed to invoke TfLite: Client requested cancel during Invoke()")
FLOATS = np.arange(6, dtype=np.float32).reshape(2, 3)


def store_command(blob, *options, device="CPU"):
    return ["AI.MODELSTORE", "m", "TFLITE", device, *options, "BLOB", blob]


def store(raw, blob, *options, device="CPU"):
    reply = raw.call(*store_command(blob, *options, device=device))
    assert reply == OK, reply


def run(raw, *arrays, outputs=("y",)):
    keys = [f"in{index}" for index in range(len(arrays))]
    for key, array in zip(keys, arrays):
        set_tensor(raw, key, array)
    return execute(raw, "m", keys, outputs)


class TestStore:
    @pytest.mark.parametrize("blob", [b"", b"x", b"\0" * 100, b"\x1c\0\0\0TFL3" + b"\xff" * 100], ids=repr)
    def test_no_model(self, raw, blob):
        assert raw.call(*store_command(blob)) == CANNOT_LOAD
        assert raw.call("EXISTS", "m") == 0
        assert raw.call("AI._MODELSCAN") == []

    def test_truncated(self, raw):
        model = tflite_models.rows()
        for length in range(1, len(model) - 8, 50):
            assert raw.call(*store_command(model[:length])) == CANNOT_LOAD, length

    @pytest.mark.parametrize("device", ["GPU", "gpu:0", "GPU:3"])
    def test_gpu(self, raw, device):
        assert raw.call(*store_command(tflite_models.rows(), device=device)) == Error("Failed to set GPU delegate")

    @pytest.mark.parametrize(
        "name, text",
        [
            ("custom", "Failed to allocate tensors"),
            ("dispatch", "ERR models compiled for a vendor's library are not allowed"),
            ("offset", "ERR models with data behind the flatbuffer are not allowed"),
        ],
    )
    def test_refused_models(self, raw, name, text):
        assert raw.call(*store_command(special(name))) == Error(text)
        assert raw.call("EXISTS", "m") == 0

    def test_in_pieces(self, raw):
        model = tflite_models.rows()
        assert raw.call(*store_command(model[:3]), *(model[i : i + 50] for i in range(3, len(model), 50))) == OK
        assert raw.call("AI.MODELGET", "m", "BLOB") == model

    def test_batchsize_is_accepted(self, raw):
        store(raw, tflite_models.rows(), "BATCHSIZE", 2)
        assert run(raw, FLOATS) == OK


class TestNames:
    @pytest.mark.parametrize(
        "model, inputs, outputs",
        [
            (tflite_models.rows, [b"input"], [b"output"]),
            (tflite_models.two, [b"b", b"a"], [b"sum", b"difference"]),
        ],
    )
    def test_of_the_signature_in_the_order_of_the_graph(self, raw, model, inputs, outputs):
        store(raw, model(), "TAG", "v1", device="cpu")
        meta = pairs(raw.call("AI.MODELGET", "m"))
        assert (meta["backend"], meta["device"], meta["tag"]) == (b"TFLITE", b"cpu", b"v1")
        assert (meta["inputs"], meta["outputs"], meta["blob"]) == (inputs, outputs, model())

    def test_binding_is_by_position(self, raw):
        store(raw, tflite_models.two())
        b, a = FLOATS, FLOATS * 10
        assert run(raw, b, a, outputs=("sum", "difference")) == OK
        assert np.array_equal(get_tensor(raw, "sum"), a + b)
        assert np.array_equal(get_tensor(raw, "difference"), a - b)


class TestShapes:
    def test_a_free_dimension(self, raw):
        store(raw, tflite_models.rows())
        for count in (1, 5, 2, 100, 1):
            array = np.arange(count * 3, dtype=np.float32).reshape(count, 3)
            assert run(raw, array) == OK
            assert np.array_equal(get_tensor(raw, "y"), array * 2)

    @pytest.mark.parametrize("shape", [(2, 3), (4, 3), (3, 2), (6,), (1, 2, 3), (1, 1, 1, 1, 2, 3)], ids=str)
    @pytest.mark.parametrize("model", [tflite_models.rows, tflite_models.fixed])
    def test_other_shapes_than_the_models_are_resized(self, raw, model, shape):
        store(raw, model())
        array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
        assert run(raw, array) == OK
        assert np.array_equal(get_tensor(raw, "y"), array * 2)

    @pytest.mark.parametrize("shape", [(), (1,) * 8 + (3,), (1,) * 20], ids=str)
    def test_shapes_that_the_engine_does_not_have(self, raw, shape):
        store(raw, tflite_models.rows())
        assert run(raw, np.zeros(shape, np.float32)) == CANNOT_RESIZE
        assert run(raw, FLOATS) == OK

    def test_a_zero_dim(self, raw):
        store(raw, tflite_models.rows())
        names = ["INPUTS", 1, "input", "OUTPUTS", 1, "output"]
        assert raw.call("AI.MODELSTORE", "fill", "TF", "CPU", *names, "BLOB", tf_models.fill()) == OK
        set_tensor(raw, "shape", [0, 3], "INT64")
        assert execute(raw, "fill", ["shape"], ["x"]) == OK
        assert execute(raw, "m", ["x"], ["y"]) == CANNOT_RESIZE
        assert run(raw, FLOATS) == OK

    def test_shapes_that_do_not_fit_each_other(self, raw):
        store(raw, tflite_models.two())
        assert run(raw, FLOATS, np.zeros((4, 5), np.float32), outputs=("y", "z")) == CANNOT_ALLOCATE
        assert raw.call("EXISTS", "y", "z") == 0
        assert run(raw, FLOATS, FLOATS, outputs=("y", "z")) == OK

    def test_a_reshape_that_does_not_fit(self, raw):
        store(raw, tflite_models.reshape("FLOAT"))
        assert run(raw, np.zeros((3, 3), np.float32)) == CANNOT_ALLOCATE
        assert run(raw, FLOATS) == OK

    @pytest.mark.parametrize("b, a", [(1, 1000), (4, 3), (3, 4), (1000, 1), (2, 100_000), (100_000, 2)])
    def test_matrices_that_do_not_fit_each_other(self, raw, b, a):
        """An error, or a result of what was sent (the engine reshapes `a`): not of what lies beside it in memory."""
        store(raw, special("pairs"))
        reply = run(raw, np.ones((2, b), np.float32), np.ones((2, a), np.float32))
        if reply == OK:
            assert set(get_tensor(raw, "y").flatten().tolist()) <= {float(b)}
            assert get_tensor(raw, "y").size <= 2 * (2 * a // b)
        else:
            assert reply == CANNOT_ALLOCATE

    def test_output_that_depends_on_the_data(self, raw):
        store(raw, special("where"))
        for array in (FLOATS - 2, -FLOATS, FLOATS):
            assert run(raw, array) == OK
            assert np.array_equal(get_tensor(raw, "y"), np.argwhere(array > 0))
        assert run(raw, -FLOATS) == OK
        assert raw.call("AI.TENSORGET", "y") == [b"dtype", b"INT64", b"shape", [0, 2], b"blob", b""]

    def test_large_outputs_that_depend_on_the_data(self, raw):
        """Growing beyond what was set aside: nine million places, 150 MB."""
        store(raw, special("where"))
        assert run(raw, np.ones((3_000_000, 3), np.float32)) == OK
        assert raw.call("AI.TENSORGET", "y", "META") == [b"dtype", b"INT64", b"shape", [9_000_000, 2]]
        assert run(raw, FLOATS) == OK


class TestTypes:
    @pytest.mark.parametrize("dtype", NUMPY_TYPES)
    def test_every_dtype(self, raw, dtype):
        """[2, 3] to [3, 2]."""
        store(raw, tflite_models.reshape(dtype))
        array = (FLOATS % 2 if dtype == "BOOL" else FLOATS - 1).astype(NUMPY_TYPES[dtype])
        assert run(raw, array) == OK
        assert get_tensor(raw, "y").dtype == NUMPY_TYPES[dtype]
        assert np.array_equal(get_tensor(raw, "y"), array.reshape(3, 2))

    @pytest.mark.parametrize("values", [[b"a", b"bc", b""] * 2, [b"\xff", "é".encode(), b"x" * 10_000] * 2], ids=len)
    def test_strings(self, raw, values):
        store(raw, tflite_models.reshape("STRING"))
        assert raw.call("AI.TENSORSET", "x", "STRING", 2, 3, "VALUES", *values) == OK
        assert execute(raw, "m", ["x"], ["y"]) == OK
        expected = [b"dtype", b"STRING", b"shape", [3, 2], b"values", values]
        assert raw.call("AI.TENSORGET", "y", "META", "VALUES") == expected

    def test_bool_inputs(self, raw):
        """The original never accepted them."""
        store(raw, tflite_models.both())
        a, b = np.array([[True, True, False]]), np.array([[True, False, False]])
        assert run(raw, a, b) == OK
        assert get_tensor(raw, "y").tolist() == [[True, False, False]]

    def test_int8_network(self, raw):
        store(raw, tflite_models.int8())
        real = np.array([[0.5, -0.5, 0.25, 1.0]])
        quantised = np.round(real / tflite_models.INT8_INPUT_SCALE) + tflite_models.INT8_INPUT_ZERO
        assert run(raw, np.clip(quantised, -128, 127).astype(np.int8)) == OK
        answer = get_tensor(raw, "y")
        assert answer.dtype == np.int8
        values = (answer.astype(float) - tflite_models.INT8_OUTPUT_ZERO) * tflite_models.INT8_OUTPUT_SCALE
        np.testing.assert_allclose(values, np.maximum(real @ tflite_models.INT8_KERNEL, 0), atol=0.05)

    def test_uint8_network(self, raw):
        """Number for number what LiteRT's own package answers, all rows at once and one by one."""
        inputs, answers = tflite_models.uint8_samples()
        store(raw, tflite_models.uint8())
        assert run(raw, inputs) == OK
        assert get_tensor(raw, "y").dtype == np.uint8
        assert np.array_equal(get_tensor(raw, "y"), answers)
        for row, answer in zip(inputs, answers):
            assert run(raw, row[None]) == OK
            assert np.array_equal(get_tensor(raw, "y"), answer[None])

    @pytest.mark.parametrize("dtype", ["DOUBLE", "INT8", "INT64", "UINT8", "BOOL", "STRING"])
    def test_wrong_type(self, raw, dtype):
        store(raw, tflite_models.rows())
        assert raw.call("AI.TENSORSET", "x", dtype, 2, 3) == OK
        assert execute(raw, "m", ["x"], ["y"]) == WRONG_TYPE
        assert raw.call("EXISTS", "y") == 0
        assert stats(raw, "m")["errors"] == 1

    @pytest.mark.parametrize(
        "name, text",
        [
            ("half-input", "Float16 not currently supported as input tensor data type"),
            ("half-output", "Float16 not currently supported as output tensor data type"),
            ("uint32", "Unsupported output data type"),
        ],
    )
    def test_types_that_the_module_does_not_have(self, raw, name, text):
        store(raw, special(name))
        assert run(raw, FLOATS) == Error(text)

    @pytest.mark.parametrize("inputs, outputs", [(1, 2), (3, 2), (2, 1), (2, 3)])
    def test_wrong_counts(self, raw, inputs, outputs):
        store(raw, tflite_models.two())
        side = "INPUTS" if inputs != 2 else "OUTPUTS"
        reply = run(raw, *[FLOATS] * inputs, outputs=[f"y{i}" for i in range(outputs)])
        assert reply == Error(f"Number of keys given as {side} here does not match model definition")


class TestRuns:
    def test_an_endless_loop_is_interrupted(self, raw):
        store(raw, special("loop"))
        for _ in range(2):
            started = time.monotonic()
            assert run(raw, np.array([np.inf], np.float32)) == CANCELLED
            assert 1 <= time.monotonic() - started < 4
            assert run(raw, np.array([10], np.float32)) == OK
            assert get_tensor(raw, "y").tolist() == [10]

    def test_two_devices_at_once(self, server, raw):
        store(raw, tflite_models.rows())
        assert raw.call("AI.MODELSTORE", "n", "TFLITE", "CPU:1", "BLOB", special("loop")) == OK
        set_tensor(raw, "endless", [np.inf])
        with server.raw() as other:
            other.send("AI.MODELEXECUTE", "n", "INPUTS", 1, "endless", "OUTPUTS", 1, "z")
            eventually(lambda: int(server.info("clients")["blocked_clients"]) == 1, "the run is queued")
            assert run(raw, FLOATS) == OK
            assert int(server.info("clients")["blocked_clients"]) == 1
            assert other.read() == CANCELLED


@pytest.mark.every_server
class TestPersistence(ModelIsKept):
    def stored(self, raw):
        store(raw, tflite_models.two(), "TAG", "v1", "BATCHSIZE", 4)
        return raw.call("AI.MODELGET", "m")

    def assert_same(self, raw, before):
        assert run(raw, FLOATS, FLOATS, outputs=("sum", "difference")) == OK
        assert np.array_equal(get_tensor(raw, "sum"), FLOATS * 2)
        assert raw.call("AI.MODELGET", "m") == before
