"""Cheap models run in the main thread when nothing else is to be done (INLINE_EXECUTION_BUDGET). Nobody can tell, but
by the time: every test here is about a model that has run often enough for that.
"""

import itertools

import numpy as np
import pytest

from support import fraud_models, onnx_models, tf_models, tflite_models, torch_models
from support.commands import (
    IN_TRANSACTION,
    WRONGTYPE,
    execute,
    execute_command,
    get_tensor,
    set_tensor,
    stats,
    store_model,
    words,
)
from support.gates import held, hold_key, queue
from support.replication import PRIMARY, Listener, caught_up, start_replica
from support.resp import OK, QUEUED, TIMEDOUT, Error, Status

KEPT_KEYS = (hold_key(),)


def warm(raw, key="m", blob=None):
    """Stores a cheap model and runs it until its cost is known."""
    store_model(raw, key, blob or onnx_models.add_constant(1, ["n", 2]))
    set_tensor(raw, "x", [[1, 2]])
    for _ in range(30):
        assert execute(raw, key, ["x"], ["y"]) == OK
    raw.call("DEL", "y")
    assert raw.call("AI.INFO", key, "RESETSTAT") == OK


def test_answers(raw):
    warm(raw)
    for number in range(50):
        set_tensor(raw, "x", [[number, -number]])
        assert execute(raw, "m", ["x"], ["y"]) == OK
        assert get_tensor(raw, "y").tolist() == [[number + 1, 1 - number]]


def test_statistics(raw):
    warm(raw)
    durations = [0]
    for calls in range(1, 20):
        assert execute(raw, "m", ["x"], ["y"]) == OK
        now = stats(raw, "m")
        assert (now["calls"], now["samples"], now["errors"]) == (calls, calls, 0)
        durations.append(now["duration"])
    assert all(earlier < later for earlier, later in itertools.pairwise(durations)), durations


def test_errors(raw):
    warm(raw)
    set_tensor(raw, "wrong", [1, 2, 3])
    reply = execute(raw, "m", ["wrong"], ["z"])
    assert isinstance(reply, Error) and "Invalid rank for input" in reply.text
    raw.call("SET", "s", "text")
    assert raw.pipeline([execute_command("m", ["x"], ["s"]), ["PING"]]) == [WRONGTYPE, Status("PONG")]
    now = stats(raw, "m")
    assert (now["calls"], now["errors"]) == (2, 1)
    assert raw.call("EXISTS", "z") == 0


def test_transactions_and_lua(raw):
    warm(raw)
    command = execute_command("m", ["x"], ["y"])
    assert raw.pipeline([["MULTI"], command, ["EXEC"]]) == [OK, QUEUED, [IN_TRANSACTION]]
    assert raw.call("EVAL", "return redis.pcall(unpack(ARGV))", 0, *command) == IN_TRANSACTION


def test_pipelines(raw):
    warm(raw)
    commands = [words("AI.TENSORSET x FLOAT 1 2 VALUES 1 2"), execute_command("m", ["x"], ["y"])]
    commands += [execute_command("m", ["y"], ["y"])] * 20 + [words("AI.TENSORGET y VALUES")]
    assert raw.pipeline(commands) == [OK] * 22 + [[b"22", b"23"]]


def test_a_short_run_does_not_wait_for_a_long_one(server, raw):
    warm(raw)
    with held(server) as release:
        for number in range(20):
            set_tensor(raw, "x", [[number, 2]])
            assert execute(raw, "m", ["x"], ["y"], "TIMEOUT", 30) == OK
            assert get_tensor(raw, "y").tolist() == [[number + 1, 3]]
        release()


def test_batches_still_form(server, raw):
    store_model(raw, "m", onnx_models.batch_probe(), "BATCHSIZE", 8)
    set_tensor(raw, "x", [[1, 2]])
    for _ in range(30):
        assert execute(raw, "m", ["x"], ["t", "y"]) == OK
    with held(server) as release:
        clients = queue(server, *(execute_command("m", ["x"], [f"t{index}", f"y{index}"]) for index in range(3)))
        release()
        assert [client.read() for client in clients] == [OK] * 3
    assert [get_tensor(raw, f"t{index}").tolist() for index in range(3)] == [[3]] * 3


def test_minbatchsize_is_still_waited_for(server, raw):
    store_model(raw, "m", onnx_models.batch_probe(), "BATCHSIZE", 8, "MINBATCHSIZE", 2)
    set_tensor(raw, "two", [[1, 2], [3, 4]])
    set_tensor(raw, "one", [[1, 2]])
    for _ in range(30):
        assert execute(raw, "m", ["two"], ["t", "y"]) == OK
    assert execute(raw, "m", ["one"], ["t", "y"], "TIMEOUT", 30) == TIMEDOUT
    [waiting] = queue(server, execute_command("m", ["one"], ["t", "y"]))
    assert execute(raw, "m", ["one"], ["u", "y"]) == OK
    assert waiting.read() == OK
    assert get_tensor(raw, "u").tolist() == [2]


def test_dags(raw):
    warm(raw)
    command = words(
        "AI.DAGEXECUTE LOAD 1 x PERSIST 1 z |> AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y"
        " |> AI.MODELEXECUTE m INPUTS 1 y OUTPUTS 1 z |> AI.TENSORGET z VALUES"
    )
    for _ in range(30):
        assert raw.call(*command) == [OK, OK, [b"3", b"4"]]
    assert stats(raw, "m")["calls"] == 60
    assert get_tensor(raw, "z").tolist() == [[3, 4]]


