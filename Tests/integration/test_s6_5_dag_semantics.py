"""Reference section 6.5, with 3.16, 6.2, 6.3 and 10.4: what a DAG means. Grammar: test_s3_15_*, errors: test_s4_9_*.

Order is told by effects: scripts that wait for keys, lists that scripts append to, counters of AI.INFO. Nothing sleeps.
"""

from __future__ import annotations

import numpy as np
import pytest

from support import engines, onnx_models
from support.commands import (
    WRONGTYPE,
    execute,
    execute_command,
    get_tensor,
    set_tensor,
    stats,
    store_command,
    store_model,
    words,
)
from support.gates import await_held, await_nobody_blocked, held, hold_key, hold_operation, queue, store_hold
from support.resp import OK, TIMEDOUT, Error, Status
from support.scripts import entry_point, store_script, store_script_command
from support.wait import eventually

# No run is short enough for the main thread: some have to wait in the queue.
MODULE_ARGS = ("INLINE_EXECUTION_BUDGET", "0")
KEPT_KEYS = ("m", "m1", "m2", "mul", "s", "s1", "s2", hold_key(), hold_key("CPU:1"))
NA = Status("NA")
SOURCE = (
    entry_point("first", "return tensors[0]")
    + entry_point("log", 'redis.execute("RPUSH", keys[0], args[0])', "return tensors[0]")
    + entry_point("open", 'redis.execute("SET", keys[0], "open")')
    + entry_point("read", 'return torch.tensor([len(str(redis.execute("GET", keys[0])))])')
    + entry_point(
        "fails", 'redis.execute("SET", keys[0], "done")', 'raise RuntimeError("on purpose")', "return tensors[0]"
    )
)
SCRIPT_FUNCTIONS = ("first", "log", "open", "read", "fails")


@pytest.fixture(autouse=True)
def ready(server, raw):
    """Models that add 1 and scripts on CPU (``m``, ``s``), CPU:1 and CPU:2; ``mul`` fails for ``a`` and ``wrong``.

    No test leaves a client waiting.
    """
    for suffix, device in (("", "CPU"), ("1", "CPU:1"), ("2", "CPU:2")):
        store_once(raw, f"m{suffix}", store_command(f"m{suffix}", onnx_models.add_constant(1), device=device))
        script = store_script_command(f"s{suffix}", SOURCE, *SCRIPT_FUNCTIONS, device=device)
        store_once(raw, f"s{suffix}", script)
    store_once(raw, "mul", store_command("mul", onnx_models.mul()))
    store_hold(raw, "CPU", "CPU:1")
    set_tensor(raw, "a", [[1, 2]])
    set_tensor(raw, "wrong", [[1, 2, 3]])
    yield
    await_nobody_blocked(server)


def store_once(raw, key, command):
    """Stores what is not there; what is there counts from zero."""
    if raw.call("EXISTS", key):
        command = ["AI.INFO", key, "RESETSTAT"]
    assert raw.call(*command) == OK


def run(raw, text):
    return raw.call(*words(text))


def failed(element) -> bool:
    return isinstance(element, Error) and element.text != ""


def counts(raw, key):
    now = stats(raw, key)
    return now["calls"], now["errors"], now["samples"]


def dag(header, *operations):
    """A DAG from words; an operation may also be a list of words."""
    command = words(f"AI.DAGEXECUTE {header}")
    for operation in operations:
        command += ["|>", *(words(operation) if isinstance(operation, str) else operation)]
    return command


