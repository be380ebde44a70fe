"""Reference section 3.7 and 10.4: AI.MODELEXECUTE runs a model and writes its outputs. Errors: test_s4_5_*."""

import numpy as np
import pytest

from support import onnx_models
from support.commands import WRONGTYPE, execute, execute_command, get_tensor, set_tensor, store_model, words
from support.resp import OK, Status


def test_runs_a_model(raw):
    store_model(raw, "m", onnx_models.mul_by_weights())
    set_tensor(raw, "x", [[1, 1], [2, 2], [3, 3]])
    assert execute(raw, "m", ["x"], ["y"]) == OK
    assert get_tensor(raw, "y").tolist() == [[1, 2], [6, 8], [15, 18]]


@pytest.mark.parametrize(
    "command",
    [
        "ai.modelexecute m inputs 2 a b outputs 1 c",
        "AI.MODELEXECUTE m INPUTS 2 a b OUTPUTS 1 c TIMEOUT 5000",
        "Ai.ModelExecute m Inputs 2 a b Outputs 1 c Timeout 60000000",
        "AI.MODELEXECUTE m INPUTS 2 a b OUTPUTS 1 c TIMEOUT 9223372036854775807",
    ],
)
def test_words_in_any_case_and_timeouts(raw, command):
    store_model(raw, "m", onnx_models.mul())
    set_tensor(raw, "a", [[1, 2]])
    set_tensor(raw, "b", [[3, 4]])
    assert raw.call(*words(command)) == OK
    assert get_tensor(raw, "c").tolist() == [[3, 8]]


def test_inputs_and_outputs_are_bound_by_position(raw):
    store_model(raw, "m", onnx_models.sum_and_difference())
    set_tensor(raw, "one", [5])
    set_tensor(raw, "two", [3])
    assert execute(raw, "m", ["one", "two"], ["p", "q"]) == OK
    assert execute(raw, "m", ["two", "one"], ["r", "s"]) == OK
    assert [get_tensor(raw, key).tolist() for key in "pqrs"] == [[8], [2], [8], [-2]]


def test_same_key_twice_as_input(raw):
    store_model(raw, "m", onnx_models.mul())
    set_tensor(raw, "a", [[2, 3]])
    assert execute(raw, "m", ["a", "a"], ["b"]) == OK
    assert get_tensor(raw, "b").tolist() == [[4, 9]]


def test_same_key_as_input_and_output(raw):
    store_model(raw, "m", onnx_models.add_constant(1))
    set_tensor(raw, "t", [1])
    for _ in range(3):
        assert execute(raw, "m", ["t"], ["t"]) == OK
    assert get_tensor(raw, "t").tolist() == [4]


def test_same_key_for_two_outputs_keeps_the_last(raw):
    store_model(raw, "m", onnx_models.sum_and_difference())
    set_tensor(raw, "a", [5])
    set_tensor(raw, "b", [3])
    assert execute(raw, "m", ["a", "b"], ["o", "o"]) == OK
    assert get_tensor(raw, "o").tolist() == [2]


def test_keys_named_like_keywords(raw):
    store_model(raw, "TIMEOUT", onnx_models.mul())
    set_tensor(raw, "OUTPUTS", [[1, 2]])
    set_tensor(raw, "INPUTS", [[3, 4]])
    assert execute(raw, "TIMEOUT", ["OUTPUTS", "INPUTS"], ["TIMEOUT2"]) == OK
    assert get_tensor(raw, "TIMEOUT2").tolist() == [[3, 8]]


def test_binary_key_names(raw):
    keys = [b"m\0\xff", b"i\r\n", b"o \0"]
    store_model(raw, keys[0], onnx_models.add_constant(1))
    set_tensor(raw, keys[1], [1])
    assert execute(raw, keys[0], [keys[1]], [keys[2]]) == OK
    assert get_tensor(raw, keys[2]).tolist() == [2]


