"""What MEMORY USAGE and INFO say that a model takes, compared with what the process takes."""

import pytest

from support import onnx_models
from support.commands import execute_command, set_tensor
from support.resp import OK, Error
from support.wait import eventually
from support.workshop import made_with_tensorflow, made_with_torch

pytestmark = pytest.mark.one_server
# Trying a model out is another process's memory, but its engine's first load would be counted as the model's.
MODULE_ARGS = ("MODEL_CHECK", "NO")
MEGABYTE = 1_000_000
WEIGHTS = 80 * MEGABYTE
# MEMORY USAGE as a part of what the process has grown by: engines also keep what they cannot tell.
LEAST, MOST = 0.6, 1.2


def large(engine):
    """The bytes of a model with so many weights, its names and the shape of its input."""
    match engine:
        case "ONNX":
            return onnx_models.big_weights(WEIGHTS // MEGABYTE), [], [1]
        case "TF":
            path = made_with_tensorflow("large_models.py") / "tf-large.pb"
            return path.read_bytes(), ["INPUTS", 1, "input", "OUTPUTS", 1, "output"], [1]
        case "TFLITE":
            return (made_with_tensorflow("large_models.py") / "tflite-large.tflite").read_bytes(), [], [1, 2000]
        case "TORCH":
            return (made_with_torch("large_torch.py") / "torch-large.pt").read_bytes(), [], [1, 2000]


def store(raw, key, engine):
    blob, names, shape = large(engine)
    assert raw.call("AI.MODELSTORE", key, engine, "CPU", *names, "BLOB", blob) == OK
    assert raw.call("AI.TENSORSET", f"{key}:x", "FLOAT", *shape) == OK
    assert raw.call(*execute_command(key, [f"{key}:x"], [f"{key}:y"])) == OK
    assert raw.call("DEL", f"{key}:x", f"{key}:y") == 2
    return len(blob)


def settled(read):
    """A figure that has stopped changing."""
    seen = []

    def is_settled():
        seen.append(read())
        return len(seen) > 5 and max(seen[-5:]) - min(seen[-5:]) < MEGABYTE

    eventually(is_settled, "the figure settles", 30, interval=0.1)
    return seen[-1]


def resident(server):
    # What a freed block leaves with the allocator is not in use.
    with server.raw() as raw:
        raw.call("MEMORY", "PURGE")
    return int(server.info("memory")["used_memory_rss"])


@pytest.mark.parametrize("engine", ["ONNX", "TF", "TFLITE", "TORCH"])
def test_a_model_takes_what_is_said(server, engine):
    """The first of its kind comes with what the engine needs once."""
    with server.raw() as raw:
        size = store(raw, "first", engine)
        before = settled(lambda: resident(server))
        info = server.info("modules")
        store(raw, "second", engine)
        usage = raw.call("MEMORY", "USAGE", "second")
    grown = settled(lambda: resident(server)) - before
    print(f"{engine}: {size / 1e6:.0f} MB, said to take {usage / 1e6:.0f} MB, takes {grown / 1e6:.0f} MB")
    assert LEAST * grown <= usage <= MOST * grown, (usage, grown)
    after = server.info("modules")
    assert int(after["ai_memory_models"]) - int(info["ai_memory_models"]) == size
    engines = f"ai_memory_{engine}_models"
    assert 0 <= usage - size - (int(after[engines]) - int(info[engines])) < 10_000
    with server.raw() as raw:
        assert raw.call("AI.MODELDEL", "second") == OK
        assert raw.call("AI.MODELDEL", "first") == OK
    eventually(lambda: server.info("modules")[engines] == "0", "nothing is left of the models")
    assert server.info("modules")["ai_memory_models"] == "0"
    eventually(lambda: resident(server) < before - 0.5 * usage, "the memory is given back", 20, interval=0.1)


def test_tensors(server, raw):
    """Of keys and of what waits; what a run makes in the meantime as well."""

    def tensors():
        return int(server.info("modules")["ai_memory_tensors"])

    eventually(lambda: tensors() < MEGABYTE, "those of earlier tests are gone")
    start = tensors()
    assert raw.call("AI.TENSORSET", "x", "UINT8", 20 * MEGABYTE) == OK
    assert 0 <= tensors() - start - 20 * MEGABYTE < 1000
    assert raw.call("COPY", "x", "y") == 1
    assert tensors() - start < 21 * MEGABYTE
    assert raw.call("DEL", "x", "y") == 2
    eventually(lambda: tensors() == start, "nothing is left of it")
    assert isinstance(raw.call("AI.TENSORGET", "x"), Error)
