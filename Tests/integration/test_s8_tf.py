"""Reference section 8, TF row: frozen graphs at store and at run, with the texts of today's engine."""

import numpy as np
import pytest

from support import tf_models
from support.commands import NUMPY_TYPES, execute, get_tensor, pairs, set_tensor, stats
from support.persistence import ModelIsKept
from support.resp import OK, Error
from support.wait import eventually

pytestmark = pytest.mark.one_server
# The library is opened once, and not once more to try each model out: TestChecked has the default.
MODULE_ARGS = ("MODEL_CHECK", "NO", "MODEL_EXECUTION_TIMEOUT", "1000")
SHAPES = [(), (1,), (3,), (2, 3), (2, 1, 3, 2), (1,) * 12]
BAD_BLOB = Error("Invalid GraphDef")


def store_command(key, blob, inputs=("input",), outputs=("output",), *options, device="CPU"):
    names = ["INPUTS", len(inputs), *inputs, "OUTPUTS", len(outputs), *outputs]
    return ["AI.MODELSTORE", key, "TF", device, *options, *names, "BLOB", blob]


def store(raw, key, blob, *names_and_options, device="CPU"):
    reply = raw.call(*store_command(key, blob, *names_and_options, device=device))
    assert reply == OK, reply


def store_mul(raw):
    store(raw, "m", tf_models.mul(), ("a", "b"), ("mul",))


def no_input(name):
    return Error(f'ERR Input node named "{name}" not found in TF graph.')


def no_output(name):
    return Error(f'ERR Output node named "{name}" not found in TF graph')


def forbidden(operation, node):
    return Error(f"ERR TF graph holds the operation {operation} (node {node}), which is not allowed")


class TestNames:
    @pytest.mark.parametrize(
        "inputs", [("a", "none"), ("none", "b"), ("a", "mul"), ("a:0", "b"), ("a", ""), ("A", "b")], ids=str
    )
    def test_inputs_must_be_placeholders(self, raw, inputs):
        bad = next(name for name in inputs if name not in ("a", "b"))
        assert raw.call(*store_command("m", tf_models.mul(), inputs, ("mul",))) == no_input(bad)
        assert raw.call("EXISTS", "m") == 0

    @pytest.mark.parametrize("name", ["none", "mul:0", "mul:1", "^mul", "", "MUL", b"mul\0"], ids=repr)
    def test_outputs_must_be_nodes(self, raw, name):
        reply = raw.call(*store_command("m", tf_models.mul(), ("a", "b"), (name,)))
        assert isinstance(reply, Error)
        assert reply.text.startswith('ERR Output node named "') and reply.text.endswith('" not found in TF graph')
        if isinstance(name, str):
            assert reply == no_output(name)

    def test_the_input_is_reported_before_the_output(self, raw):
        assert raw.call(*store_command("m", tf_models.mul(), ("a", "x"), ("y",))) == no_input("x")

    def test_any_node_can_be_an_output(self, raw):
        store(raw, "m", tf_models.constant())
        set_tensor(raw, "x", [7])
        assert execute(raw, "m", ["x"], ["y"]) == OK
        assert get_tensor(raw, "y").tolist() == [1, 2]

    def test_an_output_is_port_0(self, raw):
        store(raw, "m", tf_models.split())
        set_tensor(raw, "x", [1, 2, 3, 4])
        assert execute(raw, "m", ["x"], ["y"]) == OK
        assert get_tensor(raw, "y").tolist() == [1, 2]

    def test_the_same_output_twice(self, raw):
        store(raw, "m", tf_models.mul(), ("a", "b"), ("mul", "mul"))
        set_tensor(raw, "x", [1, 2])
        assert execute(raw, "m", ["x", "x"], ["y", "z"]) == OK
        assert get_tensor(raw, "y").tolist() == get_tensor(raw, "z").tolist() == [1, 4]

    @pytest.mark.parametrize(
        "inputs, outputs, text",
        [
            (("a", "a"), ("mul",), 'Endpoint "a:0" fed more than once.'),
            (("a", "b"), ("a",), "a:0 is both fed and fetched."),
        ],
    )
    def test_names_that_only_a_run_can_judge(self, raw, inputs, outputs, text):
        store(raw, "m", tf_models.mul(), inputs, outputs)
        set_tensor(raw, "x", [1, 2])
        assert execute(raw, "m", ["x", "x"], ["y"]) == Error(text)

    def test_a_node_without_ports(self, raw):
        store(raw, "m", tf_models.no_output())
        set_tensor(raw, "x", [1])
        text = "Node 'output' (type: 'NoOp', num of outputs: 0) does not have output 0"
        assert execute(raw, "m", ["x"], ["y"]) == Error(text)

    def test_binding_is_by_position(self, raw):
        store(raw, "m", tf_models.ranks(), ("shape", "input"))
        set_tensor(raw, "x", [1, 2])
        set_tensor(raw, "shape", [2, 1], "INT32")
        assert execute(raw, "m", ["shape", "x"], ["y"]) == OK
        assert get_tensor(raw, "y").shape == (2, 1)
        reply = execute(raw, "m", ["x", "shape"], ["y"])
        assert isinstance(reply, Error) and reply.text.startswith("Expects arg["), reply

    def test_modelget(self, raw):
        """The names as the client gave them, in its order."""
        store(raw, "m", tf_models.mul(), ("b", "a"), ("mul",), "TAG", "v1", device="cpu")
        meta = pairs(raw.call("AI.MODELGET", "m"))
        assert (meta["backend"], meta["device"], meta["tag"]) == (b"TF", b"cpu", b"v1")
        assert (meta["inputs"], meta["outputs"]) == ([b"b", b"a"], [b"mul"])
        assert meta["blob"] == tf_models.mul()


