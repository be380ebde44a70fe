"""Reference sections 3.10, 3.11 and 3.6: AI.SCRIPTSTORE, AI.SCRIPTSET and AI.SCRIPTDEL."""

import pytest

from support.commands import WRONGTYPE, get_tensor, pairs, set_tensor, stats, words
from support.resp import OK, Error
from support.scripts import NO_SCRIPT, entry_point, failure, fresh, run_script, store_script, store_script_command

SOURCE = entry_point("one", "return tensors[0]") + entry_point("two", "return tensors[0] + tensors[0]")


def described(raw, key="s"):
    return pairs(raw.call("AI.SCRIPTGET", key))


class TestScriptStore:
    @pytest.mark.parametrize(
        "command",
        [
            ["AI.SCRIPTSTORE", "s", "CPU", "ENTRY_POINTS", 1, "one", "SOURCE", SOURCE],
            ["AI.SCRIPTSTORE", "s", "CPU", "TAG", "t", "ENTRY_POINTS", 2, "one", "two", "SOURCE", SOURCE],
            ["ai.scriptstore", "s", "CPU", "tag", "t", "entry_points", "2", "one", "two", "source", SOURCE],
            # What follows the source is ignored.
            ["AI.SCRIPTSTORE", "s", "CPU", "ENTRY_POINTS", 1, "one", "SOURCE", SOURCE, "SOURCE", "nonsense", "x"],
        ],
        ids=lambda command: f"{command[0]}-{len(command)}",
    )
    def test_grammar(self, raw, command):
        assert raw.call(*command) == OK
        assert raw.call("AI.SCRIPTGET", "s", "SOURCE") == SOURCE.encode()
        set_tensor(raw, "x", [3])
        assert run_script(raw, "s", "one", ["x"], ["y"]) == OK
        assert get_tensor(raw, "y").tolist() == [3]

    def test_no_entry_points_but_a_tag(self, raw):
        assert raw.call("AI.SCRIPTSTORE", "s", "CPU", "TAG", "t", "ENTRY_POINTS", 0, "SOURCE", SOURCE) == OK
        assert described(raw)["Entry Points"] == []
        assert described(raw)["tag"] == b"t"

    def test_the_same_function_twice(self, raw):
        store_script(raw, "s", SOURCE, "one", "one")
        assert described(raw)["Entry Points"] == [b"one", b"one"]

    def test_type_of_the_key(self, raw):
        store_script(raw, "s", SOURCE, "one")
        assert raw.call("TYPE", "s").text == "AI_SCRIPT"

    @pytest.mark.parametrize("device", ["CPU", "cpu", "CPU:1", "cPu:12345"])
    def test_device_is_echoed(self, raw, device):
        store_script(raw, "s", SOURCE, "one", device=device)
        assert described(raw)["device"] == device.encode()
        set_tensor(raw, "x", [3])
        assert run_script(raw, "s", "one", ["x"], ["y"]) == OK

    @pytest.mark.parametrize("tag", ["", b"v\0\xff", "x" * 10000], ids=["empty", "bytes", "long"])
    def test_tag_is_binary_safe(self, raw, tag):
        store_script(raw, "s", SOURCE, "one", tag=tag)
        assert described(raw)["tag"] == (tag.encode() if isinstance(tag, str) else tag)

    def test_the_source_ends_at_its_first_nul(self, raw):
        store_script(raw, "s", SOURCE.encode() + b"\0def nonsense", "one")
        assert raw.call("AI.SCRIPTGET", "s", "SOURCE") == SOURCE.encode()

    @pytest.mark.parametrize("source", [SOURCE.rstrip("\n"), SOURCE + "\n\n", "# text: é\n" + SOURCE, "\n" + SOURCE])
    def test_forms_of_the_source(self, raw, source):
        store_script(raw, "s", source, "one", "two")
        assert raw.call("AI.SCRIPTGET", "s", "SOURCE") == source.encode()

    def test_signature_with_other_names(self, raw):
        store_script(raw, "s", "def f(a: List[Tensor], b: List[str], c: List[str]):\n    return a[0]\n", "f")

    def test_keys_are_binary_safe(self, raw):
        store_script(raw, b"s\0\xff", SOURCE, "one")
        assert raw.call("AI._SCRIPTSCAN") == [[b"s\0\xff", b""]]

    def test_storing_again_replaces_everything(self, raw):
        store_script(raw, "s", SOURCE, "one", "two", tag="old")
        raw.call("EXPIRE", "s", 1000)
        set_tensor(raw, "x", [3])
        assert run_script(raw, "s", "one", ["x"], ["y"]) == OK
        store_script(raw, "s", entry_point("three", "return tensors[0]"), "three")
        assert described(raw)["Entry Points"] == [b"three"]
        assert described(raw)["tag"] == b""
        assert stats(raw, "s")["calls"] == 0
        assert raw.call("TTL", "s") == -1
        assert run_script(raw, "s", "one", ["x"], ["y"]) == Error("Function does not exist: one")

    def test_a_refused_script_leaves_the_old_one(self, raw):
        store_script(raw, "s", SOURCE, "one", tag="old")
        failure(raw.call(*store_script_command("s", "nonsense", "one")))
        assert described(raw)["tag"] == b"old"
        set_tensor(raw, "x", [3])
        assert run_script(raw, "s", "one", ["x"], ["y"]) == OK

    @pytest.mark.parametrize("store", [("SET", "s", "text"), ("RPUSH", "s", "a"), ("AI.TENSORSET", "s", "FLOAT", 1)])
    def test_key_of_another_type(self, raw, store):
        raw.call(*store)
        assert raw.call(*store_script_command("s", SOURCE, "one")) == WRONGTYPE
        assert raw.call(*store_script_command("s", SOURCE)) == WRONGTYPE
        # The key's type is looked at last.
        assert failure(raw.call(*store_script_command("s", SOURCE, "none"))).startswith("Function none does not exist")
        assert raw.call("AI._SCRIPTSCAN") == []

    def test_a_key_that_becomes_another_type_meanwhile(self, server, raw):
        """The script is compiled in the background, and the key looked at when it is ready."""
        with server.raw() as other:
            other.send(*store_script_command("s", fresh(SOURCE), "one"))
            assert not other.has_reply(within=0.05)
            raw.call("SET", "s", "text")
            assert other.read() == WRONGTYPE
        assert raw.call("GET", "s") == b"text"

    def test_the_server_answers_while_a_script_is_compiled(self, server, raw):
        with server.raw() as other:
            other.send(*store_script_command("s", fresh(SOURCE), "one"))
            assert raw.call("PING").text == "PONG"
            assert not other.has_reply(within=0)
            assert other.read() == OK


