"""Reference section 10.7: the server checks the slots of what commands name, and clients find the shard.

Keys with the tag ``{A}`` are on the first shard, those with ``{B}`` on the second; ``{C}`` is another slot of the
first.
"""

import asyncio
from itertools import combinations

import pytest
import redis
import redis.asyncio
from redis.cluster import key_slot

from support import onnx_models
from support.cluster import SHARDS, move_slot, shard_of, tag_of
from support.commands import execute_command, get_tensor, set_tensor, store_model, words
from support.resp import OK, Error
from support.scripts import script_command, store_script, store_script_command

CROSSSLOT = Error("CROSSSLOT Keys in request don't hash to the same slot")
A, B = tag_of(0), tag_of(1)
C = next(str(number) for number in range(1000) if str(number) != A and shard_of(str(number)) == 0)
MODEL = onnx_models.add_constant(1)
SCRIPT = """
def add(tensors: List[Tensor], keys: List[str], args: List[str]):
    return tensors[0] + tensors[1]

def count(tensors: List[Tensor], keys: List[str], args: List[str]):
    return torch.tensor(int(str(redis.execute("INCR", args[0]))))

def set_two(tensors: List[Tensor], keys: List[str], args: List[str]):
    redis.execute("PING")
    redis.execute("MSET", args[0], "1", args[1], "1")
    return torch.tensor(1)

def run(tensors: List[Tensor], keys: List[str], args: List[str]):
    return redisAI.model_execute(args[0], tensors, 1)[0]
"""


def tagged(text):
    """A command written with the tags ``{A}``, ``{B}`` and ``{C}``."""
    for name, tag in {"{A}": A, "{B}": B, "{C}": C}.items():
        text = text.replace(name, f"{{{tag}}}")
    return words(text)


@pytest.fixture
def raw(module_cluster):
    """The first shard. Its keys are the model `m`, the script `s` and the tensor `x`, with the tag ``{A}``; the other
    shards are empty."""
    stored = [f"{{{A}}}{name}".encode() for name in "msx"]
    for node in module_cluster.nodes:
        with node.raw() as raw:
            for key in raw.call("KEYS", "*"):
                assert key in stored or raw.call("DEL", key) == 1
    raw = module_cluster.nodes[0].raw()
    if raw.call("EXISTS", *stored) < len(stored):
        store_model(raw, stored[0], MODEL)
        store_script(raw, stored[1], SCRIPT, "add", "count", "set_two", "run")
        set_tensor(raw, stored[2], [1])
    return raw


@pytest.fixture
def client(cluster):
    """redis-py's client of the cluster."""
    return cluster.client()


# Commands whose keys are in several slots

