"""Reference section 10 for DAG commands, AI.MODELRUN and batches: replicas, the append-only file, transactions, clients
that leave, cluster slots; and 6.8, what SLOWLOG says.
"""

import socket
from collections import Counter

import numpy as np
import pytest

from support import onnx_models
from support.commands import (
    IN_TRANSACTION,
    WRONGTYPE,
    execute_command,
    get_tensor,
    set_tensor,
    stats,
    store_model,
    words,
)
from support.gates import await_nobody_blocked, blocked_clients, held, hold_key, hold_operation, queue
from support.replication import PRIMARY, Listener, caught_up, start_replica
from support.resp import OK, QUEUED, ConnectionClosed, Error, Status
from support.scripts import entry_point, store_entry_points, store_script
from support.wait import eventually

KEPT_KEYS = (hold_key(), "s")
SOURCE = entry_point("log", 'redis.execute("RPUSH", keys[0], args[0])', "return tensors[0]")
READ_ONLY = (
    "AI.DAGEXECUTE_RO LOAD 1 x |> AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y |> AI.TENSORGET y VALUES",
    "AI.DAGRUN_RO LOAD 1 x |> AI.MODELRUN m INPUTS x OUTPUTS y |> AI.TENSORGET y VALUES",
    "AI.DAGEXECUTE_RO ROUTING x |> AI.TENSORSET y FLOAT 1 VALUES 6 |> AI.TENSORGET y VALUES",
)


def fill(raw):
    """What the commands of these tests use: ``m`` adds 1, ``x`` is [5]."""
    store_model(raw, "m", onnx_models.add_constant(1))
    set_tensor(raw, "x", [5])


def counted(commands):
    """How often each command was given."""
    return Counter(command[0].decode().lower() for command in commands)


