"""Reference section 2.1: the keys that the server is told of for each command, right or malformed, and what is done with
them. Slot checks, key permissions and cluster clients go by it."""

import pytest

from support.commands import words
from support.resp import Error

# What is done with a key, as flags of COMMAND GETKEYSANDFLAGS: read; written over; both (what a script does is not known);
# removed.
READ = {"RO", "access"}
WRITE = {"OW", "update"}
CHANGE = {"RW", "access", "update"}
REMOVE = {"RM", "delete"}
FLAGS = {"r": READ, "w": WRITE, "c": CHANGE, "d": REMOVE}

# A command, and its keys in the order in which they are reported.
KEYS = [
    ("AI.TENSORSET t FLOAT 1 VALUES 1", "t:w"),
    ("AI.TENSORSET t", "t:w"),
    ("AI.TENSORGET t META", "t:r"),
    ("AI.MODELSTORE m ONNX CPU BLOB x", "m:w"),
    ("AI.MODELSTORE m", "m:w"),
    ("AI.MODELSET m ONNX CPU BLOB x", "m:w"),
    ("AI.MODELGET m", "m:r"),
    ("AI.MODELDEL m", "m:d"),
    ("AI.MODELDEL m n", "m:d"),
    ("AI.SCRIPTSTORE s CPU ENTRY_POINTS 1 f SOURCE x", "s:w"),
    ("AI.SCRIPTSET s CPU SOURCE x", "s:w"),
    ("AI.SCRIPTGET s", "s:r"),
    ("AI.SCRIPTDEL s", "s:d"),
    # Models
    ("AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 b", "m:r a:r b:w"),
    ("AI.MODELEXECUTE m INPUTS 2 a b OUTPUTS 3 c d e TIMEOUT 5", "m:r a:r b:r c:w d:w e:w"),
    ("AI.MODELEXECUTE m INPUTS 2 a a OUTPUTS 1 a", "m:r a:r a:r a:w"),
    ("ai.modelexecute m inputs 1 a outputs 2 b c", "m:r a:r b:w c:w"),
    # counts that do not parse or run past the end: only the model
    ("AI.MODELEXECUTE m INPUTS x a OUTPUTS 1 b", "m:r"),
    ("AI.MODELEXECUTE m INPUTS 9 a OUTPUTS 1 b", "m:r"),
    ("AI.MODELEXECUTE m INPUTS 9223372036854775807 a OUTPUTS 1 b", "m:r"),
    ("AI.MODELEXECUTE m INPUTS 92233720368547758070 a OUTPUTS 1 b", "m:r"),
    ("AI.MODELEXECUTE m INPUTS -1 a OUTPUTS 1 b", "m:r"),
    ("AI.MODELEXECUTE m INPUTS 1", "m:r"),
    ("AI.MODELRUN m INPUTS a b OUTPUTS c d", "m:r a:r b:r c:w d:w"),
    ("AI.MODELRUN m TIMEOUT 5 INPUTS a OUTPUTS c", "m:r a:r c:w"),
    ("ai.modelrun m timeout 5 inputs a outputs c", "m:r a:r c:w"),
    ("AI.MODELRUN m INPUTS a", "m:r a:r"),
    ("AI.MODELRUN m INPUTS OUTPUTS c", "m:r c:w"),
    ("AI.MODELRUN m TIMEOUT", "m:r"),
    # Scripts: sections in any order, to the very end of the command; arguments are no keys
    ("AI.SCRIPTEXECUTE s f INPUTS 1 a OUTPUTS 1 b", "s:r a:r b:w"),
    ("AI.SCRIPTEXECUTE s f KEYS 2 k l INPUTS 1 a ARGS 2 x y OUTPUTS 1 b", "s:r k:c l:c a:r b:w"),
    ("AI.SCRIPTEXECUTE s f OUTPUTS 1 b ARGS 1 x INPUTS 1 a KEYS 1 k TIMEOUT 5", "s:r b:w a:r k:c"),
    ("ai.scriptexecute s f keys 1 k", "s:r k:c"),
    ("AI.SCRIPTEXECUTE s f INPUTS 0 OUTPUTS 1 b", "s:r b:w"),
    ("AI.SCRIPTEXECUTE s f INPUTS 1 a TIMEOUT 5", "s:r a:r"),
    ("AI.SCRIPTEXECUTE s f INPUTS x a OUTPUTS 1 b", "s:r"),
    ("AI.SCRIPTEXECUTE s f INPUTS 9 a OUTPUTS 1 b", "s:r"),
    ("AI.SCRIPTEXECUTE s f KEYS 1 k INPUTS 9223372036854775807 a", "s:r k:c"),
    ("AI.SCRIPTEXECUTE s f KEYS 1 k INPUTS", "s:r k:c"),
    ("AI.SCRIPTEXECUTE s f", "s:r"),
    ("AI.SCRIPTRUN s f INPUTS a b OUTPUTS c d", "s:r a:r b:r c:w d:w"),
    ("AI.SCRIPTRUN s f TIMEOUT 5 INPUTS a $ b OUTPUTS c", "s:r a:r b:r c:w"),
    ("ai.scriptrun s f inputs a outputs c", "s:r a:r c:w"),
    ("AI.SCRIPTRUN s f OUTPUTS c", "s:r c:w"),
    ("AI.SCRIPTRUN s f", "s:r"),
    # DAGs: the names inside are their own, but for models and scripts
    ("AI.DAGEXECUTE LOAD 1 a |> AI.TENSORGET a", "a:r"),
    ("AI.DAGEXECUTE LOAD 2 a b PERSIST 2 c d ROUTING r TIMEOUT 5 |> AI.TENSORGET a", "a:r b:r c:w d:w r:r"),
    ("AI.DAGEXECUTE ROUTING r PERSIST 1 c LOAD 1 a |> AI.TENSORGET a", "r:r c:w a:r"),
    ("AI.DAGEXECUTE LOAD 1 a |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 x |> AI.TENSORGET x", "a:r m:r"),
    ("AI.DAGEXECUTE PERSIST 1 c |> AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y"
     " |> AI.MODELEXECUTE n INPUTS 1 y OUTPUTS 1 c", "c:w m:r n:r"),
    ("AI.DAGEXECUTE LOAD 1 a |> AI.SCRIPTEXECUTE s f INPUTS 1 a OUTPUTS 1 x"
     " |> AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y", "a:r s:r m:r"),
    ("ai.dagexecute load 1 a persist 1 c routing r |> ai.modelexecute m inputs 1 a", "a:r c:w r:r m:r"),
    ("AI.DAGEXECUTE_RO LOAD 1 a ROUTING r |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 x", "a:r r:r m:r"),
    ("AI.DAGEXECUTE_RO ROUTING r |> AI.TENSORSET x FLOAT 1", "r:r"),
    ("AI.DAGEXECUTE_RO LOAD 1 a |> AI.SCRIPTEXECUTE s f INPUTS 1 a OUTPUTS 1 x", "a:r s:r"),
    # nor are the models and scripts of the deprecated operations reported
    ("AI.DAGRUN LOAD 1 a PERSIST 1 c |> AI.MODELRUN m INPUTS a OUTPUTS c", "a:r c:w"),
    ("AI.DAGRUN LOAD 1 a ROUTING r |> AI.SCRIPTRUN s f INPUTS a OUTPUTS x", "a:r r:r"),
    ("AI.DAGRUN_RO LOAD 1 a |> AI.MODELRUN m INPUTS a OUTPUTS x", "a:r"),
    ("AI.DAGRUN_RO LOAD 1 a ROUTING r |> AI.TENSORGET a", "a:r r:r"),
    # what is behind a count that does not fit is not looked at
    ("AI.DAGEXECUTE PERSIST 1 c LOAD x a |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 c", "c:w"),
    ("AI.DAGEXECUTE LOAD 1 a PERSIST -1 c |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 c", "a:r"),
]  # fmt: skip
NO_KEYS = [
    "AI._MODELSCAN",
    "AI._SCRIPTSCAN",
    "AI.CONFIG GET x",
    "AI.MODELEXECUTE",
    "AI.MODELEXECUTE m",
    "AI.MODELEXECUTE m INPUTS",
    "AI.MODELRUN",
    "AI.SCRIPTEXECUTE",
    "AI.SCRIPTRUN",
    "AI.DAGEXECUTE",
    "AI.DAGEXECUTE LOAD",
    "AI.DAGEXECUTE LOAD x a |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 c",
    "AI.DAGEXECUTE_RO",
    "AI.DAGRUN |> AI.TENSORSET x FLOAT 1",
    "AI.DAGRUN |> AI.TENSORSET x FLOAT 1 |> AI.MODELRUN m INPUTS x OUTPUTS y",
    "AI.DAGRUN_RO |> AI.SCRIPTRUN s f INPUTS x OUTPUTS y",
]


