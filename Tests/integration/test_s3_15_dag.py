"""Reference section 3.15: grammar and replies of the four DAG commands. Errors: test_s4_9_*, meaning: test_s6_5_*."""

import itertools

import numpy as np
import pytest

from support import onnx_models
from support.commands import get_tensor, set_tensor, store_model, words
from support.resp import OK, Double, Error, Status
from support.scripts import entry_point, store_entry_points

KEPT_KEYS = ("s", "m", "two")
NA = Status("NA")
SOURCE = (
    entry_point("first", "return tensors[0]")
    + entry_point("counts", "return torch.tensor([len(tensors), len(keys), len(args)])")
    + entry_point("nothing", "pass")
    + "def add(a: Tensor, b: Tensor):\n    return a + b\n"
)


@pytest.fixture(autouse=True)
def ready(raw):
    """Model ``m`` adds 1, ``two`` has two inputs and outputs; script ``s``; tensors ``a`` and ``b``."""
    if not raw.call("EXISTS", "m"):
        store_model(raw, "m", onnx_models.add_constant(1))
        store_model(raw, "two", onnx_models.sum_and_difference())
    store_entry_points(raw, "s", SOURCE)
    set_tensor(raw, "a", [1, 2])
    set_tensor(raw, "b", [[5]], "INT64")


@pytest.mark.parametrize(
    "command, reply",
    [
        ("AI.DAGEXECUTE LOAD 1 a |> AI.TENSORGET a VALUES", [[b"1", b"2"]]),
        ("AI.DAGEXECUTE LOAD 2 a b |> AI.TENSORGET b VALUES |> AI.TENSORGET a VALUES", [[5], [b"1", b"2"]]),
        ("AI.DAGEXECUTE PERSIST 1 t |> AI.TENSORSET t INT8 1 VALUES 3", [OK]),
        ("AI.DAGEXECUTE ROUTING anything |> AI.TENSORSET t INT8 1 VALUES 3 |> AI.TENSORGET t VALUES", [OK, [3]]),
        (
            "AI.DAGEXECUTE LOAD 1 a |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 y |> AI.TENSORGET y VALUES",
            [OK, [b"2", b"3"]],
        ),
        (
            "AI.DAGEXECUTE LOAD 1 a |> AI.SCRIPTEXECUTE s first INPUTS 1 a OUTPUTS 1 y |> AI.TENSORGET y BLOB",
            [OK, np.array([1, 2], dtype=np.float32).tobytes()],
        ),
        (
            "AI.DAGEXECUTE_RO LOAD 1 a |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 y |> AI.TENSORGET y VALUES",
            [OK, [b"2", b"3"]],
        ),
        ("AI.DAGEXECUTE_RO ROUTING r |> AI.TENSORSET t INT8 1 VALUES 3 |> AI.TENSORGET t VALUES", [OK, [3]]),
        ("AI.DAGRUN |> AI.TENSORSET t INT8 1 VALUES 3 |> AI.TENSORGET t VALUES", [OK, [3]]),
        ("AI.DAGRUN LOAD 1 a |> AI.MODELRUN m INPUTS a OUTPUTS y |> AI.TENSORGET y VALUES", [OK, [b"2", b"3"]]),
        (
            "AI.DAGRUN LOAD 1 a |> AI.SCRIPTRUN s add INPUTS a $ a OUTPUTS y |> AI.TENSORGET y VALUES",
            [OK, [b"2", b"4"]],
        ),
        ("AI.DAGRUN ROUTING r PERSIST 1 t |> AI.TENSORSET t INT8 1 VALUES 3", [OK]),
        ("AI.DAGRUN_RO |> AI.TENSORSET t INT8 1 VALUES 3", [OK]),
        ("AI.DAGRUN_RO LOAD 1 a |> AI.MODELRUN m INPUTS a OUTPUTS y |> AI.TENSORGET y VALUES", [OK, [b"2", b"3"]]),
        # scripts are allowed in this read-only form, and not in the other
        (
            "AI.DAGRUN_RO LOAD 1 a |> AI.SCRIPTRUN s add INPUTS a a OUTPUTS y |> AI.TENSORGET y VALUES",
            [OK, [b"2", b"4"]],
        ),
    ],
)
def test_commands(raw, command, reply):
    assert raw.call(*words(command)) == reply


