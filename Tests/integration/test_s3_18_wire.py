"""Reference section 3.18: its examples, byte for byte as they are on the wire in RESP2."""

import re
import socket

import pytest

from support import onnx_models, tf_models
from support.commands import set_tensor, store_model, words
from support.gates import held, hold_key
from support.resp import OK, encode_command
from support.scripts import entry_point, store_script

KEPT_KEYS = (hold_key(),)


@pytest.fixture
def wire(server):
    """Sends a command and returns the bytes of the reply. A PING behind it shows where the reply ends."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:

        def exchange(text, *tail):
            connection.sendall(encode_command(*words(text, *tail)) + encode_command("PING"))
            received = b""
            while not received.endswith(b"+PONG\r\n"):
                received += connection.recv(65536)
            return received.removesuffix(b"+PONG\r\n")

        yield exchange


def lines(text: str) -> bytes:
    """A reply as the reference writes it: words for lines, `''` for an empty one."""
    return b"".join((b"" if word == "''" else word.encode()) + b"\r\n" for word in text.split())


@pytest.mark.parametrize(
    "store, get, reply",
    [
        (
            "t FLOAT 1 2 VALUES 5 0.5",
            "t META VALUES",
            "*6 $5 dtype $5 FLOAT $5 shape *2 :1 :2 $6 values *2 $1 5 $3 0.5",
        ),
        ("s INT64 VALUES 7", "s META VALUES", "*6 $5 dtype $5 INT64 $5 shape *0 $6 values *1 :7"),
        ("b BOOL 2 VALUES 1 0", "b VALUES", "*2 :1 :0"),
        ("x STRING 2 VALUES a bc", "x BLOB", "$5 a\0bc\0"),
        ("t INT8 2 VALUES 65 66", "t", "*6 $5 dtype $4 INT8 $5 shape *1 :2 $4 blob $2 AB"),
        ("t INT8 2 VALUES 65 66", "t META", "*4 $5 dtype $4 INT8 $5 shape *1 :2"),
    ],
)
def test_tensorget(wire, store, get, reply):
    assert wire(f"AI.TENSORSET {store}") == b"+OK\r\n"
    assert wire(f"AI.TENSORGET {get}") == lines(reply)


def test_modelget_and_modelscan(wire):
    command = "AI.MODELSTORE m TF CPU INPUTS 2 a b OUTPUTS 1 mul BLOB"
    assert wire(command, tf_models.mul()) == b"+OK\r\n"
    assert wire("AI.MODELGET m META") == lines(
        "*16 $7 backend $2 TF $6 device $3 CPU $3 tag $0 '' $9 batchsize :0 $12 minbatchsize :0 $6 inputs *2 $1 a $1 b"
        " $7 outputs *1 $3 mul $15 minbatchtimeout :0"
    )
    assert wire("AI._MODELSCAN") == lines("*1 *2 $1 m $0 ''")


def test_scriptget(raw, wire):
    source = entry_point("bar", "return tensors[0]")
    store_script(raw, "s", source, "bar", tag="v1")
    head = b"*8\r\n$6\r\ndevice\r\n$3\r\nCPU\r\n$3\r\ntag\r\n$2\r\nv1\r\n$12\r\nEntry Points\r\n*1\r\n$3\r\nbar\r\n"
    assert wire("AI.SCRIPTGET s") == head + b"$6\r\nsource\r\n$%d\r\n%s\r\n" % (len(source), source.encode())


def test_info(raw, wire):
    store_model(raw, "m", onnx_models.add_constant(1))
    set_tensor(raw, "x", [1, 2])
    assert wire("AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y") == b"+OK\r\n"
    head = lines("*18 $3 key $1 m $4 type $5 MODEL $7 backend $4 ONNX $6 device $3 CPU $3 tag $0 '' $8 duration")
    tail = lines("$7 samples :2 $5 calls :1 $6 errors :0")
    assert re.fullmatch(re.escape(head) + rb":[1-9]\d*\r\n" + re.escape(tail), wire("AI.INFO m"))


def test_failed_dag(raw, wire):
    store_model(raw, "m", onnx_models.mul())
    set_tensor(raw, "a", [[1, 2]])
    reply = wire(
        "AI.DAGEXECUTE LOAD 1 a |> AI.TENSORSET b FLOAT 1 3 |> AI.MODELEXECUTE m INPUTS 2 a b OUTPUTS 1 c"
        " |> AI.TENSORGET c"
    )
    assert re.fullmatch(rb"\*3\r\n\+OK\r\n-[^\r\n]+\r\n\+NA\r\n", reply), reply


def test_timed_out(server, raw, wire):
    store_model(raw, "m", onnx_models.add_constant(1))
    set_tensor(raw, "x", [1])
    with held(server):
        assert wire("AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y TIMEOUT 1") == b"+TIMEDOUT\r\n"
        assert wire("AI.DAGEXECUTE LOAD 1 x TIMEOUT 1 |> AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y") == b"+TIMEDOUT\r\n"


def test_config(wire):
    assert wire("AI.CONFIG GET MODEL_CHUNK_SIZE") == b":535822336\r\n"
    assert wire("AI.CONFIG GET nonsense") == b"$-1\r\n"


@pytest.mark.parametrize(
    "command, reply",
    [
        ("AI.DAGEXECUTE LOAD 1 x FOO |> AI.TENSORGET x", b"-ERR Invalid DAG command. Unexpected argument:  FOO\r\n"),
        ("AI.DAGEXECUTE LOAD 1 x |> FOO", b"-Unsupported command within DAG\r\n"),
        ("AI.TENSORGET none", b"-ERR tensor key is empty or in a different shard\r\n"),
    ],
)
def test_errors_with_and_without_their_prefix(raw, wire, command, reply):
    assert raw.call(*words("AI.TENSORSET x FLOAT 1")) == OK
    assert wire(command) == reply
