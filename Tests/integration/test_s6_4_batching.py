"""Reference section 6.4: requests for one model that wait together run together.

What ran together is told by the models: `batch_probe` answers every row with the number of rows of its run. Either the
device is held until everything is queued, or MINBATCHSIZE keeps requests until there are enough of them.
"""

from __future__ import annotations

import time

import numpy as np
import pytest

from support import onnx_models, tf_models, tflite_models, torch_models
from support.commands import execute, execute_command, get_tensor, set_tensor, stats, store_command, store_model, words
from support.gates import await_nobody_blocked, blocked_clients, held, hold_key, queue, queue_field
from support.resp import OK, TIMEDOUT, Error
from support.scripts import entry_point, run_script, store_script
from support.wait import eventually

KEPT_KEYS = (hold_key(),)
# Nearly every test stores a model; that they are tried out first is for others to test.
MODULE_ARGS = ("MODEL_CHECK", "NO")
PROBE = onnx_models.batch_probe()
ANY_SHAPE = onnx_models.batch_probe(dims=None)
EXPECTED_SIZE = Error("ERR Model did not generate the expected batch size")
TF_EXPECTED_SIZE = Error("ERR Tensorflow batching error: model did not generate the expected batch size")


@pytest.fixture(autouse=True)
def nothing_left(server):
    """A test leaves no request behind that would become another's partner."""
    yield
    await_nobody_blocked(server)


def store_probe(raw, *options, blob=PROBE, key="m"):
    store_model(raw, key, blob, *options)


def rows(count, columns=2, first=0):
    """Rows of which no two are alike."""
    return np.arange(first, first + count * columns, dtype=np.float32).reshape(count, columns)


def request(raw, name, array, *tail, model="m"):
    """The command that runs a probe on ``array``; ``total`` reads what came out."""
    set_tensor(raw, f"{name}:x", array)
    return execute_command(model, [f"{name}:x"], [f"{name}:t", f"{name}:y"], *tail)


def total(raw, name):
    """How many rows the run of a request had in all. The request must have got its own rows back."""
    mine, totals = raw.call("AI.TENSORGET", f"{name}:y"), get_tensor(raw, f"{name}:t")
    assert mine == raw.call("AI.TENSORGET", f"{name}:x")
    assert set(totals.tolist()) == {totals[0]} and len(totals) == mine[3][0]
    return int(totals[0])


def run_behind_gate(server, raw, commands):
    """The replies of requests that were all in the queue, in this order, before the first could run."""
    with held(server) as release:
        clients = queue(server, *commands)
        release()
        return [client.read() for client in clients]


def totals_behind_gate(server, raw, arrays):
    """The same for a probe per array: how many rows ran with each."""
    commands = [request(raw, f"r{index}", array) for index, array in enumerate(arrays)]
    assert run_behind_gate(server, raw, commands) == [OK] * len(arrays)
    return [total(raw, f"r{index}") for index in range(len(arrays))]


class TestSizes:
    @pytest.mark.parametrize(
        "batch_size, sizes, totals",
        [
            (10, [1, 1, 1], [3, 3, 3]),
            (10, [1, 2, 3], [6, 6, 6]),
            # no more than BATCHSIZE, but for the last member
            (3, [1, 1, 1, 1], [3, 3, 3, 1]),
            (4, [2, 2, 2, 2], [4, 4, 4, 4]),
            (4, [3, 3, 1], [6, 6, 1]),
            # what is large enough by itself runs alone
            (2, [2, 1, 1], [2, 2, 2]),
            (2, [3, 1, 1], [3, 2, 2]),
            (2, [3, 3], [3, 3]),
            (2, [1, 3, 1], [2, 3, 2]),
            (5, [1, 7, 1], [2, 7, 2]),
            # no batching
            (1, [1, 1], [1, 1]),
            (0, [1, 1], [1, 1]),
        ],
    )
    def test_which_requests_run_together(self, server, raw, batch_size, sizes, totals):
        store_probe(raw, "BATCHSIZE", batch_size)
        arrays = [rows(size, first=10 * index) for index, size in enumerate(sizes)]
        assert totals_behind_gate(server, raw, arrays) == totals

    @pytest.mark.parametrize("sizes", [[1, 3, 1, 20, 1], [20, 1, 3], [1] * 30], ids=str)
    def test_rows_of_all_sizes(self, server, raw, sizes):
        """From some thousand bytes to more than a hundred thousand."""
        store_probe(raw, "BATCHSIZE", 1000)
        arrays = [rows(size, columns=1000, first=1000 * index) for index, size in enumerate(sizes)]
        assert totals_behind_gate(server, raw, arrays) == [sum(sizes)] * len(sizes)

    def test_a_batch_is_no_larger_than_a_tensor_may_be(self, start_server):
        """What would be too large together runs apart, and nobody gets an error."""
        server = start_server("MAX_TENSOR_SIZE", "1000")
        raw = server.raw()
        store_probe(raw, "BATCHSIZE", 100, "MINBATCHSIZE", 80)
        [first] = queue(server, request(raw, "first", rows(70)))
        [second] = queue(server, request(raw, "second", rows(70), "TIMEOUT", 500))
        assert first.read() == OK
        assert second.read() == TIMEDOUT
        assert total(raw, "first") == 70

    def test_requests_for_other_models_stay_in_the_queue(self, server, raw):
        store_probe(raw, "BATCHSIZE", 10)
        store_probe(raw, "BATCHSIZE", 10, key="n")
        models = ["m", "n", "m", "n", "m"]
        commands = [request(raw, f"r{index}", rows(1), model=model) for index, model in enumerate(models)]
        assert run_behind_gate(server, raw, commands) == [OK] * 5
        assert [total(raw, f"r{index}") for index in range(5)] == [3, 2, 3, 2, 3]

    def test_a_model_without_batchsize_runs_each_alone(self, server, raw):
        store_probe(raw)
        assert totals_behind_gate(server, raw, [rows(1), rows(2)]) == [1, 2]

    def test_a_request_alone_in_the_queue_runs_at_once(self, raw):
        store_probe(raw, "BATCHSIZE", 10)
        assert raw.call(*request(raw, "r", rows(3))) == OK
        assert total(raw, "r") == 3

    def test_no_rows_at_all(self, raw):
        """[0, 0] cannot be sent, but models can make it: it runs alone, at once."""
        store_probe(raw, "BATCHSIZE", 10, "MINBATCHSIZE", 5)
        store_model(raw, "zero", onnx_models.empty_rows(0))
        set_tensor(raw, "x", rows(1))
        assert execute(raw, "zero", ["x"], ["none"]) == OK
        assert execute(raw, "m", ["none"], ["t", "y"]) == OK
        assert raw.call("AI.TENSORGET", "y", "META")[3] == [0, 0]


