"""An extension of RedisAI 1.x: what happens to keys of the module's types is announced, in class `d` of
notify-keyspace-events. Deletion by the server's own commands stays the server's event."""

from contextlib import contextmanager

import pytest

from support import onnx_models
from support.commands import execute_command, set_tensor, store_command, store_model, words
from support.resp import OK, Error, Push
from support.scripts import entry_point, script_command, store_script
from support.wait import eventually

# Replicas get their copy at once.
SERVER_CONFIG = ("--repl-diskless-sync-delay", "0")
MODEL = onnx_models.add_constant(1)
SOURCE = entry_point("f", 'redis.execute("SET", keys[0], "v")', "return tensors[0]")
ALL = "KEA"


@contextmanager
def listening(server, events=ALL, resp=2):
    """Yields a function that returns the events since its last call, as channel without prefix and message."""
    with server.raw() as settings, server.raw(resp=resp) as listener:
        assert settings.call("CONFIG", "SET", "notify-keyspace-events", events) == OK
        listener.pipeline([["PSUBSCRIBE", "__key*__:*"], ["SUBSCRIBE", "mark"]])

        def seen():
            settings.call("PUBLISH", "mark", "")
            messages = []
            while (message := listener.read())[-2:] != [b"mark", b""]:
                assert isinstance(message, Push) == (resp == 3)
                channel, text = message[-2:]
                messages.append((channel.decode().removeprefix("__key"), text.decode()))
            return messages

        try:
            yield seen
        finally:
            settings.call("CONFIG", "SET", "notify-keyspace-events", "")


def both(event, key, database=0):
    """An event as it is announced to those who watch keys, and to those who watch events."""
    return [(f"space@{database}__:{key}", event), (f"event@{database}__:{event}", key)]


@pytest.fixture
def stored(raw):
    """A model `m`, a script `s` and a tensor `x`."""
    store_model(raw, "m", MODEL)
    store_script(raw, "s", SOURCE, "f")
    set_tensor(raw, "x", [1])


EVENTS = [
    (words("AI.TENSORSET t FLOAT 1 VALUES 1"), both("ai.tensorset", "t")),
    (words("AI.TENSORSET t INT8 1 VALUES 2"), both("ai.tensorset", "t")),
    (store_command("n", MODEL), both("ai.modelstore", "n")),
    (store_command("n", MODEL, "TAG", "new"), both("ai.modelstore", "n")),
    (words("AI.MODELSET n ONNX CPU BLOB", MODEL), both("ai.modelstore", "n")),
    (words("AI.SCRIPTSTORE r CPU ENTRY_POINTS 1 f SOURCE", SOURCE), both("ai.scriptstore", "r")),
    (words("AI.SCRIPTSET r CPU SOURCE", SOURCE), both("ai.scriptstore", "r")),
    (execute_command("m", ["x"], ["y"]), both("ai.tensorset", "y")),
    (script_command("s", "f", ["x"], ["y"], keys=["k"]), both("set", "k") + both("ai.tensorset", "y")),
    (
        words("AI.DAGEXECUTE PERSIST 2 p q |> AI.TENSORSET p FLOAT 1 |> AI.MODELEXECUTE m INPUTS 1 p OUTPUTS 1 q"),
        both("ai.tensorset", "p") + both("ai.tensorset", "q"),
    ),
    # what the server does to our keys is announced by the server
    (words("RENAME n o"), both("rename_from", "n") + both("rename_to", "o")),
    (words("UNLINK o"), both("del", "o")),
    (words("EXPIRE x 100"), both("expire", "x")),
    (words("AI.MODELDEL m"), both("ai.modeldel", "m")),
    (words("AI.SCRIPTDEL s"), both("ai.scriptdel", "s")),
]


def test_events(server, raw, stored):
    with listening(server) as seen:
        for command, events in EVENTS:
            assert not isinstance(raw.call(*command), Error), command
            assert seen() == events, command


def test_every_output(server, raw):
    store_model(raw, "m", onnx_models.sum_and_difference())
    set_tensor(raw, "x", [1])
    with listening(server) as seen:
        assert raw.call(*execute_command("m", ["x", "x"], ["b", "a"])) == OK
        assert seen() == both("ai.tensorset", "b") + both("ai.tensorset", "a")


UNEVENTFUL = [
    "AI.TENSORGET x",
    "AI.MODELGET m",
    "AI.SCRIPTGET s",
    "AI.INFO m RESETSTAT",
    "AI._MODELSCAN",
    "AI.TENSORSET m FLOAT 1",
    "AI.TENSORSET t FLOAT 1 VALUES 1 2",
    "AI.MODELSTORE n ONNX CPU BLOB x",
    "AI.SCRIPTSET x CPU SOURCE x",
    "AI.MODELDEL x",
    "AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 s",
    "AI.SCRIPTEXECUTE s none INPUTS 1 x OUTPUTS 1 y",
    "AI.DAGEXECUTE_RO LOAD 1 x |> AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y |> AI.TENSORSET z FLOAT 1",
    "AI.DAGEXECUTE PERSIST 1 y |> AI.TENSORSET y INT8 1 |> AI.MODELEXECUTE m INPUTS 1 y OUTPUTS 1 y",
]