class TestNames:
    def test_an_output_is_the_next_input(self, raw):
        reply = run(
            raw,
            "AI.DAGEXECUTE LOAD 1 a PERSIST 1 z |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 x"
            " |> AI.SCRIPTEXECUTE s first INPUTS 1 x OUTPUTS 1 y |> AI.MODELEXECUTE m INPUTS 1 y OUTPUTS 1 z",
        )
        assert reply == [OK] * 3
        assert get_tensor(raw, "z").tolist() == [[3, 4]]
        assert raw.call("EXISTS", "x", "y") == 0

    def test_a_name_may_be_input_and_output(self, raw):
        command = "AI.DAGEXECUTE LOAD 1 a |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 a |> AI.TENSORGET a VALUES"
        assert run(raw, command) == [OK, [b"2", b"3"]]
        assert get_tensor(raw, "a").tolist() == [[1, 2]]

    def test_each_reader_sees_the_version_above_it(self, raw):
        reply = run(
            raw,
            "AI.DAGEXECUTE LOAD 1 a PERSIST 1 a |> AI.TENSORGET a VALUES |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 a"
            " |> AI.TENSORGET a VALUES |> AI.TENSORSET a FLOAT 1 2 VALUES 10 20 |> AI.TENSORGET a VALUES"
            " |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 a |> AI.TENSORGET a VALUES",
        )
        assert reply == [[b"1", b"2"], OK, [b"2", b"3"], OK, [b"10", b"20"], OK, [b"11", b"21"]]
        assert get_tensor(raw, "a").tolist() == [[11, 21]]

    def test_a_later_version_does_not_reach_back(self, raw):
        """The second operation reads the version of the first although the third is done before it."""
        reply = raw.call(
            *dag(
                "LOAD 1 a",
                "AI.MODELEXECUTE m1 INPUTS 1 a OUTPUTS 1 x",
                "AI.MODELEXECUTE m2 INPUTS 1 x OUTPUTS 1 y",
                "AI.TENSORSET x FLOAT 1 2 VALUES 50 60",
                "AI.TENSORGET y VALUES",
                "AI.TENSORGET x VALUES",
            )
        )
        assert reply == [OK, OK, OK, [b"3", b"4"], [b"50", b"60"]]

    def test_two_outputs_of_one_name(self, raw):
        """The last one is the latest version."""
        store_model(raw, "both", onnx_models.sum_and_difference())
        command = "AI.DAGEXECUTE LOAD 1 a |> AI.MODELEXECUTE both INPUTS 2 a a OUTPUTS 2 y y |> AI.TENSORGET y VALUES"
        assert run(raw, command) == [OK, [b"0", b"0"]]

    def test_names_of_models_and_tensors_do_not_meet(self, raw):
        command = (
            "AI.DAGEXECUTE LOAD 1 a |> AI.TENSORSET m FLOAT 1 VALUES 4 |> AI.MODELEXECUTE m INPUTS 1 m OUTPUTS 1 m"
            " |> AI.TENSORGET m VALUES"
        )
        assert run(raw, command) == [OK, OK, [b"5"]]
        assert raw.call("TYPE", "m") == Status("AI__MODEL")

    def test_names_stay_inside(self, raw):
        command = (
            "AI.DAGEXECUTE ROUTING r |> AI.TENSORSET a FLOAT 1 2 VALUES 7 8 |> AI.TENSORSET fresh FLOAT 1"
            " |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 wrong |> AI.TENSORGET wrong VALUES"
        )
        assert run(raw, command) == [OK, OK, OK, [b"8", b"9"]]
        assert get_tensor(raw, "a").tolist() == [[1, 2]]
        assert get_tensor(raw, "wrong").tolist() == [[1, 2, 3]]
        assert raw.call("EXISTS", "fresh") == 0

    def test_every_engine_in_one_dag(self, raw):
        for engine in engines.ENGINES:
            engines.store(raw, engine, engine.name)
        set_tensor(raw, "rows", engines.ROWS)
        operations = [f"AI.MODELEXECUTE {name} INPUTS 1 rows OUTPUTS 1 rows" for name in engines.NAMES]
        operations.append("AI.SCRIPTEXECUTE s first INPUTS 1 rows OUTPUTS 1 out")
        assert raw.call(*dag("LOAD 1 rows PERSIST 1 out", *operations)) == [OK] * 5
        assert np.array_equal(get_tensor(raw, "out"), engines.ROWS * 16)


