"""Reference section 3.16: AI.INFO counts what ran."""

import itertools

import numpy as np
import pytest

from support import onnx_models
from support.commands import NO_RUN_INFO, execute, set_tensor, stats, store_model, words
from support.resp import OK, Error


@pytest.fixture
def model(raw):
    store_model(raw, "m", onnx_models.mul(), "TAG", "v1", device="cpu")
    set_tensor(raw, "x", np.ones((3, 2), dtype=np.float32))
    return "m"


@pytest.mark.parametrize("command", ["AI.INFO m", "ai.info m", "AI.INFO m FOO"])
def test_layout(raw, model, command):
    assert raw.call(*words(command)) == [
        b"key",
        b"m",
        b"type",
        b"MODEL",
        b"backend",
        b"ONNX",
        b"device",
        b"cpu",
        b"tag",
        b"v1",
        b"duration",
        0,
        b"samples",
        0,
        b"calls",
        0,
        b"errors",
        0,
    ]


@pytest.mark.parametrize("key", ["none", "x", "s"])
def test_only_models_have_run_info(raw, model, key):
    raw.call("SET", "s", "text")
    assert raw.call("AI.INFO", key) == NO_RUN_INFO


@pytest.mark.parametrize("word", ["RESETSTAT", "FOO"])
def test_missing_key_with_a_further_word(raw, word):
    assert raw.call("AI.INFO", "none", word) == NO_RUN_INFO


def test_successful_runs(raw, model):
    durations = [0]
    for calls in range(1, 6):
        assert execute(raw, model, ["x", "x"], ["y"]) == OK
        now = stats(raw, model)
        assert (now["calls"], now["samples"], now["errors"]) == (calls, 3 * calls, 0)
        durations.append(now["duration"])
    assert all(earlier < later for earlier, later in itertools.pairwise(durations)), durations


def test_failed_runs_add_a_call_and_an_error_and_nothing_else(raw, model):
    assert execute(raw, model, ["x", "x"], ["y"]) == OK
    before = stats(raw, model)
    set_tensor(raw, "wrong", [1, 2, 3])
    assert isinstance(execute(raw, model, ["wrong", "wrong"], ["y"]), Error)
    assert stats(raw, model) == {**before, "calls": 2, "errors": 1}


def test_duration_is_the_run_time_in_microseconds(raw):
    store_model(raw, "m", onnx_models.counting_loop())
    set_tensor(raw, "n", [100_000], "INT64")
    set_tensor(raw, "x", [0])
    assert execute(raw, "m", ["n", "x"], ["y"]) == OK
    assert 10_000 < stats(raw, "m")["duration"] < 10_000_000


@pytest.mark.parametrize("reset", ["RESETSTAT", "resetstat"])
def test_resetstat(raw, model, reset):
    assert execute(raw, model, ["x", "x"], ["y"]) == OK
    assert raw.call("AI.INFO", model, reset) == OK
    now = stats(raw, model)
    assert (now["duration"], now["samples"], now["calls"], now["errors"]) == (0, 0, 0, 0)
    assert execute(raw, model, ["x", "x"], ["y"]) == OK
    assert stats(raw, model)["calls"] == 1


def test_samples_are_dim_0_of_the_first_output(raw):
    """Of the first output, not of the input: NonZero turns [4] into [1, 2]."""
    store_model(raw, "m", onnx_models.non_zero())
    set_tensor(raw, "x", [0, 5, 0, 7])
    assert execute(raw, "m", ["x"], ["y"]) == OK
    assert stats(raw, "m")["samples"] == 1


def test_samples_of_a_scalar_output(raw):
    store_model(raw, "m", onnx_models.total())
    set_tensor(raw, "x", [1, 2, 3])
    assert execute(raw, "m", ["x"], ["y"]) == OK
    assert stats(raw, "m")["samples"] in (0, 1)
    assert stats(raw, "m")["calls"] == 1


def test_samples_when_the_first_output_is_not_a_tensor(raw):
    store_model(raw, "m", onnx_models.sequence_output())
    set_tensor(raw, "x", [1, 2, 3])
    assert execute(raw, "m", ["x"], ["s", "y"]) == OK
    assert (stats(raw, "m")["samples"], stats(raw, "m")["calls"]) == (0, 1)


def test_entry_is_shared_by_all_databases(raw, model):
    raw.call("SELECT", 2)
    assert stats(raw, model)["calls"] == 0


def test_rename_does_not_move_the_entry(raw, model):
    assert raw.call("RENAME", "m", "n") == OK
    assert raw.call("AI.INFO", "n") == NO_RUN_INFO
    assert execute(raw, "n", ["x", "x"], ["y"]) == OK
    assert (stats(raw, "m")["key"], stats(raw, "m")["calls"]) == (b"m", 1)


def test_entries_of_two_models_are_separate(raw, model):
    store_model(raw, "n", onnx_models.mul())
    assert execute(raw, "n", ["x", "x"], ["y"]) == OK
    assert (stats(raw, "m")["calls"], stats(raw, "n")["calls"]) == (0, 1)


def test_a_run_refused_at_the_output_key_has_run(raw, model):
    """The model did run; only its result could not be written."""
    raw.call("SET", "y", "text")
    assert isinstance(execute(raw, model, ["x", "x"], ["y"]), Error)
    assert stats(raw, model)["calls"] == 1


def test_rows_that_no_tensor_has_do_not_overflow_the_count(raw):
    """A model may answer with [2^62, 0]: any number of rows, of no elements."""
    store_model(raw, "m", onnx_models.empty_rows(2**62))
    set_tensor(raw, "x", [1.0])
    for _ in range(4):
        assert execute(raw, "m", ["x"], ["y"]) == OK
    assert stats(raw, "m")["calls"] == 4
    assert raw.call("AI.TENSORGET", "y", "META")[3] == [2**62, 0]