class TestReplication:
    @pytest.fixture
    def pair(self, start_server):
        primary = start_server(config=PRIMARY)
        with primary.raw() as raw:
            fill(raw)
        replica = start_replica(start_server, primary)
        return primary, replica, Listener(primary, replica)

    def test_persisted_keys_arrive_as_tensors(self, pair):
        """Of every type and shape; what stays inside of the DAG does not."""
        primary, replica, listener = pair
        raw = primary.raw()
        command = (
            "AI.DAGEXECUTE LOAD 1 x PERSIST 5 y scalar text flags x |> AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y"
            " |> AI.TENSORSET scalar INT64 VALUES 7 |> AI.TENSORSET flags BOOL 2 1 VALUES 1 0"
            " |> AI.TENSORSET inside INT8 1"
            " |> AI.TENSORSET text STRING 2 VALUES one"
        )
        assert raw.call(*words(command), "") == [OK] * 5
        copy = caught_up(primary, replica)
        assert counted(listener.commands()) == {"ai.tensorset": 5}
        assert [get_tensor(copy, key).tolist() for key in ("x", "y", "scalar", "flags")] == [
            [5],
            [6],
            7,
            [[True], [False]],
        ]
        assert copy.call("AI.TENSORGET", "text", "VALUES") == [b"one", b""]
        assert stats(copy, "m")["calls"] == 0

    def test_deprecated_forms(self, pair):
        primary, replica, listener = pair
        raw = primary.raw()
        assert raw.call(*words("AI.MODELRUN m INPUTS x OUTPUTS y")) == OK
        assert raw.call(*words("AI.DAGRUN LOAD 1 y PERSIST 1 z |> AI.MODELRUN m INPUTS y OUTPUTS z")) == [OK]
        copy = caught_up(primary, replica)
        assert counted(listener.commands()) == {"ai.tensorset": 2}
        assert get_tensor(copy, "z").tolist() == [7]

    def test_what_does_not_write_is_not_replicated(self, pair):
        primary, replica, listener = pair
        raw = primary.raw()
        raw.call("SET", "text", "text")
        for command in READ_ONLY:
            assert isinstance(raw.call(*words(command)), list)
        assert raw.call(*words("AI.DAGEXECUTE LOAD 1 x |> AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y")) == [OK]
        # nor what failed, nor what could not be written
        assert isinstance(raw.call(*words("AI.DAGEXECUTE LOAD 1 x PERSIST 1 none |> AI.TENSORGET x")), Error)
        assert raw.call(*words("AI.DAGEXECUTE PERSIST 1 text |> AI.TENSORSET text INT8 1")) == [OK, WRONGTYPE]
        caught_up(primary, replica)
        assert counted(listener.commands()) == {"set": 1}

    def test_members_of_a_batch(self, pair):
        primary, replica, listener = pair
        raw = primary.raw()
        store_model(raw, "b", onnx_models.add_constant(1, ["n", 2]), "BATCHSIZE", 10, "MINBATCHSIZE", 3)
        set_tensor(raw, "rows", [[1, 2], [3, 4]])
        [waiting] = queue(primary, execute_command("b", ["rows"], ["y"]))
        assert raw.call(
            *words("AI.DAGEXECUTE LOAD 1 rows PERSIST 1 z |> AI.MODELEXECUTE b INPUTS 1 rows OUTPUTS 1 z")
        ) == [OK]
        assert waiting.read() == OK
        copy = caught_up(primary, replica)
        assert counted(listener.commands()) == {"ai.modelstore": 1, "ai.tensorset": 3}
        assert get_tensor(copy, "y").tolist() == get_tensor(copy, "z").tolist() == [[2, 3], [4, 5]]

    def test_into_the_clients_database(self, pair):
        primary, replica, listener = pair
        raw = primary.raw()
        raw.call("SELECT", 4)
        assert raw.call(*words("AI.DAGRUN PERSIST 1 y |> AI.TENSORSET y INT8 1 VALUES 3")) == [OK]
        copy = caught_up(primary, replica)
        assert copy.call("EXISTS", "y") == 0
        copy.call("SELECT", 4)
        assert get_tensor(copy, "y").tolist() == [3]

    def test_effects_of_scripts(self, pair):
        """Each by itself, although the DAG fails in the end and nothing is persisted."""
        primary, replica, listener = pair
        raw = primary.raw()
        store_script(raw, "s", SOURCE, "log")
        set_tensor(raw, "wrong", [[1, 2, 3]])
        store_model(raw, "mul", onnx_models.mul())
        log = "|> AI.SCRIPTEXECUTE s log KEYS 1 l INPUTS 1 x ARGS 1 v OUTPUTS 1 y"
        assert raw.call(*words(f"AI.DAGEXECUTE LOAD 1 x PERSIST 1 y {log} {log}")) == [OK, OK]
        reply = raw.call(
            *words(
                f"AI.DAGEXECUTE LOAD 2 x wrong PERSIST 1 z {log} |> AI.MODELEXECUTE mul INPUTS 2 x wrong OUTPUTS 1 z"
            )
        )
        assert reply[0] == OK and isinstance(reply[1], Error)
        copy = caught_up(primary, replica)
        assert copy.call("LRANGE", "l", 0, -1) == [b"v"] * 3
        assert (copy.call("EXISTS", "y"), copy.call("EXISTS", "z")) == (1, 0)
        assert counted(listener.commands()) == {"ai.scriptstore": 1, "ai.modelstore": 1, "ai.tensorset": 2, "rpush": 3}

    def test_on_a_replica(self, pair):
        """The read-only forms run there; the others are refused, whether they would have written or not."""
        primary, replica, listener = pair
        raw = caught_up(primary, replica)
        for command in READ_ONLY:
            assert raw.call(*words(command))[-1] == [b"6"]
        assert stats(raw, "m")["calls"] == 2
        assert raw.call("EXISTS", "y") == 0
        for command in (
            "AI.DAGEXECUTE LOAD 1 x |> AI.TENSORGET x",
            "AI.DAGRUN LOAD 1 x |> AI.TENSORGET x",
            "AI.DAGRUN |> AI.TENSORSET y INT8 1",
            "AI.MODELRUN m INPUTS x OUTPUTS y",
        ):
            reply = raw.call(*words(command))
            assert isinstance(reply, Error) and reply.text.startswith("READONLY "), (command, reply)


@pytest.mark.parametrize("preamble", ["yes", "no"])
@pytest.mark.parametrize("is_rewritten", [True, False], ids=["rewritten", "as sent"])
def test_append_only_file(start_server, preamble, is_rewritten):
    server = start_server(config=("--appendonly", "yes", "--appendfsync", "always", "--aof-use-rdb-preamble", preamble))
    raw = server.raw()
    fill(raw)
    command = (
        "AI.DAGEXECUTE LOAD 1 x PERSIST 3 y scalar text |> AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y"
        " |> AI.TENSORSET scalar INT64 VALUES 7 |> AI.TENSORSET text STRING 1 VALUES one"
    )
    assert raw.call(*words(command)) == [OK] * 3
    assert raw.call(*words("AI.MODELRUN m INPUTS y OUTPUTS z")) == OK
    # What came of the commands is in the file, not the commands.
    raw.call(*words("AI.TENSORSET x FLOAT 1 VALUES 100"))
    if is_rewritten:
        raw.call("BGREWRITEAOF")
        eventually(lambda: server.info("persistence")["aof_rewrite_in_progress"] == "0", "the file is rewritten")
    before = raw.call("DEBUG", "DIGEST")
    server.kill9()
    server.start()
    raw = server.raw()
    assert raw.call("DEBUG", "DIGEST") == before
    assert [get_tensor(raw, key).tolist() for key in ("x", "y", "z", "scalar")] == [[100], [6], [7], 7]
    assert raw.call("AI.TENSORGET", "text", "VALUES") == [b"one"]


