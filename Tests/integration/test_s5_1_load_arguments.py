"""Reference section 5.1: load-time arguments; a bad one keeps the module, and so the server, from starting."""

import os

import pytest

from support.server import ServerStartError

BACKEND = "redisai_onnxruntime/redisai_onnxruntime.so"


@pytest.fixture
def backends_path(module_path):
    return os.path.join(os.path.dirname(module_path), "backends")


def _load_time_configs(server) -> dict[str, str]:
    names = (
        "threads_per_queue",
        "inter_op_parallelism",
        "intra_op_parallelism",
        "model_execution_timeout",
        "backend_memory_limit",
    )
    fields = server.info("modules")
    return {name: fields[f"ai_{name}"] for name in names}


def test_defaults(start_server):
    assert _load_time_configs(start_server()) == {
        "threads_per_queue": "1",
        "inter_op_parallelism": "0",
        "intra_op_parallelism": "0",
        "model_execution_timeout": "5000",
        "backend_memory_limit": "0",
    }


def test_all_numbers_at_once(start_server):
    server = start_server(
        "THREADS_PER_QUEUE",
        "4",
        "INTER_OP_PARALLELISM",
        "2",
        "INTRA_OP_PARALLELISM",
        "3",
        "MODEL_EXECUTION_TIMEOUT",
        "1000",
        "BACKEND_MEMORY_LIMIT",
        "100",
        "MODEL_CHUNK_SIZE",
        "77",
    )
    assert _load_time_configs(server) == {
        "threads_per_queue": "4",
        "inter_op_parallelism": "2",
        "intra_op_parallelism": "3",
        "model_execution_timeout": "1000",
        "backend_memory_limit": "100",
    }
    assert server.raw().call("AI.CONFIG", "GET", "MODEL_CHUNK_SIZE") == 77


def test_names_in_any_case(start_server):
    assert _load_time_configs(start_server("threads_per_queue", "2"))["threads_per_queue"] == "2"


def test_backends_path(start_server):
    server = start_server("BackendsPath", "/some/where")
    assert server.raw().call("AI.CONFIG", "GET", "BACKENDSPATH") == b"/some/where"


@pytest.mark.parametrize("reverse", [False, True], ids=["path-first", "path-last"])
def test_backends_path_takes_effect_before_any_backend(start_server, backends_path, reverse):
    arguments = [("BACKENDSPATH", os.path.dirname(backends_path)), ("ONNX", f"backends/{BACKEND}")]
    if reverse:
        arguments.reverse()
    server = start_server(*arguments[0], *arguments[1])
    assert "ai_onnxruntime_version" in server.info("modules")


def test_backend_by_absolute_path(start_server, backends_path):
    assert "ai_onnxruntime_version" in start_server("ONNX", os.path.join(backends_path, BACKEND)).info("modules")


@pytest.mark.parametrize(
    "name, value",
    [
        ("FOO", "1"),
        ("THREADS_PER_QUEUE", "0"),
        ("THREADS_PER_QUEUE", "-1"),
        ("THREADS_PER_QUEUE", "x"),
        ("THREADS_PER_QUEUE", "1.5"),
        ("INTRA_OP_PARALLELISM", "0"),
        ("INTRA_OP_PARALLELISM", "x"),
        ("INTER_OP_PARALLELISM", "0"),
        ("INTER_OP_PARALLELISM", "-2"),
        ("MODEL_CHUNK_SIZE", "0"),
        ("MODEL_CHUNK_SIZE", "x"),
        ("MODEL_EXECUTION_TIMEOUT", "999"),
        ("MODEL_EXECUTION_TIMEOUT", "x"),
        ("BACKEND_MEMORY_LIMIT", "0"),
        ("BACKEND_MEMORY_LIMIT", "-5"),
        ("BACKEND_MEMORY_LIMIT", "x"),
        ("MAX_QUEUED_REQUESTS", "0"),
        ("MAX_QUEUED_BYTES", "0"),
        ("MAX_QUEUED_BYTES", "x"),
        ("ONNX", "no/such/file.so"),
        ("ONNX", "."),
        ("TF", "no/such/file.so"),
        ("TORCH", "."),
    ],
)
def test_refused(start_server, name, value):
    with pytest.raises(ServerStartError) as failure:
        start_server(name, value)
    assert f"ERR error processing argument: {name} {value}" in failure.value.log
    assert "BUG REPORT" not in failure.value.log


@pytest.mark.parametrize("name, value", [("TF", "none.so"), ("ONNX", "."), ("THREADS_PER_QUEUE", "0")])
def test_refusal_is_orderly(start_server, name, value):
    """The server unloads a module that refuses to start: no thread of ours may be running in it by then."""
    for _ in range(10):
        with pytest.raises(ServerStartError, match="ended with status 1 at start") as failure:
            start_server("THREADS_PER_QUEUE", "8", name, value)
        assert "BUG REPORT" not in failure.value.log


def test_a_good_argument_before_a_bad_one_does_not_help(start_server):
    with pytest.raises(ServerStartError) as failure:
        start_server("THREADS_PER_QUEUE", "2", "FOO", "bar")
    assert "ERR error processing argument: FOO bar" in failure.value.log


def test_odd_number_of_arguments(start_server):
    with pytest.raises(ServerStartError) as failure:
        start_server("THREADS_PER_QUEUE")
    assert "THREADS_PER_QUEUE" in failure.value.log