@pytest.mark.parametrize(
    "command",
    [
        "ai.dagexecute load 1 a persist 1 y routing r timeout 5000 |> ai.modelexecute m inputs 1 a outputs 1 y",
        "Ai.DagRun Load 1 a Persist 1 y Routing r Timeout 5000 |> Ai.ModelRun m Inputs a Outputs y",
        "ai.dagexecute load 1 a persist 1 y |> ai.scriptexecute s first inputs 1 a outputs 1 y",
        "ai.dagrun load 1 a persist 1 y |> ai.scriptrun s first inputs a outputs y",
    ],
)
def test_words_in_any_case(raw, command):
    assert raw.call(*words(command)) == [OK]
    assert raw.call("EXISTS", "y") == 1


CLAUSES = ("LOAD 1 a", "PERSIST 1 y", "ROUTING r", "TIMEOUT 60000")


@pytest.mark.parametrize("header", list(itertools.permutations(CLAUSES)), ids=" ".join)
def test_clauses_in_any_order(raw, header):
    assert raw.call(*words(f"AI.DAGEXECUTE {' '.join(header)} |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 y")) == [OK]
    assert get_tensor(raw, "y").tolist() == [2, 3]


@pytest.mark.parametrize(
    "command, run",
    [("AI.DAGEXECUTE", "AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 y"), ("AI.DAGRUN", "AI.MODELRUN m INPUTS a OUTPUTS y")],
)
@pytest.mark.parametrize(
    "header", [header for n in range(1, 5) for header in itertools.combinations(CLAUSES, n)], ids=" ".join
)
def test_every_selection_of_clauses(raw, command, run, header):
    """What is not LOADed the DAG makes itself."""
    if command == "AI.DAGEXECUTE" and header == ("TIMEOUT 60000",):
        header = ("ROUTING r",)
    define = "" if "LOAD 1 a" in header else "|> AI.TENSORSET a FLOAT 1 VALUES 1"
    reply = raw.call(*words(f"{command} {' '.join(header)} {define} |> {run} |> AI.TENSORGET y META"))
    assert reply[-2:] == [OK, [b"dtype", b"FLOAT", b"shape", [1] if define else [2]]]
    assert raw.call("EXISTS", "y") == ("PERSIST 1 y" in header)


@pytest.mark.parametrize("timeout", [0, -1, -(2**63), 2**63 - 1])
def test_timeouts_that_are_none(raw, timeout):
    """Unlike in AI.MODELEXECUTE, 0 and negative numbers mean that there is none."""
    assert raw.call(*words(f"AI.DAGEXECUTE ROUTING r TIMEOUT {timeout} |> AI.TENSORSET t INT8 1")) == [OK]
    assert raw.call(*words(f"AI.DAGRUN TIMEOUT {timeout} |> AI.TENSORSET t INT8 1")) == [OK]


@pytest.mark.parametrize(
    "form", ["", "META", "META BLOB", "BLOB META", "META VALUES", "VALUES META", "BLOB", "VALUES", "values"]
)
@pytest.mark.parametrize("key", ["a", "b", "text", "scalar", "flags"])
def test_tensorget_replies_as_outside(raw, key, form):
    raw.call("AI.TENSORSET", "text", "STRING", 2, "VALUES", "x", "")
    set_tensor(raw, "scalar", np.array(7, dtype=np.int64))
    set_tensor(raw, "flags", np.array([True, False]))
    alone = raw.call(*words(f"AI.TENSORGET {key} {form}"))
    assert raw.call(*words(f"AI.DAGEXECUTE_RO LOAD 1 {key} |> AI.TENSORGET {key} {form}")) == [alone]
    assert raw.call(*words(f"AI.DAGRUN LOAD 1 {key} |> AI.TENSORGET {key} {form}")) == [alone]


def test_tensorget_in_resp3(raw3):
    assert raw3.call(*words("AI.DAGEXECUTE LOAD 1 a |> AI.TENSORGET a VALUES")) == [[Double("1"), Double("2")]]


