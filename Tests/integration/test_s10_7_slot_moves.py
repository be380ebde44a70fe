"""Reference section 10.7: slots that leave a node while a command waits for its run, and while keys are on their way.

The server redirects its own blocked clients when their slot moves; those of modules it leaves to the modules. A result must
not be written where nobody looks for it: the client is told to send its command again.
"""

import threading
from contextlib import contextmanager

import numpy as np
import pytest
from redis.cluster import key_slot

from support import onnx_models
from support.cluster import agree, close_slot, migrate_keys, move_slot, open_slot, shard_of, tag_of
from support.commands import execute_command, get_tensor, set_tensor, store_command, store_model
from support.long_runs import loop_command, store_loop
from support.resp import OK, Error
from support.scripts import script_command, store_script, store_script_command
from support.wait import eventually

A = tag_of(0)
SLOT = key_slot(A.encode())
# Of another slot of the first shard, which stays there.
OTHER = next(tag for tag in map(str, range(1000)) if shard_of(tag) == 0 and key_slot(tag.encode()) != SLOT)
TRYAGAIN = Error("TRYAGAIN Multiple keys request during rehashing of slot")


# Does nothing for some tenths of a second, and then counts.
COUNT_LATE = """
def count(tensors: List[Tensor], keys: List[str], args: List[str]):
    for _ in range(int(args[0])):
        redis.execute("INCR", keys[0])
    steps = 0
    for _ in range(int(args[1])):
        steps += 1
    return torch.tensor([int(str(redis.execute("INCR", keys[0])))])
"""


def name(key):
    return f"{{{A}}}{key}"


@pytest.fixture
def pair(module_cluster):
    """The first two shards, empty but for the model `m` and the tensor `x` in the slot, which is with the first."""
    first, second, _ = module_cluster.nodes
    for node in (first, second):
        with node.raw() as raw:
            assert raw.call("CLUSTER", "SETSLOT", SLOT, "STABLE") == OK
            assert raw.call("FLUSHALL") == OK
    agree(first, second)
    with first.raw() as raw:
        if raw.call("EXISTS", A) == moved(second):
            move_slot(SLOT, second, first)
            agree(first, second)
        store_model(raw, name("m"), onnx_models.add_constant(1))
        set_tensor(raw, name("x"), [1])
    return first, second


def dag(*steps, persist=()):
    persisting = ["PERSIST", len(persist), *persist] if persist else ["ROUTING", name("")]
    return ["AI.DAGEXECUTE", *persisting, *(word for step in steps for word in ("|>", *step))]


def moved(node):
    return Error(f"MOVED {SLOT} 127.0.0.1:{node.port}")


LOOP_DAG = dag(
    ["AI.TENSORSET", "n", "INT64", 1, "VALUES", 200_000],
    ["AI.TENSORSET", "a", "FLOAT", 1, "VALUES", 0],
    ["AI.MODELEXECUTE", name("loop"), "INPUTS", 2, "n", "a", "OUTPUTS", 1, name("y")],
    persist=[name("y")],
)


@pytest.mark.parametrize(
    "command", [loop_command(name("loop"), "short", name("y")), LOOP_DAG], ids=["AI.MODELEXECUTE", "AI.DAGEXECUTE"]
)
def test_the_slot_leaves_during_a_run(pair, command):
    """The new owner gets nothing, the old one keeps nothing, and the client is told where to go: a DAG's as well, in place of
    the replies of its operations."""
    first, second = pair
    with first.raw() as raw, first.raw() as client, second.raw() as there:
        store_loop(raw, name("loop"))
        client.send(*command)
        eventually(lambda: first.info("clients")["blocked_clients"] == "1", "the run has been taken on")
        move_slot(SLOT, first, second)
        assert not client.has_reply(within=0)
        assert client.read() == moved(second)
        assert raw.call("DBSIZE") == 0
        assert there.call("EXISTS", name("y")) == 0
        assert there.call(*command) in (OK, [OK] * 3)
        assert get_tensor(there, name("y")).tolist() == [200_000]


def test_what_writes_nothing_is_answered(pair):
    """The inputs were taken when the command came, and nobody else learns of the outputs."""
    first, second = pair
    with first.raw() as raw, first.raw() as client:
        store_loop(raw, name("loop"))
        words = [word if word != name("y") else "y" for word in LOOP_DAG[4:]]
        client.send("AI.DAGEXECUTE_RO", "ROUTING", name(""), *words, "|>", "AI.TENSORGET", "y", "VALUES")
        eventually(lambda: first.info("clients")["blocked_clients"] == "1", "the run has been taken on")
        move_slot(SLOT, first, second)
        assert client.read() == [OK, OK, OK, [b"200000"]]