SEVERAL_SLOTS = [
    "AI.MODELEXECUTE {A}m INPUTS 1 {S}x OUTPUTS 1 {A}y",
    "AI.MODELEXECUTE {A}m INPUTS 1 {A}x OUTPUTS 1 {S}y",
    "AI.MODELRUN {A}m INPUTS {S}x OUTPUTS {A}y",
    "AI.MODELRUN {A}m INPUTS {A}x OUTPUTS {S}y",
    "AI.MODELRUN {A}m TIMEOUT 1000 INPUTS {A}x OUTPUTS {S}y",
    "AI.SCRIPTEXECUTE {A}s add KEYS 1 {S}k INPUTS 2 {A}x {A}x OUTPUTS 1 {A}y",
    "AI.SCRIPTEXECUTE {A}s add INPUTS 2 {A}x {S}x OUTPUTS 1 {A}y",
    "AI.SCRIPTEXECUTE {A}s add INPUTS 2 {A}x {A}x OUTPUTS 1 {S}y",
    "AI.SCRIPTEXECUTE {A}s add INPUTS 2 {A}x {A}x ARGS 1 arg OUTPUTS 1 {S}y TIMEOUT 1000",
    "AI.SCRIPTEXECUTE {A}s count KEYS 1 {S}k",
    "AI.SCRIPTRUN {A}s add INPUTS {A}x {S}x OUTPUTS {A}y",
    "AI.SCRIPTRUN {A}s add INPUTS {A}x {A}x OUTPUTS {S}y",
    "AI.DAGEXECUTE LOAD 2 {A}x {S}x |> AI.TENSORGET {A}x",
    "AI.DAGEXECUTE LOAD 1 {A}x PERSIST 1 {S}y |> AI.MODELEXECUTE {A}m INPUTS 1 {A}x OUTPUTS 1 {S}y",
    "AI.DAGEXECUTE LOAD 1 {A}x ROUTING {S} |> AI.TENSORGET {A}x",
    "AI.DAGEXECUTE LOAD 1 {A}x ROUTING {S}key |> AI.TENSORGET {A}x",
    "AI.DAGEXECUTE LOAD 1 {A}x |> AI.MODELEXECUTE {S}m INPUTS 1 {A}x OUTPUTS 1 y",
    "AI.DAGEXECUTE ROUTING {A} |> AI.TENSORSET a FLOAT 1 VALUES 1 |> AI.MODELEXECUTE {S}m INPUTS 1 a OUTPUTS 1 y",
    "AI.DAGEXECUTE LOAD 1 {A}x |> AI.SCRIPTEXECUTE {S}s add INPUTS 2 {A}x {A}x OUTPUTS 1 y",
    "AI.DAGEXECUTE_RO LOAD 2 {A}x {S}x |> AI.TENSORGET {A}x",
    "AI.DAGEXECUTE_RO LOAD 1 {A}x ROUTING {S} |> AI.TENSORGET {A}x",
    "AI.DAGEXECUTE_RO LOAD 1 {A}x |> AI.MODELEXECUTE {S}m INPUTS 1 {A}x OUTPUTS 1 y",
    "AI.DAGRUN LOAD 2 {A}x {S}x |> AI.TENSORGET {A}x",
    "AI.DAGRUN LOAD 1 {A}x PERSIST 1 {S}y |> AI.MODELRUN {A}m INPUTS {A}x OUTPUTS {S}y",
    "AI.DAGRUN_RO LOAD 2 {A}x {S}x |> AI.TENSORGET {A}x",
    "AI.DAGRUN_RO LOAD 1 {A}x ROUTING {S} |> AI.TENSORGET {A}x",
]


@pytest.mark.parametrize("other", ["{B}", "{C}"], ids=["other-shard", "same-shard"])
@pytest.mark.parametrize("command", SEVERAL_SLOTS)
def test_keys_in_several_slots_are_refused(raw, command, other):
    assert raw.call(*tagged(command.replace("{S}", other))) == CROSSSLOT
    assert raw.call("DBSIZE") == 3


# The same commands with all keys in one slot, and what they leave there

ONE_SLOT = [
    ("AI.MODELEXECUTE {A}m INPUTS 1 {A}x OUTPUTS 1 {A}y", OK, 2),
    ("AI.MODELRUN {A}m INPUTS {A}x OUTPUTS {A}y", OK, 2),
    ("AI.SCRIPTEXECUTE {A}s add KEYS 1 {A}k INPUTS 2 {A}x {A}x OUTPUTS 1 {A}y", OK, 2),
    ("AI.SCRIPTRUN {A}s add INPUTS {A}x {A}x OUTPUTS {A}y", OK, 2),
    ("AI.DAGEXECUTE LOAD 1 {A}x PERSIST 1 {A}y |> AI.MODELEXECUTE {A}m INPUTS 1 {A}x OUTPUTS 1 {A}y", [OK], 2),
    (
        "AI.DAGEXECUTE LOAD 1 {A}x PERSIST 1 {A}y ROUTING {A} "
        "|> AI.SCRIPTEXECUTE {A}s add INPUTS 2 {A}x {A}x OUTPUTS 1 {A}y",
        [OK],
        2,
    ),
    ("AI.DAGRUN LOAD 1 {A}x PERSIST 1 {A}y |> AI.MODELRUN {A}m INPUTS {A}x OUTPUTS {A}y", [OK], 2),
]  # fmt: skip


@pytest.mark.parametrize("command, reply, value", ONE_SLOT, ids=[command for command, _, _ in ONE_SLOT])
def test_keys_in_one_slot(raw, command, reply, value):
    assert raw.call(*tagged(command)) == reply
    assert get_tensor(raw, f"{{{A}}}y").tolist() == [value]