class TestPersist:
    def test_only_what_is_named(self, raw):
        command = (
            "AI.DAGEXECUTE LOAD 1 a PERSIST 1 y |> AI.TENSORSET x INT8 1 |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 y"
        )
        assert run(raw, command) == [OK, OK]
        assert raw.call("EXISTS", "x", "y") == 1

    def test_what_was_only_loaded(self, raw):
        """Its bytes as they were when the command came: the key is written again."""
        raw.call("EXPIRE", "a", 1000)
        assert run(raw, "AI.DAGEXECUTE LOAD 1 a PERSIST 1 a |> AI.TENSORSET x INT8 1") == [OK]
        assert get_tensor(raw, "a").tolist() == [[1, 2]]
        assert raw.call("TTL", "a") == -1

    def test_what_was_only_set(self, raw):
        assert run(
            raw, "AI.DAGRUN PERSIST 2 x y |> AI.TENSORSET x INT8 1 VALUES 3 |> AI.TENSORSET y STRING 1 VALUES text"
        ) == [OK, OK]
        assert get_tensor(raw, "x").tolist() == [3]
        assert raw.call("AI.TENSORGET", "y", "VALUES") == [b"text"]

    def test_replaces_a_tensor_and_discards_its_ttl(self, raw):
        set_tensor(raw, "y", [[9]])
        raw.call("EXPIRE", "y", 1000)
        assert run(raw, "AI.DAGEXECUTE LOAD 1 a PERSIST 1 y |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 y") == [OK]
        assert get_tensor(raw, "y").tolist() == [[2, 3]]
        assert raw.call("TTL", "y") == -1

    def test_into_the_selected_database(self, server, raw):
        with server.raw() as other:
            other.call("SELECT", 3)
            assert run(other, "AI.DAGRUN PERSIST 1 x |> AI.TENSORSET x INT8 1") == [OK]
            assert (raw.call("EXISTS", "x"), other.call("EXISTS", "x")) == (0, 1)

    def test_an_output_that_is_no_tensor(self, raw):
        """A sequence is absent: its key is not written, reading it gives NA."""
        store_model(raw, "sequence", onnx_models.sequence_output())
        command = (
            "AI.DAGEXECUTE LOAD 1 a PERSIST 2 x y |> AI.MODELEXECUTE sequence INPUTS 1 a OUTPUTS 2 x y"
            " |> AI.TENSORGET x"
            " |> AI.TENSORGET y VALUES"
        )
        assert run(raw, command) == [OK, NA, [b"1", b"2"]]
        assert raw.call("EXISTS", "x", "y") == 1

    def test_scalar_outputs(self, raw):
        store_model(raw, "total", onnx_models.total())
        command = (
            "AI.DAGEXECUTE LOAD 1 a PERSIST 1 y |> AI.MODELEXECUTE total INPUTS 1 a OUTPUTS 1 y |> AI.TENSORGET y META"
        )
        assert run(raw, command) == [OK, [b"dtype", b"FLOAT", b"shape", []]]
        assert get_tensor(raw, "y").tolist() == 3


class TestKeysOfAnotherType:
    """Section 10.4: one more element, and nothing further is written."""

    @pytest.mark.parametrize("holder", [["SET", "y", "text"], ["RPUSH", "y", "text"]])
    def test_when_it_is_written(self, raw, holder):
        raw.call(*holder)
        kind = raw.call("TYPE", "y")
        command = (
            "AI.DAGEXECUTE LOAD 1 a PERSIST 1 y |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 y |> AI.TENSORGET y VALUES"
        )
        assert raw.pipeline([words(command), ["PING"], ["TYPE", "y"]]) == [
            [OK, [b"2", b"3"], WRONGTYPE],
            Status("PONG"),
            kind,
        ]

    def test_a_model(self, raw):
        assert run(raw, "AI.DAGRUN PERSIST 1 m |> AI.TENSORSET m INT8 1") == [OK, WRONGTYPE]
        assert raw.call("TYPE", "m") == Status("AI__MODEL")

    def test_one_element_however_many_keys(self, raw):
        for key in ("x", "y", "z"):
            raw.call("SET", key, "text")
        sets = " ".join(f"|> AI.TENSORSET {key} INT8 1" for key in ("x", "y", "z"))
        assert run(raw, f"AI.DAGRUN PERSIST 3 x y z {sets}") == [OK, OK, OK, WRONGTYPE]

    def test_not_before_it_is_written(self, server, raw):
        """What the key was when the command came does not matter."""
        raw.call("SET", "y", "text")
        with held(server) as release:
            [waiting] = queue(server, dag("LOAD 1 a PERSIST 1 y", "AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 y"))
            raw.call("DEL", "y")
            release()
            assert waiting.read() == [OK]
        with held(server) as release:
            [waiting] = queue(server, dag("LOAD 1 a PERSIST 1 y", "AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 y"))
            raw.call("DEL", "y")
            raw.call("SET", "y", "text")
            release()
            assert waiting.read() == [OK, WRONGTYPE]
        assert raw.call("GET", "y") == b"text"

    def test_a_failed_dag_does_not_look(self, raw):
        raw.call("SET", "y", "text")
        reply = run(raw, "AI.DAGEXECUTE LOAD 2 a wrong PERSIST 1 y |> AI.MODELEXECUTE mul INPUTS 2 a wrong OUTPUTS 1 y")
        assert len(reply) == 1 and failed(reply[0])


