"""TorchScript archives whose tensors are said to be larger than the data that comes with them.

libtorch believes what an archive says of sizes: a run would read, and write, what is not the tensor's.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

import numpy as np
import pytest

from support import torch_models
from support.commands import execute, get_tensor, set_tensor
from support.resp import OK, Error, RawClient

REFUSED = Error("ERR TorchScript holds a tensor that is larger than its data")
pytestmark = pytest.mark.one_server
MODULE_ARGS = ("MODEL_CHECK", "NO")
"""What is tested is the engine's part; in a process of its own the same code looks first."""


def with_data(blob: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """The archive with other bytes for every tensor; the pickled sizes stay."""
    memory = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(blob)) as old, zipfile.ZipFile(memory, "w") as new:
        changed = [name for name in old.namelist() if "/data/" in name]
        assert changed
        for name in old.namelist():
            new.writestr(name, change(old.read(name)) if name in changed else old.read(name))
    return memory.getvalue()


def with_pickle(blob: bytes, old: bytes, new: bytes) -> bytes:
    """The archive with a piece of the program that makes its objects replaced."""
    memory = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(blob)) as source, zipfile.ZipFile(memory, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith("/data.pkl"):
                assert old in content
                content = content.replace(old, new)
            target.writestr(name, content)
    return memory.getvalue()


def store(raw: RawClient, blob: bytes) -> object:
    return raw.call("AI.MODELSTORE", "m", "TORCH", "CPU", "BLOB", blob)


@pytest.mark.parametrize("make", [torch_models.linear, torch_models.counter, torch_models.views])
@pytest.mark.parametrize("change", [lambda data: b"", lambda data: data[:-1]], ids=["none", "a byte less"])
def test_too_little_data(raw, make, change):
    assert store(raw, with_data(make(), change)) == REFUSED
    assert raw.call("EXISTS", "m") == 0


# The weight is [2, 3] with strides [3, 1] from 0, of 6 elements; the pickle has small numbers as K and a byte.
@pytest.mark.parametrize(
    "old, new",
    [(b"K\x06tQ", b"K\x07tQ"), (b"K\x06tQ", b"J\xff\xff\xff\x7ftQ"), (b"K\x02tQ", b"M\xff\xfftQ")],
    ids=["an element more", "2 GB", "of the bias"],
)
def test_more_elements_than_data(raw, old, new):
    assert store(raw, with_pickle(torch_models.linear(), old, new)) == REFUSED


@pytest.mark.parametrize(
    "old, new",
    [
        (b"K\x06tQ", b"J\xff\xff\xff\xfftQ"),
        (b"K\x06tQ", b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7ftQ"),
        (b"(K\x02K\x03t", b"(K\x02K\x04t"),
        (b"(K\x03K\x01t", b"(K\x04K\x01t"),
        (b"(K\x03K\x01t", b"(J\xff\xff\xff\xffK\x01t"),
        (b"(K\x03K\x01t", b"(\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fK\x01t"),
    ],
    ids=["negative", "overflow", "a column more", "a stride", "a negative stride", "an overflow of strides"],
)
def test_impossible_sizes(raw, old, new):
    """Here libtorch itself notices."""
    reply = store(raw, with_pickle(torch_models.linear(), old, new))
    assert isinstance(reply, Error), reply


def test_more_data_than_needed_does_not_hurt(raw):
    assert store(raw, with_data(torch_models.linear(), lambda data: data + b"more")) == OK
    set_tensor(raw, "x", np.array([[1, 2, 3]], np.float32))
    assert execute(raw, "m", ["x"], ["y"]) == OK
    np.testing.assert_allclose(get_tensor(raw, "y"), [[9, 28]])


def test_views_of_shared_data(raw):
    assert store(raw, torch_models.views()) == OK
    set_tensor(raw, "x", np.array([1], np.float32))
    assert execute(raw, "m", ["x"], ["y"]) == OK
    np.testing.assert_allclose(get_tensor(raw, "y"), [1 + 12 + 5 + 1000])
