"""Reference section 10 for scripts: data files, the append-only file, replicas, transactions, clients that leave."""

import numpy as np
import pytest

from support import dump, onnx_models, torch_models
from support.commands import IN_TRANSACTION, get_tensor, pairs, set_tensor, stats, store_model, words
from support.resp import NIL, OK, QUEUED, Error, Status
from support.scripts import GATE, entry_point, fresh, occupied_worker, run_script, script_command, store_entry_points
from support.scripts import store_script, store_script_command
from support.wait import eventually

# Where servers start anew: a script is tried out in a process that opens the engine once more.
QUICK = ("MODEL_CHECK", "NO")
SOURCE = (
    GATE
    + entry_point("one", "return tensors[0]")
    + entry_point("two", "return tensors[0] + tensors[0], torch.tensor(7)")
    + entry_point(
        "effects",
        'redis.execute("SET", keys[0], args[0])',
        'redis.execute("RPUSH", "{s}:list", args[0])',
        "return tensors[0]",
    )
    + entry_point("fails", 'redis.execute("SET", keys[0], args[0])', "assert False", "return tensors[0]")
    + "def plain(a: Tensor, b: Tensor):\n    return a - b\n"
)
ENTRY_POINTS = ("one", "two", "effects", "fails", "wait_for")


def store(raw, key="s", tag="v\0\xff"):
    store_script(raw, key, SOURCE, *ENTRY_POINTS, tag=tag.encode("latin1"), device="cpu")


def assert_whole(raw, key="s"):
    """The script is what ``store`` stored, and works as entry points and others do."""
    assert raw.call("AI.SCRIPTGET", key) == [
        *(b"device", b"cpu", b"tag", b"v\0\xff", b"Entry Points", [name.encode() for name in ENTRY_POINTS]),
        *(b"source", SOURCE.encode()),
    ]
    set_tensor(raw, "x", [5])
    assert run_script(raw, key, "two", ["x"], ["y", "z"]) == OK
    assert (get_tensor(raw, "y").tolist(), get_tensor(raw, "z").tolist()) == ([10], 7)
    assert run_script(raw, key, "plain", ["y", "x"], ["y"]) == OK
    assert get_tensor(raw, "y").tolist() == [5]


class TestDataFile:
    def test_everything_is_kept(self, server, raw, read_back):
        store(raw)
        store_script(raw, "plain", SOURCE)
        set_tensor(raw, "x", [5])
        assert run_script(raw, "s", "one", ["x"], ["y"]) == OK
        raw = read_back(server)
        assert_whole(raw)
        assert pairs(raw.call("AI.SCRIPTGET", "plain"))["Entry Points"] == []
        assert raw.call("AI._SCRIPTSCAN") == [[b"plain", b""], [b"s", b"v\0\xff"]]
        # One call since then: statistics are not kept.
        assert stats(raw, "plain")["calls"] == 0

    def test_a_run_right_after_the_start_waits_for_the_script_and_its_model(self, server, raw, read_back):
        store_script(raw, "s", entry_point("f", 'return redisAI.model_execute("m", tensors, 1)'), "f")
        assert raw.call("AI.MODELSTORE", "m", "TORCH", "CPU", "BLOB", torch_models.rows()) == OK
        set_tensor(raw, "x", [5])
        raw = read_back(server)
        assert run_script(raw, "s", "f", ["x"], ["y"]) == OK
        assert get_tensor(raw, "y").tolist() == [10]

    def test_a_script_that_cannot_be_compiled_is_kept(self, server, raw, read_back):
        """Stored in a transaction, where the reply cannot wait for the engine's verdict."""
        command = store_script_command("s", "nonsense", "f", tag="v1")
        assert raw.pipeline([["MULTI"], command, ["EXEC"]])[2] == [OK]
        for _ in range(2):
            reply = run_script(raw, "s", "f")
            assert isinstance(reply, Error) and reply.text.startswith("ERR script is broken: expected def"), reply
            assert raw.call("AI.SCRIPTGET", "s", "SOURCE") == b"nonsense"
            raw = read_back(server)
        store(raw)
        assert_whole(raw)

    def test_without_its_engine(self, start_server, module_path):
        server = start_server()
        raw = server.raw()
        store(raw)
        server.module_args = ("BACKENDSPATH", "/nonexistent")
        server.restart()
        raw = server.raw()
        reply = run_script(raw, "s", "one")
        assert isinstance(reply, Error) and reply.text.startswith("ERR script is broken: "), reply
        assert raw.call("AI.SCRIPTGET", "s", "SOURCE") == SOURCE.encode()
        server.module_args = ()
        server.restart()
        assert_whole(server.raw())


