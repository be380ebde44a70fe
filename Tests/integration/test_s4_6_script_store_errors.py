"""Reference section 4.6: what AI.SCRIPTSTORE and AI.SCRIPTSET refuse, in the order of the checks."""

import os

import pytest

from support.commands import words
from support.resp import Error
from support.scripts import entry_point, failure

ENTRY_POINTS = Error("ERR Insufficient arguments, missing script entry points")
COUNT = Error("ERR Non numeric entry points number provided to AI.SCRIPTSTORE command")
NO_SOURCE = Error("ERR Insufficient arguments, missing script SOURCE")
DEVICE = Error("ERR unsupported device")
NO_CUDA = Error("GPU requested but Torch couldn't find CUDA")
SOURCE = (
    entry_point("good", "return tensors[0]")
    + "def one(a: Tensor):\n    return a\n"
    + "def none():\n    return torch.tensor(1)\n"
    + "def four(a: List[Tensor], b: List[str], c: List[str], d: int):\n    return a[0]\n"
    + "def tensors(a: Tensor, b: Tensor, c: Tensor):\n    return a\n"
    + "def untyped(tensors, keys, args):\n    return tensors\n"
    + "def swapped(a: List[str], b: List[Tensor], c: List[str]):\n    return b[0]\n"
    + "def ints(a: List[Tensor], b: List[str], c: List[int]):\n    return a[0]\n"
)


@pytest.fixture(autouse=True)
def nothing_is_stored(raw):
    yield
    assert raw.call("KEYS", "*") == []
    assert raw.call("AI._SCRIPTSCAN") == []


@pytest.mark.parametrize(
    "arguments, error",
    [
        # ENTRY_POINTS
        ("CPU FOO 1 f SOURCE x", ENTRY_POINTS),
        ("CPU SOURCE x ENTRY_POINTS 1 f", ENTRY_POINTS),
        ("CPU TAG t SOURCE x x x", ENTRY_POINTS),
        ("CPU TAG ENTRY_POINTS 1 f SOURCE x", ENTRY_POINTS),
        ("CPU ENTRY_POINTS f SOURCE x y", COUNT),
        ("CPU ENTRY_POINTS 1.5 f SOURCE x", COUNT),
        ("CPU ENTRY_POINTS 99999999999999999999 f SOURCE x", COUNT),
        ("CPU TAG t ENTRY_POINTS f SOURCE x", COUNT),
        ("CPU ENTRY_POINTS 9 f SOURCE x", ENTRY_POINTS),
        ("CPU ENTRY_POINTS 9223372036854775807 f SOURCE x", ENTRY_POINTS),
        ("CPU ENTRY_POINTS -1 f SOURCE x", ENTRY_POINTS),
        ("CPU ENTRY_POINTS -9223372036854775808 f SOURCE x", ENTRY_POINTS),
        # SOURCE
        ("CPU ENTRY_POINTS 1 f g SOURCE x", NO_SOURCE),
        ("CPU ENTRY_POINTS 1 f FOO x", NO_SOURCE),
        ("CPU ENTRY_POINTS 3 f g SOURCE x", NO_SOURCE),
        ("CPU ENTRY_POINTS 2 f g SOURCE", NO_SOURCE),
        ("CPU ENTRY_POINTS 4 f g SOURCE x", NO_SOURCE),
        ("CPU TAG t ENTRY_POINTS 0 SOURCE", NO_SOURCE),
        # the device comes with compiling
        ("TPU ENTRY_POINTS f SOURCE x y", COUNT),
        ("TPU ENTRY_POINTS 1 f FOO x", NO_SOURCE),
        ("TPU ENTRY_POINTS 1 f SOURCE x", DEVICE),
        ("XCPU ENTRY_POINTS 1 f SOURCE x", DEVICE),
        ("GPU ENTRY_POINTS 1 f SOURCE x", NO_CUDA),
        ("gpu:0 ENTRY_POINTS 1 f SOURCE x", NO_CUDA),
    ],
)
def test_scriptstore(raw, arguments, error):
    assert raw.call("AI.SCRIPTSTORE", "s", *arguments.split()) == error


@pytest.mark.parametrize(
    "arguments, error",
    [
        ("CPU FOO x", NO_SOURCE),
        ("CPU TAG SOURCE x y", NO_SOURCE),
        ("CPU TAG t FOO x", NO_SOURCE),
        ("CPU SOURCE x y z", None),
        ("TPU SOURCE x", DEVICE),
        ("GPU TAG t SOURCE x", NO_CUDA),
    ],
)
def test_scriptset(raw, arguments, error):
    reply = raw.call("AI.SCRIPTSET", "s", *arguments.split())
    if error is None:
        # Seven arguments, of which the last two are ignored: the text is compiled.
        assert failure(reply).startswith("expected def but found 'ident' here")
    else:
        assert reply == error


@pytest.mark.one_server
@pytest.mark.parametrize(
    "names, error",
    [
        (["missing"], "Function missing does not exist in the given script."),
        (["good", "missing", "one"], "Function missing does not exist in the given script."),
        ([""], "Function  does not exist in the given script."),
        (["Good"], "Function Good does not exist in the given script."),
        (["one"], "Wrong number of inputs in function one. Expected 3 but was 1"),
        (["none"], "Wrong number of inputs in function none. Expected 3 but was 0"),
        (["four"], "Wrong number of inputs in function four. Expected 3 but was 4"),
        (["good", "one", "missing"], "Wrong number of inputs in function one. Expected 3 but was 1"),
        *(
            (
                [name],
                f"Wrong inputs type in function {name}. Expected signature similar to: "
                f"def {name}(tensors: List[Tensor], keys: List[str], args: List[str])",
            )
            for name in ("tensors", "untyped", "swapped", "ints")
        ),
    ],
    ids=repr,
)
def test_entry_points(raw, names, error):
    command = ["AI.SCRIPTSTORE", "s", "CPU", "ENTRY_POINTS", len(names), *names, "SOURCE", SOURCE]
    assert raw.call(*command) == Error(error)


