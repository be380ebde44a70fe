"""Reference sections 4.1, 4.2 and 4.9: errors found while a DAG command is parsed, in the order of the checks.

Each is one error instead of an array; nothing has run then, and nothing is counted or written.
"""

import pytest

from support import onnx_models
from support.commands import (
    NO_MODEL,
    NO_TENSOR,
    WRONGTYPE,
    set_tensor,
    stats,
    store_model,
    words,
    wrong_arity,
)
from support.resp import OK, Error, Status
from support.scripts import NO_SCRIPT, entry_point, store_entry_points

KEPT_KEYS = ("m11", "m22", "s")

LOAD_ARGUMENTS = Error("ERR missing arguments after LOAD keyword in DAG command")
LOAD_COUNT = Error("ERR invalid or negative value found in number of keys to LOAD")
LOAD_FEW = Error("ERR number of keys to LOAD into DAG does not match the number of given arguments")
READ_ONLY = Error("ERR PERSIST cannot be specified in a read-only DAG")
PERSIST_ARGUMENTS = Error("ERR missing arguments after PERSIST keyword in DAG command")
PERSIST_COUNT = Error("ERR invalid or negative value found in number of keys to PERSIST")
PERSIST_TWICE = Error("ERR PERSIST keys must be unique")
PERSIST_FEW = Error("ERR number of keys to PERSIST after DAG execution does not match the number of given arguments")
NO_ROUTING = Error("ERR Missing ROUTING value")
NO_TIMEOUT = Error("ERR No value provided for TIMEOUT")
TIMEOUT = Error("ERR Invalid value for TIMEOUT")
NO_CLAUSE = Error(
    "ERR AI.DAGEXECUTE and AI.DAGEXECUTE_RO commands must contain at least one out of ROUTING, LOAD, PERSIST keywords"
)
EMPTY = Error("ERR DAG is empty")
UNSUPPORTED = Error("Unsupported command within DAG")
SCRIPT_READ_ONLY = Error("ERR AI.SCRIPTEXECUTE command cannot be specified in a read-only DAG")
DEPRECATED_MODELRUN = Error("Deprecated AI.MODELRUN cannot be used in AI.DAGEXECUTE command")
DEPRECATED_SCRIPTRUN = Error("Deprecated AI.SCRIPTRUN cannot be used in AI.DAGEXECUTE command")
MODERN_MODELEXECUTE = Error("AI.MODELEXECUTE cannot be used in a deprecated AI.DAGRUN command")
MODERN_SCRIPTEXECUTE = Error("AI.SCRIPTEXECUTE cannot be used in a deprecated AI.DAGRUN command")
NO_INPUT = Error("ERR INPUT key cannot be found in DAG")
NO_PERSIST = Error("ERR PERSIST key cannot be found in DAG")
NOT_HERE = Error("ERR TIMEOUT not allowed within a DAG command")
TENSORSET_ARITY = Error("wrong number of arguments for 'AI.TENSORSET' command")
TENSORGET_ARITY = Error("wrong number of arguments for 'AI.TENSORGET' command")
INPUT_MISMATCH = Error("Number of keys given as INPUTS here does not match model definition")
OUTPUT_MISMATCH = Error("Number of keys given as OUTPUTS here does not match model definition")


def unexpected(word: str) -> Error:
    """With two spaces, as clients know it."""
    return Error(f"ERR Invalid DAG command. Unexpected argument:  {word}")


def missing_arguments(command: str) -> Error:
    return Error(f"ERR missing arguments for '{command}' command")


@pytest.fixture(autouse=True)
def ready(raw):
    """Models ``m11`` and ``m22`` (inputs, outputs), script ``s``, tensors ``a`` and ``b``, string ``t``."""
    if not raw.call("EXISTS", "m11"):
        store_model(raw, "m11", onnx_models.add_constant(1))
        store_model(raw, "m22", onnx_models.sum_and_difference())
    store_entry_points(raw, "s", entry_point("f", "return tensors[0]"))
    set_tensor(raw, "a", [1])
    set_tensor(raw, "b", [2])
    raw.call("SET", "t", "text")
    yield
    assert [stats(raw, key)["calls"] for key in KEPT_KEYS] == [0, 0, 0]
    assert sorted(raw.call("KEYS", "*")) == [b"a", b"b", b"m11", b"m22", b"s", b"t"]


