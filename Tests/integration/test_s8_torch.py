"""Reference section 8, TORCH: what a stored TorchScript module shows, takes and returns, and what is refused."""

import numpy as np
import pytest

from support import torch_models
from support.commands import NUMPY_TYPES, execute, get_tensor, pairs, set_tensor, stats, words
from support.resp import OK, Error
from support.scripts import failure

pytestmark = pytest.mark.one_server
OUTPUTS_MISMATCH = Error("Number of keys given as OUTPUTS here does not match model definition")
INPUTS_MISMATCH = Error("Number of keys given as INPUTS here does not match model definition")
LISTS = Error("Erorr while trying to retrive model outputs number: std::exception")


def store_command(key, blob, *options, device="CPU"):
    return ["AI.MODELSTORE", key, "TORCH", device, *options, "BLOB", blob]


def store(raw, key, blob, *options, device="CPU"):
    assert raw.call(*store_command(key, blob, *options, device=device)) == OK


def described(raw, key):
    return pairs(raw.call("AI.MODELGET", key))


class TestStore:
    @pytest.mark.parametrize(
        "name, inputs, outputs",
        [
            ("identity", [b"x"], 1),
            ("two", [b"a", b"b"], 1),
            ("many_parameters", [b"first", b"second_one", b"x3"], 1),
            ("traced", [b"x"], 1),
            ("tuple_output", [b"a", b"b"], 2),
            # Only tensors count.
            ("mixed_tuple", [b"x"], 2),
            ("dict_output", [b"a", b"b"], 0),
            ("maybe_output", [b"x"], 0),
            ("no_inputs", [], 1),
        ],
    )
    def test_inputs_and_outputs(self, raw, name, inputs, outputs):
        """Outputs have no names."""
        blob = getattr(torch_models, name)()
        store(raw, "m", blob)
        model = described(raw, "m")
        assert (model["backend"], model["inputs"], model["outputs"]) == (b"TORCH", inputs, [b""] * outputs)
        assert model["blob"] == blob

    def test_options(self, raw):
        store(raw, "m", torch_models.rows(), "TAG", "t", "BATCHSIZE", 4, "MINBATCHSIZE", 2, "MINBATCHTIMEOUT", 9)
        model = described(raw, "m")
        assert [model[name] for name in ("tag", "batchsize", "minbatchsize", "minbatchtimeout")] == [b"t", 4, 2, 9]

    def test_a_blob_in_pieces(self, raw):
        blob = torch_models.identity()
        assert raw.call(*store_command("m", blob[:100]), blob[100:200], blob[200:]) == OK
        assert raw.call("AI.MODELGET", "m", "BLOB") == blob

    @pytest.mark.parametrize("device", ["cpu", "CPU:1"])
    def test_devices(self, raw, device):
        store(raw, "m", torch_models.identity(), device=device)
        set_tensor(raw, "x", [1])
        assert execute(raw, "m", ["x"], ["y"]) == OK
        assert described(raw, "m")["device"] == device.encode()

    def test_a_list_of_unknown_length(self, raw):
        assert raw.call(*store_command("m", torch_models.list_output())) == LISTS
        assert raw.call("EXISTS", "m") == 0

    @pytest.mark.parametrize("device", ["GPU", "GPU:0", "gpu:99999"])
    def test_no_cuda(self, raw, device):
        expected = Error("GPU requested but Torch couldn't find CUDA")
        assert raw.call(*store_command("m", torch_models.identity(), device=device)) == expected

    @pytest.mark.parametrize(
        "blob",
        [b"", b"x", b"\0" * 1000, b"PK\x03\x04" + b"x" * 1000, b"\x80\x02}q\0."],
        ids=["empty", "letter", "zeros", "zip", "pickle"],
    )
    def test_bad_blobs(self, server, raw, blob):
        assert len(failure(raw.call(*store_command("m", blob)))) > 10
        assert raw.call("EXISTS", "m") == 0
        assert server.responsive()

    def test_todays_text_of_a_bad_blob(self, raw):
        text = failure(raw.call(*store_command("m", b"not an archive")))
        assert "PytorchStreamReader failed" in text

    @pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
    def test_an_archive_that_is_cut_off(self, server, raw, part):
        blob = torch_models.linear()
        failure(raw.call(*store_command("m", blob[: int(len(blob) * part)])))
        assert server.responsive()

    @pytest.mark.parametrize("name", torch_models.FILE_USERS)
    def test_modules_that_use_files(self, server, raw, name):
        reply = raw.call(*store_command("m", torch_models.file_user(name)))
        assert isinstance(reply, Error), reply
        assert reply.text.startswith("ERR TorchScript holds the operation "), reply
        assert reply.text.endswith(", which is not allowed"), reply
        assert raw.call("EXISTS", "m") == 0
        assert list(server.directory.rglob("written-by-a-model")) == []

    @pytest.mark.parametrize("options", ["INPUTS 1 x OUTPUTS 1 y", "INPUTS 1 x"])
    def test_names_are_not_given(self, raw, options):
        expected = Error("ERR INPUTS argument should not be specified for this backend")
        assert raw.call(*store_command("m", torch_models.identity(), *options.split())) == expected