class TestFailure:
    def test_elements(self, raw):
        reply = run(
            raw,
            "AI.DAGEXECUTE LOAD 2 a wrong PERSIST 3 set before after |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 before"
            " |> AI.TENSORGET before VALUES |> AI.MODELEXECUTE mul INPUTS 2 a wrong OUTPUTS 1 product"
            " |> AI.TENSORGET product |> AI.MODELEXECUTE m INPUTS 1 product OUTPUTS 1 after"
            " |> AI.SCRIPTEXECUTE s first INPUTS 1 a OUTPUTS 1 other |> AI.TENSORGET other |> AI.TENSORGET after"
            " |> AI.TENSORSET set INT8 1 VALUES 3 |> AI.TENSORGET set VALUES |> AI.TENSORGET a VALUES",
        )
        assert failed(reply[2]), reply
        assert reply[:2] + reply[3:] == [OK, [b"2", b"3"], NA, NA, NA, NA, NA, OK, [3], [b"1", b"2"]]
        assert raw.call("EXISTS", "set", "before", "after") == 0

    @pytest.mark.parametrize("command", ["AI.DAGEXECUTE", "AI.DAGRUN"])
    def test_nothing_is_persisted(self, raw, command):
        run_mul = {
            "AI.DAGEXECUTE": "AI.MODELEXECUTE mul INPUTS 2 a wrong OUTPUTS 1 y",
            "AI.DAGRUN": "AI.MODELRUN mul INPUTS a wrong OUTPUTS y",
        }[command]
        reply = run(
            raw,
            f"{command} LOAD 2 a wrong PERSIST 3 x y a |> AI.TENSORSET x INT8 1 |> {run_mul} |> AI.TENSORSET a INT8 1",
        )
        assert (reply[0], failed(reply[1]), reply[2]) == (OK, True, OK)
        assert raw.call("EXISTS", "x", "y") == 0
        assert get_tensor(raw, "a").tolist() == [[1, 2]]

    def test_an_operation_on_another_device_that_runs_meanwhile(self, server, raw):
        """It ends, and shows it; what comes behind it does not begin."""
        [waiting] = queue(
            server,
            dag(
                "LOAD 2 a wrong PERSIST 1 x",
                hold_operation("last", "CPU:1"),
                hold_operation("first"),
                "AI.MODELEXECUTE mul INPUTS 2 a wrong OUTPUTS 1 y",
                "AI.MODELEXECUTE m1 INPUTS 1 a OUTPUTS 1 x",
                "AI.TENSORGET x",
            ),
        )
        await_held(raw, "last")
        raw.call("SET", "first", "open")
        eventually(lambda: stats(raw, "mul")["errors"] == 1, "one operation has failed")
        raw.call("SET", "last", "open")
        reply = waiting.read()
        assert (reply[:2], failed(reply[2]), reply[3:]) == ([OK, OK], True, [NA, NA])
        assert counts(raw, "m1") == (0, 0, 0)
        assert raw.call("EXISTS", "x") == 0

    def test_of_a_script(self, raw):
        """What it has done before stays done."""
        reply = run(
            raw,
            "AI.DAGEXECUTE LOAD 1 a PERSIST 1 y |> AI.SCRIPTEXECUTE s fails KEYS 1 k INPUTS 1 a OUTPUTS 1 y"
            " |> AI.MODELEXECUTE m INPUTS 1 y OUTPUTS 1 z",
        )
        assert failed(reply[0]) and "on purpose" in reply[0].text
        assert reply[1:] == [NA]
        assert raw.call("GET", "k") == b"done"
        assert raw.call("EXISTS", "y") == 0
        assert counts(raw, "s") == (1, 1, -1)

    def test_of_a_function_that_is_not_there(self, raw):
        reply = run(raw, "AI.DAGEXECUTE LOAD 1 a |> AI.SCRIPTEXECUTE s gone INPUTS 1 a OUTPUTS 1 y |> AI.TENSORGET y")
        assert reply == [Error("Function does not exist: gone"), NA]

    def test_text_is_that_of_the_command_alone(self, raw):
        alone = execute(raw, "mul", ["a", "wrong"], ["y"])
        assert run(raw, "AI.DAGEXECUTE LOAD 2 a wrong |> AI.MODELEXECUTE mul INPUTS 2 a wrong OUTPUTS 1 y") == [alone]

    def test_a_missing_output_as_input(self, raw):
        """The first operation succeeds, but one of its outputs is a sequence; nothing can run on that."""
        store_model(raw, "sequence", onnx_models.sequence_output())
        reply = run(
            raw,
            "AI.DAGEXECUTE LOAD 1 a |> AI.MODELEXECUTE sequence INPUTS 1 a OUTPUTS 2 x y"
            " |> AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 z |> AI.TENSORGET z",
        )
        assert (reply[0], reply[2]) == (OK, NA)
        assert reply[1] == NA or failed(reply[1])