def check(raw, command, error):
    """The error is the only reply."""
    assert raw.pipeline([words(command), ["PING"]]) == [error, Status("PONG")]


class TestArity:
    @pytest.mark.parametrize("arguments", ["", "LOAD", "LOAD 1 a", "LOAD 1 a |>", "|> AI.TENSORGET a"])
    @pytest.mark.parametrize("command", ["AI.DAGEXECUTE", "AI.DAGEXECUTE_RO"])
    def test_dagexecute(self, raw, command, arguments):
        check(raw, f"{command} {arguments}", missing_arguments(command))
        check(raw, f"{command.lower()} {arguments}", missing_arguments(command))

    @pytest.mark.parametrize("arguments", ["", "|>", "LOAD 1", "|> AI.TENSORGET"])
    @pytest.mark.parametrize("command", ["AI.DAGRUN", "AI.DAGRUN_RO"])
    def test_dagrun(self, raw, command, arguments):
        check(raw, f"{command} {arguments}", wrong_arity(command))
        check(raw, f"{command.lower()} {arguments}", wrong_arity(command))


GET = "|> AI.TENSORGET a"

# What holds for all four commands, where it can be written with PERSIST only the writing ones.
HEADER = [
    # LOAD
    ("ROUTING r TIMEOUT 5 LOAD", LOAD_ARGUMENTS),
    ("ROUTING r TIMEOUT 5 LOAD 1", LOAD_ARGUMENTS),
    (f"LOAD x a {GET}", LOAD_COUNT),
    (f"LOAD 0 a {GET}", LOAD_COUNT),
    (f"LOAD -1 a {GET}", LOAD_COUNT),
    (f"LOAD 1.5 a {GET}", LOAD_COUNT),
    (f"LOAD 99999999999999999999 a {GET}", LOAD_COUNT),
    (f"LOAD a {GET}", LOAD_COUNT),
    (f"LOAD 1 none {GET}", NO_TENSOR),
    (f"LOAD 2 a none {GET}", NO_TENSOR),
    (f"LOAD 1 t {GET}", WRONGTYPE),
    (f"LOAD 1 m11 {GET}", WRONGTYPE),
    (f"LOAD 2 t none {GET}", WRONGTYPE),
    (f"LOAD 2 none t {GET}", NO_TENSOR),
    ("ROUTING r LOAD 3 a b", LOAD_FEW),
    ("ROUTING r LOAD 9223372036854775807 a b", LOAD_FEW),
    # too many announced: the next word is taken for a key
    (f"LOAD 2 a {GET}", NO_TENSOR),
    # ROUTING, TIMEOUT
    ("LOAD 2 a b ROUTING", NO_ROUTING),
    ("LOAD 2 a b TIMEOUT", NO_TIMEOUT),
    (f"LOAD 1 a TIMEOUT foo {GET}", TIMEOUT),
    (f"LOAD 1 a TIMEOUT 1.5 {GET}", TIMEOUT),
    (f"LOAD 1 a TIMEOUT {GET}", TIMEOUT),
    (f"LOAD 1 a TIMEOUT 9223372036854775808 {GET}", TIMEOUT),
    # other words
    (f"LOAD 1 a FOO {GET}", unexpected("FOO")),
    (f"FOO LOAD 1 a {GET}", unexpected("FOO")),
    (f"LOAD 1 a b {GET}", unexpected("b")),
    (f"LOAD 1 a KEYS 1 k {GET}", unexpected("KEYS")),
    ("LOAD 1 a AI.TENSORGET a", unexpected("AI.TENSORGET")),
    (f"LOAD 1 a LOAD 1 b {GET}", unexpected("LOAD")),
    (f"ROUTING r ROUTING r {GET}", unexpected("ROUTING")),
    (f"LOAD 1 a TIMEOUT 5 TIMEOUT 5 {GET}", unexpected("TIMEOUT")),
    (f"LOAD 1 a {GET} |>", unexpected("|>")),
    ("LOAD 2 a b |>", unexpected("|>")),
    (f"LOAD 1 a {GET} |> ROUTING r", unexpected("ROUTING")),
    (f"LOAD 1 a {GET} |> TIMEOUT 5", unexpected("TIMEOUT")),
    (f"ROUTING r {GET} |> LOAD 1 a", unexpected("LOAD")),
    # no operations
    ("LOAD 2 a b ROUTING r", EMPTY),
    ("ROUTING r TIMEOUT 5 LOAD 1 a", EMPTY),
    # operations
    ("LOAD 1 a |> FOO a", UNSUPPORTED),
    ("LOAD 1 a |> a", UNSUPPORTED),
    ("LOAD 1 a |> AI.INFO m11", UNSUPPORTED),
    ("LOAD 1 a |> AI.MODELGET m11", UNSUPPORTED),
    ("LOAD 1 a |> AI.DAGRUN |> AI.TENSORGET a", UNSUPPORTED),
    ("LOAD 1 a |> SET a b", UNSUPPORTED),
    (f"LOAD 1 a |> {GET}", UNSUPPORTED),
    (f"LOAD 1 a {GET} |> {GET}", UNSUPPORTED),
    # names
    ("ROUTING r |> AI.TENSORGET a", NO_INPUT),
    ("LOAD 1 b |> AI.TENSORGET a VALUES", NO_INPUT),
    ("LOAD 1 b |> AI.TENSORGET a |> AI.TENSORSET a FLOAT 1", NO_INPUT),
    ("LOAD 1 a |> AI.TENSORGET A", NO_INPUT),
]

