"""Reference section 2: what COMMAND INFO, GETKEYS and DOCS say, and what the server makes of it (ACL, OOM)."""

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


@pytest.mark.parametrize(
    "command, keys",
    [
        ("AI.TENSORSET t FLOAT 1 VALUES 1", ["t"]),
        ("AI.TENSORGET t META", ["t"]),
        ("AI.MODELSTORE m ONNX CPU BLOB x", ["m"]),
        ("AI.MODELSET m ONNX CPU BLOB x", ["m"]),
        ("AI.MODELGET m", ["m"]),
        ("AI.MODELDEL m", ["m"]),
        ("AI.INFO m", ["m"]),
        ("AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 b", ["m", "a", "b"]),
        ("AI.MODELEXECUTE m INPUTS 2 a b OUTPUTS 3 c d e TIMEOUT 5", ["m", "a", "b", "c", "d", "e"]),
        ("ai.modelexecute m inputs 1 a outputs 2 b c", ["m", "a", "b", "c"]),
        # counts that do not parse or run past the end: only the model
        ("AI.MODELEXECUTE m INPUTS x a OUTPUTS 1 b", ["m"]),
        ("AI.MODELEXECUTE m INPUTS 9 a OUTPUTS 1 b", ["m"]),
        ("AI.MODELEXECUTE m INPUTS 9223372036854775807 a OUTPUTS 1 b", ["m"]),
        ("AI.MODELEXECUTE m INPUTS -1 a OUTPUTS 1 b", ["m"]),
        ("AI.MODELEXECUTE m INPUTS 1", ["m"]),
        ("AI.SCRIPTSTORE s CPU ENTRY_POINTS 1 f SOURCE x", ["s"]),
        ("AI.SCRIPTSET s CPU SOURCE x", ["s"]),
        ("AI.SCRIPTGET s", ["s"]),
        ("AI.SCRIPTDEL s", ["s"]),
        # sections in any order, to the very end of the command; arguments are no keys
        ("AI.SCRIPTEXECUTE s f INPUTS 1 a OUTPUTS 1 b", ["s", "a", "b"]),
        ("AI.SCRIPTEXECUTE s f KEYS 2 k l INPUTS 1 a ARGS 2 x y OUTPUTS 1 b", ["s", "k", "l", "a", "b"]),
        ("AI.SCRIPTEXECUTE s f OUTPUTS 1 b ARGS 1 x INPUTS 1 a KEYS 1 k TIMEOUT 5", ["s", "b", "a", "k"]),
        ("ai.scriptexecute s f keys 1 k", ["s", "k"]),
        ("AI.SCRIPTEXECUTE s f INPUTS 0 OUTPUTS 1 b", ["s", "b"]),
        ("AI.SCRIPTEXECUTE s f INPUTS 1 a TIMEOUT 5", ["s", "a"]),
        # counts that do not fit
        ("AI.SCRIPTEXECUTE s f INPUTS x a OUTPUTS 1 b", ["s"]),
        ("AI.SCRIPTEXECUTE s f INPUTS 9 a OUTPUTS 1 b", ["s"]),
        ("AI.SCRIPTEXECUTE s f KEYS 1 k INPUTS 9223372036854775807 a", ["s", "k"]),
        ("AI.SCRIPTEXECUTE s f KEYS 1 k INPUTS", ["s", "k"]),
        ("AI.SCRIPTEXECUTE s f", ["s"]),
        ("AI.SCRIPTRUN s f INPUTS a b OUTPUTS c d", ["s", "a", "b", "c", "d"]),
        ("AI.SCRIPTRUN s f TIMEOUT 5 INPUTS a $ b OUTPUTS c", ["s", "a", "b", "c"]),
        ("ai.scriptrun s f inputs a outputs c", ["s", "a", "c"]),
        ("AI.SCRIPTRUN s f OUTPUTS c", ["s", "c"]),
        ("AI.SCRIPTRUN s f", ["s"]),
        ("AI.MODELRUN m INPUTS a b OUTPUTS c d", ["m", "a", "b", "c", "d"]),
        ("AI.MODELRUN m TIMEOUT 5 INPUTS a OUTPUTS c", ["m", "a", "c"]),
        ("ai.modelrun m timeout 5 inputs a outputs c", ["m", "a", "c"]),
        ("AI.MODELRUN m INPUTS a", ["m", "a"]),
        # the names inside of a DAG are its own
        ("AI.DAGEXECUTE LOAD 1 a |> AI.TENSORGET a", ["a"]),
        ("AI.DAGEXECUTE LOAD 2 a b PERSIST 2 c d ROUTING r TIMEOUT 5 |> AI.TENSORGET a", ["a", "b", "c", "d", "r"]),
        ("AI.DAGEXECUTE ROUTING r PERSIST 1 c LOAD 1 a |> AI.TENSORGET a", ["r", "c", "a"]),
        ("AI.DAGEXECUTE LOAD 1 a |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 x |> AI.TENSORGET x", ["a", "m"]),
        ("AI.DAGEXECUTE PERSIST 1 c |> AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y"
         " |> AI.MODELEXECUTE n INPUTS 1 y OUTPUTS 1 c", ["c", "m", "n"]),
        ("AI.DAGEXECUTE LOAD 1 a |> AI.SCRIPTEXECUTE s f INPUTS 1 a OUTPUTS 1 x"
         " |> AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y", ["a", "s", "m"]),
        ("ai.dagexecute load 1 a persist 1 c routing r |> ai.modelexecute m inputs 1 a", ["a", "c", "r", "m"]),
        ("AI.DAGEXECUTE_RO LOAD 1 a ROUTING r |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 x", ["a", "r", "m"]),
        ("AI.DAGEXECUTE_RO ROUTING r |> AI.TENSORSET x FLOAT 1", ["r"]),
        # nor are the models and scripts of the deprecated operations reported
        ("AI.DAGRUN LOAD 1 a PERSIST 1 c |> AI.MODELRUN m INPUTS a OUTPUTS c", ["a", "c"]),
        ("AI.DAGRUN LOAD 1 a ROUTING r |> AI.SCRIPTRUN s f INPUTS a OUTPUTS x", ["a", "r"]),
        ("AI.DAGRUN_RO LOAD 1 a |> AI.MODELRUN m INPUTS a OUTPUTS x", ["a"]),
        # what is behind a count that does not fit is not looked at
        ("AI.DAGEXECUTE PERSIST 1 c LOAD x a |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 c", ["c"]),
        ("AI.DAGEXECUTE LOAD 1 a PERSIST -1 c |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 c", ["a"]),
    ],
)  # fmt: skip
def test_getkeys(raw, command, keys):
    assert raw.call("COMMAND", "GETKEYS", *words(command)) == [key.encode() for key in keys]