def test_the_slot_leaves_while_a_large_answer_is_written(pair):
    """What is written cannot be taken back: that the output is not stored is its last element."""
    first, second = pair
    rows = 1 << 21
    with first.raw() as raw, first.raw() as client, second.raw() as there:
        set_tensor(raw, name("t"), np.arange(rows), "DOUBLE")
        store_loop(raw, name("loop"))
        read = ["|>", "AI.TENSORGET", name("t"), "VALUES"] * 3
        client.send(*LOOP_DAG[:1], "LOAD", 1, name("t"), *LOOP_DAG[1:], *read)
        eventually(lambda: raw.call("AI.INFO", name("loop"))[15] == 1, "its run has ended", interval=0.001)
        move_slot(SLOT, first, second)
        reply = client.read()
        assert reply[:3] == [OK] * 3 and [len(values) for values in reply[3:6]] == [rows] * 3
        assert reply[6:] == [moved(second)]
        assert raw.call("DBSIZE") == 0
        assert there.call("EXISTS", name("y")) == 0


def test_outputs_of_a_script_that_has_done_something(pair):
    """To send the client elsewhere would do it again."""
    first, second = pair
    source = COUNT_LATE.replace('return torch.tensor([int(str(redis.execute("INCR", keys[0])))])', "return torch.tensor([steps])")
    with first.raw() as raw, first.raw() as client, second.raw() as there:
        store_script(raw, name("s"), source, "count")
        client.send(*script_command(name("s"), "count", [], [name("y")], keys=[name("k")], args=[1, 3_000_000]))
        eventually(lambda: raw.call("GET", name("k")) == b"1", "it has counted")
        move_slot(SLOT, first, second)
        text = "ERR outputs are not stored, their slot has left the node: commands of the script have been run"
        assert client.read() == Error(text)
        assert raw.call("DBSIZE") == 0
        assert there.call("EXISTS", name("y")) == 0
        assert there.call("GET", name("k")) == b"1"


@pytest.mark.parametrize("before", [0, 1])
def test_the_slot_leaves_during_a_script(pair, before):
    """The server refuses the script's command then. A script that has not done anything yet can be run again elsewhere; else
    the client is told what has happened."""
    first, second = pair
    with first.raw() as raw, first.raw() as client, second.raw() as there:
        store_script(raw, name("s"), COUNT_LATE, "count")
        arguments = {"keys": [name("k")], "args": [before, 3_000_000]}
        client.send(*script_command(name("s"), "count", [], [name("y")], **arguments))
        eventually(lambda: first.info("clients")["blocked_clients"] == "1", "the script has been taken on")
        if before:
            eventually(lambda: raw.call("GET", name("k")) == b"1", "it has counted once")
        move_slot(SLOT, first, second)
        reply = client.read()
        if before:
            assert "Redis command returned an error: " in reply.text, reply
        else:
            assert reply == moved(second)
        assert raw.call("DBSIZE") == 0
        arguments["args"] = [0, 0]
        assert there.call(*script_command(name("s"), "count", [], [name("y")], **arguments)) == OK
        assert there.call("AI.TENSORGET", name("y"), "VALUES") == [before + 1]


# Does nothing for some tenths of a second, and then reads.
READ_LATE = """
def read(tensors: List[Tensor], keys: List[str], args: List[str]):
    steps = 0
    for _ in range(int(args[0])):
        steps += 1
    redis.execute("GET", keys[0])
    return torch.tensor([steps])
"""


@contextmanager
def lost(node, slot):
    """Within the block the node does not have the slot, which nobody else gets, and works on without it."""
    with node.raw() as raw:
        assert raw.call("CONFIG", "SET", "cluster-require-full-coverage", "no") == OK
        try:
            assert raw.call("CLUSTER", "DELSLOTS", slot) == OK
            yield
        finally:
            assert raw.call("CLUSTER", "ADDSLOTS", slot) == OK
            assert raw.call("CONFIG", "SET", "cluster-require-full-coverage", "yes") == OK


@contextmanager
def paused(node):
    """Within the block results wait. What a client reads does not, nor what a script reads."""
    with node.raw() as raw:
        assert raw.call("CLIENT", "PAUSE", 60_000, "WRITE") == OK
        try:
            yield
        finally:
            assert raw.call("CLIENT", "UNPAUSE") == OK


