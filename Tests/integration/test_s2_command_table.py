"""Reference section 2: what COMMAND INFO and DOCS say, and what the server makes of it (ACL, OOM). Key positions:
test_s2_1_key_positions.py."""

import pytest

from support import onnx_models
from support.commands import execute_command, pairs, set_tensor, store_command, store_model, words
from support.resp import OK, Error, Status

# name: (flags, first key, last key, step)
TABLE = {
    "ai.tensorset": ({"write", "denyoom"}, 1, 1, 1),
    "ai.tensorget": ({"readonly"}, 1, 1, 1),
    "ai.modelstore": ({"write", "denyoom"}, 1, 1, 1),
    "ai.modelset": ({"write", "denyoom"}, 1, 1, 1),
    "ai.modelget": ({"readonly"}, 1, 1, 1),
    "ai.modeldel": ({"write"}, 1, 1, 1),
    "ai.modelexecute": ({"write", "denyoom", "movablekeys"}, 4, 4, 1),
    "ai.modelrun": ({"write", "denyoom", "movablekeys"}, 3, 3, 1),
    "ai._modelscan": ({"readonly"}, 0, 0, 0),
    "ai.scriptstore": ({"write", "denyoom"}, 1, 1, 1),
    "ai.scriptset": ({"write", "denyoom"}, 1, 1, 1),
    "ai.scriptget": ({"readonly"}, 1, 1, 1),
    "ai.scriptdel": ({"write"}, 1, 1, 1),
    "ai.scriptexecute": ({"write", "denyoom", "movablekeys"}, 5, 5, 1),
    "ai.scriptrun": ({"write", "denyoom", "movablekeys"}, 4, 4, 1),
    "ai._scriptscan": ({"readonly"}, 0, 0, 0),
    "ai.dagexecute": ({"write", "denyoom", "movablekeys"}, 3, 3, 1),
    "ai.dagexecute_ro": ({"readonly", "movablekeys"}, 3, 3, 1),
    "ai.dagrun": ({"write", "denyoom", "movablekeys"}, 3, 3, 1),
    "ai.dagrun_ro": ({"readonly", "movablekeys"}, 3, 3, 1),
    "ai.info": ({"readonly"}, 1, 1, 1),
    "ai.config": ({"write"}, 0, 0, 0),
}


@pytest.mark.parametrize("name", TABLE)
def test_command_info(raw, name):
    flags, first, last, step = TABLE[name]
    [entry] = raw.call("COMMAND", "INFO", name)
    assert entry[0] == name.encode()
    assert entry[1] == -1
    assert {flag.text for flag in entry[2]} - {"module"} == flags
    assert tuple(entry[3:6]) == (first, last, step)


@pytest.mark.parametrize("name", TABLE)
def test_command_docs(raw, name):
    reply = raw.call("COMMAND", "DOCS", name)
    assert reply[0] == name.encode()
    docs = dict(zip(map(bytes.decode, reply[1][0::2]), reply[1][1::2], strict=True))
    assert docs["group"] == b"module"
    assert docs["module"] == b"ai"
    assert docs["summary"] and docs["since"] and docs["complexity"]
    if name not in ("ai._modelscan", "ai._scriptscan"):
        assert docs["arguments"]


@pytest.mark.parametrize(
    "name, successor",
    [
        ("ai.modelset", "AI.MODELSTORE"),
        ("ai.modelrun", "AI.MODELEXECUTE"),
        ("ai.scriptset", "AI.SCRIPTSTORE"),
        ("ai.scriptrun", "AI.SCRIPTEXECUTE"),
        ("ai.dagrun", "AI.DAGEXECUTE"),
        ("ai.dagrun_ro", "AI.DAGEXECUTE_RO"),
    ],
)
def test_deprecated_commands_name_their_successors(raw, name, successor):
    """Modules cannot set the server's flag for it."""
    summary = pairs(raw.call("COMMAND", "DOCS", name)[1])["summary"].decode()
    assert summary.endswith(f"Deprecated: use {successor}.")


def test_module_commands_are_listed(raw):
    assert set(TABLE) <= {name.decode() for name in raw.call("COMMAND", "LIST", "FILTERBY", "MODULE", "ai")}


@pytest.fixture
def user(server, raw):
    """A connection of a user who may touch only keys that start with ``my``."""
    assert raw.call("ACL", "SETUSER", "u", "on", "nopass", "resetkeys", "~my*", "+@all") == OK
    with server.raw() as connection:
        assert connection.call("AUTH", "u", "x") == OK
        yield connection
    assert raw.call("ACL", "DELUSER", "u") == 1


@pytest.mark.parametrize("model, tensor, output", [("m", "my:x", "my:y"), ("my:m", "x", "my:y"), ("my:m", "my:x", "y")])
def test_acl_covers_every_key(raw, user, model, tensor, output):
    store_model(raw, model, onnx_models.add_constant(1))
    set_tensor(raw, tensor, [1])
    reply = user.call(*execute_command(model, [tensor], [output]))
    assert isinstance(reply, Error) and reply.text.startswith("NOPERM"), reply
    assert raw.call("EXISTS", output) == 0