@pytest.mark.one_server
@pytest.mark.parametrize(
    "source, text",
    [
        ("nonsense", "expected def but found 'ident' here"),
        ("import os\ndef f(x):\n    return x\n", "expected def but found 'import' here"),
        ("class A:\n    pass\n", "expected def but found 'class' here"),
        ("def f(x):\nreturn x\n", "expected ident but found 'newline' here"),
        ("def f(x):\n    return y\n", "undefined value y"),
        ("def f(x):\n    return os.getpid()\n", "undefined value os"),
        ("def f(x):\n    return open('file')\n", "undefined value open"),
        ("def f(x):\n    return torch.no_such_operator(x)\n", "Unknown builtin op: aten::no_such_operator"),
        ("def f(x):\n    return redis.asTensor(x)\n", "Unknown builtin op: redis::asTensor"),
        ("def f(x):\n    return redisAI.tensor(x)\n", "Unknown builtin op: redisAI::tensor"),
        ("def f(x):\n    return f(x)\n", "function 'f' is called recursively"),
        ("def f(x):\n    return g(x)\ndef g(x):\n    return f(x)\n", "is called recursively"),
        ("def f(x):\n    return x\ndef f(x):\n    return x\n", "method 'f' already defined"),
        ("def f(x: Tensor) -> str:\n    return x\n", "Return value was annotated as having type str"),
        ("def f(x):\n    return 9" + "9" * 100000 + "\n", "Integral constant out of range"),
        (b"def f\xff(x):\n    return x\n", "expected a valid token"),
        (b"\xff\xfe\xfd", "expected a valid token"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_the_compilers_own_text(raw, source, text):
    assert text in failure(raw.call("AI.SCRIPTSET", "s", "CPU", "SOURCE", source))
    command = ["AI.SCRIPTSTORE", "s", "CPU", "ENTRY_POINTS", 1, "f", "SOURCE", source]
    assert text in failure(raw.call(*command))


@pytest.mark.one_server
@pytest.mark.parametrize(
    "source",
    [
        "def f(x):\n    return " + "(" * 100_000 + "x" + ")" * 100_000 + "\n",
        "def f(x):\n    return " + " + ".join(["x"] * 100_000) + "\n",
    ],
    ids=["parentheses", "sum"],
)
def test_what_the_compiler_does_not_survive(server, raw, source):
    """It is tried in a process of its own."""
    reply = raw.call("AI.SCRIPTSET", "s", "CPU", "SOURCE", source)
    assert isinstance(reply, Error) and reply.text.startswith("ERR the engine did not survive loading"), reply
    assert server.responsive()


def test_a_text_that_is_too_long(raw):
    reply = raw.call("AI.SCRIPTSET", "s", "CPU", "SOURCE", "#" * (16 * 1024 * 1024 + 1))
    assert reply == Error("ERR script source exceeds the limit of 16777216 bytes")


FILE_OPERATIONS = {
    "save": ("aten::save", 'torch.save(x, "{file}")'),
    "from_file": ("aten::from_file", 'x = torch.from_file("{file}", False, 4)'),
    "unsafe_memory": ("aten::_unsafe_index", "x = torch._unsafe_index(x, [torch.tensor([1000000])])"),
}


@pytest.mark.one_server
@pytest.mark.parametrize("name", FILE_OPERATIONS)
@pytest.mark.parametrize("place", ["function", "unused function", "branch", "loop", "helper"])
def test_operations_that_leave_the_tensors(raw, tmp_path, name, place):
    operation, call = FILE_OPERATIONS[name]
    call = call.format(file=tmp_path / "file")
    source = {
        "function": f"def f(x: Tensor):\n    {call}\n    return x\n",
        "unused function": f"def g(x: Tensor):\n    {call}\n    return x\ndef f(x: Tensor):\n    return x\n",
        "branch": f"def f(x: Tensor):\n    if x.dim() > 5:\n        {call}\n    return x\n",
        "loop": "def f(x: Tensor):\n    for i in range(x.dim()):\n        while x.dim() > 5:\n"
        f"            {call}\n    return x\n",
        "helper": f"def g(x: Tensor):\n    {call}\n    return x\ndef f(x: Tensor):\n    return g(x)\n",
    }[place]
    expected = Error(f"ERR TorchScript holds the operation {operation}, which is not allowed")
    assert raw.call("AI.SCRIPTSET", "s", "CPU", "SOURCE", source) == expected
    assert os.listdir(tmp_path) == []


def test_backend_that_is_not_there(start_server):
    raw = start_server("BACKENDSPATH", "/nonexistent").raw()
    assert raw.call("AI.SCRIPTSET", "s", "CPU", "SOURCE", SOURCE) == Error("ERR Could not load backend")
    command = words("AI.SCRIPTSTORE s CPU ENTRY_POINTS 1 good SOURCE", SOURCE)
    assert raw.call(*command) == Error("ERR Could not load backend")
    # What can be said without the engine comes first.
    assert raw.call(*words("AI.SCRIPTSTORE s CPU ENTRY_POINTS x good SOURCE", SOURCE)) == COUNT
