"""Reference section 10.4: results wait while nothing may be written: CLIENT PAUSE, a failover that somebody asked for,
a shutdown that waits for replicas. The server ends the process when a module writes then."""

import os
import signal
import threading
import time

import pytest

from support import onnx_models
from support.commands import execute_command, get_tensor, set_tensor, store_command, store_model, words
from support.replication import caught_up, start_replica
from support.resp import OK, ConnectionClosed, Error
from support.scripts import entry_point, script_command, store_script
from support.server import wait_until_dead
from support.wait import eventually

PRIMARY = ("--repl-diskless-sync-delay", "0", "--appendonly", "yes", "--repl-timeout", "60")
ITERATIONS = 100_000
PAUSE_MILLISECONDS = 60_000
HANDED_OVER = ("READONLY ", "UNBLOCKED ", "TRYAGAIN ")
WRITER = entry_point(
    "write",
    "total = torch.zeros(1)",
    "for i in range(int(args[0])):",
    "    total += 1",
    'redis.execute("GET", keys[0])',
    'redis.execute("SET", keys[0], "written")',
    "return total",
)


@pytest.fixture
def pair(start_server):
    primary = start_server(config=PRIMARY)
    raw = primary.raw()
    store_model(raw, "loop", onnx_models.counting_loop())
    store_model(raw, "m", onnx_models.add_constant(1))
    store_model(raw, "batched", onnx_models.add_constant(1), "BATCHSIZE", 8, "MINBATCHSIZE", 2)
    set_tensor(raw, "x", [1, 2])
    set_tensor(raw, "n", [ITERATIONS], "INT64")
    set_tensor(raw, "few", [100], "INT64")
    set_tensor(raw, "zero", [0])
    return primary, start_replica(start_server, primary)


def pause(raw):
    assert raw.call("CLIENT", "PAUSE", PAUSE_MILLISECONDS, "WRITE") == OK


def long_run(output):
    return execute_command("loop", ["n", "zero"], [output])


def long_graph(output):
    return words(
        f"AI.DAGEXECUTE LOAD 2 n zero PERSIST 1 {output} |> AI.MODELEXECUTE loop INPUTS 2 n zero OUTPUTS 1 {output}"
    )


def blocked(server, count):
    eventually(lambda: server.info("clients")["blocked_clients"] == str(count), f"{count} clients wait")


def test_results_wait_for_the_end_of_a_pause(pair):
    """Of runs, of DAGs, of batches that become complete meanwhile, of models that are being stored."""
    primary, replica = pair
    other = primary.raw()
    commands = {
        "run": long_run("run"),
        "graph": long_graph("graph"),
        "first": execute_command("batched", ["x"], ["first"]),
        "second": execute_command("batched", ["x"], ["second"]),
        "stored": store_command("stored", onnx_models.big_weights(5)),
    }
    waiting = {key: primary.raw() for key in commands}
    for key, command in commands.items():
        waiting[key].send(*command)
    blocked(primary, len(commands))
    pause(other)
    run = words("AI.DAGEXECUTE_RO LOAD 1 x |> AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y |> AI.TENSORGET y VALUES")
    # First come, first served: when this has been answered the others have run.
    assert other.call(*run)[1] == [b"2", b"3"]
    time.sleep(0.3)
    assert other.call("EXISTS", *commands) == 0 and primary.info("clients")["blocked_clients"] == str(len(commands))
    assert other.call("CLIENT", "UNPAUSE") == OK
    replies = {key: client.read() for key, client in waiting.items()}
    assert replies.pop("graph") == [OK] and set(replies.values()) == {OK}
    copy = caught_up(primary, replica)
    assert copy.call("EXISTS", *commands) == len(commands)
    assert get_tensor(copy, "run").tolist() == get_tensor(copy, "graph").tolist()


def test_a_pause_that_ends_by_itself(pair):
    primary, _ = pair
    waiting, other = primary.raw(), primary.raw()
    waiting.send(*long_run("run"))
    blocked(primary, 1)
    assert other.call("CLIENT", "PAUSE", 700, "ALL") == OK
    assert waiting.read() == OK
    assert other.call("EXISTS", "run") == 1


