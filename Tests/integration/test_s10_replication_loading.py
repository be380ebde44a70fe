"""Reference section 10.3: replicas and models that are still being built, on either side."""

import sys
import time
from pathlib import Path

import pytest

from support import onnx_models
from support.commands import execute, execute_command, get_tensor, pairs, set_tensor, store_command, store_model, words
from support.replication import PRIMARY, caught_up, start_replica
from support.resp import OK, Error
from support.scripts import entry_point, script_command, store_script
from support.wait import eventually

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from reliability.link_proxy import LinkProxy  # noqa: E402

BIG = [onnx_models.big_weights(megabytes) for megabytes in (8, 9, 10, 11)]
SLOW_NOTE = entry_point(
    "note",
    "total = torch.zeros(1)",
    "for i in range(int(args[0])):",
    "    total += 1",
    'redis.execute("SET", keys[0], "written")',
    "return total",
)


def models(server, state):
    return int(server.info("modules")[f"ai_models_{state}"])


def start_storing(primary):
    """Connections that wait for models to be built."""
    waiting = [primary.raw() for _ in BIG]
    for number, (raw, blob) in enumerate(zip(waiting, BIG, strict=True)):
        raw.send(*store_command(f"big{number}", blob, "TAG", f"v{number}"))
    eventually(lambda: primary.info("clients")["blocked_clients"] == str(len(BIG)), "they are being built")
    return waiting


def is_connected(replica):
    return replica.info("replication").get("master_link_status") == "up"


@pytest.mark.parametrize("transfer", ["diskless", "disk"])
def test_a_full_copy_while_models_are_being_stored(start_server, transfer):
    primary = start_server(config=(*PRIMARY, "--repl-diskless-sync", "yes" if transfer == "diskless" else "no"))
    store_model(primary.raw(), "before", onnx_models.add_constant(1))
    waiting = start_storing(primary)
    replica = start_server(
        config=("--replicaof", f"127.0.0.1 {primary.port}", "--repl-diskless-load", "swapdb"),
    )
    eventually(lambda: is_connected(replica), "the replica is connected", 30)
    assert [raw.read() for raw in waiting] == [OK] * len(BIG)
    copy = caught_up(primary, replica)
    assert copy.call("AI._MODELSCAN") == primary.raw().call("AI._MODELSCAN")
    # The replica builds them too, in the background.
    eventually(lambda: models(replica, "ready") == len(BIG) + 1, "the replica's models are ready", 30)
    assert copy.call("AI.MODELGET", "big3", "BLOB") == BIG[3]


def test_a_partial_copy_while_models_are_being_stored(start_server):
    """The link breaks while they are being built, and what the primary has sent meanwhile arrives."""
    primary = start_server(config=(*PRIMARY, "--repl-backlog-size", "100mb"))
    raw = primary.raw()
    store_model(raw, "m", onnx_models.add_constant(1))
    set_tensor(raw, "x", [1])
    with LinkProxy(primary.port) as link:
        replica = start_server(config=("--replicaof", f"127.0.0.1 {link.port}"))
        eventually(lambda: is_connected(replica), "the replica is connected")
        waiting = start_storing(primary)
        link.refuse(True)
        link.cut()
        assert execute(raw, "m", ["x"], ["y"]) == OK
        assert [raw.read() for raw in waiting] == [OK] * len(BIG)
        link.refuse(False)
        # The primary may have noticed nothing yet: the digests tell, not the state of the link.
        copy = caught_up(primary, replica)
        stats = primary.info("stats")
        assert (stats["sync_full"], int(stats["sync_partial_ok"]) > 0) == ("1", True)
        eventually(lambda: models(replica, "ready") == len(BIG) + 1, "the replica's models are ready", 30)
        assert get_tensor(copy, "y").tolist() == [2]


def test_a_replica_without_the_engine(start_server, tmp_path):
    """It holds and passes on what it cannot run, says what is broken, and goes on."""
    primary = start_server(config=PRIMARY)
    raw = primary.raw()
    store_model(raw, "early", onnx_models.add_constant(1))
    replica = start_server("BACKENDSPATH", str(tmp_path), config=("--replicaof", f"127.0.0.1 {primary.port}"))
    eventually(lambda: is_connected(replica), "the replica is connected")
    store_model(raw, "late", onnx_models.add_constant(2), "TAG", "v2")
    set_tensor(raw, "x", [1])
    assert execute(raw, "late", ["x"], ["y"]) == OK
    copy = caught_up(primary, replica)
    eventually(lambda: models(replica, "broken") == 2, "both are broken")
    # Of the names of its inputs only the engine knows.
    assert pairs(copy.call("AI.MODELGET", "late"))["tag"] == b"v2"
    assert copy.call("AI.MODELGET", "late", "BLOB") == raw.call("AI.MODELGET", "late", "BLOB")
    assert get_tensor(copy, "y").tolist() == [3]
    # A replica of the replica has the engine, and what it needs.
    third = start_replica(start_server, replica)
    eventually(lambda: models(third, "ready") == 2, "both are ready there")
    # Promoted it serves what needs no engine.
    assert copy.call("REPLICAOF", "NO", "ONE") == OK
    reply = execute(copy, "late", ["x"], ["y"])
    assert isinstance(reply, Error) and reply.text.startswith("ERR model is broken"), reply
    set_tensor(copy, "z", [4])