class TestScriptSet:
    @pytest.mark.parametrize("tag", [None, "t"])
    def test_grammar(self, raw, tag):
        store_script(raw, "s", SOURCE, tag=tag)
        assert described(raw) == {
            "device": b"CPU",
            "tag": (tag or "").encode(),
            "Entry Points": [],
            "source": SOURCE.encode(),
        }

    def test_a_script_without_functions(self, raw):
        store_script(raw, "s", "# nothing\n")
        assert run_script(raw, "s", "f", [], []) == Error("Function does not exist: f")


class TestScriptDel:
    def test_deletes(self, raw):
        store_script(raw, "s", SOURCE, "one")
        assert raw.call("AI.SCRIPTDEL", "s") == OK
        assert raw.call("EXISTS", "s") == 0
        assert raw.call("AI._SCRIPTSCAN") == []
        assert raw.call("AI.SCRIPTDEL", "s") == NO_SCRIPT

    @pytest.mark.parametrize("command", ["DEL s", "UNLINK s", "PEXPIRE s 0", "FLUSHALL"])
    def test_other_ways(self, raw, command):
        store_script(raw, "s", SOURCE, "one")
        raw.call(*words(command))
        assert raw.call("AI.SCRIPTGET", "s") == NO_SCRIPT
        assert raw.call("AI._SCRIPTSCAN") == []