def test_names_inside_a_dag_are_no_keys(raw):
    """Whatever slot they would be in."""
    command = tagged(
        "AI.DAGEXECUTE ROUTING {A} |> AI.TENSORSET {B}a FLOAT 1 VALUES 3 |> "
        "AI.MODELEXECUTE {A}m INPUTS 1 {B}a OUTPUTS 1 {C}b |> AI.TENSORGET {C}b BLOB"
    )
    assert raw.call(*command) == [OK, OK, b"\0\0\x80\x40"]


@pytest.mark.parametrize(
    "command",
    [
        "AI.TENSORSET {B}x FLOAT 1 VALUES 1",
        "AI.TENSORGET {B}x",
        "AI.MODELSTORE {B}m ONNX CPU BLOB model",
        "AI.MODELGET {B}m",
        "AI.MODELDEL {B}m",
        "AI.SCRIPTSTORE {B}s CPU ENTRY_POINTS 1 f SOURCE text",
        "AI.SCRIPTGET {B}s",
        "AI.SCRIPTDEL {B}s",
        "AI.INFO {B}m",
        "AI.MODELEXECUTE {B}m INPUTS 1 {B}x OUTPUTS 1 {B}y",
        "AI.SCRIPTEXECUTE {B}s f INPUTS 1 {B}x",
        "AI.DAGEXECUTE ROUTING {B} |> AI.TENSORSET a FLOAT 1",
        "AI.DAGEXECUTE_RO ROUTING {B} |> AI.TENSORSET a FLOAT 1",
    ],
)
def test_keys_of_another_shard_are_redirected(raw, module_cluster, command):
    reply = raw.call(*tagged(command))
    slot = raw.call("CLUSTER", "KEYSLOT", f"{{{B}}}")
    assert reply == Error(f"MOVED {slot} 127.0.0.1:{module_cluster.nodes[1].port}")


# What a script reaches


def test_a_script_cannot_touch_keys_of_another_shard(raw, module_cluster):
    command = script_command(f"{{{A}}}s", "count", [], [f"{{{A}}}y"], args=[f"{{{B}}}counter"])
    reply = raw.call(*command)
    assert isinstance(reply, Error) and "Redis command returned an error: " in reply.text, reply
    assert raw.call("EXISTS", f"{{{A}}}y") == 0
    assert module_cluster.nodes[1].raw().call("DBSIZE") == 0
    assert raw.call("DBSIZE") == 3


# Without a hash tag, with one, and with what looks like one.
FORMS = ["{}", "{{{}}}", "{{}}{}", "{{{}", "{}}}{{", "a{{{}}}b", "}}{{{}}}{{x}}", "{{{{{}}}}}", "{{{}}}{{y}}", "ä{}", "a b{{{}}}"]
KEYS = [key for number in range(150) for key in (form.format(number) for form in FORMS) if shard_of(key) == 0]


def test_the_keys_of_a_scripts_command_have_one_slot(raw):
    """The server's own rule. Who names others gets an error, and nothing else comes of it: not for later commands either."""
    pairs = list(zip(KEYS, KEYS[1:], strict=False))
    pairs += [(first, second) for first, second in combinations(KEYS, 2) if have_one_slot(first, second)]
    assert {have_one_slot(*pair) for pair in pairs} == {True, False}
    for first, second in pairs:
        reply = raw.call(*script_command(f"{{{A}}}s", "set_two", [], [f"{{{A}}}y"], args=[first, second]))
        if have_one_slot(first, second):
            assert reply == OK and raw.call("DEL", first, second) == len({first, second})
        else:
            assert "ERR Attempted to access a non local key in a cluster node" in reply.text, (first, second)
            assert raw.call("EXISTS", first) == raw.call("EXISTS", second) == 0
    run = execute_command(f"{{{A}}}m", [f"{{{A}}}x"], [f"{{{A}}}y"])
    assert raw.call(*run) == OK
    store_model(raw, f"{{{A}}}n", MODEL)


def have_one_slot(first, second):
    return key_slot(first.encode()) == key_slot(second.encode())


def test_a_script_uses_keys_of_its_shard(raw):
    command = script_command(f"{{{A}}}s", "count", [], [f"{{{A}}}y"], keys=[f"{{{A}}}n"], args=[f"{{{A}}}n"])
    assert raw.call(*command) == OK
    assert raw.call("GET", f"{{{A}}}n") == b"1"