@pytest.mark.parametrize(
    "command",
    [
        "AI.SCRIPTSTORE s CPU ENTRY_POINTS 1 f SOURCE x",
        "AI.SCRIPTGET s",
        "AI.SCRIPTDEL s",
        "AI.SCRIPTEXECUTE s f INPUTS 1 my:a OUTPUTS 1 my:b",
        "AI.SCRIPTEXECUTE my:s f INPUTS 1 a OUTPUTS 1 my:b",
        "AI.SCRIPTEXECUTE my:s f INPUTS 1 my:a OUTPUTS 1 b",
        "AI.SCRIPTEXECUTE my:s f KEYS 1 k INPUTS 1 my:a",
        "AI.SCRIPTRUN my:s f INPUTS my:a OUTPUTS b",
        "AI.SCRIPTRUN my:s f INPUTS a OUTPUTS my:b",
        "AI.MODELRUN m INPUTS my:a OUTPUTS my:b",
        "AI.MODELRUN my:m INPUTS a OUTPUTS my:b",
        "AI.MODELRUN my:m INPUTS my:a OUTPUTS b",
        "AI.DAGEXECUTE LOAD 1 a |> AI.TENSORGET a",
        "AI.DAGEXECUTE PERSIST 1 c |> AI.TENSORSET c FLOAT 1",
        "AI.DAGEXECUTE LOAD 1 my:a |> AI.MODELEXECUTE m INPUTS 1 my:a OUTPUTS 1 my:b",
        "AI.DAGEXECUTE LOAD 1 my:a |> AI.SCRIPTEXECUTE s f INPUTS 1 my:a OUTPUTS 1 my:b",
        "AI.DAGEXECUTE_RO LOAD 1 my:a |> AI.MODELEXECUTE m INPUTS 1 my:a OUTPUTS 1 my:b",
        "AI.DAGRUN LOAD 1 a |> AI.TENSORGET a",
        "AI.DAGRUN_RO LOAD 1 a |> AI.TENSORGET a",
    ],
)
def test_acl_covers_the_keys_of_every_command(user, command):
    reply = user.call(*words(command))
    assert isinstance(reply, Error) and reply.text.startswith("NOPERM"), reply


def test_acl_allows_own_keys(user):
    store_model(user, "my:m", onnx_models.add_constant(1))
    set_tensor(user, "my:x", [1])
    assert user.call(*execute_command("my:m", ["my:x"], ["my:y"])) == OK
    # names inside of a DAG are no keys
    dag = "AI.DAGEXECUTE LOAD 1 my:x PERSIST 1 my:y |> AI.MODELEXECUTE my:m INPUTS 1 my:x OUTPUTS 1 x"
    dag += " |> AI.TENSORSET my:y FLOAT 1 |> AI.TENSORGET x VALUES"
    assert user.call(*words(dag)) == [OK, OK, [b"2"]]


def test_out_of_memory(raw):
    store_model(raw, "m", onnx_models.add_constant(1))
    set_tensor(raw, "x", [1])
    raw.call("CONFIG", "SET", "maxmemory", 1)
    try:
        for command in (
            words("AI.TENSORSET t FLOAT 1"),
            store_command("n", onnx_models.mul()),
            execute_command("m", ["x"], ["y"]),
            words("AI.SCRIPTSTORE s CPU ENTRY_POINTS 1 f SOURCE x"),
            words("AI.SCRIPTSET s CPU SOURCE x"),
            words("AI.SCRIPTEXECUTE s f INPUTS 1 x"),
            words("AI.SCRIPTRUN s f"),
            words("AI.MODELSET n ONNX CPU BLOB x"),
            words("AI.MODELRUN m INPUTS x OUTPUTS y"),
            words("AI.DAGEXECUTE LOAD 1 x |> AI.TENSORGET x VALUES"),
            words("AI.DAGRUN LOAD 1 x |> AI.TENSORGET x VALUES"),
        ):
            reply = raw.call(*command)
            assert isinstance(reply, Error) and reply.text.startswith("OOM "), command
        assert raw.call("AI.TENSORGET", "x", "VALUES") == [b"1"]
        read_only = "AI.DAGEXECUTE_RO LOAD 1 x |> AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y |> AI.TENSORGET y VALUES"
        assert raw.call(*words(read_only)) == [OK, [b"2"]]
        assert raw.call(*words("AI.DAGRUN_RO LOAD 1 x |> AI.TENSORGET x VALUES")) == [[b"1"]]
        assert raw.call("AI.MODELDEL", "m") == OK
        assert raw.call("PING") == Status("PONG")
    finally:
        raw.call("CONFIG", "SET", "maxmemory", 0)