PERSIST = [
    ("ROUTING r TIMEOUT 5 PERSIST", PERSIST_ARGUMENTS),
    ("ROUTING r TIMEOUT 5 PERSIST 1", PERSIST_ARGUMENTS),
    (f"LOAD 1 a PERSIST x a {GET}", PERSIST_COUNT),
    (f"LOAD 1 a PERSIST 0 a {GET}", PERSIST_COUNT),
    (f"LOAD 1 a PERSIST -1 a {GET}", PERSIST_COUNT),
    (f"LOAD 1 a PERSIST 99999999999999999999 a {GET}", PERSIST_COUNT),
    (f"LOAD 1 a PERSIST 2 a a {GET}", PERSIST_TWICE),
    (f"LOAD 1 a PERSIST 3 a b a {GET}", PERSIST_TWICE),
    ("LOAD 1 a PERSIST 3 a a", PERSIST_TWICE),
    ("LOAD 1 a PERSIST 3 a b", PERSIST_FEW),
    ("LOAD 1 a PERSIST 9223372036854775807 a b", PERSIST_FEW),
    (f"LOAD 1 a PERSIST 100 o {GET}", PERSIST_FEW),
    (f"LOAD 1 a PERSIST 2 a {GET}", unexpected("AI.TENSORGET")),
    (f"LOAD 1 a PERSIST 1 a PERSIST 1 b {GET}", unexpected("PERSIST")),
    (f"LOAD 1 a {GET} |> PERSIST 1 a", unexpected("PERSIST")),
    ("LOAD 1 a PERSIST 1 a", EMPTY),
    (f"LOAD 1 a PERSIST 1 none {GET}", NO_PERSIST),
    (f"LOAD 1 a PERSIST 2 a none {GET}", NO_PERSIST),
    ("PERSIST 1 none |> AI.TENSORSET x FLOAT 1", NO_PERSIST),
    # the input comes first
    ("PERSIST 1 none |> AI.TENSORGET none", NO_INPUT),
]


@pytest.mark.parametrize("command", ["AI.DAGEXECUTE", "AI.DAGEXECUTE_RO", "AI.DAGRUN", "AI.DAGRUN_RO"])
@pytest.mark.parametrize("arguments, error", HEADER)
def test_header_and_names(raw, command, arguments, error):
    check(raw, f"{command} {arguments}", error)


@pytest.mark.parametrize("command", ["AI.DAGEXECUTE", "AI.DAGRUN"])
@pytest.mark.parametrize("arguments, error", PERSIST)
def test_persist(raw, command, arguments, error):
    check(raw, f"{command} {arguments}", error)


@pytest.mark.parametrize("command", ["AI.DAGEXECUTE_RO", "AI.DAGRUN_RO"])
@pytest.mark.parametrize("clause", ["PERSIST 1 a", "persist 1 a", "PERSIST x a", "PERSIST 2 a a"])
def test_persist_in_a_read_only_dag(raw, command, clause):
    check(raw, f"{command} LOAD 1 a {clause} {GET}", READ_ONLY)


def test_persist_at_the_end_of_a_read_only_dag(raw):
    for command in ("AI.DAGEXECUTE_RO", "AI.DAGRUN_RO"):
        check(raw, f"{command} LOAD 2 a b PERSIST", READ_ONLY)