def test_a_script_does_not_find_models_of_another_shard(raw, module_cluster):
    store_model(module_cluster.nodes[1].raw(), f"{{{B}}}m", MODEL)
    inputs, outputs = [f"{{{A}}}x"], [f"{{{A}}}y"]
    reply = raw.call(*script_command(f"{{{A}}}s", "run", inputs, outputs, args=[f"{{{B}}}m"]))
    assert isinstance(reply, Error) and "ERR model key is empty" in reply.text, reply
    assert raw.call(*script_command(f"{{{A}}}s", "run", inputs, outputs, args=[f"{{{A}}}m"])) == OK


# redis-py finds the shards


def test_every_key_goes_to_its_shard(client, cluster):
    for number in range(30):
        assert client.execute_command("AI.TENSORSET", f"x{number}", "FLOAT", 1, "VALUES", number) == b"OK"
    for number in range(30):
        assert get_tensor(cluster.raw_of(f"x{number}"), f"x{number}").tolist() == [number]
    assert all(node.raw().call("DBSIZE") > 0 for node in cluster.nodes)
    assert client.delete(*(f"x{number}" for number in range(30))) == 30


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_whole_session_by_hash_tags(client, cluster, shard):
    """Every command, on each shard: redis-py asks the server where the keys of executions and DAGs are."""
    tag = tag_of(shard)
    m, s, x, y, z = (f"{{{tag}}}{name}" for name in "msxyz")

    def call(*command):
        return client.execute_command(*command)

    assert call("AI.MODELSTORE", m, "ONNX", "CPU", "TAG", "v1", "BLOB", MODEL) == b"OK"
    assert call(*store_script_command(s, SCRIPT, "add")) == b"OK"
    assert call("AI.TENSORSET", x, "FLOAT", 1, "VALUES", 1) == b"OK"
    assert call(*execute_command(m, [x], [y])) == b"OK"
    assert call("AI.MODELRUN", m, "INPUTS", y, "OUTPUTS", y) == b"OK"
    assert call(*script_command(s, "add", [x, y], [z])) == b"OK"
    assert call("AI.SCRIPTRUN", s, "add", "INPUTS", z, z, "OUTPUTS", z) == b"OK"
    assert get_tensor(cluster.nodes[shard].raw(), z).tolist() == [8]
    run = execute_command(m, [z], ["local"])
    get = ["AI.TENSORGET", "local", "META"]
    meta = [b"dtype", b"FLOAT", b"shape", [1]]
    assert call("AI.DAGEXECUTE", "LOAD", 1, z, "|>", *run, "|>", *get) == [b"OK", meta]
    assert call("AI.DAGEXECUTE_RO", "ROUTING", m, "|>", "AI.TENSORSET", z, "FLOAT", 1, "|>", *run, "|>", *get) == [
        b"OK", b"OK", meta,
    ]  # fmt: skip
    persist = ["PERSIST", 1, y, "|>", *execute_command(m, [z], [y])]
    assert call("AI.DAGEXECUTE", "LOAD", 1, z, *persist) == [b"OK"]
    old_run = ["AI.MODELRUN", m, "INPUTS", z, "OUTPUTS", "local"]
    assert call("AI.DAGRUN", "LOAD", 1, z, "|>", *old_run, "|>", *get) == [b"OK", meta]
    assert call("AI.DAGRUN_RO", "LOAD", 1, z, "|>", "AI.TENSORGET", z, "META") == [meta]
    assert get_tensor(cluster.nodes[shard].raw(), y).tolist() == [9]
    assert call("AI.INFO", m)[:2] == [b"key", m.encode()]
    assert call("AI.INFO", m)[15] == 6
    assert call("AI.MODELGET", m, "BLOB") == MODEL
    assert call("AI.SCRIPTGET", s, "SOURCE").decode() == SCRIPT
    assert call("AI.MODELDEL", m) == b"OK"
    assert call("AI.SCRIPTDEL", s) == b"OK"


