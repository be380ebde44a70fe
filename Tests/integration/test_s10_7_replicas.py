"""Reference sections 6.5 and 10.7: what the replicas of a cluster serve to clients that have said READONLY."""

import pytest
from redis.cluster import key_slot

from support import onnx_models
from support.cluster import Cluster, tag_of
from support.commands import set_tensor, store_model, words
from support.resp import OK, Error
from support.scripts import entry_point, store_script
from support.wait import eventually

A = tag_of(0)
SLOT = key_slot(A.encode())
SOURCE = entry_point("f", "return tensors[0]")
READS = {
    "AI.TENSORGET {A}x VALUES": [b"1"],
    "AI.MODELGET {A}m BLOB": onnx_models.add_constant(1),
    "AI.SCRIPTGET {A}s SOURCE": SOURCE.encode(),
    "AI.DAGEXECUTE_RO LOAD 1 {A}x |> AI.MODELEXECUTE {A}m INPUTS 1 {A}x OUTPUTS 1 y |> AI.TENSORGET y VALUES": [OK, [b"2"]],
    "AI.DAGEXECUTE_RO ROUTING {A} |> AI.TENSORSET y FLOAT 1 VALUES 3 |> AI.TENSORGET y VALUES": [OK, [b"3"]],
    "AI.DAGRUN_RO LOAD 1 {A}x |> AI.MODELRUN {A}m INPUTS {A}x OUTPUTS y |> AI.TENSORGET y VALUES": [OK, [b"2"]],
}
WRITES = [
    "AI.TENSORSET {A}x FLOAT 1",
    "AI.MODELSTORE {A}m ONNX CPU BLOB x",
    "AI.MODELSET {A}m ONNX CPU BLOB x",
    "AI.MODELDEL {A}m",
    "AI.MODELEXECUTE {A}m INPUTS 1 {A}x OUTPUTS 1 {A}y",
    "AI.MODELRUN {A}m INPUTS {A}x OUTPUTS {A}y",
    "AI.SCRIPTSTORE {A}s CPU ENTRY_POINTS 1 f SOURCE x",
    "AI.SCRIPTSET {A}s CPU SOURCE x",
    "AI.SCRIPTDEL {A}s",
    "AI.SCRIPTEXECUTE {A}s f INPUTS 1 {A}x OUTPUTS 1 {A}y",
    "AI.SCRIPTRUN {A}s f INPUTS {A}x OUTPUTS {A}y",
    "AI.DAGEXECUTE LOAD 1 {A}x |> AI.TENSORGET {A}x",
    "AI.DAGRUN LOAD 1 {A}x |> AI.TENSORGET {A}x",
]


def tagged(text):
    return words(text.replace("{A}", f"{{{A}}}"))


@pytest.fixture(scope="module")
def shard(server_kind, module_path):
    """A primary that holds the model `m`, the script `s` and the tensor `x`, and its replica, where they are ready."""
    config = ("--repl-diskless-sync-delay", "0")
    with Cluster(server_kind.name, server_kind.binary, module_path, config=config, has_replicas=True) as cluster:
        primary, replica = cluster.nodes[0], cluster.replicas[0]
        with primary.raw() as raw:
            store_model(raw, f"{{{A}}}m", onnx_models.add_constant(1))
            store_script(raw, f"{{{A}}}s", SOURCE, "f")
            set_tensor(raw, f"{{{A}}}x", [1])
        for field in ("ai_models_ready", "ai_scripts_ready"):
            eventually(lambda field=field: replica.info("modules")[field] == "1", "it is ready on the replica", 30)
        eventually(lambda: replica.raw().call("DBSIZE") == 3, "the replica has everything")
        yield primary, replica
        cluster.assert_healthy()


@pytest.mark.parametrize("command", READS)
def test_reads_are_served(shard, command):
    primary, replica = shard
    with replica.raw() as raw:
        assert raw.call(*tagged(command)) == Error(f"MOVED {SLOT} 127.0.0.1:{primary.port}")
        assert raw.call("READONLY") == OK
        assert raw.call(*tagged(command)) == READS[command]


@pytest.mark.parametrize("command", WRITES)
def test_writes_are_sent_to_the_primary(shard, command):
    primary, replica = shard
    with replica.raw() as raw:
        for _ in range(2):
            assert raw.call(*tagged(command)) == Error(f"MOVED {SLOT} 127.0.0.1:{primary.port}")
            assert raw.call("READONLY") == OK
        assert raw.call("DBSIZE") == 3


def test_statistics_are_those_of_the_replica(shard):
    primary, replica = shard
    with replica.raw() as raw, primary.raw() as primary_raw:
        assert raw.call("READONLY") == OK
        calls = raw.call("AI.INFO", f"{{{A}}}m")[15]
        run = tagged("AI.DAGEXECUTE_RO LOAD 1 {A}x |> AI.MODELEXECUTE {A}m INPUTS 1 {A}x OUTPUTS 1 y")
        assert raw.call(*run) == [OK]
        assert raw.call("AI.INFO", f"{{{A}}}m")[15] == calls + 1
        assert primary_raw.call("AI.INFO", f"{{{A}}}m")[15] == 0
