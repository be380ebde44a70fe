"""Reference sections 3.13, 6.2, 6.3 and 10.4: AI.SCRIPTEXECUTE."""

import numpy as np
import pytest

from support import onnx_models
from support.commands import WRONGTYPE, execute, get_tensor, set_tensor, stats, store_model
from support.resp import OK, TIMEDOUT
from support.scripts import GATE, entry_point, occupied_worker, run_script, script_command, store_entry_points
from support.scripts import store_script

KEPT_KEYS = ("s",)
SOURCE = (
    GATE
    + entry_point("first", "return tensors[0]")
    + entry_point("swapped", "return tensors[1], tensors[0]")
    + entry_point("counts", "return torch.tensor([len(tensors), len(keys), len(args)])")
    + entry_point("key_lengths", "return torch.tensor([len(key) for key in keys])")
    + entry_point("argument_lengths", "return torch.tensor([len(arg) for arg in args])")
    + entry_point("numbers", "return torch.tensor([int(arg) for arg in args])")
    + entry_point("nothing", "pass")
    + entry_point("set", 'redis.execute("SET", keys[0], args[0])')
)


@pytest.fixture(autouse=True)
def script(raw):
    store_entry_points(raw, "s", SOURCE)
    set_tensor(raw, "x", [1, 2])
    set_tensor(raw, "z", [5])


class TestGrammar:
    @pytest.mark.parametrize(
        "sections",
        [
            ["KEYS", 1, "{a}", "INPUTS", 2, "x", "z", "ARGS", 3, "1", "2", "3", "OUTPUTS", 1, "y"],
            ["INPUTS", 2, "x", "z", "KEYS", 1, "{a}", "OUTPUTS", 1, "y", "ARGS", 3, "1", "2", "3"],
            ["KEYS", 1, "{a}", "OUTPUTS", 1, "y", "ARGS", 3, "1", "2", "3", "INPUTS", 2, "x", "z"],
            ["keys", "1", "{a}", "inputs", "2", "x", "z", "args", "3", "1", "2", "3", "outputs", "1", "y"],
            ["KEYS", 1, "{a}", "INPUTS", 2, "x", "z", "ARGS", 3, "1", "2", "3", "OUTPUTS", 1, "y", "TIMEOUT", 60000],
        ],
        ids=lambda sections: "-".join(str(word) for word in sections if str(word).isalpha()),
    )
    def test_sections_in_any_order(self, raw, sections):
        assert raw.call("AI.SCRIPTEXECUTE", "s", "counts", *sections) == OK
        assert get_tensor(raw, "y").tolist() == [2, 1, 3]

    def test_command_name_in_any_case(self, raw):
        assert raw.call("ai.scriptexecute", "s", "first", "INPUTS", 1, "x", "OUTPUTS", 1, "y") == OK

    @pytest.mark.parametrize("zero", [0, -1, -(2**63)])
    def test_counts_of_zero(self, raw, zero):
        """Negative counts are zero."""
        command = ["AI.SCRIPTEXECUTE", "s", "counts", "INPUTS", zero, "ARGS", zero, "OUTPUTS", 1, "y"]
        assert raw.call(*command) == OK
        assert get_tensor(raw, "y").tolist() == [0, 0, 0]
        assert raw.call("AI.SCRIPTEXECUTE", "s", "counts", "INPUTS", zero, "OUTPUTS", zero) == OK

    @pytest.mark.parametrize("command", [["KEYS", 1, "k"], ["INPUTS", 0], ["INPUTS", 1, "x"], ["KEYS", 2, "k", "l"]])
    def test_one_section_is_enough(self, raw, command):
        """Nothing is written then, and what the function returns does not matter."""
        assert raw.call("AI.SCRIPTEXECUTE", "s", "counts", *command) == OK
        assert raw.call("AI.SCRIPTEXECUTE", "s", "nothing", *command) == OK
        assert sorted(raw.call("KEYS", "*")) == [b"s", b"x", b"z"]

    def test_section_words_as_names(self, raw):
        for name in ("INPUTS", "KEYS", "TIMEOUT"):
            set_tensor(raw, name, [7])
        command = ["AI.SCRIPTEXECUTE", "s", "first", "INPUTS", 3, "INPUTS", "KEYS", "TIMEOUT", "OUTPUTS", 1, "OUTPUTS"]
        assert raw.call(*command) == OK
        assert get_tensor(raw, "OUTPUTS").tolist() == [7]

    def test_many_of_everything(self, raw):
        many = [str(number) for number in range(2000)]
        assert run_script(raw, "s", "counts", ["x"] * 2000, ["y"], keys=many, args=many) == OK
        assert get_tensor(raw, "y").tolist() == [2000, 2000, 2000]
        assert run_script(raw, "s", "numbers", [], ["y"], args=many) == OK
        assert get_tensor(raw, "y").tolist() == list(range(2000))