@pytest.mark.parametrize(
    "arguments, reply",
    [
        (words("INT8 2 VALUES 1 2"), [b"dtype", b"INT8", b"shape", [2], b"blob", b"\1\2"]),
        (words("INT16 2 BLOB", b"\1\0\2\0"), [b"dtype", b"INT16", b"shape", [2], b"blob", b"\1\0\2\0"]),
        (words("FLOAT 1 2"), [b"dtype", b"FLOAT", b"shape", [1, 2], b"blob", bytes(8)]),
        (words("INT64 VALUES 7"), [b"dtype", b"INT64", b"shape", [], b"blob", b"\7" + bytes(7)]),
        (words("BOOL 2 VALUES 1 0"), [b"dtype", b"BOOL", b"shape", [2], b"blob", b"\1\0"]),
        (words("STRING 2 VALUES x", ""), [b"dtype", b"STRING", b"shape", [2], b"blob", b"x\0\0"]),
        (words("STRING 2"), [b"dtype", b"STRING", b"shape", [2], b"blob", b"\0\0"]),
    ],
)
def test_tensorset_as_outside(raw, arguments, reply):
    command = [*words("AI.DAGEXECUTE PERSIST 1 t |> AI.TENSORSET t"), *arguments, *words("|> AI.TENSORGET t")]
    assert raw.call(*command) == [OK, reply]
    assert raw.call("AI.TENSORGET", "t") == reply


def test_scriptexecute_may_begin_with_any_section(raw):
    """Outside of a DAG it has to be KEYS or INPUTS."""
    for sections, counts in (("OUTPUTS 1 y", [0, 0, 0]), ("ARGS 2 x y OUTPUTS 1 y INPUTS 1 a", [1, 0, 2])):
        command = f"AI.DAGEXECUTE LOAD 1 a |> AI.SCRIPTEXECUTE s counts {sections} |> AI.TENSORGET y VALUES"
        assert raw.call(*words(command)) == [OK, counts]
    assert raw.call(*words("AI.DAGEXECUTE ROUTING r |> AI.SCRIPTEXECUTE s nothing")) == [OK]


def test_scriptexecute_with_keys(raw):
    command = (
        "AI.DAGEXECUTE LOAD 1 a |> AI.SCRIPTEXECUTE s counts KEYS 2 k l INPUTS 2 a a ARGS 1 x OUTPUTS 1 y"
        " |> AI.TENSORGET y VALUES"
    )
    assert raw.call(*words(command)) == [OK, [2, 2, 1]]


def test_scriptrun_without_sections(raw):
    assert raw.call(*words("AI.DAGRUN |> AI.SCRIPTRUN s nothing")) == [OK]


def test_several_inputs_and_outputs(raw):
    command = (
        "AI.DAGEXECUTE LOAD 1 a PERSIST 2 sum difference |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 x"
        " |> AI.MODELEXECUTE two INPUTS 2 x a OUTPUTS 2 sum difference"
    )
    assert raw.call(*words(command)) == [OK, OK]
    assert [get_tensor(raw, name).tolist() for name in ("sum", "difference")] == [[3, 5], [1, 1]]


def test_load_and_persist_take_their_arguments_blindly(raw):
    """Even the word that separates operations."""
    set_tensor(raw, "|>", [3])
    set_tensor(raw, "PERSIST", [4])
    command = "AI.DAGEXECUTE LOAD 2 |> PERSIST PERSIST 3 PERSIST |> t ROUTING LOAD |> AI.TENSORSET t INT8 1 VALUES 9"
    assert raw.call(*words(command)) == [OK]
    assert [get_tensor(raw, key).tolist() for key in ("|>", "PERSIST", "t")] == [[3], [4], [9]]


@pytest.mark.parametrize("value", ["BLOB", "blob", "VALUES"])
@pytest.mark.parametrize("name", ["x", "BLOB", "VALUES"])
def test_keywords_as_values(raw, name, value):
    """Only what follows the first of the words BLOB and VALUES is data, whatever it looks like."""
    command = f"AI.DAGEXECUTE ROUTING r |> AI.TENSORSET {name} STRING 1 VALUES {value} |> AI.TENSORGET {name} VALUES"
    assert raw.call(*words(command)) == [OK, [value.encode()]]