@pytest.mark.parametrize("in_graph", [False, True])
def test_the_slot_is_back_when_a_script_is_answered(pair, in_graph):
    """The script's command was refused while the slot was away. Nothing has been done, so the client is to try again."""
    first, _ = pair
    script = script_command(name("s"), "read", [], [name("y")], keys=[name("k")], args=[1_000_000])
    loop, inputs = f"{{{OTHER}}}loop", [f"{{{OTHER}}}loop:{length}" for length in ("tiny", "x")]
    with first.raw() as raw, first.raw() as client:
        store_script(raw, name("s"), READ_LATE, "read")
        store_loop(raw, loop)
        client.send(*(dag(script, persist=[name("y")]) if in_graph else script))
        eventually(lambda: first.info("clients")["blocked_clients"] == "1", "the script has been taken on")
        with paused(first):
            with lost(first, SLOT):
                # First come, first served: when this has been answered the script has ended.
                run = execute_command(loop, inputs, ["n"])
                assert raw.call("AI.DAGEXECUTE_RO", "LOAD", 2, *inputs, "|>", *run) == [OK]
            assert not client.has_reply(within=0)
        assert client.read() == TRYAGAIN
        assert raw.call("EXISTS", name("y")) == 0


def test_the_slot_leaves_during_a_script_of_a_dag(pair):
    """Its KEYS count as those of AI.SCRIPTEXECUTE do."""
    first, second = pair
    script = script_command(name("s"), "read", [], ["y"], keys=[name("k")], args=[1_000_000])
    with first.raw() as raw, first.raw() as client, second.raw() as there:
        store_script(raw, name("s"), READ_LATE, "read")
        client.send(*dag(script))
        eventually(lambda: first.info("clients")["blocked_clients"] == "1", "the script has been taken on")
        move_slot(SLOT, first, second)
        assert client.read() == moved(second)
        assert there.call(*dag(script)) == [OK]


def test_a_script_of_a_dag_with_a_key_elsewhere(pair):
    """To send the client to the key's node would not help: the script is not there."""
    first, _ = pair
    script = script_command(name("s"), "read", [], ["y"], keys=[f"{{{tag_of(1)}}}k"], args=[0])
    with first.raw() as raw:
        store_script(raw, name("s"), READ_LATE, "read")
        (error,) = raw.call(*dag(script))
        assert "non local key" in error.text, error


@pytest.mark.parametrize(
    "command",
    [
        store_command(name("n"), onnx_models.fresh(onnx_models.big_weights(30))),
        store_script_command(name("n"), "def f(tensors: List[Tensor], keys: List[str], args: List[str]):\n    return 1", "f"),
    ],
    ids=["AI.MODELSTORE", "AI.SCRIPTSTORE"],
)
def test_the_slot_leaves_while_something_is_built(pair, command):
    first, second = pair
    with first.raw() as raw, first.raw() as client, second.raw() as there:
        client.send(*command)
        eventually(lambda: first.info("clients")["blocked_clients"] == "1", "the command has been taken on")
        move_slot(SLOT, first, second)
        assert client.read() == moved(second)
        assert raw.call("DBSIZE") == 0
        assert there.call(*command) == OK


def test_a_key_that_has_gone_ahead(pair):
    """While keys are on their way, a result is written if its key is still here. A key that is not here may be there already,
    or never have been: the client is to try again, as the server says to commands with several keys."""
    first, second = pair
    with first.raw() as raw, first.raw() as here, first.raw() as gone, second.raw() as there:
        store_loop(raw, name("loop"))
        for key in ("here", "gone"):
            set_tensor(raw, name(key), [5])
        for client, key in ((here, "here"), (gone, "gone")):
            client.send(*loop_command(name("loop"), "short", name(key)))
        eventually(lambda: first.info("clients")["blocked_clients"] == "2", "the runs have been taken on")
        open_slot(SLOT, first, second)
        assert raw.call("MIGRATE", "127.0.0.1", second.port, name("gone"), 0, 10000) == OK
        assert (here.read(), gone.read()) == (OK, TRYAGAIN)
        assert name("gone").encode() not in raw.call("CLUSTER", "GETKEYSINSLOT", SLOT, 100)
        migrate_keys(SLOT, first, second)
        close_slot(SLOT, first, second)
        assert get_tensor(there, name("gone")).tolist() == [5]
        assert get_tensor(there, name("here")).tolist() == [200_000]