class TestValues:
    def test_inputs_and_outputs_in_order(self, raw):
        assert run_script(raw, "s", "swapped", ["x", "z"], ["y1", "y2"]) == OK
        assert get_tensor(raw, "y1").tolist() == [5]
        assert get_tensor(raw, "y2").tolist() == [1, 2]

    def test_an_output_may_be_an_input(self, raw):
        assert run_script(raw, "s", "swapped", ["x", "z"], ["x", "z"]) == OK
        assert (get_tensor(raw, "x").tolist(), get_tensor(raw, "z").tolist()) == ([5], [1, 2])

    def test_one_key_for_two_outputs_keeps_the_last(self, raw):
        assert run_script(raw, "s", "swapped", ["x", "z"], ["y", "y"]) == OK
        assert get_tensor(raw, "y").tolist() == [1, 2]

    def test_strings_end_at_their_first_nul(self, raw):
        texts = ["", "abc", b"ab\0cd", b"\0", b"\xff\xfe", "é"]
        for function, sections in (("key_lengths", {"keys": texts}), ("argument_lengths", {"args": texts})):
            assert run_script(raw, "s", function, [], ["y"], **sections) == OK
            assert get_tensor(raw, "y").tolist() == [0, 3, 2, 0, 2, 2]

    def test_outputs_discard_a_ttl(self, raw):
        set_tensor(raw, "y", [1])
        raw.call("EXPIRE", "y", 1000)
        assert run_script(raw, "s", "first", ["x"], ["y"]) == OK
        assert raw.call("TTL", "y") == -1

    @pytest.mark.parametrize("dtype", ["FLOAT", "DOUBLE", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "BOOL"])
    def test_every_dtype_passes(self, raw, dtype):
        set_tensor(raw, "t", [[0, 1, 1], [1, 0, 1]], dtype)
        assert run_script(raw, "s", "first", ["t"], ["y"]) == OK
        assert raw.call("AI.TENSORGET", "y") == raw.call("AI.TENSORGET", "t")

    @pytest.mark.parametrize("shape", [(), (1,), (1, 1, 1, 1, 1, 1), (3, 1, 2)])
    def test_every_shape_passes(self, raw, shape):
        set_tensor(raw, "t", np.arange(np.prod(shape, dtype=int), dtype=np.int32).reshape(shape))
        assert run_script(raw, "s", "first", ["t"], ["y"]) == OK
        assert raw.call("AI.TENSORGET", "y") == raw.call("AI.TENSORGET", "t")

    def test_a_string_tensor_is_refused(self, raw):
        raw.call("AI.TENSORSET", "t", "STRING", 1, "VALUES", "a")
        assert run_script(raw, "s", "first", ["t"], ["y"]).text == "Unsupported code 7"

    def test_output_key_of_another_type(self, raw):
        """One reply, the error; what stands before it has been written, and nothing after it."""
        raw.call("SET", "text", "x")
        assert run_script(raw, "s", "swapped", ["x", "z"], ["y", "text"]) == WRONGTYPE
        assert raw.call("PING").text == "PONG"
        assert raw.call("GET", "text") == b"x"
        assert get_tensor(raw, "y").tolist() == [5]
        assert run_script(raw, "s", "swapped", ["x", "z"], ["text", "y2"]) == WRONGTYPE
        assert raw.call("EXISTS", "y2") == 0

    def test_the_databases_of_the_client(self, server, raw):
        with server.raw() as other:
            other.call("SELECT", 7)
            store_script(other, "s7", SOURCE, "first")
            set_tensor(other, "x7", [7])
            assert run_script(other, "s7", "first", ["x7"], ["y7"]) == OK
            assert get_tensor(other, "y7").tolist() == [7]
        assert raw.call("EXISTS", "y7") == 0