class TestDevices:
    def test_one_device_does_not_hold_up_another(self, raw):
        """The first operation waits for a key that the second sets: in turn, they would never end."""
        assert raw.call(*dag("ROUTING r", hold_operation("gate", "CPU:1"), "AI.SCRIPTEXECUTE s2 open KEYS 1 gate")) == [
            OK,
            OK,
        ]

    def test_the_other_device_runs_models_meanwhile(self, server, raw):
        [waiting] = queue(
            server,
            dag(
                "LOAD 1 a PERSIST 1 y",
                hold_operation("gate", "CPU:1"),
                "AI.MODELEXECUTE m2 INPUTS 1 a OUTPUTS 1 x",
                "AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y",
            ),
        )
        eventually(lambda: stats(raw, "m")["calls"] == 1, "the others have run")
        await_held(raw, "gate")
        assert not waiting.has_reply(within=0) and raw.call("EXISTS", "y") == 0
        raw.call("SET", "gate", "open")
        assert waiting.read() == [OK, OK, OK]
        assert get_tensor(raw, "y").tolist() == [[3, 4]]

    def test_an_operation_waits_for_its_inputs_and_keeps_nobody_waiting(self, server, raw):
        """It waits aside: requests that came later run on its device first."""
        [waiting] = queue(
            server,
            dag(
                "LOAD 1 a PERSIST 1 y",
                hold_operation("gate", "CPU:1", output="w"),
                "AI.SCRIPTEXECUTE s2 first INPUTS 1 w OUTPUTS 1 y",
                "AI.TENSORGET y VALUES",
            ),
        )
        await_held(raw, "gate")
        assert execute(raw, "m2", ["a"], ["z"]) == OK
        assert counts(raw, "s2") == (0, 0, -1)
        raw.call("SET", "gate", "open")
        assert waiting.read() == [OK, OK, [1]]

    def test_back_and_forth(self, raw):
        operations = [f"AI.MODELEXECUTE m{index % 3 or ''} INPUTS 1 a OUTPUTS 1 a" for index in range(30)]
        assert raw.call(*dag("LOAD 1 a PERSIST 1 a", *operations)) == [OK] * 30
        assert get_tensor(raw, "a").tolist() == [[31, 32]]
        assert [stats(raw, f"m{suffix}")["calls"] for suffix in ("", "1", "2")] == [10, 10, 10]

    def test_joins(self, raw):
        """Two devices calculate, the third puts their results together."""
        store_model(raw, "both", onnx_models.sum_and_difference())
        reply = raw.call(
            *dag(
                "LOAD 1 a",
                "AI.MODELEXECUTE m1 INPUTS 1 a OUTPUTS 1 x",
                "AI.MODELEXECUTE m2 INPUTS 1 a OUTPUTS 1 y",
                "AI.MODELEXECUTE both INPUTS 2 x y OUTPUTS 2 sum difference",
                "AI.TENSORGET sum VALUES",
                "AI.TENSORGET difference VALUES",
            )
        )
        assert reply == [OK, OK, OK, [b"4", b"6"], [b"0", b"0"]]

    def test_order_on_one_device(self, raw):
        operations = [f"AI.SCRIPTEXECUTE s log KEYS 1 l INPUTS 1 a ARGS 1 {index}" for index in range(20)]
        assert raw.call(*dag("LOAD 1 a", *operations)) == [OK] * 20
        assert raw.call("LRANGE", "l", 0, -1) == [b"%d" % index for index in range(20)]

    def test_order_on_one_device_with_several_workers(self, start_server):
        """The operations do not depend on each other, and still run one after the other; other DAGs run beside them."""
        server = start_server("THREADS_PER_QUEUE", "3")
        raw = server.raw()
        store_script(raw, "s", SOURCE, *SCRIPT_FUNCTIONS)
        set_tensor(raw, "a", [1])
        clients = [server.raw() for _ in range(4)]
        for number, client in enumerate(clients):
            operations = [f"AI.SCRIPTEXECUTE s log KEYS 1 l{number} INPUTS 1 a ARGS 1 {index}" for index in range(10)]
            client.send(*dag("LOAD 1 a", *operations))
        assert [client.read() for client in clients] == [[OK] * 10] * 4
        for number in range(4):
            assert raw.call("LRANGE", f"l{number}", 0, -1) == [b"%d" % index for index in range(10)]

    def test_two_dags_on_two_devices_in_opposite_order(self, server, raw):
        """Each needs both devices; neither may wait for the other for ever."""
        there = dag(
            "LOAD 1 a", *["AI.MODELEXECUTE m1 INPUTS 1 a OUTPUTS 1 a", "AI.MODELEXECUTE m2 INPUTS 1 a OUTPUTS 1 a"] * 10
        )
        back = dag(
            "LOAD 1 a", *["AI.MODELEXECUTE m2 INPUTS 1 a OUTPUTS 1 a", "AI.MODELEXECUTE m1 INPUTS 1 a OUTPUTS 1 a"] * 10
        )
        clients = [server.raw() for _ in range(10)]
        for index, client in enumerate(clients):
            client.send(*(back if index % 2 else there))
        assert [client.read() for client in clients] == [[OK] * 20] * 10