class TestLayout:
    """Section 10.1: device, tag, source, entry points; all texts but the tag end in a NUL."""

    VALUES = [b"cpu\0", b"v\0\xff", SOURCE.encode() + b"\0", 5, *(name.encode() + b"\0" for name in ENTRY_POINTS)]

    def test_written(self, raw):
        store(raw)
        value = dump.decode(raw.call("DUMP", "s"))
        assert (value.type_name, value.version, value.values) == ("AI_SCRIPT", 4, self.VALUES)

    def test_read(self, raw):
        assert raw.call("RESTORE", "s", 0, dump.encode("AI_SCRIPT", 4, self.VALUES)) == OK
        assert_whole(raw)

    @pytest.mark.parametrize(
        "values",
        [
            [],
            [b"cpu\0"],
            [b"TPU\0", b"", b"text\0", 0],
            [b"cpu\0", b"", b"text\0"],
            [b"cpu\0", b"", b"text\0", 1],
            [b"cpu\0", b"", b"text\0", 2**63, b"f\0"],
            [b"cpu\0", b"", b"text\0", 2**64 - 1, b"f\0"],
            [b"cpu\0", b"", 5, 0],
            [5, b"", b"text\0", 0],
            [b"cpu\0", b"", b"text\0", b"one", b"f\0"],
        ],
        ids=range(10),
    )
    def test_bad_payloads(self, server, raw, values):
        reply = raw.call("RESTORE", "s", 0, dump.encode("AI_SCRIPT", 4, values))
        assert reply == Error("ERR Bad data format"), reply
        assert raw.call("EXISTS", "s") == 0
        assert raw.call("AI._SCRIPTSCAN") == []

    def test_a_newer_version(self, raw):
        reply = raw.call("RESTORE", "s", 0, dump.encode("AI_SCRIPT", 5, self.VALUES))
        assert reply == Error("ERR Bad data format")


class TestKeys:
    def test_dump_and_restore(self, raw):
        store(raw)
        payload = raw.call("DUMP", "s")
        assert raw.call("RESTORE", "t", 0, payload) == OK
        assert raw.call("DEL", "s") == 1
        assert_whole(raw, "t")

    def test_rename(self, raw):
        store(raw)
        assert raw.call("RENAME", "s", "t") == OK
        assert raw.call("EXISTS", "s") == 0
        assert_whole(raw, "t")

    def test_move(self, raw):
        store(raw)
        assert raw.call("MOVE", "s", 3) == 1
        assert raw.call("SELECT", 3) == OK
        assert_whole(raw)

    def test_copy(self, raw):
        """As models: if they can be copied, the copy is whole."""
        store(raw)
        store_model(raw, "m", onnx_models.mul())
        of_model, of_script = raw.call("COPY", "m", "n"), raw.call("COPY", "s", "t")
        assert type(of_script) is type(of_model), (of_model, of_script)
        if of_script == 1:
            assert_whole(raw, "t")
        else:
            assert isinstance(of_script, Error)

    def test_digest(self, raw):
        store(raw)
        [before] = raw.call("DEBUG", "DIGEST-VALUE", "s")
        for change in (
            {"tag": b"other"},
            {"device": "CPU:1"},
            {"source": SOURCE + "\n"},
            {"entry_points": ("one",)},
        ):
            arguments = {"source": SOURCE, "entry_points": ENTRY_POINTS, "tag": b"v\0\xff", "device": "cpu"} | change
            command = store_script_command(
                "s", arguments["source"], *arguments["entry_points"], tag=arguments["tag"], device=arguments["device"]
            )
            assert raw.call(*command) == OK
            assert raw.call("DEBUG", "DIGEST-VALUE", "s") != [before], change
        store(raw)
        assert raw.call("DEBUG", "DIGEST-VALUE", "s") == [before]

    def test_memory_usage(self, raw):
        store(raw)
        assert raw.call("MEMORY", "USAGE", "s") > len(SOURCE)


