"""Reference sections 3.2, 3.5 and 6 for replies of many megabytes, which another thread writes while the client waits."""

import time

import numpy as np
import pytest

from support import onnx_models
from support.commands import NO_MODEL, WRONGTYPE, get_tensor, pairs, store_command, store_model, words
from support.resp import OK, QUEUED, ConnectionClosed, Double, Error, Status, encode_command
from support.wait import eventually

LARGE = onnx_models.big_weights(12)
COUNT = 1 << 21
VALUES = 1 << 15
KEPT_KEYS = ("m", "t", "v", "next")


@pytest.fixture(scope="module", autouse=True)
def stored(module_server):
    with module_server.raw() as raw:
        store_model(raw, "m", LARGE, "TAG", "v1")
        assert raw.call("AI.TENSORSET", "t", "DOUBLE", COUNT, "BLOB", np.arange(COUNT, dtype=np.float64).tobytes()) == OK
        assert raw.call("AI.TENSORSET", "v", "FLOAT", VALUES, "BLOB", np.arange(VALUES, dtype=np.float32).tobytes()) == OK
        store_model(raw, "next", onnx_models.add_constant(1))


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


def test_chunks_of_another_size_from_now_on(server, raw):
    """The size may change at any moment while a reply is written."""
    sizes = [["AI.CONFIG", "MODEL_CHUNK_SIZE", size] for size in (700, 1_000_000)]
    assert raw.call(*sizes[0]) == OK
    try:
        with server.raw() as client:
            for _ in range(30):
                client.send("AI.MODELGET", "m", "BLOB")
                assert raw.pipeline(20 * sizes) == [OK] * 40
                assert b"".join(client.read()) == LARGE
    finally:
        raw.call("AI.CONFIG", "MODEL_CHUNK_SIZE", 535822336)


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
        assert numbers(values) == list(range(VALUES))


def numbers(values):
    return [value.value if isinstance(value, Double) else float(value) for value in values]


READ_ALL = "|> AI.TENSORGET t BLOB |> AI.TENSORSET s INT8 1 VALUES 5 |> AI.TENSORGET s VALUES |> AI.TENSORGET v VALUES"


@pytest.mark.parametrize("resp", [2, 3])
def test_graphs_that_run_nothing(server, resp):
    with server.raw(resp=resp) as raw:
        blob, stored, small, values = raw.call(*words(f"AI.DAGEXECUTE_RO LOAD 2 t v {READ_ALL}"))
        assert np.array_equal(np.frombuffer(blob), np.arange(COUNT))
        assert (stored, numbers(small), numbers(values)) == (OK, [5], list(range(VALUES)))


@pytest.mark.parametrize("resp", [2, 3])
@pytest.mark.parametrize("runs", [1, 12])
def test_graphs_with_runs(server, resp, runs):
    """In workers, and after some runs in the main thread."""
    graph = words("AI.DAGEXECUTE LOAD 1 v PERSIST 1 w |> AI.MODELEXECUTE next INPUTS 1 v OUTPUTS 1 w |> AI.TENSORGET w VALUES")
    with server.raw(resp=resp) as raw:
        for _ in range(runs):
            run, values = raw.call(*graph)
            assert (run, numbers(values)) == (OK, list(range(1, VALUES + 1)))
            assert np.array_equal(get_tensor(raw, "w"), np.arange(1, VALUES + 1))
            assert raw.call("DEL", "w") == 1


def test_graphs_whose_outputs_cannot_be_stored(raw):
    """The error follows what has been written."""
    assert raw.call("SET", "text", "no tensor") == OK
    run = "|> AI.MODELEXECUTE next INPUTS 1 v OUTPUTS 1 text |> AI.TENSORGET text VALUES |> AI.TENSORGET t BLOB"
    for _ in range(12):
        reply = raw.call(*words(f"AI.DAGEXECUTE LOAD 2 v t PERSIST 1 text {run}"))
        assert (reply[0], numbers(reply[1]), len(reply[2])) == (OK, list(range(1, VALUES + 1)), 8 * COUNT)
        assert reply[3:] == [WRONGTYPE]
    assert raw.call("GET", "text") == b"no tensor"
    assert raw.call("DEL", "text") == 1


def test_graphs_with_a_run_that_fails(raw):
    """What comes before it is there, what comes after it is not."""
    run = "|> AI.MODELEXECUTE next INPUTS 1 t OUTPUTS 1 w"
    reply = raw.call(*words(f"AI.DAGEXECUTE_RO LOAD 1 t |> AI.TENSORGET t BLOB {run} |> AI.TENSORGET w VALUES"))
    assert len(reply[0]) == 8 * COUNT and isinstance(reply[1], Error) and reply[2] == Status("NA")


def test_others_do_not_wait_for_graphs(server, raw):
    with server.raw() as client:
        client.send(*words("AI.DAGEXECUTE_RO LOAD 1 t |> AI.TENSORGET t VALUES"))
        eventually(lambda: server.info("clients")["blocked_clients"] == "1", "it is being written", interval=0.001)
        assert raw.call("PING").text == "PONG"
        assert not client.has_reply(within=0)
        client.abort()


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
        graph = words("AI.DAGEXECUTE_RO LOAD 1 v |> AI.MODELEXECUTE next INPUTS 1 v OUTPUTS 1 w |> AI.TENSORGET w VALUES")
        client.send_bytes(2 * (encode_command("AI.MODELGET", "m", "BLOB") + encode_command(*graph)))
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
