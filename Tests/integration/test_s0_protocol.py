"""Reference section 0: replies on the wire, in both protocols, in order, and to clients that do not want them."""

import pytest

from support import every_command
from support.commands import execute, execute_command, get_tensor, set_tensor, stats, words
from support.every_command import EXAMPLES
from support.resp import NIL, OK, Double, Error, Map, Push, Set, Status, Verbatim, encode_command
from support.scripts import script_command

# Every run is a blocked command: none is short enough for the main thread.
MODULE_ARGS = ("INLINE_EXECUTION_BUDGET", "0")
KEPT_KEYS = every_command.KEPT_KEYS
NA = Status("NA")
ALL = 1 << 30
# Beside the examples: every form of reply, and errors that are parts of one.
FORMS = [
    words("AI.TENSORGET t"),
    words("AI.TENSORGET t META"),
    words("AI.TENSORGET t BLOB"),
    words("AI.TENSORGET t VALUES"),
    words("AI.TENSORSET i INT64 VALUES -7"),
    words("AI.TENSORGET i META VALUES"),
    words("AI.TENSORSET b BOOL 2 VALUES 1 0"),
    words("AI.TENSORGET b VALUES"),
    words("AI.TENSORSET w STRING 2 VALUES a bc"),
    words("AI.TENSORGET w META VALUES"),
    words("AI.TENSORGET none"),
    words("AI.MODELGET m META"),
    words("AI.MODELGET m BLOB"),
    words("AI.SCRIPTGET s META"),
    words("AI.SCRIPTGET s SOURCE"),
    words("AI.SCRIPTGET none"),
    words("AI.INFO p"),
    words("AI.INFO none"),
    words("AI.CONFIG GET BACKENDSPATH"),
    words("AI.CONFIG GET nonsense"),
    words("AI.CONFIG nonsense"),
    words("AI.MODELEXECUTE m INPUTS 1 bytes OUTPUTS 1 y"),
    words("AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 m"),
    words("AI.MODELSTORE m ONNX CPU BLOB x"),
    words("AI.MODELDEL none"),
    words(
        "AI.DAGRUN_RO LOAD 2 x bytes |> AI.MODELRUN m INPUTS bytes OUTPUTS y |> AI.TENSORGET y |> AI.TENSORGET x VALUES"
    ),
    words("AI.DAGEXECUTE LOAD 1 x PERSIST 1 m |> AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 m"),
    words("AI.DAGEXECUTE LOAD 1 x |>"),
]


def as_resp2(reply):
    """A reply of RESP3 in the form that it must have in RESP2."""
    assert not isinstance(reply, (Map, Set, Push, Verbatim, bool)), reply
    if isinstance(reply, list):
        return [as_resp2(element) for element in reply]
    return reply.text.encode() if isinstance(reply, Double) else reply


def test_every_command_has_an_example(raw):
    assert {name.decode() for name in raw.call("COMMAND", "LIST", "FILTERBY", "MODULE", "ai")} == set(EXAMPLES)


def test_only_doubles_and_nil_differ_between_the_protocols(raw, raw3):
    every_command.prepare(raw)
    commands = [*EXAMPLES.values(), *FORMS]
    replies = [raw.call(*command) for command in commands]
    replies3 = [raw3.call(*command) for command in commands]
    for command, reply, reply3 in zip(commands, replies, replies3, strict=True):
        assert as_resp2(reply3) == reply, command
    for command, reply in zip(EXAMPLES.values(), replies, strict=False):
        elements = reply if isinstance(reply, list) else [reply]
        assert not [element for element in elements if isinstance(element, Error) or element == NA], (command, reply)
    assert raw3.call(*words("AI.TENSORGET t VALUES")) == [Double("0.5"), Double("-inf")]


class TestClientReply:
    """What a client does not want to hear is left out, and nothing else; blocked commands are no exception."""

    @pytest.fixture(autouse=True)
    def stored(self, raw):
        every_command.prepare(raw)
        set_tensor(raw, "two", [2])

    def test_off(self, raw):
        silent = [
            ["CLIENT", "REPLY", "OFF"],
            *EXAMPLES.values(),
            execute_command("m", ["two"], ["a"]),
            execute_command("m", ["none"], ["a"]),
            words("AI.MODELSTORE m ONNX CPU BLOB x"),
            execute_command("m", ["a"], ["b"]),
        ]
        loud = [["CLIENT", "REPLY", "ON"], words("AI.TENSORGET b VALUES"), ["ECHO", "end"]]
        raw.send_bytes(b"".join(encode_command(*command) for command in (*silent, *loud)))
        assert [raw.read() for _ in loud] == [OK, [b"4"], b"end"]
        assert not raw.has_reply(within=0)

    @pytest.mark.parametrize("name", every_command.BLOCKING)
    def test_skip(self, raw, name):
        if name.endswith("del"):
            raw.call(*EXAMPLES[name.removesuffix("del") + "store"])
        skipped = [["CLIENT", "REPLY", "SKIP"], EXAMPLES[name]]
        loud = [execute_command("m", ["two"], ["a"]), words("AI.TENSORGET a VALUES"), ["ECHO", "end"]]
        raw.send_bytes(b"".join(encode_command(*command) for command in (*skipped, *loud, *skipped, *loud)))
        assert [raw.read() for _ in (*loud, *loud)] == [OK, [b"3"], b"end"] * 2
        assert not raw.has_reply(within=0)

    def test_off_in_the_middle_of_others(self, server, raw):
        """Several silent connections do not get each other's replies, and all their outputs are written."""
        clients = [server.raw() for _ in range(8)]
        for number, client in enumerate(clients):
            silent = [execute_command("m", ["two"], [f"{number}:{step}"]) for step in range(20)]
            commands = [["CLIENT", "REPLY", "OFF"], *silent, ["CLIENT", "REPLY", "ON"], ["ECHO", number]]
            client.send_bytes(b"".join(encode_command(*command) for command in commands))
        for number, client in enumerate(clients):
            assert [client.read(), client.read()] == [OK, b"%d" % number]
        assert raw.call("EXISTS", *(f"{number}:{step}" for number in range(8) for step in range(20))) == 160


