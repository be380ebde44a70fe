"""Reference sections 4.2 and 10.6: what works inside MULTI and Lua, and that executions do not."""

import pytest

from support import onnx_models
from support.commands import (
    IN_TRANSACTION,
    execute,
    execute_command,
    get_tensor,
    set_tensor,
    store_command,
    store_model,
    words,
)
from support.resp import NIL, OK, QUEUED, Error

MODEL = onnx_models.add_constant(1)


def multi(raw, *commands):
    """The replies of EXEC."""
    replies = raw.pipeline([["MULTI"], *commands, ["EXEC"]])
    assert replies[:-1] == [OK] + [QUEUED] * len(commands)
    return replies[-1]


def lua(raw, *command):
    """The reply of a command called from a script; an error is returned as the script got it."""
    return raw.call("EVAL", "return redis.pcall(unpack(ARGV))", 0, *command)


@pytest.fixture
def ready(raw):
    store_model(raw, "m", MODEL)
    set_tensor(raw, "x", [1])


@pytest.mark.parametrize(
    "command",
    [
        execute_command("m", ["x"], ["y"]),
        execute_command("none", ["none"], ["y"]),
        words("ai.modelexecute m INPUTS 1 x OUTPUTS 1 y TIMEOUT 5"),
        words("AI.MODELEXECUTE m INPUTS foo"),
        words("AI.MODELEXECUTE"),
        words("AI.DAGEXECUTE LOAD 1 x PERSIST 1 y |> AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y"),
        words("ai.dagexecute_ro LOAD 1 x |> AI.TENSORGET x"),
        words("AI.DAGRUN LOAD 1 none |> nonsense"),
        words("AI.DAGRUN_RO"),
    ],
    ids=str,
)
def test_execution_is_refused_before_anything_else(raw, ready, command):
    assert multi(raw, command) == [IN_TRANSACTION]
    assert lua(raw, *command) == IN_TRANSACTION
    assert raw.call("EXISTS", "y") == 0


def test_other_commands_of_the_transaction_still_run(raw, ready):
    assert multi(raw, ["SET", "a", 1], execute_command("m", ["x"], ["y"]), ["SET", "b", 2]) == [OK, IN_TRANSACTION, OK]


def test_tensors_in_multi(raw):
    assert multi(
        raw, words("AI.TENSORSET t INT8 2 VALUES 1 2"), words("AI.TENSORGET t VALUES"), words("AI.TENSORGET none")
    ) == [OK, [1, 2], Error("ERR tensor key is empty or in a different shard")]


def test_tensors_in_lua(raw):
    assert lua(raw, *words("AI.TENSORSET t INT8 2 VALUES 1 2")) == OK
    assert lua(raw, *words("AI.TENSORGET t VALUES")) == [1, 2]
    assert lua(raw, *words("AI.TENSORGET t")) == [b"dtype", b"INT8", b"shape", [2], b"blob", b"\1\2"]
    assert lua(raw, *words("AI.TENSORGET none")) == Error("ERR tensor key is empty or in a different shard")


def test_redis_py_pipeline_is_a_transaction(client):
    pipeline = client.pipeline()
    pipeline.execute_command("AI.TENSORSET", "t", "INT8", 1, "VALUES", 3)
    pipeline.execute_command("AI.TENSORGET", "t", "VALUES")
    assert pipeline.execute() == [b"OK", [3]]


def test_models_in_multi(raw):
    replies = multi(
        raw,
        store_command("m", MODEL, "TAG", "v1"),
        words("AI.MODELGET m BLOB"),
        words("AI._MODELSCAN"),
        words("AI.MODELDEL m"),
        words("AI.MODELGET m"),
    )
    assert replies == [OK, MODEL, [[b"m", b"v1"]], OK, Error("ERR model key is empty")]


def test_models_in_lua(raw):
    assert lua(raw, *store_command("m", MODEL, "TAG", "v1")) == OK
    assert lua(raw, *words("AI.MODELGET m BLOB")) == MODEL
    assert lua(raw, *words("AI._MODELSCAN")) == [[b"m", b"v1"]]
    assert lua(raw, *words("AI.MODELDEL m")) == OK


def test_info_and_config_in_multi_and_lua(raw, ready):
    for run in (lambda *command: multi(raw, list(command))[0], lambda *command: lua(raw, *command)):
        assert run("AI.INFO", "m")[:2] == [b"key", b"m"]
        assert run("AI.INFO", "m", "RESETSTAT") == OK
        assert run("AI.CONFIG", "GET", "MODEL_CHUNK_SIZE") == 535822336
        assert run("AI.CONFIG", "GET", "nonsense") is NIL


@pytest.mark.parametrize("inside", [multi, lambda raw, command: [lua(raw, *command)]], ids=["multi", "lua"])
def test_a_run_waits_for_a_model_stored_inside(raw, inside):
    """The reply cannot wait for the engine there; the next run does."""
    set_tensor(raw, "x", [1])
    assert inside(raw, store_command("m", onnx_models.big_weights(20))) == [OK]
    assert execute(raw, "m", ["x"], ["y"]) == OK
    assert get_tensor(raw, "y").shape == (5_000_000,)


def test_replacing_inside_a_transaction(raw, ready):
    assert multi(raw, store_command("m", onnx_models.add_constant(10))) == [OK]
    assert execute(raw, "m", ["x"], ["y"]) == OK
    assert get_tensor(raw, "y").tolist() == [11]


def test_parse_errors_of_modelstore_are_immediate(raw):
    assert multi(raw, words("AI.MODELSTORE m ONNX TPU BLOB x")) == [Error("ERR Invalid DEVICE")]
    raw.call("SET", "s", "text")
    [reply] = multi(raw, store_command("s", MODEL))
    assert reply.text.startswith("WRONGTYPE")


def test_watch_sees_written_outputs(server, raw, ready):
    with server.raw() as watcher:
        watcher.call("WATCH", "y")
        assert execute(raw, "m", ["x"], ["y"]) == OK
        assert watcher.pipeline([["MULTI"], ["PING"], ["EXEC"]])[2] is NIL