def test_a_run_where_the_slot_arrives(pair):
    """A client that was sent ahead with ASK: its result is written there, before and after the slot is official."""
    first, second = pair
    with first.raw() as raw, second.raw() as client:
        store_loop(raw, name("loop"))
        for key in ("y", "z"):
            set_tensor(raw, name(key), [5])
        open_slot(SLOT, first, second)
        migrate_keys(SLOT, first, second)
        run = loop_command(name("loop"), "short", name("y"))
        assert raw.call(*run) == Error(f"ASK {SLOT} 127.0.0.1:{second.port}")
        assert client.pipeline([["ASKING"], run]) == [OK, OK]
        assert client.call(*run) == moved(first)
        for command in (["ASKING"], loop_command(name("loop"), "short", name("z"))):
            client.send(*command)
        assert client.read() == OK
        close_slot(SLOT, first, second)
        assert client.read() == OK
        assert [get_tensor(client, name(key)).tolist() for key in ("y", "z")] == [[200_000]] * 2


def test_a_script_where_the_slot_arrives(pair):
    """It does not reach the slot's keys before that is official, even for a client that was sent ahead."""
    first, second = pair
    with first.raw() as raw, second.raw() as client:
        store_script(raw, name("s"), COUNT_LATE, "count")
        for key in ("k", "y"):
            set_tensor(raw, name(key), [5])
        assert raw.call("SET", name("k"), 5) == OK
        open_slot(SLOT, first, second)
        migrate_keys(SLOT, first, second)
        command = script_command(name("s"), "count", [], [name("y")], keys=[name("k")], args=[0, 0])
        assert client.pipeline([["ASKING"], command]) == [OK, moved(first)]
        close_slot(SLOT, first, second)
        assert client.call(*command) == OK
        assert client.call("GET", name("k")) == b"6"


def test_a_slot_that_does_not_arrive(pair):
    """It goes back while the run of a client that was sent ahead goes on."""
    first, second = pair
    with first.raw() as raw, second.raw() as client, second.raw() as there:
        store_loop(raw, name("loop"))
        set_tensor(raw, name("y"), [5])
        open_slot(SLOT, first, second)
        migrate_keys(SLOT, first, second)
        for command in (["ASKING"], loop_command(name("loop"), "short", name("y"))):
            client.send(*command)
        assert client.read() == OK
        eventually(lambda: second.info("clients")["blocked_clients"] == "1", "the run has been taken on")
        assert there.call("CLUSTER", "SETSLOT", SLOT, "STABLE") == OK
        assert raw.call("CLUSTER", "SETSLOT", SLOT, "STABLE") == OK
        assert client.read() == moved(first)
        open_slot(SLOT, first, second)
        assert there.pipeline([["ASKING"], ["AI.TENSORGET", name("y"), "VALUES"]]) == [OK, [b"5"]]


def test_new_keys_wait_until_the_slot_has_moved(pair):
    """The server's own rule for commands with several keys: what makes a new key is told to try again."""
    first, second = pair
    with first.raw() as raw, second.raw() as there:
        run = execute_command(name("m"), [name("x")], [name("new")])
        open_slot(SLOT, first, second)
        assert raw.call(*run) == TRYAGAIN
        migrate_keys(SLOT, first, second)
        assert raw.call(*run) == Error(f"ASK {SLOT} 127.0.0.1:{second.port}")
        assert there.pipeline([["ASKING"], run]) == [OK, TRYAGAIN]
        close_slot(SLOT, first, second)
        assert there.call(*run) == OK


def test_many_clients_follow_a_slot(pair, module_cluster):
    """redis-py does all of this by itself."""
    first, second = pair
    with first.raw() as raw:
        store_loop(raw, name("loop"))
    client = module_cluster.client()
    replies = []

    def run(number):
        replies.append(client.execute_command(*loop_command(name("loop"), "tiny", name(f"y{number}"))))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    eventually(lambda: int(first.info("clients")["blocked_clients"]) > 20, "the runs have been taken on")
    move_slot(SLOT, first, second)
    for thread in threads:
        thread.join()
    assert replies == [b"OK"] * 40
    with first.raw() as here, second.raw() as there:
        assert here.call("DBSIZE") == 0
        assert there.call("EXISTS", *(name(f"y{number}") for number in range(40))) == 40
