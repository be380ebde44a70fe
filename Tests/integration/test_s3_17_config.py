"""Reference sections 3.17 and 4.10: AI.CONFIG except LOADBACKEND (see test_s5_2_backends.py)."""

import os

import pytest

from support.commands import words
from support.resp import NIL, OK, Error

DEFAULT_CHUNK_SIZE = 535822336


@pytest.fixture(autouse=True)
def defaults_again(raw, module_path):
    yield
    raw.call("AI.CONFIG", "MODEL_CHUNK_SIZE", DEFAULT_CHUNK_SIZE)
    raw.call("AI.CONFIG", "BACKENDSPATH", _default_backends_path(module_path))


def test_default_chunk_size_is_an_integer(raw):
    assert raw.call("AI.CONFIG", "GET", "MODEL_CHUNK_SIZE") == DEFAULT_CHUNK_SIZE


def test_default_backends_path(raw, module_path):
    assert raw.call("AI.CONFIG", "GET", "BACKENDSPATH") == _default_backends_path(module_path).encode()


@pytest.mark.parametrize(
    "command",
    ["AI.CONFIG MODEL_CHUNK_SIZE 100", "ai.config model_chunk_size 100", "AI.CONFIG MODEL_CHUNK_SIZE 100 x y"],
)
def test_set_chunk_size(raw, command):
    assert raw.call(*words(command)) == OK
    assert raw.call("AI.CONFIG", "get", "model_chunk_size") == 100


@pytest.mark.parametrize("command", ["AI.CONFIG BACKENDSPATH /some/path", "AI.CONFIG backendspath /some/path extra"])
def test_set_backends_path(raw, command):
    assert raw.call(*words(command)) == OK
    assert raw.call("AI.CONFIG", "GET", "BackendsPath") == b"/some/path"


@pytest.mark.parametrize("name", ["nonsense", "THREADS_PER_QUEUE", ""])
def test_get_of_anything_else_is_nil(raw, name):
    assert raw.call("AI.CONFIG", "GET", name) is NIL


def test_get_ignores_further_arguments(raw):
    assert raw.call(*words("AI.CONFIG GET MODEL_CHUNK_SIZE x y")) == DEFAULT_CHUNK_SIZE
    assert raw.call(*words("AI.CONFIG GET nonsense x")) is NIL


@pytest.mark.parametrize(
    "command, error",
    [
        ("AI.CONFIG FOO", "ERR unsupported subcommand"),
        ("AI.CONFIG FOO x y", "ERR unsupported subcommand"),
        ("AI.CONFIG SET MODEL_CHUNK_SIZE 1", "ERR unsupported subcommand"),
        ("AI.CONFIG LOADBACKEND FOO path", "ERR unsupported backend"),
        ("AI.CONFIG BACKENDSPATH", "ERR BACKENDSPATH: missing path argument"),
        ("AI.CONFIG MODEL_CHUNK_SIZE", "ERR MODEL_CHUNK_SIZE: missing chunk size"),
        ("AI.CONFIG MODEL_CHUNK_SIZE foo", "ERR MODEL_CHUNK_SIZE: invalid chunk size"),
        ("AI.CONFIG MODEL_CHUNK_SIZE 0", "ERR MODEL_CHUNK_SIZE: invalid chunk size"),
        ("AI.CONFIG MODEL_CHUNK_SIZE -1", "ERR MODEL_CHUNK_SIZE: invalid chunk size"),
        ("AI.CONFIG MODEL_CHUNK_SIZE 1.5", "ERR MODEL_CHUNK_SIZE: invalid chunk size"),
        ("AI.CONFIG MODEL_CHUNK_SIZE 9223372036854775808", "ERR MODEL_CHUNK_SIZE: invalid chunk size"),
    ],
)
def test_errors(raw, command, error):
    assert raw.call(*words(command)) == Error(error)


def test_a_refused_value_changes_nothing(raw):
    raw.call(*words("AI.CONFIG MODEL_CHUNK_SIZE 0"))
    assert raw.call("AI.CONFIG", "GET", "MODEL_CHUNK_SIZE") == DEFAULT_CHUNK_SIZE


def _default_backends_path(module_path: str) -> str:
    return os.path.join(os.path.dirname(module_path), "backends")