@pytest.mark.parametrize("data, value", [(b"|>\0", b"|>"), (b"VALUES\0", b"VALUES"), (b"BLOB\0", b"BLOB")])
def test_keywords_as_data(raw, data, value):
    define = words("AI.DAGEXECUTE ROUTING r |> AI.TENSORSET x STRING 1 BLOB", data)
    assert raw.call(*define, *words("|> AI.TENSORGET x VALUES")) == [OK, [value]]


def test_the_separator_as_data(raw):
    command = words("AI.DAGEXECUTE ROUTING r |> AI.TENSORSET x INT8 2 BLOB |> |> AI.TENSORGET x VALUES")
    assert raw.call(*command) == [OK, [124, 62]]


def test_keywords_as_names(raw):
    command = (
        "AI.DAGEXECUTE LOAD 1 a |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 OUTPUTS"
        " |> AI.MODELEXECUTE m INPUTS 1 OUTPUTS OUTPUTS 1 AI.TENSORGET |> AI.TENSORGET AI.TENSORGET VALUES"
    )
    assert raw.call(*words(command)) == [OK, OK, [b"3", b"4"]]


def test_binary_names(raw):
    set_tensor(raw, b"i\0\r\n", [1])
    command = ["AI.DAGEXECUTE", "LOAD", 1, b"i\0\r\n", "PERSIST", 1, b"\xff", "|>"]
    command += [
        "AI.MODELEXECUTE",
        "m",
        "INPUTS",
        1,
        b"i\0\r\n",
        "OUTPUTS",
        1,
        b"\xff",
        "|>",
        "AI.TENSORGET",
        b"\xff",
        "VALUES",
    ]
    assert raw.call(*command) == [OK, [b"2"]]
    assert get_tensor(raw, b"\xff").tolist() == [2]


def test_many_operations(raw):
    operations = "".join(" |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 a" for _ in range(200))
    reply = raw.call(*words(f"AI.DAGEXECUTE LOAD 1 a{operations} |> AI.TENSORGET a VALUES"))
    assert reply == [OK] * 200 + [[b"201", b"202"]]


def test_many_loaded_and_persisted_keys(raw):
    names = [f"t{index}" for index in range(300)]
    for index, name in enumerate(names):
        set_tensor(raw, name, [index])
    copies = " ".join(f"{name}c" for name in names)
    runs = "".join(f" |> AI.MODELEXECUTE m INPUTS 1 {name} OUTPUTS 1 {name}c" for name in names)
    command = f"AI.DAGEXECUTE LOAD 300 {' '.join(names)} PERSIST 300 {copies}{runs}"
    assert raw.call(*words(command)) == [OK] * 300
    assert [get_tensor(raw, f"{name}c")[0] for name in names] == list(range(1, 301))


def test_pipelined(raw):
    dag = words("AI.DAGEXECUTE LOAD 1 a PERSIST 1 a |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 a")
    assert raw.pipeline([dag] * 50 + [["PING"]]) == [[OK]] * 50 + [Status("PONG")]
    assert get_tensor(raw, "a").tolist() == [51, 52]


def test_elements_of_a_failed_dag(raw):
    """Section 3.18: TENSORSET, a run that fails, TENSORGET of its output."""
    command = (
        "AI.DAGEXECUTE LOAD 1 a |> AI.TENSORSET wrong FLOAT 3 VALUES 1 2 3"
        " |> AI.MODELEXECUTE two INPUTS 2 a wrong OUTPUTS 2 y z |> AI.TENSORGET y"
    )
    first, second, third = raw.call(*words(command))
    assert (first, third) == (OK, NA)
    assert isinstance(second, Error) and second.text


def test_redis_py(server):
    client = server.client(protocol=2)
    command = words("AI.DAGEXECUTE LOAD 1 a |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 y |> AI.TENSORGET y META VALUES")
    assert client.execute_command(*command) == [b"OK", [b"dtype", b"FLOAT", b"shape", [2], b"values", [b"2", b"3"]]]