@pytest.fixture
def ready(raw):
    fill(raw)
    store_entry_points(raw, "s", SOURCE)


class TestTransactions:
    @pytest.mark.parametrize("name", ["AI.DAGEXECUTE", "AI.DAGEXECUTE_RO", "AI.DAGRUN", "AI.DAGRUN_RO", "ai.dagrun"])
    @pytest.mark.parametrize("arguments", ["LOAD 1 x |> AI.TENSORGET x", "LOAD 1 none |> FOO", "FOO", ""])
    def test_dags_are_refused_before_anything_else(self, raw, ready, name, arguments):
        command = words(f"{name} {arguments}")
        assert raw.pipeline([["MULTI"], ["SET", "k", 1], command, ["EXEC"]]) == [
            OK,
            QUEUED,
            QUEUED,
            [OK, IN_TRANSACTION],
        ]
        assert raw.call("EVAL", "return redis.pcall(unpack(ARGV))", 0, *command) == IN_TRANSACTION

    def test_watch_sees_persisted_keys(self, server, raw, ready):
        with server.raw() as watcher:
            watcher.call("WATCH", "y")
            assert raw.call(*words("AI.DAGRUN PERSIST 1 y |> AI.TENSORSET y INT8 1")) == [OK]
            assert watcher.pipeline([["MULTI"], ["PING"], ["EXEC"]])[2] is None

    def test_persisted_keys_are_written_together(self, server, raw, ready):
        """Nobody sees one without the other."""
        dag = "AI.DAGEXECUTE PERSIST 2 y z |> AI.TENSORSET y FLOAT 1 VALUES {}"
        dag += " |> AI.MODELEXECUTE m INPUTS 1 y OUTPUTS 1 z"
        read = [["MULTI"], words("AI.TENSORGET y VALUES"), words("AI.TENSORGET z VALUES"), ["EXEC"]]
        assert raw.call(*words(dag.format(-1))) == [OK, OK]
        with server.raw() as reader:
            for turn in range(30):
                raw.send(*words(dag.format(turn)))
                [[y], [z]] = reader.pipeline(read)[3]
                assert float(z) == float(y) + 1
                assert raw.read() == [OK, OK]