def test_lists_and_configuration_are_of_one_shard(client):
    """Commands without keys go where the client says."""
    names = [f"{{{tag_of(shard)}}}m" for shard in range(SHARDS)]
    for name in names:
        client.execute_command("AI.MODELSTORE", name, "ONNX", "CPU", "BLOB", MODEL)
    lists = client.execute_command("AI._MODELSCAN", target_nodes=client.get_primaries())
    assert sorted(lists.values()) == sorted([[name.encode(), b""]] for name in names)
    sizes = client.execute_command("AI.CONFIG", "GET", "MODEL_CHUNK_SIZE", target_nodes=client.get_primaries())
    assert list(sizes.values()) == [535822336] * SHARDS


def test_the_client_sees_outputs_in_other_slots(client):
    """It asks the server for the keys, and does not even send the command."""
    with pytest.raises(redis.exceptions.RedisClusterException, match="all keys must map to the same key slot"):
        client.execute_command(*execute_command(f"{{{A}}}m", [f"{{{A}}}x"], [f"{{{B}}}y"]))


def test_pipeline_over_all_shards(client):
    for shard in range(SHARDS):
        client.execute_command("AI.MODELSTORE", f"{{{tag_of(shard)}}}m", "ONNX", "CPU", "BLOB", MODEL)
    pipeline = client.pipeline()
    for number in range(30):
        tag = tag_of(number % SHARDS)
        x, y = f"{{{tag}}}x{number}", f"{{{tag}}}y{number}"
        pipeline.execute_command("AI.TENSORSET", x, "INT64" if number % 2 else "FLOAT", 1, "VALUES", number)
        pipeline.execute_command("AI.TENSORSET", x, "FLOAT", 1, "VALUES", number)
        pipeline.execute_command(*execute_command(f"{{{tag}}}m", [x], [y]))
        pipeline.execute_command("AI.TENSORGET", y, "META")
    assert pipeline.execute() == [b"OK", b"OK", b"OK", [b"dtype", b"FLOAT", b"shape", [1]]] * 30


def test_asyncio_over_all_shards(cluster):
    async def main():
        client = redis.asyncio.RedisCluster(host="127.0.0.1", port=cluster.nodes[0].port, socket_timeout=30)
        try:
            for shard in range(SHARDS):
                await client.execute_command("AI.MODELSTORE", f"{{{tag_of(shard)}}}m", "ONNX", "CPU", "BLOB", MODEL)

            async def one(number):
                tag = tag_of(number % SHARDS)
                x, y = f"{{{tag}}}x{number}", f"{{{tag}}}y{number}"
                await client.execute_command("AI.TENSORSET", x, "FLOAT", 1, "VALUES", number)
                await client.execute_command(*execute_command(f"{{{tag}}}m", [x], [y]))
                command = ["AI.DAGEXECUTE_RO", "LOAD", 1, y, "|>", *execute_command(f"{{{tag}}}m", [y], ["z"])]
                return await client.execute_command(*command)

            assert await asyncio.gather(*(one(number) for number in range(90))) == [[b"OK"]] * 90
        finally:
            await client.aclose()

    asyncio.run(main())


# Slots that move


def test_a_slot_with_a_model_moves(raw, module_cluster):
    """Its model, script and tensor go along, and clients follow; then it goes back."""
    first, second = raw, module_cluster.nodes[1].raw()
    client = module_cluster.client()
    assert run_everything(client) == 2
    move_slot(key_slot(A.encode()), *module_cluster.nodes[:2])
    assert second.call("DBSIZE") == 3 and first.call("DBSIZE") == 0
    assert run_everything(client) == 2
    assert second.call("AI._MODELSCAN") == [[f"{{{A}}}m".encode(), b""]]
    assert first.call("AI._MODELSCAN") == []
    move_slot(key_slot(A.encode()), module_cluster.nodes[1], module_cluster.nodes[0])
    assert run_everything(client) == 2


def run_everything(client):
    m, s, x, y = (f"{{{A}}}{name}" for name in "msxy")
    assert client.execute_command(*execute_command(m, [x], [y])) == b"OK"
    assert client.execute_command(*script_command(s, "add", [x, x], [y])) == b"OK"
    dag = ["AI.DAGEXECUTE", "LOAD", 1, x, "PERSIST", 1, y, "|>", *execute_command(m, [x], [y])]
    assert client.execute_command(*dag) == [b"OK"]
    values = client.execute_command("AI.TENSORGET", y, "VALUES")
    assert client.delete(y) == 1
    return float(values[0])