def test_no_event_without_a_change(server, raw, stored):
    with listening(server) as seen:
        for command in UNEVENTFUL:
            raw.call(*words(command))
            assert seen() == [], command


@pytest.mark.parametrize(
    "settings, events",
    [
        ("Kd", both("ai.tensorset", "t")[:1]),
        ("Ed", both("ai.tensorset", "t")[1:]),
        # other classes
        ("KEg$xe", [*both("set", "k"), *both("del", "k")]),
        ("d", []),
        ("", []),
    ],
)
def test_only_what_was_asked_for(server, raw, settings, events):
    with listening(server, settings) as seen:
        set_tensor(raw, "t", [1])
        assert raw.pipeline([["SET", "k", 1], ["DEL", "k"]]) == [OK, 1]
        assert seen() == events


def test_in_resp3(server, raw):
    with listening(server, resp=3) as seen:
        set_tensor(raw, "t", [1])
        assert seen() == both("ai.tensorset", "t")


def test_in_a_transaction_and_in_lua(server, raw, stored):
    with listening(server) as seen:
        transaction = [words("AI.TENSORSET t FLOAT 1"), store_command("n", MODEL), words("AI.SCRIPTDEL s")]
        assert raw.pipeline([["MULTI"], *transaction, ["EXEC"]])[-1] == [OK, OK, OK]
        assert seen() == both("ai.tensorset", "t") + both("ai.modelstore", "n") + both("ai.scriptdel", "s")
        assert raw.call("EVAL", "return redis.call('AI.TENSORSET', KEYS[1], 'FLOAT', 1)", 1, "u") == OK
        assert seen() == both("ai.tensorset", "u")


def test_in_the_clients_database(server, raw):
    raw.call("SELECT", 4)
    store_model(raw, "m", MODEL)
    set_tensor(raw, "x", [1])
    with listening(server) as seen:
        assert raw.call(*execute_command("m", ["x"], ["y"])) == OK
        assert seen() == both("ai.tensorset", "y", database=4)


def test_the_key_has_changed_when_the_event_comes(server, raw, stored):
    with server.raw() as listener:
        assert raw.call("CONFIG", "SET", "notify-keyspace-events", "Kd") == OK
        listener.call("SUBSCRIBE", "__keyspace@0__:y")
        raw.send(*execute_command("m", ["x"], ["y"]))
        assert listener.read() == [b"message", b"__keyspace@0__:y", b"ai.tensorset"]
        with server.raw() as other:
            assert other.call(*words("AI.TENSORGET y VALUES")) == [b"2"]
    raw.call("CONFIG", "SET", "notify-keyspace-events", "")


def test_replicas_announce_what_they_apply(server, raw, stored, start_server):
    replica = start_server(config=("--replicaof", f"127.0.0.1 {server.port}"))
    eventually(lambda: replica.info("replication").get("master_link_status") == "up", "the replica is connected")
    with listening(replica) as seen, replica.raw() as copy:
        assert raw.call(*execute_command("m", ["x"], ["y"])) == OK
        assert raw.pipeline([store_command("n", MODEL), words("AI.SCRIPTDEL s"), ["SET", "end", 1]])[:2] == [OK, OK]
        eventually(lambda: copy.call("EXISTS", "end"), "the replica has caught up")
        expected = both("ai.tensorset", "y") + both("ai.modelstore", "n") + both("ai.scriptdel", "s")
        assert seen() == expected + both("set", "end")


def test_nothing_while_a_file_is_loaded(start_server):
    """The server announces what its own commands in the append-only file do; ours is no news."""
    server = start_server(config=("--appendonly", "yes"))
    raw = server.raw()
    set_tensor(raw, "x", [1])
    store_model(raw, "m", MODEL)
    assert raw.call(*execute_command("m", ["x"], ["y"])) == OK
    assert raw.pipeline([store_command("n", MODEL), words("AI.MODELDEL n"), ["SET", "k", 1]]) == [OK] * 3
    with listening(server) as seen:
        assert raw.call("DEBUG", "LOADAOF") == OK
        assert seen() == both("set", "k")
        assert raw.call("DEBUG", "RELOAD") == OK
        assert seen() == []
    assert sorted(raw.call("KEYS", "*")) == [b"k", b"m", b"x", b"y"]