def test_output_replaces_a_tensor_and_discards_its_ttl(raw):
    store_model(raw, "m", onnx_models.add_constant(1))
    set_tensor(raw, "x", [1])
    set_tensor(raw, "y", [[9, 9]])
    raw.call("EXPIRE", "y", 1000)
    assert execute(raw, "m", ["x"], ["y"]) == OK
    assert get_tensor(raw, "y").tolist() == [2]
    assert raw.call("TTL", "y") == -1


@pytest.mark.parametrize("holder", [["SET", "y", "text"], ["RPUSH", "y", "a"]])
def test_output_key_of_another_type_gives_one_error(raw, holder):
    store_model(raw, "m", onnx_models.add_constant(1))
    set_tensor(raw, "x", [1])
    raw.call(*holder)
    kind = raw.call("TYPE", "y")
    assert raw.pipeline([execute_command("m", ["x"], ["y"]), ["PING"], ["TYPE", "y"]]) == [
        WRONGTYPE,
        Status("PONG"),
        kind,
    ]


def test_output_key_holding_the_model_itself(raw):
    store_model(raw, "m", onnx_models.add_constant(1))
    set_tensor(raw, "x", [1])
    assert execute(raw, "m", ["x"], ["m"]) == WRONGTYPE
    assert execute(raw, "m", ["x"], ["y"]) == OK


def test_pipelined_runs_are_answered_in_order(raw):
    store_model(raw, "m", onnx_models.add_constant(1))
    set_tensor(raw, "t", [0])
    commands = [execute_command("m", ["t"], ["t"]) for _ in range(100)]
    assert raw.pipeline([*commands, ["PING"]]) == [OK] * 100 + [Status("PONG")]
    assert get_tensor(raw, "t").tolist() == [100]


def test_outputs_go_to_the_selected_database(server, raw):
    assert raw.call("SELECT", 5) == OK
    store_model(raw, "m", onnx_models.counting_loop())
    set_tensor(raw, "n", [100_000], "INT64")
    set_tensor(raw, "x", [0])
    assert execute(raw, "m", ["n", "x"], ["y"]) == OK
    assert get_tensor(raw, "y").tolist() == [100_000]
    assert server.raw().call("EXISTS", "y") == 0


def test_main_thread_is_free_during_a_run(server, raw):
    store_model(raw, "m", onnx_models.counting_loop())
    set_tensor(raw, "n", [400_000], "INT64")
    set_tensor(raw, "x", [0])
    raw.send(*execute_command("m", ["n", "x"], ["y"]))
    with server.raw() as other:
        assert other.call("PING") == Status("PONG")
        assert other.call("EXISTS", "y") == 0
    assert raw.read() == OK
    assert get_tensor(raw, "y").tolist() == [400_000]


def test_many_clients_at_once(server, raw):
    store_model(raw, "m", onnx_models.mul())
    clients = [server.raw() for _ in range(20)]
    for i, client in enumerate(clients):
        set_tensor(client, f"a{i}", [[i, 1]])
    for i, client in enumerate(clients):
        client.send(*execute_command("m", [f"a{i}", f"a{i}"], [f"b{i}"]))
    assert [client.read() for client in clients] == [OK] * 20
    assert [get_tensor(raw, f"b{i}").tolist() for i in range(20)] == [[[i * i, 1]] for i in range(20)]


@pytest.mark.parametrize("protocol, doubles", [(2, [b"4", b"9"]), (3, [4.0, 9.0])])
def test_redis_py_client_and_pipeline(server, protocol, doubles):
    """What an application does: set, run and get in one round trip without a transaction."""
    client = server.client(protocol=protocol)
    blob = np.array([[2, 3]], dtype=np.float32).tobytes()
    assert client.execute_command("AI.MODELSTORE", "m", "ONNX", "CPU", "BLOB", onnx_models.mul()) == b"OK"
    pipeline = client.pipeline(transaction=False)
    pipeline.execute_command("AI.TENSORSET", "a", "FLOAT", 1, 2, "BLOB", blob)
    pipeline.execute_command("AI.MODELEXECUTE", "m", "INPUTS", 2, "a", "a", "OUTPUTS", 1, "b")
    pipeline.execute_command("AI.TENSORGET", "b", "VALUES")
    assert pipeline.execute() == [b"OK", b"OK", doubles]