@pytest.mark.parametrize("preamble", ["yes", "no"])
@pytest.mark.parametrize("is_rewritten", [True, False], ids=["rewritten", "as sent"])
def test_append_only_file(start_server, preamble, is_rewritten):
    files = ("--appendonly", "yes", "--appendfsync", "always", "--aof-use-rdb-preamble", preamble)
    server = start_server(*QUICK, config=files)
    raw = server.raw()
    store(raw)
    store_script(raw, "plain", SOURCE, tag="p")
    store_script(raw, "untagged", SOURCE, "one")
    set_tensor(raw, "x", [5])
    assert run_script(raw, "s", "effects", ["x"], ["y"], keys=["k"], args=["v"]) == OK
    set_tensor(raw, "x", np.zeros(1, dtype=np.float32))
    if is_rewritten:
        raw.call("BGREWRITEAOF")
        eventually(lambda: server.info("persistence")["aof_rewrite_in_progress"] == "0", "the file is rewritten")
        assert server.info("persistence")["aof_last_bgrewrite_status"] == "ok"
    before = raw.call("DEBUG", "DIGEST")
    server.kill9()
    server.start()
    raw = server.raw()
    assert raw.call("DEBUG", "DIGEST") == before
    assert get_tensor(raw, "y").tolist() == [5]
    assert raw.call("LRANGE", "{s}:list", 0, -1) == [b"v"]
    assert_whole(raw)
    assert pairs(raw.call("AI.SCRIPTGET", "plain"))["Entry Points"] == []
    assert pairs(raw.call("AI.SCRIPTGET", "plain"))["tag"] == b"p"
    assert pairs(raw.call("AI.SCRIPTGET", "untagged"))["Entry Points"] == [b"one"]


