"""Reference sections 3.2 and 3.5 for replies of many megabytes, which another thread writes while the client waits."""

import time

import numpy as np
import pytest

from support import onnx_models
from support.commands import NO_MODEL, pairs, store_command, store_model, words
from support.resp import OK, QUEUED, ConnectionClosed, Double, Error
from support.wait import eventually

LARGE = onnx_models.big_weights(12)
COUNT = 1 << 21
VALUES = 1 << 15
KEPT_KEYS = ("m", "t", "v")


@pytest.fixture(scope="module", autouse=True)
def stored(module_server):
    with module_server.raw() as raw:
        store_model(raw, "m", LARGE, "TAG", "v1")
        assert raw.call("AI.TENSORSET", "t", "DOUBLE", COUNT, "BLOB", np.arange(COUNT, dtype=np.float64).tobytes()) == OK
        assert raw.call("AI.TENSORSET", "v", "FLOAT", VALUES, "BLOB", np.arange(VALUES, dtype=np.float32).tobytes()) == OK


@pytest.mark.parametrize("resp", [2, 3])
def test_model(server, resp):
    with server.raw(resp=resp) as raw:
        assert raw.call("AI.MODELGET", "m", "BLOB") == LARGE
        meta = pairs(raw.call("AI.MODELGET", "m"))
        assert (meta["backend"], meta["tag"], meta["inputs"], meta["blob"]) == (b"ONNX", b"v1", [b"x"], LARGE)


def test_model_in_chunks(raw):
    size = 1_000_000
    assert raw.call("AI.CONFIG", "MODEL_CHUNK_SIZE", size) == OK
    try:
        chunks = raw.call("AI.MODELGET", "m", "BLOB")
    finally:
        raw.call("AI.CONFIG", "MODEL_CHUNK_SIZE", 535822336)
    assert chunks == [LARGE[start : start + size] for start in range(0, len(LARGE), size)]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_number_of_chunks_is_bounded(server, raw, size):
    """A setting that would make millions of pieces makes thousands: in replies, data files and commands."""
    assert raw.call("AI.CONFIG", "MODEL_CHUNK_SIZE", size) == OK
    try:
        chunks = raw.call("AI.MODELGET", "m", "BLOB")
        start = time.monotonic()
        payload = raw.call("DUMP", "m")
        assert time.monotonic() - start < 10
    finally:
        raw.call("AI.CONFIG", "MODEL_CHUNK_SIZE", 535822336)
    assert b"".join(chunks) == LARGE
    assert len(chunks) <= 16_384 and len({len(chunk) for chunk in chunks[:-1]}) == 1 and len(chunks[0]) >= size
    assert len(payload) < 1.1 * len(LARGE)
    assert raw.call("RESTORE", "copy", 0, payload) == OK
    assert raw.call("AI.MODELGET", "copy", "BLOB") == LARGE
    assert raw.call("DEBUG", "DIGEST-VALUE", "copy") == raw.call("DEBUG", "DIGEST-VALUE", "m")


@pytest.mark.parametrize("resp", [2, 3])
def test_tensors(server, resp):
    with server.raw(resp=resp) as raw:
        reply = raw.call("AI.TENSORGET", "t", "META", "BLOB")
        assert reply[:5] == [b"dtype", b"DOUBLE", b"shape", [COUNT], b"blob"]
        assert np.array_equal(np.frombuffer(reply[5]), np.arange(COUNT))
        values = raw.call("AI.TENSORGET", "v", "VALUES")
        numbers = [value.value if isinstance(value, Double) else float(value) for value in values]
        assert numbers == list(range(VALUES))


def test_the_order_of_a_pipeline(raw):
    replies = raw.pipeline(
        [["ECHO", "1"], ["AI.MODELGET", "m", "BLOB"], ["ECHO", "2"], ["AI.TENSORGET", "t"], ["AI.MODELGET", "none"]]
    )
    assert [replies[0], replies[1] == LARGE, replies[2], replies[3][3], replies[4]] == [
        *(b"1", True, b"2", [COUNT], NO_MODEL)
    ]


def test_where_nobody_can_wait(raw):
    assert raw.pipeline([["MULTI"], words("AI.MODELGET m BLOB"), ["EXEC"]]) == [OK, QUEUED, [LARGE]]
    assert raw.call("EVAL", "return #redis.call('AI.MODELGET', 'm', 'BLOB')", 0) == len(LARGE)


def test_what_is_replaced_meanwhile_is_answered_as_it_was(server, raw):
    other = server.raw()
    command = store_command("n", onnx_models.big_weights(8))
    assert raw.call(*command) == OK
    for _ in range(10):
        raw.send("AI.MODELGET", "n", "BLOB")
        other.call("DEL", "n")
        reply = raw.read()
        assert reply in (NO_MODEL, command[-1])
        assert other.call(*command) == OK


def test_clients_that_leave(server, raw):
    """Before, while and after the reply is written: nothing is kept of it."""
    empty = server.used_memory()
    for round_number in range(60):
        client = server.raw()
        client.send_bytes(b"".join(b"*3\r\n$11\r\nAI.MODELGET\r\n$1\r\nm\r\n$4\r\nBLOB\r\n" for _ in range(3)))
        time.sleep(0.0005 * (round_number % 12))
        client.abort()
    eventually(lambda: server.used_memory() < empty + 1_000_000, "the memory is given back")
    assert raw.call("AI.MODELGET", "m", "BLOB") == LARGE


def test_clients_with_limits(server, raw):
    """A client whose output may not be so large is closed by the server, as with any other reply."""
    raw.call("CONFIG", "SET", "client-output-buffer-limit", "normal 1000000 0 0")
    try:
        with server.raw() as client, pytest.raises((ConnectionClosed, ConnectionError)):
            client.call("AI.MODELGET", "m", "BLOB")
            client.call("PING")
    finally:
        raw.call("CONFIG", "SET", "client-output-buffer-limit", "normal 0 0 0")
    assert raw.call("AI.MODELGET", "m", "BLOB") == LARGE


def test_a_client_that_wants_no_reply(server, raw):
    with server.raw() as client:
        client.send("CLIENT", "REPLY", "OFF")
        client.send("AI.MODELGET", "m", "BLOB")
        client.send("CLIENT", "REPLY", "ON")
        assert client.read() == OK
        assert client.call("PING").text == "PONG"
    assert not isinstance(raw.call("AI.MODELGET", "m"), Error)


def test_deleting_a_model_does_not_wait_for_large_replies(server, raw):
    """Others wait for what the module does in the background, too."""
    store_model(raw, "gone", onnx_models.big_weights(8))
    clients = [server.raw() for _ in range(10)]
    for client in clients:
        client.send("AI.TENSORGET", "t", "VALUES")
    eventually(lambda: int(server.info("clients")["blocked_clients"]) >= 7, "replies wait to be written", interval=0.001)
    assert raw.call("AI.MODELDEL", "gone") == OK
    assert sum(client.has_reply(within=0) for client in clients) < 7
    for client in clients:
        client.abort()
