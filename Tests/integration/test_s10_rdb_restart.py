"""A restart keeps everything; a model that cannot be loaded keeps its bytes, and the server starts."""

import os

import numpy as np

from support import onnx_models
from support.commands import (
    NUMPY_TYPES,
    execute,
    get_tensor,
    pairs,
    set_tensor,
    stats,
    store_command,
    store_model,
    words,
)
from support.resp import OK, QUEUED, Error

BROKEN = "ERR model is broken: "
MODEL = onnx_models.mul_by_weights()


def test_tensors_of_every_dtype(server, raw, read_back):
    for dtype, numpy_type in NUMPY_TYPES.items():
        set_tensor(raw, dtype, (np.arange(6).reshape(2, 3) % 2).astype(numpy_type))
        set_tensor(raw, f"scalar {dtype}", np.array(1, dtype=numpy_type))
    raw.call("AI.TENSORSET", "STRING", "STRING", 2, 2, "VALUES", "a", "", "é", b"\xff")
    raw.call("AI.TENSORSET", "empty", "STRING", 2)
    keys = sorted(raw.call("KEYS", "*"))
    before = [raw.call("AI.TENSORGET", key) for key in keys]
    raw = read_back(server)
    assert sorted(raw.call("KEYS", "*")) == keys
    assert [raw.call("AI.TENSORGET", key) for key in keys] == before


def test_tensor_with_a_zero_dim(server, raw, read_back):
    store_model(raw, "m", onnx_models.non_zero())
    set_tensor(raw, "x", np.zeros((2, 3), dtype=np.float32))
    assert execute(raw, "m", ["x"], ["y"]) == OK
    raw = read_back(server)
    assert raw.call("AI.TENSORGET", "y") == [b"dtype", b"INT64", b"shape", [2, 0], b"blob", b""]


def test_long_special_floats(server, raw, read_back):
    array = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45, 3.4e38] * 5000, dtype=np.float32)
    set_tensor(raw, "t", array)
    assert get_tensor(read_back(server), "t").tobytes() == array.tobytes()


def test_model_with_its_options(server, raw, read_back):
    store_model(
        raw, "m", MODEL, "TAG", b"v\0\xff", "BATCHSIZE", 8, "MINBATCHSIZE", 2, "MINBATCHTIMEOUT", 50, device="cpu"
    )
    before = raw.call("AI.MODELGET", "m")
    set_tensor(raw, "x", np.ones((3, 2), dtype=np.float32))
    raw = read_back(server)
    assert execute(raw, "m", ["x"], ["y"]) == OK
    assert get_tensor(raw, "y").tolist() == [[1, 2], [3, 4], [5, 6]]
    assert raw.call("AI.MODELGET", "m") == before


def test_statistics_start_afresh(server, raw, read_back):
    store_model(raw, "m", MODEL, "TAG", "v1")
    set_tensor(raw, "x", np.ones((3, 2), dtype=np.float32))
    assert execute(raw, "m", ["x"], ["y"]) == OK
    raw = read_back(server)
    assert raw.call("AI._MODELSCAN") == [[b"m", b"v1"]]
    assert (stats(raw, "m")["calls"], stats(raw, "m")["duration"]) == (0, 0)


def test_other_databases_and_ttls(server, raw, read_back):
    raw.call("SELECT", 9)
    set_tensor(raw, "t", [1])
    store_model(raw, "m", MODEL)
    raw.call("EXPIRE", "t", 1000)
    raw = read_back(server)
    raw.call("SELECT", 9)
    assert get_tensor(raw, "t").tolist() == [1]
    assert 0 < raw.call("TTL", "t") <= 1000
    assert raw.call("AI.MODELGET", "m", "BLOB") == MODEL


def test_model_in_several_chunks(server, raw, read_back):
    raw.call("AI.CONFIG", "MODEL_CHUNK_SIZE", 16)
    store_model(raw, "m", MODEL)
    raw = read_back(server)
    raw.call("AI.CONFIG", "MODEL_CHUNK_SIZE", 535822336)
    assert raw.call("AI.MODELGET", "m", "BLOB") == MODEL