class TestSnapshot:
    CHANGES = {
        "input-replaced": words("AI.TENSORSET a FLOAT 1 VALUES 100"),
        "input-deleted": words("DEL a"),
        "model-replaced": store_command("m", onnx_models.add_constant(1000), device="CPU:7"),
        "model-deleted": words("AI.MODELDEL m"),
        "script-deleted": words("DEL s"),
        "everything-deleted": words("FLUSHALL"),
    }

    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
    def test_a_queued_dag(self, server, raw, change):
        with held(server) as release:
            [waiting] = queue(
                server,
                dag(
                    "LOAD 1 a PERSIST 2 a y",
                    "AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 x",
                    "AI.SCRIPTEXECUTE s first INPUTS 1 x OUTPUTS 1 y",
                ),
            )
            assert raw.call(*change) in (OK, 1)
            release()
            assert waiting.read() == [OK, OK]
        assert [get_tensor(raw, key).tolist() for key in ("a", "y")] == [[[1, 2]], [[2, 3]]]
        raw.call("DEL", "m", "s")


class TestStatistics:
    def test_every_operation_counts(self, raw):
        command = (
            "AI.DAGEXECUTE LOAD 1 a |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 a"
            " |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 a"
            " |> AI.SCRIPTEXECUTE s first INPUTS 1 a OUTPUTS 1 a"
        )
        assert run(raw, command) == [OK] * 3
        assert counts(raw, "m") == (2, 0, 2)
        assert counts(raw, "s") == (1, 0, -1)
        duration = stats(raw, "m")["duration"]
        assert duration >= 2
        assert run(raw, command) == [OK] * 3
        assert stats(raw, "m")["duration"] > duration

    def test_of_a_failed_dag(self, raw):
        reply = run(
            raw,
            "AI.DAGEXECUTE LOAD 2 a wrong |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 x"
            " |> AI.MODELEXECUTE mul INPUTS 2 a wrong OUTPUTS 1 y |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 z",
        )
        assert len(reply) == 3
        assert counts(raw, "m") == (1, 0, 1)
        assert counts(raw, "mul") == (1, 1, 0)

    @pytest.mark.parametrize(
        "command",
        [
            "AI.DAGEXECUTE_RO LOAD 1 a |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 y",
            "AI.DAGRUN_RO LOAD 1 a |> AI.MODELRUN m INPUTS a OUTPUTS y",
        ],
    )
    def test_of_the_read_only_forms(self, raw, command):
        assert run(raw, command) == [OK]
        assert counts(raw, "m") == (1, 0, 1)