class TestBlobs:
    @pytest.mark.parametrize("blob", [b"x", b"\xff" * 100, b"\n\x7f", b"\x08\x96\x01\x0a"], ids=repr)
    def test_no_graph(self, raw, blob):
        assert raw.call(*store_command("m", blob)) == BAD_BLOB
        assert raw.call("AI._MODELSCAN") == []

    def test_truncated(self, raw):
        graph = tf_models.mul()
        for length in range(len(graph)):
            reply = raw.call(*store_command("m", graph[:length], ("a", "b"), ("mul",)))
            assert isinstance(reply, Error) or length > len(graph) - 10, length
        assert raw.call(*store_command("m", graph[: len(graph) // 2], ("a", "b"), ("mul",))) == BAD_BLOB

    def test_empty(self, raw):
        """A graph without nodes."""
        assert raw.call(*store_command("m", b"")) == no_input("input")

    def test_in_pieces(self, raw):
        graph = tf_models.mul()
        command = store_command("m", graph[:5], ("a", "b"), ("mul",))
        assert raw.call(*command, *(graph[i : i + 7] for i in range(5, len(graph), 7))) == OK
        assert raw.call("AI.MODELGET", "m", "BLOB") == graph

    @pytest.mark.parametrize("device", ["GPU", "gpu:0", "GPU:7"])
    def test_gpu_that_is_not_there(self, raw, device):
        reply = raw.call(*store_command("m", tf_models.mul(), ("a", "b"), ("mul",), device=device))
        assert reply == Error("ERR GPU requested but TF couldn't find CUDA")


class TestRun:
    @pytest.mark.parametrize("dtype", NUMPY_TYPES)
    def test_every_dtype_and_shape_passes_unchanged(self, raw, dtype):
        store(raw, "m", tf_models.identity(dtype))
        for shape in SHAPES:
            values = np.arange(np.prod(shape)).reshape(shape) - 1
            set_tensor(raw, "x", np.asarray(values % 2 if dtype == "BOOL" else values).astype(NUMPY_TYPES[dtype]))
            assert execute(raw, "m", ["x"], ["y"]) == OK
            assert raw.call("AI.TENSORGET", "y") == raw.call("AI.TENSORGET", "x"), shape

    @pytest.mark.parametrize(
        "values", [[b"a", b"bc", b""], ["é".encode(), b"\xff\xfe", b"x" * 10_000]], ids=["plain", "any-bytes"]
    )
    def test_strings_pass_unchanged(self, raw, values):
        store(raw, "m", tf_models.identity("STRING"))
        assert raw.call("AI.TENSORSET", "x", "STRING", 3, 1, "VALUES", *values) == OK
        assert execute(raw, "m", ["x"], ["y"]) == OK
        assert raw.call("AI.TENSORGET", "y") == raw.call("AI.TENSORGET", "x")
        assert raw.call("AI.TENSORGET", "y", "VALUES") == values

    def test_strings_to_numbers(self, raw):
        store(raw, "m", tf_models.parse())
        assert raw.call("AI.TENSORSET", "x", "STRING", 2, "VALUES", "1.5", "-2") == OK
        assert execute(raw, "m", ["x"], ["y"]) == OK
        assert get_tensor(raw, "y").tolist() == [1.5, -2]
        assert raw.call("AI.TENSORSET", "x", "STRING", 1, "VALUES", "word") == OK
        text = "StringToNumberOp could not correctly convert string: word \t [[{{node output}}]]"
        assert execute(raw, "m", ["x"], ["y"]) == Error(text)

    def test_a_string_with_a_nul(self, raw):
        store(raw, "m", tf_models.characters())
        assert raw.call("AI.TENSORSET", "x", "STRING", 1, "VALUES", "a") == OK
        assert execute(raw, "m", ["x"], ["y"]) == Error("ERR C-string value contains null character")

    def test_scalar_output(self, raw):
        store(raw, "m", tf_models.scalar())
        set_tensor(raw, "x", [[1, 2], [3, 4]])
        assert execute(raw, "m", ["x"], ["y"]) == OK
        assert raw.call("AI.TENSORGET", "y", "META", "VALUES") == [b"dtype", b"FLOAT", b"shape", [], b"values", [b"10"]]

    def test_output_with_a_zero_dim(self, raw):
        """As an output, as an input, and kept over a restart of the data."""
        store(raw, "where", tf_models.where())
        store(raw, "id", tf_models.identity("INT64"))
        set_tensor(raw, "x", np.zeros((2, 3)).astype(np.float32))
        assert execute(raw, "where", ["x"], ["y"]) == OK
        assert raw.call("AI.TENSORGET", "y") == [b"dtype", b"INT64", b"shape", [0, 2], b"blob", b""]
        assert execute(raw, "id", ["y"], ["z"]) == OK
        assert raw.call("AI.TENSORGET", "z", "META") == [b"dtype", b"INT64", b"shape", [0, 2]]

    def test_output_that_depends_on_the_data(self, raw):
        store(raw, "m", tf_models.where())
        for values, expected in (([0, 1, 2], [[1], [2]]), ([0, 0, 3], [[2]])):
            set_tensor(raw, "x", values)
            assert execute(raw, "m", ["x"], ["y"]) == OK
            assert get_tensor(raw, "y").tolist() == expected

    @pytest.mark.parametrize("model, number", [(tf_models.half, 19), (tf_models.complex64, 8)])
    def test_outputs_of_types_that_the_module_does_not_have(self, raw, model, number):
        store(raw, "m", model())
        set_tensor(raw, "x", [1])
        reply = execute(raw, "m", ["x"], ["y"])
        assert reply == Error(f"ERR unsupported data type in model output (TF data type {number})")
        assert raw.call("EXISTS", "y") == 0
        assert stats(raw, "m")["errors"] == 1

    def test_input_of_a_type_that_the_module_does_not_have(self, raw):
        store(raw, "m", tf_models.half_input())
        set_tensor(raw, "x", [1])
        assert execute(raw, "m", ["x"], ["y"]) == Error("Expects arg[0] to be half but float is provided")

    def test_incompatible_shapes(self, raw):
        """The engine's text, its line break as a space."""
        store_mul(raw)
        set_tensor(raw, "a", [2, 3])
        set_tensor(raw, "b", np.zeros((2, 2, 3), np.float32))
        reply = execute(raw, "m", ["a", "b"], ["y"])
        assert reply == Error("Incompatible shapes: [2] vs. [2,2,3] \t [[{{node mul}}]]")
        assert raw.call("EXISTS", "y") == 0

    @pytest.mark.parametrize("dtype, name", [("DOUBLE", "double"), ("INT32", "int32"), ("STRING", "string")])
    def test_wrong_type(self, raw, dtype, name):
        store_mul(raw)
        set_tensor(raw, "a", [1, 2])
        assert raw.call("AI.TENSORSET", "b", dtype, 2) == OK
        assert execute(raw, "m", ["a", "b"], ["y"]) == Error(f"Expects arg[1] to be float but {name} is provided")

    def test_a_variable_without_a_value(self, raw):
        """A graph that was not frozen."""
        assert raw.call(*store_command("m", tf_models.variable())) == no_input("input")

    def test_too_many_dimensions(self, raw):
        store(raw, "m", tf_models.ranks(), ("input", "shape"))
        set_tensor(raw, "x", [1, 2])
        set_tensor(raw, "shape", [1] * 63 + [2], "INT32")
        assert execute(raw, "m", ["x", "shape"], ["y"]) == OK
        assert get_tensor(raw, "y").shape == (1,) * 63 + (2,)
        set_tensor(raw, "shape", [1] * 64 + [2], "INT32")
        assert execute(raw, "m", ["x", "shape"], ["y"]) == Error("ERR unsupported tensor rank")

    @pytest.mark.parametrize(
        "shape, text",
        [
            ([-1, 3], "Dimension -1 must be >= 0 \t [[{{node output}}]]"),
            (
                [2**62, 2**62],
                "Shape [4611686018427387904,4611686018427387904] would have more than 2**63 - 1 elements \t "
                "[[{{node output}}]]",
            ),
        ],
    )
    def test_impossible_shapes(self, raw, shape, text):
        store(raw, "m", tf_models.fill())
        set_tensor(raw, "x", shape, "INT64")
        assert execute(raw, "m", ["x"], ["y"]) == Error(text)

    def test_two_devices(self, raw):
        store(raw, "m", tf_models.rows())
        store(raw, "n", tf_models.rows(), device="CPU:1")
        set_tensor(raw, "x", [[1, 2, 3]])
        for key in ("m", "n"):
            assert execute(raw, key, ["x"], [f"{key}:y"]) == OK
            assert get_tensor(raw, f"{key}:y").tolist() == [[2, 4, 6]]

    def test_a_failed_run_leaves_the_model_usable(self, raw):
        store_mul(raw)
        set_tensor(raw, "a", [2, 3])
        set_tensor(raw, "b", [1, 2, 3])
        assert isinstance(execute(raw, "m", ["a", "b"], ["y"]), Error)
        assert execute(raw, "m", ["a", "a"], ["y"]) == OK
        assert get_tensor(raw, "y").tolist() == [4, 9]


class TestLimits:
    def test_larger_than_max_tensor_size(self, start_server):
        raw = start_server(*MODULE_ARGS, "MAX_TENSOR_SIZE", "1000").raw()
        store(raw, "m", tf_models.fill())
        set_tensor(raw, "x", [250], "INT64")
        assert execute(raw, "m", ["x"], ["y"]) == OK
        set_tensor(raw, "x", [251], "INT64")
        assert execute(raw, "m", ["x"], ["y"]) == Error("ERR tensor size exceeds the limit")

    @pytest.mark.parametrize("flow", ["v1", "v2"])
    def test_an_endless_loop_is_interrupted(self, raw, flow):
        """At MODEL_EXECUTION_TIMEOUT, and the model is usable afterwards."""
        store(raw, "m", tf_models.loop(flow))
        set_tensor(raw, "endless", [np.inf])
        set_tensor(raw, "ten", [10])
        for _ in range(2):
            reply = execute(raw, "m", ["endless"], ["y"])
            assert isinstance(reply, Error) and reply.text.startswith("Loop execution was cancelled."), reply
            assert raw.call("EXISTS", "y") == 0
            assert execute(raw, "m", ["ten"], ["z"]) == OK
            assert get_tensor(raw, "z").tolist() == [10]
        assert (stats(raw, "m")["calls"], stats(raw, "m")["errors"]) == (4, 2)

    def test_another_run_of_the_interrupted_model_is_not_hit(self, start_server):
        """Only a session as a whole can be stopped: runs beside the interrupted one are repeated."""
        server = start_server(*MODULE_ARGS, "THREADS_PER_QUEUE", "2")
        raw = server.raw()
        store(raw, "m", tf_models.loop("v2"))
        set_tensor(raw, "endless", [np.inf])
        set_tensor(raw, "some", [2000])
        with server.raw() as other:
            other.send("AI.MODELEXECUTE", "m", "INPUTS", 1, "endless", "OUTPUTS", 1, "y")
            eventually(lambda: int(server.info("clients")["blocked_clients"]) == 1, "the run is queued")
            while int(server.info("clients")["blocked_clients"]) == 1:
                assert execute(raw, "m", ["some"], ["z"]) == OK
            assert isinstance(other.read(), Error)


UNSAFE = {
    "ReadFile": ("ReadFile", "output"),
    "MatchingFiles": ("MatchingFiles", "output"),
    "PyFunc": ("PyFunc", "output"),
    "WriteFile": ("WriteFile", "node"),
    "PrintV2": ("PrintV2", "PrintV2"),
    "SaveV2": ("SaveV2", "SaveV2"),
    "Abort": ("Abort", "node"),
    "called": ("ReadFile", "ReadFile"),
    "uncalled": ("ReadFile", "ReadFile"),
}


class TestUnsafeOperations:
    @pytest.mark.parametrize("name", UNSAFE)
    def test_refused(self, raw, name):
        assert raw.call(*store_command("m", tf_models.unsafe(name))) == forbidden(*UNSAFE[name])
        assert raw.call("EXISTS", "m") == 0

    def test_allowed(self, start_server):
        """For those who ask for it: a file is read and one is written."""
        server = start_server(*MODULE_ARGS, "ALLOW_UNSAFE_OPERATIONS", "YES")
        raw = server.raw()
        for name in ("MatchingFiles", "WriteFile"):
            store(raw, name, tf_models.unsafe(name))
        path = str(server.directory / "written")
        assert raw.call("AI.TENSORSET", "x", "STRING", 2, "VALUES", path, "content") == OK
        assert execute(raw, "WriteFile", ["x"], ["y"]) == OK
        assert (server.directory / "written").read_text() == "content"
        assert raw.call("AI.TENSORSET", "x", "STRING", "VALUES", str(server.directory / "writ*")) == OK
        assert execute(raw, "MatchingFiles", ["x"], ["y"]) == OK
        assert raw.call("AI.TENSORGET", "y", "VALUES") == [path.encode()]


@pytest.mark.every_server
class TestChecked:
    """Every model is tried out in another process first: the texts are the same."""

    def test_the_default(self, start_server):
        raw = start_server().raw()
        store_mul(raw)
        assert raw.call(*store_command("n", tf_models.mul(), ("a", "x"), ("mul",))) == no_input("x")
        assert raw.call(*store_command("n", tf_models.unsafe("Abort"))) == forbidden(*UNSAFE["Abort"])
        assert raw.call("EXISTS", "n") == 0
        set_tensor(raw, "a", [1, 2])
        assert execute(raw, "m", ["a", "a"], ["y"]) == OK

    def test_an_operation_that_ends_the_process(self, start_server):
        """Where it is allowed the check is what the server survives."""
        server = start_server("ALLOW_UNSAFE_OPERATIONS", "YES", "MODEL_LOAD_TIMEOUT", "5000")
        reply = server.raw().call(*store_command("m", tf_models.unsafe("Abort"), ("input",), ("node",)))
        assert reply == OK or isinstance(reply, Error)
        assert server.responsive()


@pytest.mark.every_server
class TestPersistence(ModelIsKept):
    def assert_same(self, raw, before):
        assert raw.call("AI.MODELGET", "m") == before
        set_tensor(raw, "a", [2, 3])
        set_tensor(raw, "c", [4, 5])
        assert execute(raw, "m", ["a", "c"], ["y"]) == OK
        assert get_tensor(raw, "y").tolist() == [8, 15]

    def stored(self, raw):
        store(raw, "m", tf_models.mul(), ("b", "a"), ("mul",), "TAG", "v1", "BATCHSIZE", 4)
        return raw.call("AI.MODELGET", "m")

    def test_unsafe_model_from_a_file_is_broken(self, start_server):
        """What one server was allowed to hold, another does not run."""
        server = start_server(*MODULE_ARGS, "ALLOW_UNSAFE_OPERATIONS", "YES")
        store(server.raw(), "m", tf_models.unsafe("ReadFile"))
        server.module_args = MODULE_ARGS
        server.restart()
        raw = server.raw()
        assert raw.call("AI.TENSORSET", "x", "STRING", "VALUES", "/etc/passwd") == OK
        expected = Error("ERR model is broken: " + forbidden(*UNSAFE["ReadFile"]).text)
        assert execute(raw, "m", ["x"], ["y"]) == expected