@pytest.mark.parametrize("command", ["AI.DAGEXECUTE", "AI.DAGEXECUTE_RO"])
@pytest.mark.parametrize(
    "arguments", ["TIMEOUT 5 |> AI.TENSORSET x FLOAT 1", "|> AI.TENSORSET x FLOAT 1", "|> FOO a b c"]
)
def test_dagexecute_needs_a_clause(raw, command, arguments):
    check(raw, f"{command} {arguments}", NO_CLAUSE)


@pytest.mark.parametrize(
    "command, operation, error",
    [
        ("AI.DAGEXECUTE", "AI.MODELRUN m11 INPUTS a OUTPUTS o", DEPRECATED_MODELRUN),
        ("AI.DAGEXECUTE", "AI.MODELRUN", DEPRECATED_MODELRUN),
        ("AI.DAGEXECUTE_RO", "ai.modelrun m11 INPUTS a OUTPUTS o", DEPRECATED_MODELRUN),
        ("AI.DAGEXECUTE", "AI.SCRIPTRUN s f INPUTS a OUTPUTS o", DEPRECATED_SCRIPTRUN),
        ("AI.DAGEXECUTE_RO", "AI.SCRIPTRUN s f INPUTS a OUTPUTS o", DEPRECATED_SCRIPTRUN),
        ("AI.DAGRUN", "AI.MODELEXECUTE m11 INPUTS 1 a OUTPUTS 1 o", MODERN_MODELEXECUTE),
        ("AI.DAGRUN", "AI.MODELEXECUTE", MODERN_MODELEXECUTE),
        ("AI.DAGRUN_RO", "AI.MODELEXECUTE m11 INPUTS 1 a OUTPUTS 1 o", MODERN_MODELEXECUTE),
        ("AI.DAGRUN", "AI.SCRIPTEXECUTE s f INPUTS 1 a OUTPUTS 1 o", MODERN_SCRIPTEXECUTE),
        ("AI.DAGRUN_RO", "AI.SCRIPTEXECUTE s f INPUTS 1 a OUTPUTS 1 o", MODERN_SCRIPTEXECUTE),
        ("AI.DAGEXECUTE_RO", "AI.SCRIPTEXECUTE s f INPUTS 1 a OUTPUTS 1 o", SCRIPT_READ_ONLY),
        ("AI.DAGEXECUTE_RO", "ai.scriptexecute none", SCRIPT_READ_ONLY),
    ],
)
def test_operations_of_the_other_generation(raw, command, operation, error):
    check(raw, f"{command} LOAD 1 a |> {operation}", error)
    check(raw, f"{command} LOAD 1 a {GET} |> {operation}", error)


TENSOR_OPERATIONS = [
    ("AI.TENSORSET", TENSORSET_ARITY),
    ("AI.TENSORSET x", TENSORSET_ARITY),
    ("ai.tensorset x FLOAT", TENSORSET_ARITY),
    ("AI.TENSORSET x FOO 1", Error("ERR invalid data type")),
    ("AI.TENSORSET x FLOAT 0", Error("ERR invalid or negative value found in tensor shape")),
    ("AI.TENSORSET x FLOAT 1 FOO", Error("ERR invalid or negative value found in tensor shape")),
    (
        "AI.TENSORSET x FLOAT 1 BLOB",
        Error("ERR a single binary string should come after the BLOB argument in 'AI.TENSORSET' command"),
    ),
    ("AI.TENSORSET x FLOAT 1 VALUES", Error("ERR wrong number of values was given in 'AI.TENSORSET' command")),
    ("AI.TENSORSET x FLOAT 1 VALUES 1 2", Error("ERR wrong number of values was given in 'AI.TENSORSET' command")),
    ("AI.TENSORSET x FLOAT 1 VALUES foo", Error("ERR invalid value")),
    ("AI.TENSORSET x FLOAT 1 BLOB abc", Error("ERR data length does not match tensor shape and type")),
    ("AI.TENSORSET x BOOL 1 BLOB x", Error("ERR BOOL tensor elements must be 0 or 1")),
    (
        "AI.TENSORSET x STRING 1 BLOB x",
        Error("ERR Number of string elements in data blob does not match tensor length"),
    ),
    ("AI.TENSORGET", TENSORGET_ARITY),
    ("AI.TENSORGET a META BLOB VALUES", TENSORGET_ARITY),
    ("ai.tensorget a META BLOB VALUES", TENSORGET_ARITY),
    ("AI.TENSORGET a FOO", Error("ERR unsupported data format")),
    ("AI.TENSORGET a META FOO", Error("ERR unsupported data format")),
    ("AI.TENSORGET a BLOB VALUES", Error("ERR both BLOB and VALUES specified")),
    ("AI.TENSORGET none FOO", Error("ERR unsupported data format")),
]