class TestClientsThatLeave:
    """Section 10.5; see also test_s6_1_queue_limits.py."""

    @pytest.mark.parametrize(
        "leave", [lambda client: client.close(), lambda client: client.abort()], ids=["close", "reset"]
    )
    def test_during_a_dag(self, server, raw, ready, leave):
        """Its first operation runs; the others follow, and nothing is written."""
        command = words("AI.DAGEXECUTE LOAD 1 x PERSIST 1 y")
        command += ["|>", *hold_operation("gate"), "|>", *words("AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y")]
        with held(server):
            pass  # the script is stored
        leaving = server.raw()
        leaving.send(*command)
        eventually(lambda: raw.call("EXISTS", "gate:held"), "the first operation runs")
        leave(leaving)
        await_nobody_blocked(server)
        raw.call("SET", "gate", "open")
        eventually(lambda: stats(raw, "m")["calls"] == 1, "the DAG goes on")
        assert raw.call(*words("AI.DAGRUN PERSIST 1 z |> AI.TENSORSET z INT8 1")) == [OK]
        assert raw.call("EXISTS", "y") == 0

    def test_client_kill(self, server, raw, ready):
        with held(server):
            victim = server.raw()
            identity = victim.call("CLIENT", "ID")
            victim.send(*words("AI.DAGEXECUTE LOAD 1 x PERSIST 1 y |> AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y"))
            eventually(lambda: blocked_clients(server) == 2, "the DAG is queued")
            assert raw.call("CLIENT", "KILL", "ID", identity) == 1
            with pytest.raises((ConnectionClosed, ConnectionResetError)):
                victim.read()
        eventually(lambda: stats(raw, "m")["calls"] == 1, "the abandoned DAG is counted")
        assert raw.call("EXISTS", "y") == 0

    def test_client_unblock_does_not_apply(self, server, raw, ready):
        with held(server) as release, server.raw() as waiting:
            identity = waiting.call("CLIENT", "ID")
            waiting.send(*words("AI.DAGEXECUTE LOAD 1 x PERSIST 1 y |> AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y"))
            eventually(lambda: blocked_clients(server) == 2, "the DAG is queued")
            assert raw.call("CLIENT", "UNBLOCK", identity) == 0
            assert raw.call("CLIENT", "UNBLOCK", identity, "ERROR") == 0
            release()
            assert waiting.read() == [OK]

    def test_many_leave_at_once(self, server, raw, ready):
        dag = words("AI.DAGEXECUTE LOAD 1 x PERSIST 1 y |> AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y |> AI.TENSORGET y")
        with held(server):
            leavers = [server.raw() for _ in range(40)]
            for client in leavers:
                client.send(*dag)
            eventually(lambda: blocked_clients(server) == 41, "all DAGs are queued")
            for client in leavers:
                client.abort()
        eventually(lambda: stats(raw, "m")["calls"] == 40, "all abandoned DAGs are counted")
        assert raw.call("EXISTS", "y") == 0

    def test_in_the_middle_of_a_command(self, server, raw, ready):
        blob = np.zeros(1000, dtype=np.float32).tobytes()
        for length in range(1, 30, 3):
            client = server.raw()
            client.send_bytes(b"*9\r\n$13\r\nAI.DAGEXECUTE\r\n$7\r\nPERSIST\r\n$1\r\n1\r\n" + blob[:length])
            client.abort()
        assert raw.call("PING") == Status("PONG")

    @pytest.mark.parametrize("how", [["SHUTDOWN", "NOSAVE"], ["SHUTDOWN", "SAVE"]], ids=lambda how: "-".join(how))
    def test_shutdown_during_dags(self, start_server, how):
        server = start_server("MODEL_EXECUTION_TIMEOUT", "60000")
        raw = server.raw()
        store_model(raw, "loop", onnx_models.counting_loop())
        store_model(raw, "loop1", onnx_models.counting_loop(), device="CPU:1")
        set_tensor(raw, "n", [2**62], "INT64")
        set_tensor(raw, "x", [0])
        dag = words(
            "AI.DAGEXECUTE LOAD 2 n x PERSIST 1 y |> AI.MODELEXECUTE loop INPUTS 2 n x OUTPUTS 1 y"
            " |> AI.MODELEXECUTE loop1 INPUTS 2 n x OUTPUTS 1 z |> AI.MODELEXECUTE loop INPUTS 2 n z OUTPUTS 1 y"
        )
        queue(server, *[dag] * 4)
        raw.send(*how)
        eventually(lambda: not server.alive(), "the server ends", timeout=15)
        assert (server.exit_status, server.crash_report()) == (0, None)


@pytest.mark.parametrize(
    "command",
    [
        "Ai.DagExecute LOAD 1 x |> AI.MODELEXECUTE loop INPUTS 2 n x OUTPUTS 1 y",
        "ai.dagrun_ro LOAD 2 n x |> AI.MODELRUN loop INPUTS n x OUTPUTS y",
        "ai.ModelRun loop INPUTS n x OUTPUTS y",
    ],
)
def test_slowlog(raw, command):
    """Section 6.8: under the name as typed, with the time of queue and run."""
    store_model(raw, "loop", onnx_models.counting_loop())
    set_tensor(raw, "n", [100_000], "INT64")
    set_tensor(raw, "x", [0])
    command = command.replace("LOAD 1 x", "LOAD 2 x n")
    assert raw.call("CONFIG", "SET", "slowlog-log-slower-than", 1000) == OK
    raw.call("SLOWLOG", "RESET")
    assert raw.call(*words(command)) in (OK, [OK])
    entries = [entry for entry in raw.call("SLOWLOG", "GET", 20) if entry[3][0].lower().startswith(b"ai.")]
    [entry] = entries
    assert entry[3] == [word.encode() for word in command.split()]
    assert entry[2] >= stats(raw, "loop")["duration"]