@pytest.mark.parametrize(
    "command",
    [
        "AI._MODELSCAN",
        "AI.CONFIG GET x",
        "AI.MODELEXECUTE",
        "AI.MODELEXECUTE m",
        "AI.MODELEXECUTE m INPUTS",
        "AI.MODELRUN",
        "AI.DAGEXECUTE",
        "AI.DAGEXECUTE LOAD",
        "AI.DAGEXECUTE LOAD x a |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 c",
        "AI.DAGRUN |> AI.TENSORSET x FLOAT 1",
        "AI.DAGRUN |> AI.TENSORSET x FLOAT 1 |> AI.MODELRUN m INPUTS x OUTPUTS y",
        "AI.DAGRUN_RO |> AI.SCRIPTRUN s f INPUTS x OUTPUTS y",
    ],
)
def test_commands_without_keys(raw, command):
    assert isinstance(raw.call("COMMAND", "GETKEYS", *words(command)), Error)


@pytest.mark.parametrize(
    "command",
    [
        "AI.DAGEXECUTE ROUTING r LOAD 9 a b",
        "AI.DAGEXECUTE ROUTING r LOAD 9223372036854775807 a b",
        "AI.DAGEXECUTE ROUTING r LOAD 2 a b",
        "AI.DAGEXECUTE ROUTING r PERSIST 9 a b",
        "AI.DAGEXECUTE ROUTING r LOAD",
        "AI.DAGEXECUTE ROUTING r LOAD 1",
        "AI.DAGEXECUTE ROUTING r |> AI.MODELEXECUTE",
        "AI.DAGEXECUTE ROUTING r ROUTING",
    ],
)
def test_getkeys_of_a_dag_that_ends_early_survives(server, raw, command):
    """Nothing is read past the end."""
    keys = raw.call("COMMAND", "GETKEYS", *words(command))
    assert keys[0] == b"r"
    assert set(keys) <= {b"r", b"a", b"b"}
    assert server.responsive()