@pytest.mark.parametrize("command", ["AI.DAGEXECUTE", "AI.DAGEXECUTE_RO", "AI.DAGRUN", "AI.DAGRUN_RO"])
@pytest.mark.parametrize("operation, error", TENSOR_OPERATIONS)
def test_tensor_operations(raw, command, operation, error):
    check(raw, f"{command} LOAD 1 a |> {operation}", error)


MODELEXECUTE = [
    ("", wrong_arity("AI.MODELEXECUTE")),
    ("m11 INPUTS 1 a OUTPUTS 1", wrong_arity("AI.MODELEXECUTE")),
    ("none INPUTS 1 a OUTPUTS 1 o", NO_MODEL),
    ("t INPUTS 1 a OUTPUTS 1 o", WRONGTYPE),
    ("a INPUTS 1 a OUTPUTS 1 o", WRONGTYPE),
    ("s INPUTS 1 a OUTPUTS 1 o", WRONGTYPE),
    ("m11 FOO 1 a OUTPUTS 1 o", Error("ERR INPUTS not specified")),
    ("m11 INPUTS x a OUTPUTS 1 o", Error("ERR Invalid argument for input_count")),
    ("m11 INPUTS 0 a OUTPUTS 1 o", Error("ERR Input count must be a positive integer")),
    ("m11 INPUTS 2 a a OUTPUTS 1 o", INPUT_MISMATCH),
    ("m11 INPUTS 1 a FOO 1 o", Error("ERR OUTPUTS not specified")),
    ("m11 INPUTS 1 a OUTPUTS x o", Error("ERR Invalid argument for output_count")),
    ("m11 INPUTS 1 a OUTPUTS 0 o", Error("ERR Output count must be a positive integer")),
    ("m11 INPUTS 1 a OUTPUTS 2 o p", OUTPUT_MISMATCH),
    (
        "m22 INPUTS 2 a a OUTPUTS 2 o",
        Error("ERR number of output keys to AI.MODELEXECUTE command does not match the number of given arguments"),
    ),
    ("m11 INPUTS 1 a OUTPUTS 1 o FOO", Error("Invalid argument: FOO")),
    ("m11 INPUTS 1 a OUTPUTS 1 o TIMEOUT 5", NOT_HERE),
    ("m11 INPUTS 1 none OUTPUTS 1 o", NO_INPUT),
    ("m22 INPUTS 2 a b OUTPUTS 2 o p", NO_INPUT),
    ("m11 INPUTS 1 o OUTPUTS 1 o", NO_INPUT),
]

MODELRUN = [
    ("", wrong_arity("AI.MODELRUN")),
    ("m11 INPUTS a OUTPUTS", wrong_arity("AI.MODELRUN")),
    ("none INPUTS a OUTPUTS o", NO_MODEL),
    ("t INPUTS a OUTPUTS o", WRONGTYPE),
    ("m11 FOO a OUTPUTS o", Error("ERR INPUTS not specified")),
    ("m11 INPUTS a a OUTPUTS o", INPUT_MISMATCH),
    ("m11 INPUTS a a o", INPUT_MISMATCH),
    ("m11 INPUTS a OUTPUTS o p", OUTPUT_MISMATCH),
    ("m11 TIMEOUT 5 INPUTS a OUTPUTS o", NOT_HERE),
    ("m11 INPUTS none OUTPUTS o", NO_INPUT),
]