def test_the_queue_of_another_device_is_there(server, raw, read_back):
    store_model(raw, "m", MODEL, device="CPU:1")
    set_tensor(raw, "x", np.ones((3, 2), dtype=np.float32))
    raw = read_back(server)
    assert execute(raw, "m", ["x"], ["y"]) == OK
    assert "ai_queue_CPU:1_bthread_n1_used_cpu_total" in raw.call("INFO", "modules").decode()


def test_a_run_right_after_the_start_waits_for_the_model(server, raw, read_back):
    for i in range(4):
        store_model(raw, f"m{i}", onnx_models.big_weights(10))
    set_tensor(raw, "x", [1])
    raw = read_back(server)
    replies = raw.pipeline(
        [*(words(f"AI.MODELEXECUTE m{i} INPUTS 1 x OUTPUTS 1 y") for i in range(4)), ["EXISTS", "y"]]
    )
    assert replies == [OK] * 4 + [1]


def test_saving_while_models_are_loading(server, raw):
    """The bytes are there from the start, whatever the engine is doing."""
    model = onnx_models.big_weights(20)
    assert raw.pipeline([["MULTI"], store_command("m", model), ["EXEC"]]) == [OK, QUEUED, [OK]]
    server.restart()
    assert server.raw().call("AI.MODELGET", "m", "BLOB") == model


class TestBrokenModel:
    """An engine that is gone must not take the data with it."""

    def test_without_its_engine(self, start_server, module_path):
        server = start_server()
        raw = server.raw()
        store_model(raw, "m", MODEL, "TAG", "v1", "BATCHSIZE", 4)
        set_tensor(raw, "x", np.ones((3, 2), dtype=np.float32))

        server.module_args = ("BACKENDSPATH", "/nonexistent")
        server.restart()
        raw = server.raw()
        assert raw.call("AI.MODELGET", "m", "BLOB") == MODEL
        meta = pairs(raw.call("AI.MODELGET", "m", "META"))
        assert (meta["backend"], meta["device"], meta["tag"], meta["batchsize"]) == (b"ONNX", b"CPU", b"v1", 4)
        reply = execute(raw, "m", ["x"], ["y"])
        assert isinstance(reply, Error) and reply.text.startswith(BROKEN) and len(reply.text) > len(BROKEN), reply
        assert raw.call("AI._MODELSCAN") == [[b"m", b"v1"]]

        server.module_args = ("BACKENDSPATH", os.path.join(os.path.dirname(module_path), "backends"))
        server.restart()
        raw = server.raw()
        assert execute(raw, "m", ["x"], ["y"]) == OK
        assert pairs(raw.call("AI.MODELGET", "m"))["inputs"] == [b"x"]

    def test_not_a_model(self, server, raw):
        """Stored in a transaction, where the reply cannot wait for the engine's verdict."""
        assert raw.pipeline([["MULTI"], store_command("m", onnx_models.NOT_PROTOBUF, "TAG", "v1"), ["EXEC"]])[2] == [OK]
        set_tensor(raw, "x", [1])
        expected = Error(BROKEN + "Failed to load model because protobuf parsing failed.")
        for _ in range(2):
            assert execute(raw, "m", ["x"], ["y"]) == expected
            assert raw.call("AI.MODELGET", "m", "BLOB") == onnx_models.NOT_PROTOBUF
            server.restart()
            raw = server.raw()

    def test_it_can_be_replaced_and_deleted(self, raw):
        raw.pipeline([["MULTI"], store_command("m", onnx_models.NOT_PROTOBUF), store_command("n", b"x"), ["EXEC"]])
        store_model(raw, "m", onnx_models.add_constant(1))
        set_tensor(raw, "x", [1])
        assert execute(raw, "m", ["x"], ["y"]) == OK
        assert raw.call("AI.MODELDEL", "n") == OK
        assert raw.call("AI._MODELSCAN") == [[b"m", b""]]

    def test_beside_good_models(self, server, raw):
        raw.pipeline(
            [["MULTI"], store_command("bad", onnx_models.NOT_PROTOBUF), store_command("good", MODEL), ["EXEC"]]
        )
        set_tensor(raw, "x", np.ones((3, 2), dtype=np.float32))
        server.restart()
        raw = server.raw()
        assert execute(raw, "good", ["x"], ["y"]) == OK
        assert isinstance(execute(raw, "bad", ["x"], ["y"]), Error)