class TestQueue:
    def test_timeout_in_the_queue(self, server, raw):
        assert raw.call("AI.INFO", "s", "RESETSTAT") == OK
        with occupied_worker(server, "s"), server.raw() as waiting:
            waiting.send(*script_command("s", "first", ["x"], ["y"], "TIMEOUT", 1))
            assert waiting.read() == TIMEDOUT
        assert raw.call("EXISTS", "y") == 0
        # One call: of the run that was in the way.
        assert (stats(raw, "s")["calls"], stats(raw, "s")["errors"]) == (1, 0)

    def test_timeout_that_suffices(self, server, raw):
        with occupied_worker(server, "s"), server.raw() as waiting:
            waiting.send(*script_command("s", "first", ["x"], ["y"], "TIMEOUT", 60000))
            assert not waiting.has_reply(within=0.05)
            raw.call("SET", "gate", "open")
            assert waiting.read() == OK
        assert get_tensor(raw, "y").tolist() == [1, 2]

    def test_timeout_does_not_end_a_run(self, server, raw):
        with server.raw() as waiting:
            waiting.send(*script_command("s", "wait_for", [], ["y"], "TIMEOUT", 20, keys=["gate"]))
            assert not waiting.has_reply(within=0.1)
            raw.call("SET", "gate", "open")
            assert waiting.read() == OK

    def test_models_and_scripts_share_a_queue(self, server, raw):
        store_model(raw, "m", onnx_models.add_constant(1))
        with occupied_worker(server, "s"), server.raw() as waiting:
            waiting.send("AI.MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "y")
            assert not waiting.has_reply(within=0.05)
            raw.call("SET", "gate", "open")
            assert waiting.read() == OK

    def test_another_device_has_its_own(self, server, raw):
        store_script(raw, "other", SOURCE, "first", device="CPU:7")
        with occupied_worker(server, "s"):
            assert run_script(raw, "other", "first", ["x"], ["y"]) == OK

    def test_first_come_first_served(self, server, raw):
        with occupied_worker(server, "s"):
            clients = [server.raw() for _ in range(5)]
            for number, client in enumerate(clients):
                client.send(*script_command("s", "set", keys=["last"], args=[str(number)]))
                assert not client.has_reply(within=0.02)
            raw.call("SET", "gate", "open")
            assert [client.read() for client in clients] == [OK] * 5
        assert raw.call("GET", "last") == b"4"


class TestSnapshot:
    def test_inputs_and_script_are_those_of_the_command(self, server, raw):
        store_script(raw, "t", SOURCE, "first")
        with occupied_worker(server, "s"), server.raw() as waiting:
            waiting.send(*script_command("t", "first", ["x"], ["y"]))
            assert not waiting.has_reply(within=0.05)
            set_tensor(raw, "x", [100])
            store_script(raw, "t", entry_point("first", "return tensors[0] + 1000"), "first")
            raw.call("SET", "gate", "open")
            assert waiting.read() == OK
        assert get_tensor(raw, "y").tolist() == [1, 2]
        assert run_script(raw, "t", "first", ["x"], ["y"]) == OK
        assert get_tensor(raw, "y").tolist() == [1100]

    @pytest.mark.parametrize("command", [["AI.SCRIPTDEL", "t"], ["DEL", "t", "x"]])
    def test_deletion_does_not_disturb(self, server, raw, command):
        store_script(raw, "t", SOURCE, "first")
        with occupied_worker(server, "s"), server.raw() as waiting, server.raw() as deleting:
            waiting.send(*script_command("t", "first", ["x"], ["y"]))
            assert not waiting.has_reply(within=0.05)
            deleting.send(*command)
            assert not waiting.has_reply(within=0.05)
            raw.call("SET", "gate", "open")
            assert waiting.read() == OK
            assert deleting.read() in (OK, 2)
        assert get_tensor(raw, "y").tolist() == [1, 2]

    def test_a_model_beside(self, raw):
        store_model(raw, "m", onnx_models.add_constant(1))
        assert execute(raw, "m", ["x"], ["y"]) == OK
        assert run_script(raw, "s", "first", ["y"], ["y"]) == OK
        assert get_tensor(raw, "y").tolist() == [2, 3]