SCRIPTEXECUTE = [
    ("", wrong_arity("AI.SCRIPTEXECUTE")),
    ("s", wrong_arity("AI.SCRIPTEXECUTE")),
    ("none f INPUTS 1 a OUTPUTS 1 o", NO_SCRIPT),
    ("t f INPUTS 1 a OUTPUTS 1 o", WRONGTYPE),
    ("m11 f INPUTS 1 a OUTPUTS 1 o", WRONGTYPE),
    ("s f KEYS 1", Error("ERR Missing arguments after KEYS keyword")),
    ("s f KEYS 0 k", Error("ERR Invalid or negative value found in number of KEYS")),
    ("s f INPUTS", Error("ERR Invalid arguments provided to AI.SCRIPTEXECUTE")),
    ("s f INPUTS x a", Error("ERR Invalid argument for inputs count in AI.SCRIPTEXECUTE")),
    (
        "s f INPUTS 2 a",
        Error("ERR number of inputs to AI.SCRIPTEXECUTE command does not match the number of given arguments"),
    ),
    ("s f INPUTS 1 a INPUTS 1 a", Error("ERR Already Encountered INPUTS scope in AI.SCRIPTEXECUTE command")),
    ("s f INPUTS 1 a FOO", Error("ERR Invalid AI.SCRIPTEXECUTE command. Unexpected argument: FOO")),
    ("s f INPUTS 1 a OUTPUTS 1 o TIMEOUT 5", NOT_HERE),
    ("s f INPUTS 1 none OUTPUTS 1 o", NO_INPUT),
]

SCRIPTRUN = [
    ("", wrong_arity("AI.SCRIPTRUN")),
    ("s", wrong_arity("AI.SCRIPTRUN")),
    ("none f INPUTS a OUTPUTS o", NO_SCRIPT),
    ("t f INPUTS a OUTPUTS o", WRONGTYPE),
    ("s f INPUTS a OUTPUTS o INPUTS a", Error("ERR Already encountered an INPUTS section in SCRIPTRUN")),
    ("s f INPUTS a INPUTS a", Error("ERR Already encountered an INPUTS keyword in SCRIPTRUN")),
    ("s f OUTPUTS o OUTPUTS o", Error("ERR Already encountered an OUTPUTS keyword in SCRIPTRUN")),
    ("s f $ INPUTS a", Error("ERR Encountered a variable size list of tensors outside of input section")),
    ("s f INPUTS $ a $", Error("ERR Already encountered a variable size list of tensors")),
    ("s f FOO", Error("ERR Unrecongnized parameter to SCRIPTRUN")),
    ("s f TIMEOUT 5 INPUTS a OUTPUTS o", NOT_HERE),
    ("s f INPUTS none OUTPUTS o", NO_INPUT),
]


@pytest.mark.parametrize("command", ["AI.DAGEXECUTE", "AI.DAGEXECUTE_RO"])
@pytest.mark.parametrize("arguments, error", MODELEXECUTE)
def test_modelexecute(raw, command, arguments, error):
    check(raw, f"{command} LOAD 1 a |> AI.MODELEXECUTE {arguments}", error)


@pytest.mark.parametrize("command", ["AI.DAGRUN", "AI.DAGRUN_RO"])
@pytest.mark.parametrize("arguments, error", MODELRUN)
def test_modelrun(raw, command, arguments, error):
    check(raw, f"{command} LOAD 1 a |> AI.MODELRUN {arguments}", error)


@pytest.mark.parametrize("arguments, error", SCRIPTEXECUTE)
def test_scriptexecute(raw, arguments, error):
    check(raw, f"AI.DAGEXECUTE LOAD 1 a |> AI.SCRIPTEXECUTE {arguments}", error)


@pytest.mark.parametrize("command", ["AI.DAGRUN", "AI.DAGRUN_RO"])
@pytest.mark.parametrize("arguments, error", SCRIPTRUN)
def test_scriptrun(raw, command, arguments, error):
    check(raw, f"{command} LOAD 1 a |> AI.SCRIPTRUN {arguments}", error)


@pytest.mark.parametrize(
    "operations, error",
    [
        # the first operation with an error of its own
        ("AI.FOO |> AI.TENSORGET", UNSUPPORTED),
        ("AI.TENSORGET |> AI.FOO", TENSORGET_ARITY),
        ("AI.MODELEXECUTE none INPUTS 1 a OUTPUTS 1 o |> AI.TENSORGET", NO_MODEL),
        ("AI.TENSORGET |> AI.MODELEXECUTE none INPUTS 1 a OUTPUTS 1 o", TENSORGET_ARITY),
        # names are looked at when all operations have been read
        ("AI.TENSORGET none |> AI.TENSORGET", TENSORGET_ARITY),
        ("AI.MODELEXECUTE m11 INPUTS 1 none OUTPUTS 1 o |> FOO x", UNSUPPORTED),
        # only what stands above counts
        ("AI.MODELEXECUTE m11 INPUTS 1 o OUTPUTS 1 p |> AI.MODELEXECUTE m11 INPUTS 1 a OUTPUTS 1 o", NO_INPUT),
    ],
)
def test_order_of_operations(raw, operations, error):
    check(raw, f"AI.DAGEXECUTE LOAD 1 a |> {operations}", error)