class TestCluster:
    """Section 10.7, on one node that has all slots: the server compares the slots of the keys that it is told."""

    @pytest.fixture
    def node(self, start_server):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            bus = str(probe.getsockname()[1])  # the usual one, 10,000 above the port, may not exist
        raw = start_server(config=("--cluster-enabled", "yes", "--cluster-port", bus)).raw()
        assert raw.call("CLUSTER", "ADDSLOTSRANGE", 0, 16383) == OK
        eventually(lambda: b"cluster_state:ok" in raw.call("CLUSTER", "INFO"), "the cluster is up")
        for tag in ("{t}", "{u}"):
            store_model(raw, f"{tag}m", onnx_models.add_constant(1))
            set_tensor(raw, f"{tag}x", [5])
        return raw

    def test_slots(self, node):
        def refused(command):
            reply = node.call(*words(command))
            assert reply == Error("CROSSSLOT Keys in request don't hash to the same slot"), (command, reply)

        refused("AI.MODELEXECUTE {u}m INPUTS 1 {t}x OUTPUTS 1 {t}y")
        refused("AI.MODELEXECUTE {t}m INPUTS 1 {u}x OUTPUTS 1 {t}y")
        refused("AI.MODELEXECUTE {t}m INPUTS 1 {t}x OUTPUTS 1 {u}y")
        refused("AI.MODELRUN {u}m INPUTS {t}x OUTPUTS {t}y")
        refused("AI.MODELRUN {t}m INPUTS {t}x OUTPUTS {u}y")
        refused("AI.MODELRUN {t}m TIMEOUT 500 INPUTS {t}x OUTPUTS {u}y")
        refused("AI.SCRIPTEXECUTE {t}s f KEYS 1 {u}k INPUTS 1 {t}x OUTPUTS 1 {t}y")
        refused("AI.SCRIPTEXECUTE {t}s f INPUTS 1 {u}x OUTPUTS 1 {t}y")
        refused("AI.SCRIPTEXECUTE {t}s f INPUTS 1 {t}x OUTPUTS 1 {u}y")
        refused("AI.SCRIPTRUN {t}s f INPUTS {t}x OUTPUTS {u}y")
        refused("AI.DAGEXECUTE LOAD 2 {t}x {u}x |> AI.TENSORGET {t}x")
        refused("AI.DAGEXECUTE LOAD 1 {t}x PERSIST 1 {u}y |> AI.MODELEXECUTE {t}m INPUTS 1 {t}x OUTPUTS 1 {u}y")
        refused("AI.DAGEXECUTE LOAD 1 {t}x |> AI.MODELEXECUTE {u}m INPUTS 1 {t}x OUTPUTS 1 y")
        refused("AI.DAGEXECUTE LOAD 1 {t}x |> AI.SCRIPTEXECUTE {u}s f INPUTS 1 {t}x OUTPUTS 1 y")
        refused("AI.DAGEXECUTE LOAD 1 {t}x ROUTING {u} |> AI.TENSORGET {t}x")
        refused("AI.DAGEXECUTE ROUTING {u} |> AI.TENSORSET x FLOAT 1 |> AI.MODELEXECUTE {t}m INPUTS 1 x OUTPUTS 1 y")
        refused("AI.DAGEXECUTE_RO LOAD 1 {t}x |> AI.MODELEXECUTE {u}m INPUTS 1 {t}x OUTPUTS 1 y")
        refused("AI.DAGRUN LOAD 1 {t}x ROUTING {u} |> AI.TENSORGET {t}x")
        refused("AI.DAGRUN_RO LOAD 2 {t}x {u}x |> AI.TENSORGET {t}x")
        assert node.call("EXISTS", "{t}y", "{t}y") == 0

        # Names inside of a DAG may hash to anything. ROUTING is any key of the slot, or a bare tag.
        assert node.call(*words("AI.MODELEXECUTE {t}m INPUTS 1 {t}x OUTPUTS 1 {t}y")) == OK
        assert node.call(*words("AI.MODELRUN {t}m INPUTS {t}x OUTPUTS {t}y")) == OK
        for command in (
            "AI.DAGEXECUTE LOAD 1 {t}x PERSIST 1 {t}y ROUTING {t} |> AI.MODELEXECUTE {t}m INPUTS 1 {t}x OUTPUTS 1 b"
            " |> AI.MODELEXECUTE {t}m INPUTS 1 b OUTPUTS 1 {t}y |> AI.TENSORSET c FLOAT 1 |> AI.TENSORGET b VALUES",
            "AI.DAGEXECUTE ROUTING {t}anything |> AI.TENSORSET a FLOAT 1 VALUES 5 |> AI.TENSORSET b FLOAT 1"
            " |> AI.MODELEXECUTE {t}m INPUTS 1 a OUTPUTS 1 b |> AI.TENSORGET b VALUES",
        ):
            reply = node.call(*words(command))
            assert reply == [OK, OK, OK, [b"6"]]