@pytest.mark.parametrize("name", ["AI.MODELEXECUTE", "ai.ModelRun"])
def test_slowlog(raw, name):
    warm(raw)
    command = words("INPUTS 1 x OUTPUTS 1 y" if name == "AI.MODELEXECUTE" else "INPUTS x OUTPUTS y")
    raw.call("CONFIG", "SET", "slowlog-log-slower-than", 0)
    try:
        raw.call("SLOWLOG", "RESET")
        assert raw.call(name, "m", *command) == OK
        entries = [entry for entry in raw.call("SLOWLOG", "GET", 20) if entry[3][0] == name.encode()]
    finally:
        raw.call("CONFIG", "SET", "slowlog-log-slower-than", 10_000)
    [entry] = entries
    assert entry[2] >= stats(raw, "m")["duration"]


def test_replication(start_server):
    """The outputs, never the command."""
    primary = start_server(config=PRIMARY)
    raw = primary.raw()
    warm(raw)
    replica = start_replica(start_server, primary)
    listener = Listener(primary, replica)
    for _ in range(5):
        assert execute(raw, "m", ["x"], ["x"]) == OK
    expected = [
        [b"AI.TENSORSET", b"x", b"FLOAT", b"1", b"2", b"BLOB", np.array([1 + n, 2 + n], dtype=np.float32).tobytes()]
        for n in range(1, 6)
    ]
    assert listener.commands() == expected
    assert get_tensor(caught_up(primary, replica), "x").tolist() == [[6, 7]]


def test_watch(server, raw):
    warm(raw)
    with server.raw() as watcher:
        watcher.call("WATCH", "y")
        assert execute(raw, "m", ["x"], ["y"]) == OK
        assert watcher.pipeline([["MULTI"], ["PING"], ["EXEC"]])[2] is None


def test_a_model_stored_again(raw):
    """The new one is run, from the first time on."""
    for constant in range(1, 5):
        store_model(raw, "m", onnx_models.add_constant(constant, ["n", 2]))
        set_tensor(raw, "x", [[1, 2]])
        for _ in range(12):
            assert execute(raw, "m", ["x"], ["y"]) == OK
            assert get_tensor(raw, "y").tolist() == [[1 + constant, 2 + constant]]


def test_a_model_whose_cost_is_in_its_inputs(server, raw):
    """Many cheap runs do not make an expensive one that holds everybody up."""
    store_model(raw, "loop", onnx_models.counting_loop())
    set_tensor(raw, "few", [1], "INT64")
    set_tensor(raw, "many", [300_000], "INT64")
    set_tensor(raw, "zero", [0])
    for _ in range(30):
        assert execute(raw, "loop", ["few", "zero"], ["y"]) == OK
    with server.raw() as waiting:
        [waiting] = queue(server, execute_command("loop", ["many", "zero"], ["y"]))
        assert raw.call("PING") == Status("PONG")
        assert waiting.read() == OK


NAMES = ("INPUTS", 2, "transaction", "reference", "OUTPUTS", 1, "output")
CHEAP_MODELS = {
    "ONNX": (fraud_models.onnx_model, ()),
    "TF": (fraud_models.frozen_graph, NAMES),
    "TFLITE": (fraud_models.tflite_model, ()),
    "TORCH": (fraud_models.torch_model, ()),
}


def store_for(raw, engine, key, blob, *options):
    assert raw.call("AI.MODELSTORE", key, engine, "CPU", *options, "BLOB", blob) == OK


@pytest.mark.parametrize("engine", CHEAP_MODELS)
def test_all_engines(raw, engine):
    """The answers are the same, and so are those of a wrong request among them."""
    make, options = CHEAP_MODELS[engine]
    store_for(raw, engine, "m", make(), *options)
    set_tensor(raw, "wrong", [[1, 2, 3]])
    errors = set()
    for count in (1, 3):
        inputs = fraud_models.samples(count)
        for name, array in inputs.items():
            set_tensor(raw, name, array)
        for _ in range(40):
            assert execute(raw, "m", [*inputs], ["y"]) == OK
            np.testing.assert_allclose(get_tensor(raw, "y"), fraud_models.answers(**inputs), atol=1e-5)
            errors.add(execute(raw, "m", ["transaction", "wrong"], ["y"]).text)
    assert len(errors) <= 2, errors


LOOPS = {
    "TF v1": (lambda: tf_models.loop("v1"), ("INPUTS", 1, "input", "OUTPUTS", 1, "output")),
    "TF v2": (lambda: tf_models.loop("v2"), ("INPUTS", 1, "input", "OUTPUTS", 1, "output")),
    "TFLITE": (lambda: tflite_models.special("loop"), ()),
    "TORCH": (torch_models.endless, ()),
}


@pytest.mark.parametrize("kind", LOOPS)
def test_loops_of_other_engines(start_server, kind):
    """Many runs of no turns do not bring an endless one into the main thread."""
    make, options = LOOPS[kind]
    server = start_server("MODEL_EXECUTION_TIMEOUT", "1000")
    raw = server.raw()
    store_for(raw, kind.split()[0], "loop", make(), *options)
    set_tensor(raw, "few", [0])
    set_tensor(raw, "endless", [np.inf])
    for _ in range(30):
        assert execute(raw, "loop", ["few"], ["y"]) == OK
    [waiting] = queue(server, execute_command("loop", ["endless"], ["y"]))
    assert raw.call("PING") == Status("PONG")
    assert not waiting.has_reply(within=0)
    assert isinstance(waiting.read(), Error)