# Every command holds all the errors of the lines below it as well, as far as it can.
CHECK_ORDER = [
    ("LOAD PERSIST", missing_arguments("AI.DAGEXECUTE")),
    ("LOAD x none PERSIST x o ROUTING r TIMEOUT x FOO", LOAD_COUNT),
    ("LOAD 1 none PERSIST x o ROUTING r TIMEOUT x FOO", NO_TENSOR),
    ("LOAD 1 a PERSIST x o ROUTING r TIMEOUT x FOO", PERSIST_COUNT),
    ("LOAD 1 a PERSIST 2 o o ROUTING r TIMEOUT x FOO", PERSIST_TWICE),
    ("LOAD 1 a PERSIST 1 o ROUTING r TIMEOUT x FOO", TIMEOUT),
    ("LOAD 1 a PERSIST 1 o ROUTING r TIMEOUT 5 FOO", unexpected("FOO")),
    ("LOAD 1 a PERSIST 1 o ROUTING r TIMEOUT 5", EMPTY),
    ("LOAD 1 a PERSIST 1 o |> FOO |> AI.TENSORGET |>", unexpected("|>")),
    ("LOAD 1 a PERSIST 1 o |> FOO |> AI.TENSORGET |> AI.TENSORGET none", UNSUPPORTED),
    ("LOAD 1 a PERSIST 1 o |> AI.TENSORGET |> AI.TENSORGET none", TENSORGET_ARITY),
    ("LOAD 1 a PERSIST 1 o |> AI.TENSORGET none", NO_INPUT),
    ("LOAD 1 a PERSIST 1 o |> AI.TENSORGET a", NO_PERSIST),
    # left to right
    ("PERSIST x o LOAD x none TIMEOUT x FOO", PERSIST_COUNT),
    ("TIMEOUT x PERSIST x o LOAD x none FOO", TIMEOUT),
    ("FOO TIMEOUT x PERSIST x o LOAD x none", unexpected("FOO")),
    ("PERSIST 1 o LOAD 1 none TIMEOUT x FOO", NO_TENSOR),
    ("ROUTING r TIMEOUT x LOAD 1 none", TIMEOUT),
]


@pytest.mark.parametrize("arguments, error", CHECK_ORDER)
def test_check_order(raw, arguments, error):
    check(raw, f"AI.DAGEXECUTE {arguments}", error)


@pytest.mark.parametrize(
    "dims", ["4611686018427387905", "4611686018427387904 4", "9223372036854775807", "1000000000000 1000"]
)
@pytest.mark.parametrize("data", ["", "BLOB abcd", "VALUES 1"])
def test_sizes_that_overflow_or_cannot_be_had(server, raw, dims, data):
    reply = raw.call(*words(f"AI.DAGEXECUTE LOAD 1 a |> AI.TENSORSET x FLOAT {dims} {data} |> AI.TENSORGET x"))
    assert isinstance(reply, Error), reply
    assert server.responsive()


def test_persist_key_of_another_type_is_no_error_of_parsing(raw):
    """It is looked at when the tensor is written: test_s6_5_*."""
    reply = raw.call(*words("AI.DAGEXECUTE LOAD 1 a PERSIST 1 t |> AI.TENSORSET t FLOAT 1"))
    assert isinstance(reply, list) and reply[0] == OK


@pytest.mark.parametrize("word", ["x" * 100_000, b"line\r\nbreak", b"nul\0byte"], ids=["long", "lines", "nul"])
def test_an_unexpected_word_of_any_kind(raw, word):
    reply = raw.call(*words("AI.DAGEXECUTE LOAD 1 a"), word, *words(GET))
    assert isinstance(reply, Error) and reply.text.startswith("ERR Invalid DAG command. Unexpected argument:  ")
    assert "\n" not in reply.text and len(reply.text) < 1000