class TestReplication:
    @pytest.fixture
    def pair(self, start_server):
        """A primary with the scripts and tensors of these tests, and its replica."""
        # A primary would wait for five seconds whether more replicas come.
        primary = start_server(*QUICK, config=("--repl-diskless-sync-delay", "0"))
        raw = primary.raw()
        store(raw)
        store_script(raw, "plain", SOURCE)
        set_tensor(raw, "x", [5])
        replica = start_server(*QUICK, config=("--replicaof", f"127.0.0.1 {primary.port}"))
        eventually(lambda: replica.info("replication").get("master_link_status") == "up", "the replica is connected")
        replica.raw().call("CONFIG", "RESETSTAT")
        return primary, replica

    def caught_up(self, primary, replica):
        """A connection to the replica when it holds what the primary holds."""
        expected = primary.raw().call("DEBUG", "DIGEST")
        raw = replica.raw()
        eventually(lambda: raw.call("DEBUG", "DIGEST") == expected, "the replica holds the same")
        return raw

    def commands(self, replica):
        """What the replica has been told to do, with the numbers of times."""
        own = {"info", "debug", "config", "ping", "replconf", "psync", "select", "multi", "exec"}
        commands = {}
        for field, value in replica.info_lines("commandstats"):
            name = field.removeprefix("cmdstat_")
            if value and name.split("|")[0] not in own:
                commands[name] = int(value.removeprefix("calls=").split(",")[0])
        return commands

    def test_outputs_arrive_as_tensors(self, pair):
        primary, replica = pair
        raw = primary.raw()
        assert run_script(raw, "s", "two", ["x"], ["y", "z"]) == OK
        assert raw.call("AI.SCRIPTRUN", "s", "plain", "INPUTS", "y", "x", "OUTPUTS", "w") == OK
        copy = self.caught_up(primary, replica)
        assert self.commands(replica) == {"ai.tensorset": 3}
        assert [get_tensor(copy, name).tolist() for name in "yzw"] == [[10], 7, [5]]

    def test_effects_arrive_one_by_one(self, pair):
        primary, replica = pair
        raw = primary.raw()
        assert run_script(raw, "s", "effects", ["x"], ["y"], keys=["k"], args=["v"]) == OK
        assert isinstance(run_script(raw, "s", "fails", ["x"], ["z"], keys=["f"], args=["v"]), Error)
        copy = self.caught_up(primary, replica)
        assert self.commands(replica) == {"set": 2, "rpush": 1, "ai.tensorset": 1}
        assert copy.call("MGET", "k", "f") == [b"v", b"v"]

    def test_effects_in_the_clients_database(self, pair):
        primary, replica = pair
        raw = primary.raw()
        raw.call("SELECT", 4)
        store(raw)
        set_tensor(raw, "x", [5])
        assert run_script(raw, "s", "effects", ["x"], ["y"], keys=["k"], args=["v"]) == OK
        copy = self.caught_up(primary, replica)
        assert copy.call("EXISTS", "k", "y") == 0
        copy.call("SELECT", 4)
        assert copy.call("GET", "k") == b"v"
        assert get_tensor(copy, "y").tolist() == [5]

    def test_scripts_arrive_as_sent(self, pair):
        primary, replica = pair
        raw = primary.raw()
        store(raw, "later")
        assert raw.call("AI.SCRIPTDEL", "plain") == OK
        copy = self.caught_up(primary, replica)
        assert self.commands(replica) == {"ai.scriptstore": 1, "ai.scriptdel": 1}
        assert copy.call("AI.SCRIPTGET", "later") == raw.call("AI.SCRIPTGET", "later")
        assert [key for key, _ in copy.call("AI._SCRIPTSCAN")] == [b"later", b"s"]

    def test_a_replica_refuses_writing_commands(self, pair):
        _, replica = pair
        raw = replica.raw()
        for command in (script_command("s", "one", ["x"], ["y"]), words("AI.SCRIPTRUN s one"), words("AI.SCRIPTDEL s")):
            reply = raw.call(*command)
            assert isinstance(reply, Error) and reply.text.startswith("READONLY "), reply

    def test_a_promoted_replica_runs_its_scripts(self, pair):
        _, replica = pair
        raw = replica.raw()
        assert raw.call("REPLICAOF", "NO", "ONE") == OK
        assert_whole(raw)


