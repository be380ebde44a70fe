"""Bad commands and damaged model files: the short form of ``make fuzz``.

The commands' seed is a new one each time; a failure names it, and REDISAI_FUZZ_SEED repeats it. The model files' seed
is fixed: what a new file does inside the engine is for the long form to find out, not for everybody's build.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

import pytest
from support.commands import NO_TENSOR
from support.resp import OK, Error

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from reliability import command_fuzz, model_campaign  # noqa: E402
from reliability.command_campaign import Task, run_task  # noqa: E402
from reliability.model_families import FAMILIES  # noqa: E402
from reliability.oracle import Oracle  # noqa: E402
from reliability.processes import footprint_when_empty, resident_bytes  # noqa: E402

ROUNDS = 5
"""Of 4,000 commands and more each."""
# Engines differ in how long their process takes to start that tries a file out.
MODEL_FILES = {"onnx": 100, "graph": 6, "saved_model": 6, "tflite": 100, "torch": 8, "script": 8}
MODEL_SEED = "short form"
MEMORY_TOLERANCE_BYTES = 65_536
SIZE_LIMIT = 512 * 1024 * 1024


WORDS = {
    "AI.TENSORSET t FLOAT 0": False,
    "AI.TENSORSET t FLOAT 4611686018427387905 BLOB abcd": False,
    "AI.TENSORSET t INT8 2 VALUES -1 -128": True,
    "AI.TENSORSET t FLOAT 1 VALUES nan": False,
    "ai.tensorset t float BLOB abcd": True,
    "AI.TENSORGET t": False,
    "AI.MODELSTORE m ONNX CPU MINBATCHSIZE 2 BLOB x": False,
    "AI.MODELSTORE m ONNX CPU:123456 BLOB x": False,
    "AI.MODELEXECUTE m INPUTS 1 t OUTPUTS 1 u": False,
    "AI._MODELSCAN": True,
    "AI.CONFIG MODEL_CHUNK_SIZE 0": False,
}


@pytest.mark.parametrize("words, succeeds", WORDS.items(), ids=WORDS.keys())
def test_the_oracle_notices_a_wrong_outcome(words, succeeds):
    """A test of the test: the opposite of what has to happen is a finding."""
    oracle = Oracle(command_fuzz.SIZE_LIMIT, {})
    assert oracle.complaint(words.encode().split(), Error("ERR whatever") if succeeds else OK)


def test_commands(start_server):
    """Every reply is what the grammar says; the server lives, and its memory is what it was after a first round."""
    seed = os.environ.get("REDISAI_FUZZ_SEED") or secrets.token_hex(4)
    server = start_server(*command_fuzz.MODULE_ARGS)
    warm_up = run_task(Task(server.port, f"{seed}:first", 0, 0, 1))
    before = footprint_when_empty(server)
    outcome = run_task(Task(server.port, seed, 0, 0, ROUNDS))
    after = footprint_when_empty(server)
    assert warm_up.trouble is None and outcome.trouble is None, (seed, warm_up.trouble, outcome.trouble)
    assert not warm_up.tally.findings + outcome.tally.findings, "\n".join(
        [f"seed {seed}", *map(str, warm_up.tally.findings + outcome.tally.findings)]
    )
    assert outcome.tally.total >= ROUNDS * command_fuzz.ROUND_SIZE * 0.9
    # A fuzzer whose commands all fail at once tests little.
    assert outcome.tally.succeeded > outcome.tally.total * 0.2
    assert after.used_memory < before.used_memory + MEMORY_TOLERANCE_BYTES, f"seed {seed}: {before} -> {after}"


@pytest.mark.one_server
@pytest.mark.parametrize("name", MODEL_FILES)
def test_damaged_model_files(start_server, name):
    """A file that the engine takes for a model runs or fails, in time; another is refused."""
    family, count = FAMILIES[name], MODEL_FILES[name]
    server = start_server(*model_campaign.module_args(family))
    tally = model_campaign.ModelTally()
    fuzzer = model_campaign.ModelFuzzer(MODEL_SEED, family, large_share=0.02)
    number, problems = model_campaign.run_range(server, fuzzer, tally, 0, count)
    assert not problems, "\n".join(problems)
    assert number == count
    assert tally.outcomes["stored"] > count // 10 and tally.outcomes["refused"] > count // 10, tally


@pytest.mark.one_server
@pytest.mark.parametrize("name", MODEL_FILES)
def test_files_that_are_no_models(start_server, name):
    """Of another engine, of a newer version, empty, or with a header that claims two gigabytes: an error each."""
    server = start_server(*model_campaign.module_args(FAMILIES[name]))
    problems = model_campaign.try_odd_files(server, FAMILIES[name])
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("dtype, size", [("INT8", 1), ("DOUBLE", 8), ("STRING", 1)])
def test_tensors_around_the_size_limit(server, raw, dtype, size):
    """The largest tensor of zeros is stored and given back; one element more is refused and costs nothing."""
    count = SIZE_LIMIT // size
    assert raw.call("AI.TENSORSET", "t", dtype, count) == OK
    assert raw.call("AI.TENSORGET", "t", "META") == [b"dtype", dtype.encode(), b"shape", [count]]
    assert raw.call("DEL", "t") == 1
    before = resident_bytes(server.pid)
    for dims in ([count + 1], [2, count // 2 + 1], [1_000_000_000], [4611686018427387905]):
        assert isinstance(raw.call("AI.TENSORSET", "t", dtype, *dims), Error)
    assert raw.call("AI.TENSORGET", "t") == NO_TENSOR
    assert resident_bytes(server.pid) < before + 50_000_000