@pytest.mark.parametrize("command, keys", KEYS, ids=[command for command, _ in KEYS])
def test_keys_and_what_is_done_with_them(raw, command, keys):
    expected = [(key.encode(), FLAGS[access]) for key, access in (word.split(":") for word in keys.split())]
    assert raw.call("COMMAND", "GETKEYS", *words(command)) == [key for key, _ in expected]
    reported = raw.call("COMMAND", "GETKEYSANDFLAGS", *words(command))
    assert [(key, {flag.text for flag in flags}) for key, flags in reported] == expected


@pytest.mark.parametrize("command", NO_KEYS)
def test_commands_without_keys(raw, command):
    for ask in ("GETKEYS", "GETKEYSANDFLAGS"):
        assert isinstance(raw.call("COMMAND", ask, *words(command)), Error)


@pytest.mark.parametrize("command", ["AI.INFO m", "AI.INFO m RESETSTAT"])
def test_names_of_statistics(raw, command):
    """Slots go by it, permissions are a matter of their own."""
    assert raw.call("COMMAND", "GETKEYS", *words(command)) == [b"m"]


def test_every_command_is_in_the_tables(raw):
    tested = {command.split()[0].lower() for command in [*NO_KEYS, *(command for command, _ in KEYS)]}
    assert tested | {"ai.info"} == {name.decode() for name in raw.call("COMMAND", "LIST", "FILTERBY", "MODULE", "ai")}


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
        "AI.DAGEXECUTE ROUTING r |> AI.SCRIPTEXECUTE",
        "AI.DAGEXECUTE ROUTING r ROUTING",
    ],
)
def test_a_dag_that_ends_early(server, raw, command):
    """Nothing is read past the end."""
    keys = raw.call("COMMAND", "GETKEYS", *words(command))
    assert keys[0] == b"r"
    assert set(keys) <= {b"r", b"a", b"b"}
    assert server.responsive()


@pytest.mark.parametrize("tail", ["OUTPUTS x o", "OUTPUTS 9 o", "OUTPUTS", "OUTPUTS -1 o", ""])
def test_bad_outputs(server, raw, tail):
    """Whatever is reported, the model comes first and nothing is read past the end."""
    keys = raw.call("COMMAND", "GETKEYS", *words(f"AI.MODELEXECUTE m INPUTS 1 a {tail}"))
    assert keys[0] == b"m"
    assert set(keys) <= {b"m", b"a"}
    assert server.responsive()