class TestTransactions:
    @pytest.fixture(autouse=True)
    def script(self, raw):
        store(raw)
        set_tensor(raw, "x", [5])

    @pytest.mark.parametrize(
        "command",
        [
            script_command("s", "one", ["x"], ["y"]),
            script_command("none", "one", ["none"], ["y"]),
            words("AI.SCRIPTRUN s one INPUTS x OUTPUTS y"),
            words("ai.scriptexecute"),
            words("ai.scriptrun s"),
            words("AI.SCRIPTEXECUTE s one FOO"),
        ],
        ids=str,
    )
    def test_runs_are_refused(self, raw, command):
        """Before anything else is looked at."""
        assert raw.pipeline([["MULTI"], command, ["EXEC"]]) == [OK, QUEUED, [IN_TRANSACTION]]
        assert raw.call("EVAL", "return redis.pcall(unpack(ARGV))", 0, *command) == IN_TRANSACTION
        assert raw.call("EXISTS", "y") == 0

    def test_everything_else_works(self, raw):
        commands = [
            store_script_command("t", SOURCE, "one", tag="v"),
            store_script_command("u", SOURCE),
            words("AI.SCRIPTGET t META"),
            words("AI._SCRIPTSCAN"),
            words("AI.SCRIPTDEL u"),
            words("AI.INFO s"),
        ]
        [first, second, meta, scan, deleted, info] = raw.pipeline([["MULTI"], *commands, ["EXEC"]])[-1]
        assert (first, second, deleted) == (OK, OK, OK)
        assert meta == [b"device", b"CPU", b"tag", b"v", b"Entry Points", [b"one"]]
        assert [key for key, _ in scan] == [b"s", b"t", b"u"]
        assert pairs(info)["type"] == b"SCRIPT"
        # A run right behind it waits until the script is compiled.
        assert run_script(raw, "t", "one", ["x"], ["y"]) == OK

    def test_in_lua(self, raw):
        for command in (store_script_command("t", SOURCE, "one"), words("AI.SCRIPTDEL t")):
            assert raw.call("EVAL", "return redis.call(unpack(ARGV))", 0, *command) == Status("OK")

    def test_watch_sees_what_scripts_write(self, server, raw):
        for name in ("y", "k"):
            with server.raw() as watcher:
                watcher.call("WATCH", name)
                assert run_script(raw, "s", "effects", ["x"], ["y"], keys=["k"], args=["v"]) == OK
                assert watcher.pipeline([["MULTI"], ["PING"], ["EXEC"]])[2] is NIL

    def test_a_transaction_is_not_interleaved_with_commands_of_a_script(self, server, raw):
        with occupied_worker(server, "s"):
            replies = raw.pipeline([["MULTI"], ["SET", "a", "1"], ["GET", "a"], ["EXEC"]])
            assert replies[-1] == [OK, b"1"]


class TestDisconnect:
    LEAVE = [
        pytest.param(lambda client: client.close(), id="close"),
        pytest.param(lambda client: client.abort(), id="reset"),
    ]

    @pytest.mark.parametrize("leave", LEAVE)
    def test_during_a_run(self, server, raw, leave):
        """The run goes on, its commands count, its outputs are not written."""
        store_entry_points(raw, "s", SOURCE)
        set_tensor(raw, "x", [5])
        leaving = server.raw()
        leaving.send(*script_command("s", "wait_for", [], ["y"], keys=["gate"]))
        assert not leaving.has_reply(within=0.1)
        leave(leaving)
        eventually(lambda: server.info("clients")["blocked_clients"] == "0", "the client has gone")
        raw.call("SET", "gate", "open")
        eventually(lambda: stats(raw, "s")["calls"] == 1, "the abandoned run is counted")
        assert run_script(raw, "s", "one", ["x"], ["z"]) == OK
        assert raw.call("EXISTS", "y") == 0

    @pytest.mark.parametrize("leave", LEAVE)
    def test_while_waiting_in_the_queue(self, server, raw, leave):
        store_entry_points(raw, "s", SOURCE)
        set_tensor(raw, "x", [5])
        with occupied_worker(server, "s"):
            leaving = server.raw()
            leaving.send(*script_command("s", "effects", ["x"], ["y"], keys=["k"], args=["v"]))
            assert not leaving.has_reply(within=0.05)
            leave(leaving)
            raw.call("SET", "gate", "open")
        eventually(lambda: stats(raw, "s")["calls"] == 2, "the abandoned run is counted")
        assert raw.call("GET", "k") == b"v"
        assert raw.call("EXISTS", "y") == 0

    @pytest.mark.parametrize("leave", LEAVE)
    def test_while_a_script_is_compiled(self, server, raw, leave):
        leaving = server.raw()
        leaving.send(*store_script_command("left", fresh(SOURCE), "one"))
        leave(leaving)
        store(raw)
        assert_whole(raw)
        assert raw.call("EXISTS", "left") == 0

    def test_killed_by_its_own_script(self, server, raw):
        """CLIENT is not for scripts, so a script cannot."""
        store_script(raw, "s", entry_point("f", 'redis.execute("CLIENT", "KILL", "TYPE", "normal")'), "f")
        assert isinstance(run_script(raw, "s", "f"), Error)
        assert raw.call("PING") == Status("PONG")
