"""The examples of README.md and docs/*.md do what they show, on every server, with the real redis-cli."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from support.commands import pairs
from support.doc_examples import PAGES, command_names, files_of, grammars, lines_outside_sessions, sessions_of
from support.server import kinds_from_environment

PAGES_WITH_SESSIONS = [page for page in PAGES if sessions_of(page)]
COMMANDS = next(page for page in PAGES if page.name == "commands.md")
# What is a different number every time.
VARIABLE = re.compile(r'("duration"\n *\d+\) \(integer\)) \d+')
# What Redis 7.0 says in other words.
REFUSAL = re.compile(r"^\(error\) NOPERM .*$", re.MULTILINE)
# Words of the grammars that stand for a choice.
CHOICES = {
    "backend": {"TF", "TFLITE", "TORCH", "ONNX"},
    "dtype": {"FLOAT", "DOUBLE", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "BOOL", "STRING"},
}
CAPITALS = re.compile(r"\b[A-Z][A-Z0-9_]+\b")
# Its commands are for an engine that does not exist.
INVENTED = "adding-an-engine.md"

ids = {"ids": lambda page: page.name}


def fraud_model():
    """What the examples call fraud.onnx: FLOAT [rows, 3] to FLOAT [rows], with 0.96875 for 120.5 0 1."""
    weights = numpy_helper.from_array(np.array([[1 / 128], [0.25], [0.02734375]], dtype=np.float32), "weights")
    axes = numpy_helper.from_array(np.array([1], dtype=np.int64), "axes")
    nodes = [
        helper.make_node("MatMul", ["transaction", "weights"], ["column"]),
        helper.make_node("Squeeze", ["column", "axes"], ["score"]),
    ]
    rows = helper.make_tensor_value_info("transaction", TensorProto.FLOAT, ["rows", 3])
    scores = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["rows"])
    graph = helper.make_graph(nodes, "fraud", [rows], [scores], [weights, axes])
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()


def redis_cli():
    """Beside one of the servers, or wherever the PATH has it."""
    for kind in kinds_from_environment():
        beside = Path(kind.binary).with_name("redis-cli")
        if beside.exists():
            return beside
    found = shutil.which("redis-cli")
    assert found, "redis-cli is not installed"
    return Path(found)


@pytest.fixture
def shell(server, tmp_path):
    """Runs a command line as a reader of the documentation does, in a folder with the files that it names."""
    programs = tmp_path / "programs"
    programs.mkdir()
    wrapper = programs / "redis-cli"
    # --no-raw: printed as in a terminal.
    wrapper.write_text(f'#!/bin/sh\nexec {redis_cli()} -p {server.port} --no-raw "$@"\n')
    wrapper.chmod(0o755)
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "fraud.onnx").write_bytes(fraud_model())
    for page in PAGES:
        for name, text in files_of(page).items():
            (folder / name).write_text(text)

    def run(line):
        environment = os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
        return subprocess.run(
            ["sh", "-e", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, timeout=30
        )

    return run


def shown(lines):
    return REFUSAL.sub("(error) NOPERM", VARIABLE.sub(r"\1 N", "\n".join(lines).rstrip()))


@pytest.mark.parametrize("page", PAGES_WITH_SESSIONS, **ids)
def test_sessions(shell, page):
    """Every command prints what the page shows, one after the other."""
    for example in sessions_of(page):
        result = shell(example.command)
        assert (result.returncode, result.stderr) == (0, ""), (example.command, result)
        assert shown(result.stdout.splitlines()) == shown(example.printed), example.command


def module_commands(raw):
    return {name.decode().upper() for name in raw.call("COMMAND", "LIST", "FILTERBY", "MODULE", "ai")}


def test_every_command_has_an_example(raw):
    """AI.CONFIG LOADBACKEND and the like need not."""
    lines = [example.command for example in sessions_of(COMMANDS)]
    missing = {name for name in module_commands(raw) if not any(re.search(rf"{name}\b", line) for line in lines)}
    assert not missing


def test_every_command_has_a_grammar(raw):
    assert set(grammars(COMMANDS)) | {"AI._MODELSCAN", "AI._SCRIPTSCAN"} == module_commands(raw)


@pytest.mark.parametrize("page", PAGES, **ids)
def test_only_commands_that_there_are(raw, page):
    assert command_names(page) <= module_commands(raw)


@pytest.mark.parametrize("page", PAGES, **ids)
def test_nothing_for_redis_cli_is_left_out(page):
    """What a reader could type stands in a session, and is run."""
    outside = [line for line in lines_outside_sessions(page) if line.strip().startswith(("redis-cli", "$ redis-cli"))]
    assert bool(outside) == (page.name == INVENTED), outside


def documented_tokens(arguments):
    """The fixed words of COMMAND DOCS' arguments."""
    words = set()
    for argument in map(pairs, arguments):
        words |= {argument["token"].decode()} if "token" in argument else set()
        words |= documented_tokens(argument.get("arguments", []))
    return words


@pytest.mark.parametrize("command", sorted(grammars(COMMANDS)))
def test_grammar_is_that_of_command_docs(raw, command):
    """The words in capitals are those that the server itself documents."""
    _, docs = raw.call("COMMAND", "DOCS", command)
    text = " ".join(grammars(COMMANDS)[command]).replace(command, "")
    wanted = set(CAPITALS.findall(text))
    for word, choice in CHOICES.items():
        wanted |= choice if re.search(rf"\b{word}\b", text) else set()
    documented = documented_tokens(pairs(docs).get("arguments", []))
    assert wanted == {word for word in documented if CAPITALS.fullmatch(word)}


def test_documented_settings_can_be_read(raw):
    (names,) = [line for line in grammars(COMMANDS)["AI.CONFIG"] if " GET " in line]
    for name in names.partition(" GET ")[2].split(" | "):
        assert raw.call("AI.CONFIG", "GET", name) is not None, name