class TestRun:
    @pytest.mark.parametrize("dtype", NUMPY_TYPES)
    @pytest.mark.parametrize("shape", [(), (6,), (2, 3), (1, 2, 1, 3)], ids=str)
    def test_every_dtype_in_and_out(self, raw, dtype, shape):
        store(raw, "m", torch_models.identity())
        size = int(np.prod(shape, dtype=int))
        set_tensor(raw, "x", (np.arange(size) % 2).astype(NUMPY_TYPES[dtype]).reshape(shape))
        assert execute(raw, "m", ["x"], ["y"]) == OK
        assert raw.call("AI.TENSORGET", "y") == raw.call("AI.TENSORGET", "x")

    @pytest.mark.parametrize("name", ["linear", "traced"])
    def test_weights(self, raw, name):
        store(raw, "m", getattr(torch_models, name)())
        set_tensor(raw, "x", [[1, 1, 1], [1, 2, 3]])
        assert execute(raw, "m", ["x"], ["y"]) == OK
        assert get_tensor(raw, "y").tolist() == [[4, 14], [9, 28]]

    def test_inputs_bind_by_position(self, raw):
        store(raw, "m", torch_models.many_parameters())
        for name, value in (("a", 1), ("b", 2), ("c", 3)):
            set_tensor(raw, name, [value])
        assert execute(raw, "m", ["a", "b", "c"], ["y"]) == OK
        assert get_tensor(raw, "y").tolist() == [7]
        assert execute(raw, "m", ["c", "a", "b"], ["y"]) == OK
        assert get_tensor(raw, "y").tolist() == [5]

    def test_a_tuple(self, raw):
        store(raw, "m", torch_models.tuple_output())
        set_tensor(raw, "a", [5])
        set_tensor(raw, "b", [3])
        assert execute(raw, "m", ["a", "b"], ["sum", "difference"]) == OK
        assert (get_tensor(raw, "sum").tolist(), get_tensor(raw, "difference").tolist()) == ([8], [2])

    def test_rank_0_and_strides(self, raw):
        store(raw, "scalar", torch_models.scalar())
        store(raw, "transposed", torch_models.transposed_output())
        set_tensor(raw, "x", [[1, 2, 3], [4, 5, 6]])
        assert execute(raw, "scalar", ["x"], ["y"]) == OK
        assert raw.call("AI.TENSORGET", "y", "META") == [b"dtype", b"FLOAT", b"shape", []]
        assert execute(raw, "transposed", ["x"], ["z"]) == OK
        assert get_tensor(raw, "z").tolist() == [[1, 4], [2, 5], [3, 6]]

    @pytest.mark.parametrize(
        "name, inputs, outputs, error",
        [
            ("two", 1, 1, INPUTS_MISMATCH),
            ("two", 3, 1, INPUTS_MISMATCH),
            ("two", 2, 2, OUTPUTS_MISMATCH),
            ("tuple_output", 2, 1, OUTPUTS_MISMATCH),
            ("dict_output", 2, 1, OUTPUTS_MISMATCH),
        ],
    )
    def test_counts(self, raw, name, inputs, outputs, error):
        store(raw, "m", getattr(torch_models, name)())
        set_tensor(raw, "x", [1])
        assert execute(raw, "m", ["x"] * inputs, [f"y{number}" for number in range(outputs)]) == error
        assert stats(raw, "m")["calls"] == 0

    def test_a_tuple_that_holds_more_than_tensors(self, raw):
        store(raw, "m", torch_models.mixed_tuple())
        set_tensor(raw, "x", [1])
        assert execute(raw, "m", ["x"], ["y", "z"]) == Error("Function returned non-tensor valuesforward")

    def test_string_input(self, raw):
        store(raw, "m", torch_models.identity())
        raw.call("AI.TENSORSET", "x", "STRING", 1, "VALUES", "a")
        assert execute(raw, "m", ["x"], ["y"]) == Error("Unsupported code 7")
        now = stats(raw, "m")
        assert (now["calls"], now["errors"]) == (1, 1)

    def test_half_output(self, raw):
        store(raw, "m", torch_models.half())
        set_tensor(raw, "x", [1])
        assert execute(raw, "m", ["x"], ["y"]) == Error("ERR unsupported dtype")
        assert raw.call("EXISTS", "y") == 0

    @pytest.mark.parametrize(
        "name, shapes, text",
        [
            ("linear", [(2, 7)], "mat1 and mat2 shapes cannot be multiplied"),
            ("two", [(2,), (3,)], "The size of tensor a (2) must match the size of tensor b (3)"),
            ("number", [(2,), (2,)], "Expected a value of type 'int' for argument 'factor'"),
        ],
    )
    def test_wrong_shapes_and_types(self, raw, name, shapes, text):
        store(raw, "m", getattr(torch_models, name)())
        keys = []
        for number, shape in enumerate(shapes):
            keys.append(f"x{number}")
            set_tensor(raw, keys[-1], np.ones(shape, dtype=np.float32))
        assert text in failure(execute(raw, "m", keys, ["y"]))
        assert (stats(raw, "m")["calls"], stats(raw, "m")["errors"]) == (1, 1)

    @pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
    def test_a_parameter_that_is_a_number(self, raw, shape):
        """It takes a tensor with one element of its kind."""
        store(raw, "m", torch_models.number())
        set_tensor(raw, "x", [1, 2])
        set_tensor(raw, "three", np.full(shape, 3, dtype=np.int64))
        set_tensor(raw, "fraction", np.full(shape, 3, dtype=np.float32))
        assert execute(raw, "m", ["x", "three"], ["y"]) == OK
        assert get_tensor(raw, "y").tolist() == [3, 6]
        text = "Expected a value of type 'int' for argument 'factor'"
        assert text in failure(execute(raw, "m", ["x", "fraction"], ["y"]))

    def test_an_exception(self, raw):
        store(raw, "m", torch_models.failing())
        set_tensor(raw, "x", [-1])
        assert "the sum is negative" in failure(execute(raw, "m", ["x"], ["y"]))
        set_tensor(raw, "x", [1])
        assert execute(raw, "m", ["x"], ["y"]) == OK

    def test_state_stays_in_the_module(self, raw):
        store(raw, "m", torch_models.counter())
        set_tensor(raw, "x", [1, 2])
        for total in (3, 6, 9):
            assert execute(raw, "m", ["x"], ["y"]) == OK
            assert get_tensor(raw, "y").tolist() == [total]
        store(raw, "m", torch_models.counter())
        assert execute(raw, "m", ["x"], ["y"]) == OK
        assert get_tensor(raw, "y").tolist() == [3]

    @pytest.mark.parametrize("name, result", [("writes_input", [[2, 3], [4, 5]]), ("writes_in_submodule", [2, 3])])
    def test_writing_to_an_input_changes_no_stored_tensor(self, raw, name, result):
        store(raw, "m", getattr(torch_models, name)())
        set_tensor(raw, "x", [[1, 2], [3, 4]])
        for _ in range(4):
            assert execute(raw, "m", ["x"], ["y"]) == OK
            assert get_tensor(raw, "y").tolist() == result
            assert get_tensor(raw, "x").tolist() == [[1, 2], [3, 4]]

    def test_statistics_of_a_normalization_change_no_stored_tensor(self, raw):
        store(raw, "m", torch_models.writes_statistics())
        set_tensor(raw, "x", [[1, 2], [3, 4]])
        set_tensor(raw, "mean", [0, 0])
        set_tensor(raw, "var", [1, 1])
        for _ in range(4):
            assert execute(raw, "m", ["x", "mean", "var"], ["y"]) == OK
        assert (get_tensor(raw, "mean").tolist(), get_tensor(raw, "var").tolist()) == ([0, 0], [1, 1])

    def test_divisions_that_the_processor_refuses(self, server, raw):
        store(raw, "m", torch_models.divides())
        for name, value in (("seven", -7), ("two", 2), ("zero", 0), ("minimum", -(2**63)), ("minus", -1)):
            set_tensor(raw, name, [value], "INT64")
        assert execute(raw, "m", ["seven", "two"], ["y"]) == OK
        assert get_tensor(raw, "y").tolist() == [1, -4]
        assert "ZeroDivisionError" in failure(execute(raw, "m", ["seven", "zero"], ["y"]))
        assert "OverflowError" in failure(execute(raw, "m", ["minimum", "minus"], ["y"]))
        assert server.responsive()

    def test_parts_that_may_run_at_the_same_time(self, raw):
        store(raw, "m", torch_models.fork())
        set_tensor(raw, "x", [1, 2])
        for _ in range(3):
            assert execute(raw, "m", ["x"], ["y"]) == OK
            assert get_tensor(raw, "y").tolist() == [6, 10]
        store(raw, "n", torch_models.fork_raise())
        set_tensor(raw, "x", [-1])
        assert "the sum is negative" in failure(execute(raw, "n", ["x"], ["y"]))

    @pytest.mark.every_server
    def test_info_shows_one_field(self, server, raw):
        store(raw, "m", torch_models.identity())
        lines = [name for name, _ in server.info_lines("modules") if "torch" in name.lower()]
        fields = [name for name in lines if not name.startswith("ai_memory_")]
        assert fields == ["ai_Torch_version"]
        assert server.info("modules")["ai_Torch_version"] == "NA"

    @pytest.mark.every_server
    def test_the_engine_is_shown_when_it_is_needed_first(self, start_server):
        server = start_server()
        raw = server.raw()
        assert "ai_Torch_version" not in server.info("modules")
        assert raw.call(*words("AI.SCRIPTSET s CPU SOURCE", "# nothing")) == OK
        assert "ai_Torch_version" in server.info("modules")

    @pytest.mark.every_server
    def test_memory_goes_with_the_model(self, server, raw):
        """What a run has used is given back."""
        store(raw, "m", torch_models.rows())
        set_tensor(raw, "x", np.zeros(1_000_000, dtype=np.float32))
        assert execute(raw, "m", ["x"], ["y"]) == OK
        before = server.used_memory()
        for _ in range(20):
            assert execute(raw, "m", ["x"], ["y"]) == OK
        assert server.used_memory() - before < 8_000_000