class TestTimeout:
    def test_in_the_queue(self, server, raw):
        with held(server):
            command = (
                "AI.DAGEXECUTE LOAD 1 a PERSIST 2 x y TIMEOUT 1 |> AI.TENSORSET x INT8 1"
                " |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 y"
            )
            assert run(raw, command) == TIMEDOUT
        assert raw.call("EXISTS", "x", "y") == 0
        assert counts(raw, "m") == (0, 0, 0)

    def test_between_two_operations(self, server, raw):
        """The first lasts longer than TIMEOUT. It is not interrupted, and counts; the second does not begin."""
        [waiting] = queue(
            server,
            dag(
                "LOAD 1 a PERSIST 2 w y TIMEOUT 400",
                hold_operation("gate", output="w"),
                "AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 y",
            ),
        )
        await_held(raw, "gate")
        assert raw.call("AI.INFO", hold_key(), "RESETSTAT") == OK
        other = server.raw()
        other.send(*words("AI.DAGEXECUTE LOAD 1 a TIMEOUT 410 |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 y"))
        assert other.read() == TIMEDOUT  # so much time has passed
        raw.call("SET", "gate", "open")
        assert waiting.read() == TIMEDOUT
        eventually(lambda: stats(raw, hold_key())["calls"] == 1, "the first operation has ended")
        assert counts(raw, "m") == (0, 0, 0)
        assert raw.call("EXISTS", "w", "y") == 0

    def test_long_enough(self, server, raw):
        with held(server) as release:
            command = "AI.DAGEXECUTE LOAD 1 a PERSIST 1 y TIMEOUT 60000 |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 y"
            [waiting] = queue(server, words(command))
            release()
            assert waiting.read() == [OK]
        assert raw.call("EXISTS", "y") == 1

    @pytest.mark.parametrize("timeout", [0, -1])
    def test_none(self, server, raw, timeout):
        with held(server) as release:
            command = f"AI.DAGEXECUTE LOAD 1 a TIMEOUT {timeout} |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 y"
            [waiting] = queue(server, words(command))
            assert not waiting.has_reply(within=0.02)
            release()
            assert waiting.read() == [OK]

    def test_on_one_of_two_devices(self, server, raw):
        """What has run on the other device is not written either."""
        with held(server):
            command = dag(
                "LOAD 1 a PERSIST 1 x TIMEOUT 30",
                "AI.MODELEXECUTE m1 INPUTS 1 a OUTPUTS 1 x",
                "AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y",
            )
            assert raw.call(*command) == TIMEDOUT
        assert raw.call("EXISTS", "x") == 0
        assert counts(raw, "m") == (0, 0, 0)