def test_a_client_that_leaves_during_the_pause(pair):
    """Nothing is written for it."""
    primary, replica = pair
    waiting, other = primary.raw(), primary.raw()
    waiting.send(*long_run("run"))
    blocked(primary, 1)
    pause(other)
    assert other.call(*words("AI.DAGEXECUTE_RO LOAD 1 x |> AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y"))
    waiting.close()
    blocked(primary, 0)
    assert other.call("CLIENT", "UNPAUSE") == OK
    assert caught_up(primary, replica).call("EXISTS", "run") == 0


@pytest.mark.one_server
def test_commands_of_running_scripts(pair):
    """Those that only read go on; the first that writes waits, and the main thread does not."""
    primary, replica = pair
    waiting, other = primary.raw(), primary.raw()
    store_script(other, "s", WRITER, "write")
    assert other.call(*script_command("s", "write", [], ["{k}t"], keys=["{k}"], args=[1])) == OK
    assert other.call("DEL", "{k}", "{k}t") == 2
    waiting.send(*script_command("s", "write", [], ["{k}t"], keys=["{k}"], args=[100_000]))
    blocked(primary, 1)
    pause(other)
    eventually(lambda: primary.info("commandstats").get("cmdstat_get", "").startswith("calls=2,"), "GET has run")
    time.sleep(0.2)
    assert other.call("EXISTS", "{k}", "{k}t") == 0
    assert other.call("CLIENT", "UNPAUSE") == OK
    assert waiting.read() == OK
    assert caught_up(primary, replica).call("MGET", "{k}") == [b"written"]


class Writer(threading.Thread):
    """Runs a model again and again with an output of its own each time, until the server does not want it any more."""

    def __init__(self, server, number):
        super().__init__()
        self.raw, self.number = server.raw(), number
        self.acknowledged, self.error = [], None

    def command(self, kind, key):
        """In the main thread where it can, in batches, and always in a worker."""
        if kind == 0:
            return execute_command("batched", ["x"], [key])
        return execute_command("m", ["x"], [key]) if kind % 2 else execute_command("loop", ["few", "zero"], [key])

    def run(self):
        for serial in range(100_000):
            key = f"{self.number}:{serial}"
            try:
                reply = self.raw.call(*self.command(serial % 10, key))
            except (ConnectionClosed, OSError):
                return
            if reply != OK:
                self.error = reply
                return
            self.acknowledged.append(key)


def test_failover_under_load(pair):
    """What has been acknowledged is on both sides, and both hold the same."""
    primary, replica = pair
    writers = [Writer(primary, number) for number in range(8)]
    for writer in writers:
        writer.start()
    eventually(lambda: all(len(writer.acknowledged) > 30 for writer in writers), "they write")
    assert primary.raw().call("FAILOVER", "TIMEOUT", 20_000) == OK
    eventually(lambda: replica.info("replication")["role"] == "master", "the replica is the primary", timeout=20)
    for writer in writers:
        writer.join(20)
        # Others are disconnected by the server, or told where to go.
        assert writer.error is None or writer.error.text.startswith(HANDED_OVER), writer.error
    eventually(lambda: primary.info("replication").get("master_link_status") == "up", "the old primary follows")
    assert primary.info("replication")["role"] == "slave"
    copy = caught_up(replica, primary)
    for raw in (copy, replica.raw()):
        for writer in writers:
            assert raw.call("EXISTS", *writer.acknowledged) == len(writer.acknowledged)
    # The new primary runs what is stored there.
    raw = replica.raw()
    assert raw.call(*execute_command("m", ["x"], ["after"])) == OK
    assert get_tensor(caught_up(replica, primary), "after").tolist() == [2, 3]


def test_shutdown_that_waits_for_a_replica(pair):
    """A run ends meanwhile: its result is neither written nor acknowledged, and the server ends as it should."""
    primary, replica = pair
    waiting, other = primary.raw(), primary.raw()
    assert other.call("CONFIG", "SET", "shutdown-timeout", 2) == OK
    # The server looks for signals ten times a second: the run has to outlast that.
    set_tensor(other, "n", [4 * ITERATIONS], "INT64")
    os.kill(replica.pid, signal.SIGSTOP)
    try:
        set_tensor(other, "not yet there", [1])
        waiting.send(*long_run("run"))
        blocked(primary, 1)
        os.kill(primary.pid, signal.SIGTERM)
        with pytest.raises((ConnectionClosed, ConnectionResetError)):
            reply = waiting.read()
            assert isinstance(reply, Error), reply
        wait_until_dead(primary)
    finally:
        os.kill(replica.pid, signal.SIGCONT)
    assert primary.exit_status in (0, 1) and primary.crash_report() is None