class TestWhatCanBeJoined:
    @pytest.mark.parametrize(
        "shapes, totals",
        [
            ([(1, 2), (1, 3), (1, 2), (2, 3)], [2, 3, 2, 3]),
            ([(1, 2), (1, 2, 1), (2, 2)], [3, 1, 3]),
            ([(1,), (1, 1), (1,)], [2, 1, 2]),
            ([(1, 2, 3), (1, 3, 2)], [1, 1]),
        ],
    )
    def test_the_other_dimensions_are_equal(self, server, raw, shapes, totals):
        store_probe(raw, "BATCHSIZE", 10, blob=ANY_SHAPE)
        arrays = [np.full(shape, index, dtype=np.float32) for index, shape in enumerate(shapes)]
        assert totals_behind_gate(server, raw, arrays) == totals

    def test_every_input_counts(self, server, raw):
        store_probe(raw, "BATCHSIZE", 10, blob=onnx_models.batch_probe(dims=None, inputs=2))
        set_tensor(raw, "narrow", [[1, 2]])
        set_tensor(raw, "wide", [[1, 2, 3]])
        pairs = [("narrow", "narrow"), ("narrow", "wide"), ("narrow", "narrow"), ("narrow", "wide")]
        commands = [execute_command("m", pair, [f"t{i}", f"a{i}", f"b{i}"]) for i, pair in enumerate(pairs)]
        assert run_behind_gate(server, raw, [*commands, execute_command("m", pairs[0], ["t4", "a4", "b4"])]) == [OK] * 5
        assert [get_tensor(raw, f"t{i}").tolist() for i in range(5)] == [[3], [2], [3], [2], [3]]
        assert [get_tensor(raw, f"b{i}").shape for i in range(5)] == [(1, 2), (1, 3), (1, 2), (1, 3), (1, 2)]

    @pytest.mark.parametrize("shapes", [[(1, 2), (2, 2)], [(), (1, 2)], [(1, 2), ()], [(), ()]], ids=str)
    def test_inputs_that_disagree_about_the_rows_run_alone(self, raw, shapes):
        """At once, whatever MINBATCHSIZE says."""
        store_probe(raw, "BATCHSIZE", 10, "MINBATCHSIZE", 5, blob=onnx_models.batch_probe(dims=None, inputs=2))
        for name, shape in zip("ab", shapes, strict=True):
            set_tensor(raw, name, np.ones(shape, dtype=np.float32))
        assert execute(raw, "m", ["a", "b"], ["t", "ao", "bo"]) == OK
        assert [get_tensor(raw, f"{name}o").shape for name in "ab"] == shapes

    def test_the_types_are_equal(self, server, raw):
        """PyTorch would calculate with numbers of both types."""
        blob = torch_models.rows()
        reply = raw.call("AI.MODELSTORE", "m", "TORCH", "CPU", "BATCHSIZE", 10, "MINBATCHSIZE", 2, "BLOB", blob)
        assert reply == OK
        set_tensor(raw, "float", [[1.5, 2]])
        set_tensor(raw, "int", [[3, 4]], "INT64")
        queue(server, execute_command("m", ["float"], ["y0"]))
        [later] = queue(server, execute_command("m", ["int"], ["y1"], "TIMEOUT", 100))
        assert later.read() == TIMEDOUT
        assert execute(raw, "m", ["float"], ["y2"]) == OK
        assert eventually(lambda: raw.call("EXISTS", "y0"), "the first has its partner")
        assert [get_tensor(raw, key).tolist() for key in ("y0", "y2")] == [[[3, 4]]] * 2
        assert raw.call("EXISTS", "y1") == 0

    @pytest.mark.parametrize("dtype", ["DOUBLE", "INT8", "UINT16", "INT64", "BOOL"])
    def test_types(self, server, raw, dtype):
        store_probe(raw, "BATCHSIZE", 10, blob=onnx_models.batch_probe(dtype))
        arrays = [
            np.array(values, dtype=dtype.lower().replace("double", "float64")) for values in ([[1, 0]], [[0, 1]] * 2)
        ]
        assert totals_behind_gate(server, raw, arrays) == [3, 3]

    def test_strings(self, server, raw):
        store_probe(raw, "BATCHSIZE", 10, blob=onnx_models.batch_probe("STRING"))
        tensors = [["a", ""], ["é", b"\xff", "long " * 100, ""], ["", "z"]]
        commands = []
        for index, values in enumerate(tensors):
            shape = (len(values) // 2, 2)
            assert raw.call("AI.TENSORSET", f"r{index}:x", "STRING", *shape, "VALUES", *values) == OK
            commands.append(execute_command("m", [f"r{index}:x"], [f"r{index}:t", f"r{index}:y"]))
        assert run_behind_gate(server, raw, commands) == [OK] * 3
        assert [total(raw, f"r{index}") for index in range(3)] == [4, 4, 4]

    def test_a_model_stored_again_is_another_model(self, server, raw):
        store_probe(raw, "BATCHSIZE", 10, "MINBATCHSIZE", 2)
        [old] = queue(server, request(raw, "old", rows(1), "TIMEOUT", 300))
        store_probe(raw, "BATCHSIZE", 10, "MINBATCHSIZE", 2)
        [new] = queue(server, request(raw, "new", rows(1)))
        assert raw.call(*request(raw, "newer", rows(1))) == OK
        assert new.read() == OK
        assert [total(raw, name) for name in ("new", "newer")] == [2, 2]
        assert old.read() == TIMEDOUT

    def test_the_same_blob_under_another_key_is_another_model(self, server, raw):
        for key in "mn":
            store_probe(raw, "BATCHSIZE", 10, "MINBATCHSIZE", 2, key=key)
        first, second = queue(
            server, request(raw, "first", rows(1)), request(raw, "second", rows(1), "TIMEOUT", 100, model="n")
        )
        assert raw.call(*request(raw, "third", rows(1))) == OK
        assert (first.read(), second.read()) == (OK, TIMEDOUT)
        assert total(raw, "third") == 2

    def test_a_renamed_model_is_the_same_model(self, server, raw):
        store_probe(raw, "BATCHSIZE", 10, "MINBATCHSIZE", 2)
        [first] = queue(server, request(raw, "first", rows(1)))
        assert raw.call("RENAME", "m", "n") == OK
        assert raw.call(*request(raw, "second", rows(1), model="n")) == OK
        assert first.read() == OK
        assert [total(raw, name) for name in ("first", "second")] == [2, 2]

    def test_inputs_are_those_of_the_time_of_the_command(self, server, raw):
        store_probe(raw, "BATCHSIZE", 10, "MINBATCHSIZE", 2)
        [first] = queue(server, request(raw, "first", rows(1)))
        set_tensor(raw, "first:x", rows(1, first=100))
        assert raw.call(*request(raw, "second", rows(1, first=7))) == OK
        assert first.read() == OK
        assert get_tensor(raw, "first:y").tolist() == rows(1).tolist()
        assert total(raw, "second") == 2


class TestMinBatchSize:
    def test_waits_until_there_are_enough_rows(self, server, raw):
        store_probe(raw, "BATCHSIZE", 10, "MINBATCHSIZE", 4)
        first, second = queue(server, request(raw, "first", rows(1)), request(raw, "second", rows(2)))
        assert not first.has_reply(within=0.05) and not second.has_reply(within=0)
        assert queue_field(server, "waiting_requests") == 2
        assert raw.call(*request(raw, "third", rows(1))) == OK
        assert [first.read(), second.read()] == [OK, OK]
        assert [total(raw, name) for name in ("first", "second", "third")] == [4, 4, 4]
        assert queue_field(server, "waiting_requests") == 0

    def test_one_request_may_be_enough(self, raw):
        store_probe(raw, "BATCHSIZE", 10, "MINBATCHSIZE", 3)
        assert raw.call(*request(raw, "r", rows(3))) == OK
        assert total(raw, "r") == 3

    @pytest.mark.parametrize("size", [2, 3])
    def test_what_fills_a_batch_does_not_wait(self, raw, size):
        """Even where MINBATCHSIZE wants more."""
        store_probe(raw, "BATCHSIZE", 2, "MINBATCHSIZE", 5)
        assert raw.call(*request(raw, "r", rows(size))) == OK
        assert total(raw, "r") == size

    def test_above_batchsize_it_can_be_reached_by_the_last_member(self, server, raw):
        store_probe(raw, "BATCHSIZE", 3, "MINBATCHSIZE", 4)
        [first] = queue(server, request(raw, "first", rows(2)))
        assert raw.call(*request(raw, "second", rows(2))) == OK
        assert first.read() == OK
        assert total(raw, "first") == 4

    def test_what_is_full_does_not_wait_for_more(self, server, raw):
        """Where MINBATCHSIZE is above BATCHSIZE it may never be reached."""
        store_probe(raw, "BATCHSIZE", 4, "MINBATCHSIZE", 5)
        [first] = queue(server, request(raw, "first", rows(2)))
        assert not first.has_reply(within=0.03)
        assert raw.call(*request(raw, "second", rows(2), "TIMEOUT", 5000)) == OK
        assert first.read() == OK
        assert [total(raw, name) for name in ("first", "second")] == [4, 4]

    def test_what_waits_is_passed_by(self, server, raw):
        store_probe(raw, "BATCHSIZE", 10, "MINBATCHSIZE", 2)
        store_model(raw, "other", onnx_models.add_constant(1))
        [waiting] = queue(server, request(raw, "first", rows(1)))
        for _ in range(3):
            assert execute(raw, "other", ["first:x"], ["z"]) == OK
        assert not waiting.has_reply(within=0)
        assert raw.call(*request(raw, "second", rows(1))) == OK
        assert waiting.read() == OK

    def test_two_models_wait_side_by_side(self, server, raw):
        for key in "mn":
            store_probe(raw, "BATCHSIZE", 10, "MINBATCHSIZE", 2, key=key)
        for key in "mn":
            queue(server, request(raw, f"first {key}", rows(1), model=key))
        for key in "nm":
            assert raw.call(*request(raw, f"second {key}", rows(1), model=key)) == OK
            assert total(raw, f"second {key}") == 2

    def test_shapes_wait_side_by_side(self, server, raw):
        """Those in front that find no partner do not keep those behind from theirs."""
        store_probe(raw, "BATCHSIZE", 10, "MINBATCHSIZE", 2, blob=ANY_SHAPE)
        [lonely] = queue(server, request(raw, "lonely", rows(1, columns=3), "TIMEOUT", 150))
        [first] = queue(server, request(raw, "first", rows(1)))
        assert raw.call(*request(raw, "second", rows(1))) == OK
        assert first.read() == OK
        assert lonely.read() == TIMEDOUT
        assert [total(raw, name) for name in ("first", "second")] == [2, 2]

    def test_timeout_ends_the_wait(self, server, raw):
        store_probe(raw, "BATCHSIZE", 10, "MINBATCHSIZE", 2)
        started = time.monotonic()
        assert raw.call(*request(raw, "r", rows(1), "TIMEOUT", 50)) == TIMEDOUT
        assert 0.05 <= time.monotonic() - started < 2
        assert raw.call("EXISTS", "r:y") == 0
        assert (stats(raw, "m")["calls"], stats(raw, "m")["errors"]) == (0, 0)
        # It is not there any more for those that come later.
        assert raw.call(*request(raw, "later", rows(1), "TIMEOUT", 50)) == TIMEDOUT
        assert queue_field(server, "waiting_requests") == 0

    def test_timeout_of_one_member_only(self, server, raw):
        store_probe(raw, "BATCHSIZE", 10, "MINBATCHSIZE", 3)
        patient, hasty = queue(server, request(raw, "patient", rows(1)), request(raw, "hasty", rows(1), "TIMEOUT", 30))
        assert hasty.read() == TIMEDOUT
        assert not patient.has_reply(within=0)
        queue(server, request(raw, "second", rows(1)))
        assert raw.call(*request(raw, "third", rows(1))) == OK
        assert patient.read() == OK
        assert total(raw, "patient") == 3
        assert raw.call("EXISTS", "hasty:y") == 0

    def test_a_full_batch_that_loses_a_member(self, server, raw):
        """Somebody else takes the place."""
        store_probe(raw, "BATCHSIZE", 3, "MINBATCHSIZE", 3)
        with held(server) as release:
            hasty, *others = queue(
                server,
                request(raw, "hasty", rows(1), "TIMEOUT", 30),
                request(raw, "second", rows(1)),
                request(raw, "third", rows(1)),
            )
            assert hasty.read() == TIMEDOUT
            others += queue(server, request(raw, "fourth", rows(1)))
            release()
            assert [client.read() for client in others] == [OK] * 3
        assert [total(raw, name) for name in ("second", "third", "fourth")] == [3, 3, 3]

    def test_who_came_when_the_batch_was_still_full(self, server, raw):
        """Together with those that are left they are enough."""
        store_probe(raw, "BATCHSIZE", 3, "MINBATCHSIZE", 3)
        with held(server) as release:
            hasty, *others = queue(
                server,
                request(raw, "hasty", rows(1), "TIMEOUT", 150),
                *(request(raw, name, rows(1), "TIMEOUT", 2000) for name in ("second", "third", "fourth")),
            )
            assert hasty.read() == TIMEDOUT
            release()
            assert [client.read() for client in others] == [OK] * 3

    def test_the_model_may_be_deleted_meanwhile(self, server, raw):
        store_probe(raw, "BATCHSIZE", 10, "MINBATCHSIZE", 2)
        [first] = queue(server, request(raw, "first", rows(1), "TIMEOUT", 150))
        raw.send("AI.MODELDEL", "m")
        with server.raw() as other:
            eventually(lambda: other.call("EXISTS", "m") == 0, "the key has gone")
        assert (first.read(), raw.read()) == (TIMEDOUT, OK)

    def test_shutdown_while_requests_wait_for_partners(self, start_server):
        server = start_server()
        raw = server.raw()
        store_probe(raw, "BATCHSIZE", 10, "MINBATCHSIZE", 10)
        queue(server, *(request(raw, f"r{index}", rows(1)) for index in range(3)))
        raw.send("SHUTDOWN", "NOSAVE")
        eventually(lambda: not server.alive(), "the server ends", timeout=10)
        assert (server.exit_status, server.crash_report()) == (0, None)


class TestMinBatchTimeout:
    def test_runs_what_is_there(self, raw):
        store_probe(raw, "BATCHSIZE", 10, "MINBATCHSIZE", 5, "MINBATCHTIMEOUT", 60)
        started = time.monotonic()
        assert raw.call(*request(raw, "r", rows(2))) == OK
        assert 0.06 <= time.monotonic() - started < 2
        assert total(raw, "r") == 2

    def test_enough_requests_do_not_wait_for_it(self, server, raw):
        store_probe(raw, "BATCHSIZE", 10, "MINBATCHSIZE", 2, "MINBATCHTIMEOUT", 60000)
        [first] = queue(server, request(raw, "first", rows(1)))
        assert not first.has_reply(within=0.02)
        assert raw.call(*request(raw, "second", rows(1))) == OK
        assert first.read() == OK
        assert [total(raw, name) for name in ("first", "second")] == [2, 2]

    def test_without_minbatchsize_nothing_waits(self, raw):
        store_probe(raw, "BATCHSIZE", 10, "MINBATCHSIZE", 0, "MINBATCHTIMEOUT", 0)
        assert raw.call(*request(raw, "r", rows(1))) == OK

    def test_timeout_comes_first(self, raw):
        store_probe(raw, "BATCHSIZE", 10, "MINBATCHSIZE", 5, "MINBATCHTIMEOUT", 60000)
        assert raw.call(*request(raw, "r", rows(1), "TIMEOUT", 20)) == TIMEDOUT

    def test_each_request_has_its_own_wait(self, server, raw):
        """The second comes when the first has nearly waited long enough; nobody is left behind."""
        store_probe(raw, "BATCHSIZE", 10, "MINBATCHSIZE", 5, "MINBATCHTIMEOUT", 40)
        clients = []
        for index in range(4):
            clients += queue(server, request(raw, f"r{index}", rows(1)))
            clients[0].has_reply(within=0.02)
        assert [client.read() for client in clients] == [OK] * 4
        assert all(1 <= total(raw, f"r{index}") <= 4 for index in range(4))


class TestMembers:
    def test_every_command_can_be_a_member(self, server, raw):
        """AI.MODELEXECUTE, AI.MODELRUN and the operations of DAGs, from different connections."""
        store_probe(raw, "BATCHSIZE", 10, "MINBATCHSIZE", 7)
        for name in "abcdefg":
            set_tensor(raw, f"{name}:x", rows(1, first=ord(name)))
        commands = [
            "AI.MODELEXECUTE m INPUTS 1 a:x OUTPUTS 2 a:t a:y",
            "AI.MODELRUN m INPUTS b:x OUTPUTS b:t b:y",
            "AI.DAGEXECUTE LOAD 1 c:x PERSIST 2 c:t c:y |> AI.MODELEXECUTE m INPUTS 1 c:x OUTPUTS 2 c:t c:y",
            "AI.DAGRUN LOAD 1 d:x PERSIST 2 d:t d:y |> AI.MODELRUN m INPUTS d:x OUTPUTS d:t d:y",
            "AI.DAGEXECUTE_RO LOAD 1 e:x |> AI.MODELEXECUTE m INPUTS 1 e:x OUTPUTS 2 t y |> AI.TENSORGET t VALUES",
            "AI.DAGRUN_RO LOAD 1 f:x |> AI.MODELRUN m INPUTS f:x OUTPUTS t y |> AI.TENSORGET t VALUES",
        ]
        clients = queue(server, *map(words, commands))
        assert not clients[0].has_reply(within=0.02)
        assert raw.call(*words("AI.MODELEXECUTE m INPUTS 1 g:x OUTPUTS 2 g:t g:y TIMEOUT 5000")) == OK
        assert [client.read() for client in clients] == [OK, OK, [OK], [OK], [OK, [7]], [OK, [7]]]
        assert [total(raw, name) for name in "abcdg"] == [7] * 5

    def test_operations_of_one_dag_run_one_after_the_other(self, server, raw):
        """The second may not begin before the first has ended, so that they are no partners."""
        store_probe(raw, "BATCHSIZE", 10, "MINBATCHSIZE", 2)
        set_tensor(raw, "x", rows(1))
        dag = words(
            "AI.DAGEXECUTE_RO LOAD 1 x |> AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 2 t y |> AI.TENSORGET t VALUES"
            " |> AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 2 u z |> AI.TENSORGET u VALUES"
        )
        [first] = queue(server, dag)
        assert not first.has_reply(within=0.05)
        assert raw.call(*dag) == [OK, [2], OK, [2]]
        assert first.read() == [OK, [2], OK, [2]]
        assert stats(raw, "m")["calls"] == 4

    def test_later_operations_of_a_dag_find_partners(self, server, raw):
        store_probe(raw, "BATCHSIZE", 10, "MINBATCHSIZE", 2)
        store_model(raw, "plus", onnx_models.add_constant(1))
        set_tensor(raw, "x", [[1, 2]])
        [dag] = queue(
            server,
            words(
                "AI.DAGEXECUTE LOAD 1 x PERSIST 1 y |> AI.MODELEXECUTE plus INPUTS 1 x OUTPUTS 1 z"
                " |> AI.MODELEXECUTE m INPUTS 1 z OUTPUTS 2 t y"
            ),
        )
        assert raw.call(*request(raw, "r", rows(1))) == OK
        assert dag.read() == [OK, OK]
        assert total(raw, "r") == 2
        assert get_tensor(raw, "y").tolist() == [[2, 3]]

    def test_a_dag_that_times_out_while_it_waits_for_partners(self, raw):
        store_probe(raw, "BATCHSIZE", 10, "MINBATCHSIZE", 2)
        set_tensor(raw, "x", rows(1))
        command = "AI.DAGEXECUTE LOAD 1 x PERSIST 1 y TIMEOUT 50 |> AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 2 t y"
        assert raw.call(*words(command)) == TIMEDOUT
        assert raw.call("EXISTS", "y") == 0

    @pytest.mark.parametrize(
        "leave", [lambda client: client.close(), lambda client: client.abort()], ids=["close", "reset"]
    )
    def test_a_member_whose_client_has_left(self, server, raw, leave):
        """It has outputs, so it is run to the end like the others; they are not written."""
        store_probe(raw, "BATCHSIZE", 10, "MINBATCHSIZE", 3)
        stays, leaves = queue(server, request(raw, "stays", rows(1)), request(raw, "leaves", rows(1)))
        leave(leaves)
        eventually(lambda: blocked_clients(server) == 1, "the client has gone")
        assert raw.call(*request(raw, "last", rows(1))) == OK
        assert stays.read() == OK
        assert [total(raw, name) for name in ("stays", "last")] == [3, 3]
        assert raw.call("EXISTS", "leaves:t", "leaves:y") == 0
        assert stats(raw, "m")["calls"] == 3

    def test_a_member_that_nobody_waits_for_is_none(self, server, raw):
        """A DAG without outputs is given up with its client, so that others do not find a partner in it."""
        store_probe(raw, "BATCHSIZE", 10, "MINBATCHSIZE", 2)
        set_tensor(raw, "x", rows(1))
        [leaves] = queue(server, words("AI.DAGEXECUTE_RO LOAD 1 x |> AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 2 t y"))
        leaves.close()
        await_nobody_blocked(server)
        assert raw.call(*request(raw, "alone", rows(1), "TIMEOUT", 100)) == TIMEDOUT
        assert stats(raw, "m")["calls"] == 0

    def test_many_clients(self, server, raw):
        """Everybody gets their own rows, however the batches fell."""
        store_probe(raw, "BATCHSIZE", 8)
        clients = [server.raw() for _ in range(16)]
        commands = [
            [request(raw, f"{client}:{turn}", rows(1 + turn % 3, first=100 * client + turn)) for turn in range(10)]
            for client in range(len(clients))
        ]
        for turn in range(10):
            for client, mine in zip(clients, commands, strict=True):
                client.send(*mine[turn])
            assert [client.read() for client in clients] == [OK] * len(clients)
        assert all(1 <= total(raw, f"{client}:{turn}") <= 10 for client in range(16) for turn in range(10))
        assert stats(raw, "m")["calls"] == 160
        assert stats(raw, "m")["samples"] == 16 * sum(1 + turn % 3 for turn in range(10))

    def test_workers_share_a_queue(self, start_server):
        server = start_server("THREADS_PER_QUEUE", "3")
        raw = server.raw()
        store_probe(raw, "BATCHSIZE", 4)
        clients = [server.raw() for _ in range(24)]
        commands = [request(raw, f"r{index}", rows(1, first=index)) for index in range(24)]
        for client, command in zip(clients, commands, strict=True):
            client.send(*command)
        assert [client.read() for client in clients] == [OK] * 24
        assert all(1 <= total(raw, f"r{index}") <= 4 for index in range(24))
        assert stats(raw, "m")["calls"] == 24


class TestStatistics:
    def test_each_member_counts_its_rows(self, server, raw):
        store_probe(raw, "BATCHSIZE", 10)
        batches = queue_field(server, "batches")
        totals_behind_gate(server, raw, [rows(1), rows(2), rows(3)])
        now = stats(raw, "m")
        assert (now["calls"], now["samples"], now["errors"]) == (3, 6, 0)
        assert queue_field(server, "batches") == batches + 1

    def test_each_member_counts_the_time_of_the_whole_batch(self, server, raw):
        store_model(raw, "m", onnx_models.slow_rows(), "BATCHSIZE", 10)
        set_tensor(raw, "x", [[5_000]])
        assert execute(raw, "m", ["x"], ["y"]) == OK
        alone = stats(raw, "m")["duration"]
        assert raw.call("AI.INFO", "m", "RESETSTAT") == OK
        assert run_behind_gate(server, raw, [execute_command("m", ["x"], [f"y{i}"]) for i in range(6)]) == [OK] * 6
        now = stats(raw, "m")
        assert (now["calls"], now["duration"] % 6) == (6, 0)
        assert now["duration"] > 2 * alone

    def test_members_that_fail(self, server, raw):
        store_model(raw, "m", onnx_models.sum_of_rows(), "BATCHSIZE", 10)
        set_tensor(raw, "x", rows(1))
        run_behind_gate(server, raw, [execute_command("m", ["x"], ["y"])] * 3)
        now = stats(raw, "m")
        assert (now["calls"], now["errors"], now["samples"], now["duration"]) == (3, 3, 0, 0)


def store_engine(raw, backend, blob, *options):
    names = ("INPUTS", 1, "input", "OUTPUTS", 1, "output") if backend == "TF" else ()
    reply = raw.call("AI.MODELSTORE", "m", backend, "CPU", *options, *names, "BLOB", blob)
    assert reply == OK, reply


class TestExpectedBatchSize:
    MODELS = {
        "ONNX": (onnx_models.sum_of_rows, EXPECTED_SIZE),
        "TORCH": (torch_models.transposed_output, EXPECTED_SIZE),
        "TFLITE": (lambda: tflite_models.special("where"), EXPECTED_SIZE),
        "TF": (tf_models.constant, TF_EXPECTED_SIZE),
    }

    @pytest.mark.parametrize("backend", MODELS)
    def test_every_member_gets_the_error(self, server, raw, backend):
        blob, error = self.MODELS[backend]
        store_engine(raw, backend, blob(), "BATCHSIZE", 10)
        set_tensor(raw, "x", rows(2, columns=3, first=1))
        commands = [execute_command("m", ["x"], [f"y{index}"]) for index in range(3)]
        assert run_behind_gate(server, raw, commands) == [error] * 3
        assert raw.call("KEYS", "y*") == []
        assert (stats(raw, "m")["calls"], stats(raw, "m")["errors"]) == (3, 3)

    @pytest.mark.parametrize("backend", MODELS)
    def test_a_request_alone_is_not_checked(self, raw, backend):
        store_engine(raw, backend, self.MODELS[backend][0](), "BATCHSIZE", 10)
        set_tensor(raw, "x", rows(2, columns=3, first=1))
        assert execute(raw, "m", ["x"], ["y"]) == OK

    def test_in_a_dag(self, server, raw):
        store_engine(raw, "ONNX", onnx_models.sum_of_rows(), "BATCHSIZE", 10)
        set_tensor(raw, "x", rows(1))
        dag = words("AI.DAGEXECUTE LOAD 1 x PERSIST 1 z |> AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 z |> AI.TENSORGET z")
        replies = run_behind_gate(server, raw, [execute_command("m", ["x"], ["y"]), dag])
        assert replies[0] == EXPECTED_SIZE
        assert replies[1][0] == EXPECTED_SIZE and replies[1][1].text == "NA"
        assert raw.call("EXISTS", "y", "z") == 0


class TestEngines:
    MODELS = {"TF": tf_models.rows, "TORCH": torch_models.rows, "TFLITE": tflite_models.rows}

    @pytest.mark.parametrize("backend", MODELS)
    def test_results_are_those_of_single_runs(self, server, raw, backend):
        store_engine(raw, backend, self.MODELS[backend](), "BATCHSIZE", 10, "MINBATCHSIZE", 6)
        for name, count in (("a", 1), ("b", 3), ("c", 2)):
            set_tensor(raw, name, rows(count, columns=3, first=ord(name)))
        batches = queue_field(server, "batches")
        clients = queue(server, *(execute_command("m", [name], [f"{name}:y"]) for name in "ab"))
        assert execute(raw, "m", ["c"], ["c:y"]) == OK
        assert [client.read() for client in clients] == [OK, OK]
        for name in "abc":
            assert np.array_equal(get_tensor(raw, f"{name}:y"), 2 * get_tensor(raw, name)), name
        assert queue_field(server, "batches") == batches + 1
        assert (stats(raw, "m")["calls"], stats(raw, "m")["samples"]) == (3, 6)

    def test_strings_in_tensorflow(self, server, raw):
        store_engine(raw, "TF", tf_models.identity("STRING"), "BATCHSIZE", 10)
        raw.call("AI.TENSORSET", "a", "STRING", 1, "VALUES", "one")
        raw.call("AI.TENSORSET", "b", "STRING", 2, "VALUES", "", "three")
        commands = [execute_command("m", [name], [f"{name}:y"]) for name in "ab"]
        assert run_behind_gate(server, raw, commands) == [OK, OK]
        assert [raw.call("AI.TENSORGET", f"{name}:y", "VALUES") for name in "ab"] == [[b"one"], [b"", b"three"]]

    @pytest.mark.parametrize(
        "backend, blob",
        [("ONNX", onnx_models.total), ("TF", tf_models.scalar), ("TORCH", torch_models.scalar)],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_scalar_outputs_of_a_batch_are_absent(self, server, raw, backend, blob):
        """There is no telling what each member's share would be. Alone, a request gets its scalar."""
        store_engine(raw, backend, blob(), "BATCHSIZE", 10)
        set_tensor(raw, "x", [1, 2])
        commands = [execute_command("m", ["x"], [f"y{index}"]) for index in range(2)]
        assert run_behind_gate(server, raw, commands) == [OK, OK]
        assert raw.call("EXISTS", "y0", "y1") == 0
        assert (stats(raw, "m")["calls"], stats(raw, "m")["samples"]) == (2, 0)
        assert execute(raw, "m", ["x"], ["y"]) == OK
        assert get_tensor(raw, "y").tolist() == 3

    def test_outputs_that_are_no_tensors(self, server, raw):
        store_model(raw, "m", onnx_models.sequence_output(), "BATCHSIZE", 10)
        arrays = [rows(1), rows(2, first=10)]
        for name, array in zip("ab", arrays, strict=True):
            set_tensor(raw, name, array)
        commands = [execute_command("m", [name], [f"{name}:s", f"{name}:y"]) for name in "ab"]
        assert run_behind_gate(server, raw, commands) == [OK, OK]
        assert raw.call("EXISTS", "a:s", "b:s") == 0
        assert [get_tensor(raw, f"{name}:y").tolist() for name in "ab"] == [array.tolist() for array in arrays]


class TestFailures:
    """Unlike RedisAI 1.x, only the member that makes a run fail gets its error."""

    def test_only_the_guilty_one(self, server, raw):
        store_model(raw, "m", onnx_models.lookup([5, 6, 7]), "BATCHSIZE", 10)
        for name, index in (("a", 0), ("b", 99), ("c", 2)):
            set_tensor(raw, name, [index], "INT64")
        replies = run_behind_gate(server, raw, [execute_command("m", [name], [f"{name}:y"]) for name in "abc"])
        assert isinstance(replies[1], Error) and "out of data bounds" in replies[1].text, replies
        assert (replies[0], replies[2]) == (OK, OK)
        assert [get_tensor(raw, f"{name}:y").tolist() for name in "ac"] == [[5], [7]]
        assert raw.call("EXISTS", "b:y") == 0
        now = stats(raw, "m")
        assert (now["calls"], now["errors"], now["samples"]) == (3, 1, 2)

    def test_all_of_them(self, server, raw):
        store_model(raw, "m", onnx_models.lookup([5]), "BATCHSIZE", 10)
        set_tensor(raw, "x", [99], "INT64")
        replies = run_behind_gate(server, raw, [execute_command("m", ["x"], ["y"])] * 3)
        assert all(isinstance(reply, Error) for reply in replies)
        assert (stats(raw, "m")["calls"], stats(raw, "m")["errors"]) == (3, 3)

    def test_in_another_engine(self, server, raw):
        store_engine(raw, "TORCH", torch_models.failing(), "BATCHSIZE", 10)
        set_tensor(raw, "good", [[1, 1]])
        set_tensor(raw, "bad", [[-9, 1]])
        commands = [execute_command("m", [name], [f"{name}:y"]) for name in ("good", "bad")]
        good, bad = run_behind_gate(server, raw, commands)
        assert good == OK
        assert isinstance(bad, Error) and "the sum is negative" in bad.text
        assert get_tensor(raw, "good:y").tolist() == [[1, 1]]

    def test_a_run_that_takes_too_long(self, start_server):
        """Every member gets the error, and none has to wait until the others have been tried again."""
        server = start_server("MODEL_EXECUTION_TIMEOUT", "1000")
        raw = server.raw()
        store_model(raw, "m", onnx_models.slow_rows(), "BATCHSIZE", 10, "MINBATCHSIZE", 4)
        set_tensor(raw, "x", [[2**62]])
        started = time.monotonic()
        clients = queue(server, *[execute_command("m", ["x"], ["y"])] * 3)
        replies = [execute(raw, "m", ["x"], ["y"]), *(client.read() for client in clients)]
        elapsed = time.monotonic() - started
        assert all(isinstance(reply, Error) and "terminate flag" in reply.text for reply in replies), replies
        assert 1 <= elapsed < 3, elapsed
        now = stats(raw, "m")
        assert (now["calls"], now["errors"]) == (4, 4)

    def test_in_a_dag_only_its_own_elements(self, server, raw):
        store_model(raw, "m", onnx_models.lookup([5, 6, 7]), "BATCHSIZE", 10)
        set_tensor(raw, "good", [1], "INT64")
        set_tensor(raw, "bad", [99], "INT64")
        dags = [
            words(
                f"AI.DAGEXECUTE LOAD 1 {name} PERSIST 1 {name}:y"
                f" |> AI.MODELEXECUTE m INPUTS 1 {name} OUTPUTS 1 {name}:y"
            )
            for name in ("good", "bad")
        ]
        [[good], [bad]] = run_behind_gate(server, raw, dags)
        assert good == OK and isinstance(bad, Error)
        assert get_tensor(raw, "good:y").tolist() == [6]
        assert raw.call("EXISTS", "bad:y") == 0


def test_batching_numbers_survive_a_reload(server, raw):
    store_probe(raw, "BATCHSIZE", 10, "MINBATCHSIZE", 2)
    assert raw.call("DEBUG", "RELOAD") == OK
    [first] = queue(server, request(raw, "first", rows(1)))
    assert raw.call(*request(raw, "second", rows(1))) == OK
    assert first.read() == OK
    assert [total(raw, name) for name in ("first", "second")] == [2, 2]


def test_scripts_run_models_without_batching(raw):
    """`redisAI.model_execute` is synchronous: it waits for nobody, and does not count."""
    store_probe(raw, "BATCHSIZE", 10, "MINBATCHSIZE", 5)
    source = entry_point("probe", 'return redisAI.model_execute("m", tensors, 2)')
    store_script(raw, "s", source, "probe")
    set_tensor(raw, "x", rows(2))
    assert run_script(raw, "s", "probe", ["x"], ["t", "y"]) == OK
    assert get_tensor(raw, "t").tolist() == [2, 2]
    assert stats(raw, "m")["calls"] == 0


def test_devices_do_not_share_batches(server, raw):
    """One model per key and device, and a queue per device."""
    for key, device in (("m", "CPU"), ("n", "CPU:1")):
        assert raw.call(*store_command(key, PROBE, "BATCHSIZE", 10, "MINBATCHSIZE", 2, device=device)) == OK
    first, other = queue(
        server, request(raw, "first", rows(1)), request(raw, "other", rows(1), "TIMEOUT", 150, model="n")
    )
    assert (queue_field(server, "waiting_requests"), queue_field(server, "waiting_requests", "CPU:1")) == (1, 1)
    assert raw.call(*request(raw, "second", rows(1))) == OK
    assert (first.read(), other.read()) == (OK, TIMEDOUT)
    assert total(raw, "second") == 2