@pytest.mark.parametrize("tail", ["OUTPUTS x o", "OUTPUTS 9 o", "OUTPUTS", "OUTPUTS -1 o", ""])
def test_getkeys_with_bad_outputs_survives(server, raw, tail):
    """Whatever is reported, the model comes first and nothing is read past the end."""
    keys = raw.call("COMMAND", "GETKEYS", *words(f"AI.MODELEXECUTE m INPUTS 1 a {tail}"))
    assert keys[0] == b"m"
    assert set(keys) <= {b"m", b"a"}
    assert server.responsive()


def test_getkeysandflags(raw):
    reply = raw.call("COMMAND", "GETKEYSANDFLAGS", *words("AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 b"))
    flags = {key: {flag.text for flag in flags} for key, flags in reply}
    assert set(flags) == {b"m", b"a", b"b"}
    for read in (b"m", b"a"):
        assert "RO" in flags[read] and "access" in flags[read], flags
    assert flags[b"b"] & {"OW", "RW"} and "access" not in flags[b"b"], flags


def test_getkeysandflags_of_a_script(raw):
    """What a script does with its keys is not known: it may do everything."""
    command = words("AI.SCRIPTEXECUTE s f KEYS 1 k INPUTS 1 a OUTPUTS 1 b")
    flags = {key: {flag.text for flag in flags} for key, flags in raw.call("COMMAND", "GETKEYSANDFLAGS", *command)}
    assert set(flags) == {b"s", b"k", b"a", b"b"}
    for read in (b"s", b"a"):
        assert "RO" in flags[read] and "access" in flags[read], flags
    assert "RW" in flags[b"k"], flags
    assert flags[b"b"] & {"OW", "RW"} and "access" not in flags[b"b"], flags


def test_getkeysandflags_of_a_dag(raw):
    """LOAD reads, PERSIST writes; with neither, models and scripts are read."""
    command = words("AI.DAGEXECUTE LOAD 1 a PERSIST 1 c ROUTING r |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 c")
    flags = {key: {flag.text for flag in flags} for key, flags in raw.call("COMMAND", "GETKEYSANDFLAGS", *command)}
    assert set(flags) == {b"a", b"c", b"r", b"m"}
    for read in (b"a", b"m"):
        assert "RO" in flags[read] and "access" in flags[read], flags
    assert flags[b"c"] & {"OW", "RW"} and "access" not in flags[b"c"], flags


@pytest.mark.parametrize(
    "command, access",
    [
        ("AI.SCRIPTDEL s", "RM"),
        ("AI.SCRIPTGET s", "RO"),
        ("AI.SCRIPTSTORE s CPU ENTRY_POINTS 1 f SOURCE x", "OW"),
        ("AI.TENSORSET t FLOAT 1", "OW"),
        ("AI.TENSORGET t", "RO"),
        ("AI.MODELDEL m", "RM"),
        ("AI.MODELGET m", "RO"),
        ("AI.MODELSTORE m ONNX CPU BLOB x", "OW"),
        ("AI.MODELSET m ONNX CPU BLOB x", "OW"),
    ],
)
def test_getkeysandflags_of_one_key(raw, command, access):
    [[_, flags]] = raw.call("COMMAND", "GETKEYSANDFLAGS", *words(command))
    assert {flag.text for flag in flags} & {"RO", "RW", "OW", "RM"} in ({access}, {"RW"} if access != "RO" else {"RO"})


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