def test_client_no_touch(server_kind, raw):
    """A client that does not want to keep keys alive does not; Redis 7.0 has no such clients."""
    settings = {"maxmemory-policy": b"allkeys-lfu", "lfu-log-factor": b"0"}
    before = dict(zip(*[iter(raw.call("CONFIG", "GET", *settings))] * 2, strict=True))
    for name, value in settings.items():
        assert raw.call("CONFIG", "SET", name, value) == OK
    try:
        every_command.prepare(raw)
        reads = [words("AI.TENSORGET x"), words("AI.MODELGET m META"), execute_command("m", ["x"], ["y"])]

        def uses():
            return raw.pipeline([["OBJECT", "FREQ", "x"], ["OBJECT", "FREQ", "m"]])

        def increase():
            earlier = uses()
            assert not [reply for reply in raw.pipeline(reads * 2) if isinstance(reply, Error)]
            return [later - before for before, later in zip(earlier, uses(), strict=True)]

        assert increase() == [4, 4]
        if server_kind.name == "redis7":
            assert isinstance(raw.call("CLIENT", "NO-TOUCH", "ON"), Error)
        else:
            assert raw.call("CLIENT", "NO-TOUCH", "ON") == OK
            assert increase() == [0, 0]
            assert raw.call("CLIENT", "NO-TOUCH", "OFF") == OK
            assert increase() == [4, 4]
    finally:
        for name, value in before.items():
            raw.call("CONFIG", "SET", name, value)


def test_client_tracking(server, raw3):
    """A client that keeps copies hears of outputs that replace what it has read."""
    every_command.prepare(raw3)
    set_tensor(raw3, "y", [0])
    assert raw3.call("CLIENT", "TRACKING", "ON") == OK
    assert raw3.call(*words("AI.TENSORGET y VALUES")) == [Double("0")]
    with server.raw() as other:
        assert execute(other, "m", ["x"], ["y"]) == OK
    assert raw3.read() == Push([b"invalidate", [b"y"]])
    assert raw3.call(*words("AI.TENSORGET y VALUES")) == [Double("1.5")]


def test_the_protocol_changes_between_blocked_commands(raw):
    """Each reply has the form that its connection spoke when it sent the command."""
    every_command.prepare(raw)
    dag = words("AI.DAGRUN_RO LOAD 1 x |> AI.MODELRUN m INPUTS x OUTPUTS y |> AI.TENSORGET y VALUES")
    replies = raw.pipeline([dag, ["HELLO", 3], dag, ["HELLO", 2], dag])
    assert replies[::2] == [[OK, [b"1.5"]], [OK, [Double("1.5")]], [OK, [b"1.5"]]]


def _mixed(rounds):
    """Commands of all kinds, quick and blocked, good and bad, and the replies to them."""
    for number in range(rounds):
        tensor, result = f"t{number}", f"r{number}"
        yield words(f"AI.TENSORSET {tensor} FLOAT 1 VALUES {number}"), OK
        yield execute_command("m", [tensor], [result]), OK
        yield words(f"AI.TENSORGET {result} VALUES"), [b"%d" % (number + 1)]
        yield ["ECHO", number], b"%d" % number
        yield execute_command("m", ["none"], [result]), Error("ERR tensor key is empty or in a different shard")
        yield words(f"AI.MODELRUN m INPUTS {result} OUTPUTS {result}"), OK
        yield script_command("s", "f", [result], [result]), OK
        yield (
            words(f"AI.DAGRUN LOAD 1 {result} PERSIST 1 {result} |> AI.MODELRUN m INPUTS {result} OUTPUTS {result}"),
            [OK],
        )
        yield words(f"AI.TENSORGET {result} VALUES"), [b"%d" % (number + 3)]
        if number % 10 == 0:
            yield words("AI.MODELSTORE n ONNX CPU BLOB", every_command.MODEL), OK
            yield words("AI.MODELDEL n"), OK
            yield words("AI.MODELEXECUTE n INPUTS 1 x OUTPUTS 1 y"), Error("ERR model key is empty")
            yield ["AI.CONFIG", "GET", "nonsense"], NIL


def _assert_answered_in_order(raw, piece):
    every_command.prepare(raw)
    assert raw.call("AI.INFO", "m", "RESETSTAT") == OK
    commands, replies = zip(*_mixed(30), strict=True)
    data = b"".join(encode_command(*command) for command in commands)
    for start in range(0, len(data), piece):
        raw.send_bytes(data[start : start + piece])
    for number, (command, reply) in enumerate(zip(commands, replies, strict=True)):
        assert raw.read() == reply, (number, command)
    assert stats(raw, "m")["errors"] == 0
    assert get_tensor(raw, "r29").tolist() == [32]


@pytest.mark.parametrize("piece", [ALL, 37], ids=["in one write", "in small pieces"])
def test_a_long_pipeline_is_answered_in_order(raw, piece):
    """A blocked command stops the connection's later ones until it is answered."""
    _assert_answered_in_order(raw, piece)


def test_a_long_pipeline_with_runs_in_the_main_thread(start_server):
    """Some commands are answered at once, others later."""
    _assert_answered_in_order(start_server().raw(), ALL)