def test_a_replica_that_is_promoted_while_it_builds(start_server):
    """Requests wait for the model, as after a restart."""
    primary = start_server(config=PRIMARY)
    raw = primary.raw()
    replica = start_server("LOADER_THREADS", "1", config=("--replicaof", f"127.0.0.1 {primary.port}"))
    eventually(lambda: is_connected(replica), "the replica is connected")
    set_tensor(raw, "x", [1, 2])
    for number, blob in enumerate(BIG):
        store_model(raw, f"big{number}", blob)
    store_model(raw, "m", onnx_models.add_constant(1))
    with replica.raw() as copy:
        eventually(lambda: copy.call("EXISTS", "m") == 1, "the last model has arrived", interval=0.001)
        loading = models(replica, "loading")
        assert copy.call("REPLICAOF", "NO", "ONE") == OK
        # In one go: nothing else comes in between.
        replies = copy.pipeline([execute_command("m", ["x"], ["y"]), ["AI.TENSORGET", "y", "VALUES"]])
    assert replies == [OK, [b"2", b"3"]] and loading > 0
    eventually(lambda: models(replica, "ready") == len(BIG) + 1, "all are ready")


def test_stores_on_a_primary_that_becomes_a_replica(start_server):
    """Their clients are told, and nothing of them is stored: the new primary does not have it."""
    primary, other = start_server(config=PRIMARY), start_server(config=PRIMARY)
    waiting = start_storing(primary)
    raw = primary.raw()
    assert raw.call("REPLICAOF", "127.0.0.1", other.port) == OK
    for connection in waiting:
        assert isinstance(connection.read(), Error)
    eventually(lambda: is_connected(primary), "it follows")
    assert caught_up(other, primary).call("DBSIZE") == 0
    eventually(lambda: raw.call("AI._MODELSCAN") == [], "nothing is left of them")


@pytest.mark.one_server
def test_commands_of_scripts_on_a_primary_that_becomes_a_replica(start_server):
    """The server refuses what a script that is still running wants to write."""
    primary, other = start_server(config=PRIMARY), start_server(config=PRIMARY)
    raw, waiting = primary.raw(), primary.raw()
    store_script(raw, "s", SLOW_NOTE, "note")
    assert raw.call(*script_command("s", "note", [], ["{k}t"], keys=["{k}"], args=[1])) == OK
    assert raw.call("DEL", "{k}", "{k}t") == 2
    calls = raw.call("AI.INFO", "s")[15]
    waiting.send(*script_command("s", "note", [], ["{k}t"], keys=["{k}"], args=[200_000]))
    eventually(lambda: primary.info("clients")["blocked_clients"] == "1", "it runs")
    assert raw.call("REPLICAOF", "127.0.0.1", other.port) == OK
    assert isinstance(waiting.read(), Error) and calls == 1
    time.sleep(1)
    eventually(lambda: is_connected(primary), "it follows")
    assert caught_up(other, primary).call("DBSIZE") == 0


def test_wait_covers_runs(start_server):
    """WAIT after a run waits for its output; each output is there when it says so."""
    primary = start_server(config=PRIMARY)
    raw = primary.raw()
    store_model(raw, "m", onnx_models.add_constant(1))
    store_model(raw, "loop", onnx_models.counting_loop())
    set_tensor(raw, "x", [1, 2])
    set_tensor(raw, "n", [500], "INT64")
    set_tensor(raw, "zero", [0])
    replica = start_replica(start_server, primary)
    copy = replica.raw()
    for number in range(15):
        output = [f"y{number}"]
        run = execute_command("loop", ["n", "zero"], output) if number % 2 else execute_command("m", ["x"], output)
        assert raw.pipeline([run, ["WAIT", 1, 20_000]]) == [OK, 1]
        assert copy.call("EXISTS", f"y{number}") == 1


def test_outputs_of_a_dag_arrive_together(start_server):
    """In a transaction: a replica that loses the link in between has both or none."""
    primary = start_server(config=PRIMARY)
    raw = primary.raw()
    store_model(raw, "m", onnx_models.add_constant(1))
    set_tensor(raw, "x", [1])
    replica = start_replica(start_server, primary)
    graph = "AI.DAGEXECUTE LOAD 1 x PERSIST 2 y z |> AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y"
    assert raw.call(*words(f"{graph} |> AI.MODELEXECUTE m INPUTS 1 y OUTPUTS 1 z")) == [OK, OK]
    copy = caught_up(primary, replica)
    assert get_tensor(copy, "z").tolist() == [3]
    assert replica.info("commandstats")["cmdstat_exec"].startswith("calls=1,")
