"""redis-py as applications use it: pipelines, threads, asyncio, both protocols."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import redis
import redis.asyncio

from support import onnx_models
from support.commands import execute_command
from support.resp import Push
from support.scripts import GATE, script_command, store_script_command
from support.wait import eventually

MODEL = onnx_models.add_constant(1)
TWICE = "def twice(tensors: List[Tensor], keys: List[str], args: List[str]):\n    return tensors[0] * 2\n"
STORE = ["AI.MODELSTORE", "m", "ONNX", "CPU", "BLOB", MODEL]
PROTOCOLS = pytest.mark.parametrize("protocol", [2, 3])
TRANSACTIONS = pytest.mark.parametrize("transaction", [True, False], ids=["transaction", "plain"])
REFUSED = "Cannot run RedisAI command within a transaction or a LUA script"


def tensor(key, *values):
    return ["AI.TENSORSET", key, "FLOAT", len(values), "VALUES", *values]


def blob(*values):
    return np.array(values, dtype=np.float32).tobytes()


@pytest.fixture
def connect(server):
    """A redis-py client with that protocol; the model `m` adds 1."""

    def connected(protocol, **options):
        client = server.client(protocol=protocol, **options)
        client.execute_command(*STORE)
        return client

    return connected


@pytest.fixture
def in_loop(server):
    """Runs a coroutine function with an asyncio client of many connections."""

    def run(body, **options):
        async def main():
            client = redis.asyncio.Redis(host="127.0.0.1", port=server.port, socket_timeout=30, **options)
            try:
                await client.execute_command(*STORE)
                await body(client)
            finally:
                await client.aclose()

        asyncio.run(main())

    return run


# Replies


@PROTOCOLS
def test_numbers(connect, protocol):
    """RESP3 has doubles, RESP2 writes them as text."""
    client = connect(protocol)
    client.execute_command(*tensor("x", 1.5, -2))
    values = client.execute_command("AI.TENSORGET", "x", "VALUES")
    assert values == ([b"1.5", b"-2"] if protocol == 2 else [1.5, -2.0])
    client.execute_command("AI.TENSORSET", "n", "INT64", 2, "VALUES", -7, 2**62)
    assert client.execute_command("AI.TENSORGET", "n", "VALUES") == [-7, 2**62]


@PROTOCOLS
def test_arrays_stay_arrays(connect, protocol):
    """Labels and values alternate; nothing becomes a dictionary."""
    client = connect(protocol)
    client.execute_command(*tensor("x", 1))
    meta = [b"dtype", b"FLOAT", b"shape", [1], b"blob", blob(1)]
    assert client.execute_command("AI.TENSORGET", "x") == meta
    info = client.execute_command("AI.INFO", "m")
    assert info[:8] == [b"key", b"m", b"type", b"MODEL", b"backend", b"ONNX", b"device", b"CPU"]
    assert client.execute_command("AI.CONFIG", "GET", "NONE") is None


@PROTOCOLS
def test_decoded_replies(connect, protocol):
    client = connect(protocol, decode_responses=True)
    client.execute_command("AI.TENSORSET", "x", "STRING", 2, "VALUES", "wörter", "")
    assert client.execute_command("AI.TENSORGET", "x", "META", "VALUES") == [
        "dtype", "STRING", "shape", [2], "values", ["wörter", ""],
    ]  # fmt: skip
    assert client.execute_command("AI._MODELSCAN") == [["m", ""]]


@PROTOCOLS
def test_errors_are_raised(connect, protocol):
    client = connect(protocol)
    with pytest.raises(redis.ResponseError, match="^tensor key is empty or in a different shard$"):
        client.execute_command("AI.TENSORGET", "none")
    client.set("text", "a")
    with pytest.raises(redis.ResponseError, match="^WRONGTYPE Operation against a key"):
        client.execute_command("AI.TENSORGET", "text")


# Pipelines


@PROTOCOLS
@TRANSACTIONS
def test_pipeline_of_tensors_and_others(connect, protocol, transaction):
    pipeline = connect(protocol).pipeline(transaction=transaction)
    for number in range(100):
        pipeline.execute_command(*tensor(f"x{number}", number))
        pipeline.set(f"text{number}", number)
        pipeline.execute_command("AI.TENSORGET", f"x{number}", "BLOB")
        pipeline.get(f"text{number}")
    expected = [[b"OK", True, blob(number), str(number).encode()] for number in range(100)]
    assert pipeline.execute() == sum(expected, [])


@PROTOCOLS
def test_plain_pipeline_of_executions(connect, protocol):
    """What comes after an execution sees its outputs."""
    pipeline = connect(protocol).pipeline(transaction=False)
    pipeline.execute_command(*tensor("x", 0))
    for number in range(1, 51):
        pipeline.execute_command(*execute_command("m", ["x"], ["x"]))
        pipeline.execute_command("AI.TENSORGET", "x", "BLOB")
    assert pipeline.execute() == [b"OK", *sum([[b"OK", blob(number)] for number in range(1, 51)], [])]


def test_plain_pipeline_is_no_slower_than_single_commands(connect):
    """What waits behind an execution by a worker goes on when that is done, not with the next round of the cron."""
    client = connect(2)
    client.execute_command(*store_script_command("s", TWICE, "twice"))
    client.execute_command(*tensor("x", 0))
    pipeline = client.pipeline(transaction=False)
    seconds = []
    for _ in range(3):
        for _ in range(50):
            pipeline.execute_command(*script_command("s", "twice", ["x"], ["y"]))
        started = time.monotonic()
        assert pipeline.execute() == [b"OK"] * 50
        seconds.append(time.monotonic() - started)
    assert min(seconds) < 0.5, seconds


@PROTOCOLS
def test_plain_pipeline_goes_on_after_errors(connect, protocol):
    pipeline = connect(protocol).pipeline(transaction=False)
    pipeline.execute_command(*execute_command("m", ["none"], ["y"]))
    pipeline.execute_command(*tensor("x", 1))
    pipeline.execute_command(*execute_command("m", ["x"], ["y"]))
    pipeline.execute_command("AI.DAGEXECUTE", "LOAD", 1, "y", "|>", *execute_command("m", ["y"], ["z"]), "|>",
                             "AI.TENSORGET", "z", "BLOB")  # fmt: skip
    failed, *others = pipeline.execute(raise_on_error=False)
    assert str(failed) == "tensor key is empty or in a different shard"
    assert others == [b"OK", b"OK", [b"OK", blob(3)]]


@PROTOCOLS
def test_executions_are_refused_in_transactions(connect, protocol):
    client = connect(protocol)
    pipeline = client.pipeline(transaction=True)
    pipeline.execute_command(*tensor("x", 1))
    pipeline.execute_command(*execute_command("m", ["x"], ["y"]))
    pipeline.execute_command("AI.DAGEXECUTE", "ROUTING", "x", "|>", *tensor("y", 1))
    pipeline.set("text", "a")
    first, execution, dag, last = pipeline.execute(raise_on_error=False)
    assert (first, str(execution), str(dag), last) == (b"OK", REFUSED, REFUSED, True)
    assert client.exists("y") == 0


@PROTOCOLS
@pytest.mark.parametrize("by", ["AI.TENSORSET", "AI.MODELEXECUTE"])
def test_watched_tensors(connect, protocol, by):
    """A transaction fails if somebody has written the tensor, were it a run."""
    client = connect(protocol)
    client.execute_command(*tensor("x", 1))
    with client.pipeline() as pipeline:
        pipeline.watch("x")
        client.execute_command(*(tensor("x", 2) if by == "AI.TENSORSET" else execute_command("m", ["x"], ["x"])))
        pipeline.multi()
        pipeline.set("text", "a")
        with pytest.raises(redis.WatchError):
            pipeline.execute()
    assert client.execute_command("AI.TENSORGET", "x", "BLOB") == blob(2)


def test_watched_tensors_that_stay(connect):
    """Reading is no change."""
    client = connect(2)
    client.execute_command(*tensor("x", 1))
    with client.pipeline() as pipeline:
        pipeline.watch("x")
        client.execute_command(*execute_command("m", ["x"], ["y"]))
        pipeline.multi()
        pipeline.set("text", "a")
        assert pipeline.execute() == [True]


# Client-side caching


@pytest.mark.parametrize("by", ["AI.TENSORSET", "AI.MODELEXECUTE", "AI.DAGEXECUTE"])
def test_tracked_tensors_are_invalidated(connect, raw3, by):
    client = connect(2)
    client.execute_command(*tensor("x", 1))
    raw3.call("CLIENT", "TRACKING", "ON")
    assert raw3.call("AI.TENSORGET", "x", "BLOB") == blob(1)
    run = execute_command("m", ["x"], ["x"])
    changes = {
        "AI.TENSORSET": tensor("x", 2),
        "AI.MODELEXECUTE": run,
        "AI.DAGEXECUTE": ["AI.DAGEXECUTE", "LOAD", 1, "x", "PERSIST", 1, "x", "|>", *run],
    }
    client.execute_command(*changes[by])
    assert raw3.read() == Push([b"invalidate", [b"x"]])
    assert raw3.call("AI.TENSORGET", "x", "BLOB") == blob(2)


# Many at once


def test_threads_share_a_client(connect):
    client = connect(3)

    def count_up(thread):
        key = f"x{thread}"
        client.execute_command(*tensor(key, 0))
        for _ in range(50):
            client.execute_command(*execute_command("m", [key], [key]))
        return client.execute_command("AI.TENSORGET", key, "BLOB")

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(count_up, range(8))) == [blob(50)] * 8


@PROTOCOLS
def test_asyncio_many_connections(in_loop, protocol):
    """400 executions on as many connections as redis-py likes, each with its own tensors."""

    async def body(client):
        async def one(number):
            await client.execute_command(*tensor(f"x{number}", number))
            await client.execute_command(*execute_command("m", [f"x{number}"], [f"y{number}"]))
            return await client.execute_command("AI.TENSORGET", f"y{number}", "BLOB")

        answers = await asyncio.gather(*(one(number) for number in range(400)))
        assert answers == [blob(number + 1) for number in range(400)]

    in_loop(body, protocol=protocol, max_connections=500)


@PROTOCOLS
def test_asyncio_mixture(in_loop, server, protocol):
    """Tensors, runs, DAGs, scripts and stores of models at the same time; every reply is the one of its command."""
    async def body(client):
        await client.execute_command(*store_script_command("s", TWICE, "twice"))
        await client.execute_command(*tensor("x", 10))

        async def run(number):
            assert await client.execute_command(*execute_command("m", ["x"], [f"run{number}"])) == b"OK"
            assert await client.execute_command("AI.TENSORGET", f"run{number}", "BLOB") == blob(11)

        async def dag(number):
            run = execute_command("m", ["x"], ["y"])
            command = ["AI.DAGEXECUTE_RO", "LOAD", 1, "x", "|>", *run, "|>", "AI.TENSORGET", "y", "BLOB"]
            assert await client.execute_command(*command) == [b"OK", blob(11)]

        async def run_script(number):
            assert await client.execute_command(*script_command("s", "twice", ["x"], [f"s{number}"])) == b"OK"
            assert await client.execute_command("AI.TENSORGET", f"s{number}", "BLOB") == blob(20)

        async def store(number):
            key = f"m{number}"
            assert await client.execute_command("AI.MODELSTORE", key, "ONNX", "CPU", "BLOB", MODEL) == b"OK"
            assert await client.execute_command("AI.MODELGET", key, "BLOB") == MODEL
            assert await client.execute_command("AI.MODELDEL", key) == b"OK"

        jobs = [job(number) for number in range(40) for job in (run, dag, run_script)]
        jobs += [store(number) for number in range(8)]
        await asyncio.gather(*jobs)
        assert (await client.execute_command("AI.INFO", "m"))[13:18:2] == [80, 80, 0]

    in_loop(body, protocol=protocol, max_connections=200)


def test_asyncio_pipeline(in_loop):
    async def body(client):
        async def one(number):
            async with client.pipeline(transaction=False) as pipeline:
                pipeline.execute_command(*tensor(f"x{number}", number))
                pipeline.execute_command(*execute_command("m", [f"x{number}"], [f"y{number}"]))
                pipeline.execute_command("AI.TENSORGET", f"y{number}", "BLOB")
                return await pipeline.execute()

        answers = await asyncio.gather(*(one(number) for number in range(100)))
        assert answers == [[b"OK", b"OK", blob(number + 1)] for number in range(100)]

    in_loop(body)


def test_asyncio_cancellation(in_loop, server):
    """Whoever waits no longer has closed its connection; the others are served, and its output is not written."""

    async def body(client):
        await client.execute_command(*store_script_command("s", GATE, "wait_for"))
        command = script_command("s", "wait_for", [], ["out"], keys=["gate"])
        waiting = asyncio.create_task(client.execute_command(*command))
        while (await client.info("clients"))["blocked_clients"] == 0:
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await client.set("gate", "open")
        await client.execute_command(*tensor("x", 1))
        assert await client.execute_command(*execute_command("m", ["x"], ["y"])) == b"OK"
        assert await client.exists("out") == 0

    in_loop(body)
    eventually(lambda: server.info("clients")["blocked_clients"] == "0", "nobody waits any more")