class TestScripts:
    def test_effects_happen_at_once(self, server, raw):
        """Another client sees what the first operation did while the second still runs."""
        [waiting] = queue(
            server,
            dag(
                "LOAD 1 a",
                "AI.SCRIPTEXECUTE s1 log KEYS 1 l INPUTS 1 a ARGS 1 one OUTPUTS 1 x",
                hold_operation("gate", "CPU:1"),
            ),
        )
        await_held(raw, "gate")
        assert raw.call("LRANGE", "l", 0, -1) == [b"one"]
        raw.call("SET", "gate", "open")
        assert waiting.read() == [OK, OK]

    def test_one_sees_what_another_did(self, raw):
        reply = run(
            raw,
            "AI.DAGEXECUTE ROUTING r |> AI.SCRIPTEXECUTE s open KEYS 1 k"
            " |> AI.SCRIPTEXECUTE s read KEYS 1 k OUTPUTS 1 y"
            " |> AI.TENSORGET y VALUES",
        )
        assert reply == [OK, OK, [4]]

    def test_names_of_the_dag_are_no_keys_for_scripts(self, raw):
        reply = run(
            raw,
            "AI.DAGEXECUTE ROUTING r |> AI.TENSORSET k INT8 1 |> AI.SCRIPTEXECUTE s read KEYS 1 k OUTPUTS 1 y"
            " |> AI.TENSORGET y VALUES",
        )
        assert reply == [OK, OK, [len("None")]]


def test_many_dags_at_once(server, raw):
    clients = [server.raw() for _ in range(12)]
    for turn in range(5):
        for index, client in enumerate(clients):
            suffix = ("", "1", "2")[(index + turn) % 3]
            client.send(
                *dag(
                    f"PERSIST 1 y{index}",
                    f"AI.TENSORSET x FLOAT 1 VALUES {index}",
                    f"AI.MODELEXECUTE m{suffix} INPUTS 1 x OUTPUTS 1 x",
                    f"AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y{index}",
                    f"AI.TENSORGET y{index} VALUES",
                )
            )
        replies = [client.read() for client in clients]
        assert replies == [[OK, OK, OK, [b"%d" % (index + 2)]] for index in range(12)]
    assert [get_tensor(raw, f"y{index}")[0] for index in range(12)] == [index + 2 for index in range(12)]


def test_a_model_that_is_loading(server, raw):
    """Stored in a transaction, where the reply does not wait for the engine: the DAG waits for it."""
    store = store_command("big", onnx_models.big_weights(20))
    set_tensor(raw, "one", [1])
    command = "AI.DAGEXECUTE LOAD 1 one |> AI.MODELEXECUTE big INPUTS 1 one OUTPUTS 1 y |> AI.TENSORGET y META"
    replies = raw.pipeline([["MULTI"], store, ["EXEC"], words(command)])
    assert replies[2] == [OK]
    assert replies[3] == [OK, [b"dtype", b"FLOAT", b"shape", [5_000_000]]]


def test_a_model_that_is_broken(raw):
    """It was stored in a transaction, where the reply cannot wait for the engine's verdict."""
    store = store_command("broken", onnx_models.NOT_PROTOBUF)
    command = "AI.DAGEXECUTE LOAD 1 a PERSIST 1 y |> AI.MODELEXECUTE {} INPUTS 1 a OUTPUTS 1 y |> AI.TENSORGET y"
    replies = raw.pipeline([["MULTI"], store, ["EXEC"], execute_command("broken", ["a"], ["y"])])
    assert replies[3].text.startswith("ERR model is broken: ")
    reply = raw.call(*words(command.format("broken")))
    assert reply == [replies[3], NA]
    assert raw.call("EXISTS", "y") == 0
    assert raw.call(*words(command.format("m")))[0] == OK
