"""Reference section 9: what TorchScript functions are given, may return, and can ask of the server."""

import numpy as np
import pytest

from support import onnx_models, torch_models
from support.commands import get_tensor, set_tensor, store_model, words
from support.resp import OK, Error
from support.scripts import REPLIED, entry_point, failure, run_script, store_entry_points, store_script

KEPT_KEYS = ("binding", "returns", "redis")

BINDING = (
    "def sub(a: Tensor, b: Tensor):\n    return a - b\n"
    "def untyped(a, b):\n    return a - b\n"
    "def total(tensors: List[Tensor]):\n    return torch.stack(tensors).sum(0)\n"
    "def scaled(factor: Tensor, tensors: List[Tensor]):\n    return factor * torch.stack(tensors).sum(0)\n"
    "def after_list(tensors: List[Tensor], factor: Tensor):\n    return factor\n"
    "def constant():\n    return torch.tensor([42])\n"
    "def number(a: Tensor, factor: int):\n    return a * factor\n"
    "def texts(a: Tensor, names: List[str]):\n    return a\n"
    "def count(tensors: List[Tensor]):\n    return torch.tensor(len(tensors))\n"
    # The signature of an entry point, but not announced as one.
    "def unannounced(tensors: List[Tensor], keys: List[str], args: List[str]):\n    return tensors[0]\n"
)
RETURNS = (
    entry_point("one", "return tensors[0]")
    + entry_point("listed", "return [tensors[0], tensors[1]]")
    + entry_point("tupled", "return tensors[0], tensors[1]")
    + entry_point("all_inputs", "return tensors")
    + entry_point("nothing", "pass")
    + entry_point("number", "return 5")
    + entry_point("text", 'return "text"')
    + entry_point("mapping", 'return {"a": tensors[0]}')
    + entry_point("mixed", "return tensors[0], 5")
    + entry_point("nested", "return [[tensors[0]]]")
    + entry_point("maybe", "x : Optional[Tensor] = None", "if len(tensors) > 1:", "    x = tensors[1]", "return x")
    + entry_point("int_scalar", "return torch.tensor(int(args[0]))")
    + entry_point("float_scalar", "return torch.tensor(float(args[0]))")
    + entry_point("no_elements", "return torch.zeros([0, 2])")
    + entry_point("half", "return tensors[0].half()")
    + entry_point("bfloat", "return tensors[0].to(15)")
    + entry_point("complex", "return torch.complex(tensors[0], tensors[0])")
    + entry_point("transposed", "return tensors[0].t()")
    + entry_point("negated_view", "return torch._neg_view(tensors[0])")
    + entry_point("without_memory", "return torch._efficientzerotensor([1000])")
    + entry_point("written", "tensors[0].add_(1)", "return tensors[0]")
    + entry_point("written_view", "tensors[0][0].zero_()", "return tensors[0]")
    + entry_point("written_out", "return torch.add(tensors[0], 1, out=tensors[0])")
    + entry_point("appended", "tensors.append(tensors[0])", 'keys.append("k")', "return torch.tensor(len(tensors))")
    + "def batch_norm(x: Tensor, mean: Tensor, var: Tensor):\n"
    + "    return torch.batch_norm(x, None, None, mean, var, True, 0.5, 0.00001, False)\n"
    + "def instance_norm(x: Tensor, mean: Tensor, var: Tensor):\n"
    + "    return torch.instance_norm(x, None, None, mean, var, True, 0.5, 0.00001, False)\n"
    + entry_point("index_error", "return tensors[100]")
    + entry_point("assertion", 'assert len(tensors) > 100, "too few tensors"', "return tensors[0]")
    + entry_point("shape_error", "return tensors[0].matmul(torch.ones([77, 1]))")
    + entry_point("modulo", "return torch.tensor(int(args[0]) % int(args[1]))")
    + entry_point("floored", "return torch.tensor(int(args[0]) // int(args[1]))")
    + entry_point("both", "q, r = divmod(int(args[0]), int(args[1]))", "return torch.tensor([q, r])")
    + entry_point("items", "return torch.tensor(int(tensors[0].item() % tensors[1].item()))")
    + entry_point("too_large", "return torch.ones([1000000, 1000000, 1000])")
    + entry_point("capitals", "return TORCH.tensor([1]), Torch.tensor([2])")
    + entry_point("prints", 'print("text on the console")', 'torch.warn("text on the console")')
)
REDIS = (
    "def kind(value: Any) -> str:\n"
    "    if isinstance(value, int):\n        return 'integer'\n"
    "    if isinstance(value, str):\n        return 'text'\n"
    "    return 'nil' if str(value) == 'None' else 'array'\n"
    + entry_point("run", "return redis.execute(args[0], args[1:])")
    + entry_point("kind_of", 'redis.execute("SET", keys[0], kind(redis.execute(args[0], args[1:])))')
    + entry_point(
        "kinds_of",
        "for value in redis.asList(redis.execute(args[0], args[1:])):",
        '    redis.execute("RPUSH", keys[0], kind(value))',
    )
    + entry_point("copy", 'redis.execute("SET", keys[0], str(redis.execute(args[0], args[1:])))')
    + entry_point("number_of", "return torch.tensor(int(str(redis.execute(args[0], args[1:]))))")
    + entry_point(
        "inner",
        "outer = redis.asList(redis.execute(args[0], args[1:]))",
        "for value in redis.asList(outer[int(keys[1])]):",
        '    redis.execute("RPUSH", keys[0], kind(value))',
    )
    + entry_point("separate", 'redis.execute("RPUSH", keys[0], "a", args[0], "c")')
    + entry_point("as_list", 'redis.execute("RPUSH", [keys[0], "a", args[0], "c"])')
    + entry_point("alone", 'return torch.tensor(len(str(redis.execute("PING"))))')
    + entry_point("capitals", 'Redis.execute("SET", "a", "1")', 'REDIS.execute("SET", "b", "2")')
    + entry_point(
        "effects",
        'redis.execute("SET", "before", "1")',
        "redis.execute(args[0], args[1:])",
        'redis.execute("SET", "after", "1")',
    )
    + entry_point("twice", 'redis.execute("INCR", "n")', 'redis.execute("INCR", "n")', "return torch.tensor(1)")
    + entry_point("unused", 'x = redis.execute("INCR", "n")', "return torch.tensor(1)")
    + entry_point(
        "many",
        'command = ["l"] + [str(i) for i in range(10000)]',
        'return torch.tensor(int(str(redis.execute("RPUSH", command))))',
    )
    + entry_point("as_list_of_text", 'return torch.tensor(len(redis.asList("text")))')
    + entry_point("as_list_of_ints", "x = [1, 2, 3]", "return torch.tensor(len(redis.asList(x)))")
    + entry_point("model", "return redisAI.model_execute(keys[0], tensors, int(args[0]))")
    + entry_point(
        "models",
        "between = redisAI.model_execute(keys[0], tensors, 1)",
        "return redisAI.model_execute(keys[1], between, 1)",
    )
    + entry_point(
        "model_capitals",
        'one = REDISAI.model_execute("m", tensors, 1)',
        'return one + redisai.model_execute("m", tensors, 1)',
    )
    + entry_point("tensor_from", "return torch.tensor(int(str(redis.execute('GET', keys[0]))))")
)


@pytest.fixture(autouse=True)
def scripts(raw):
    if not raw.call("EXISTS", "binding"):
        store_script(raw, "binding", BINDING)
    store_entry_points(raw, "returns", RETURNS)
    store_entry_points(raw, "redis", REDIS)
    set_tensor(raw, "x", [[1, 2], [3, 4]])
    set_tensor(raw, "two", [2])
    set_tensor(raw, "five", [5])


def run_binding(raw, function, inputs, outputs=("y",)):
    """The reply of AI.SCRIPTEXECUTE, which AI.SCRIPTRUN must give as well."""
    reply = run_script(raw, "binding", function, inputs, outputs)
    assert raw.call("AI.SCRIPTRUN", "binding", function, "INPUTS", *inputs, "OUTPUTS", *outputs) == reply
    return reply


class TestBestEffort:
    """Functions that are no entry points: parameters are filled from the inputs by their types."""

    @pytest.mark.parametrize(
        "function, inputs, result",
        [
            ("sub", ["five", "two"], [3]),
            ("sub", ["two", "five"], [-3]),
            ("untyped", ["five", "two"], [3]),
            ("sub", ["five", "two", "x", "x"], [3]),
            ("total", ["five", "two", "two"], [9]),
            ("scaled", ["two", "five", "five"], [20]),
            ("count", [], 0),
            ("count", ["x", "two", "x"], 3),
            ("constant", [], [42]),
            ("constant", ["x"], [42]),
        ],
    )
    def test_binding(self, raw, function, inputs, result):
        assert run_binding(raw, function, inputs) == OK
        assert get_tensor(raw, "y").tolist() == result

    @pytest.mark.parametrize(
        "function, inputs, text",
        [
            ("sub", [], "Wrong number of inputs provided to function: sub"),
            ("sub", ["two"], "Wrong number of inputs provided to function: sub"),
            ("scaled", [], "Wrong number of inputs provided to function: scaled"),
            # A list takes all that is left, and ends the binding.
            ("after_list", ["x", "two"], "Wrong number of inputs provided to function: after_list"),
            ("number", ["x", "two"], "Unsupported input type in function definition: number"),
            ("texts", ["x"], "Unsupported input type in function definition: texts"),
            ("missing", ["x"], "Function does not exist: missing"),
            ("Sub", ["five", "two"], "Function does not exist: Sub"),
            ("", ["x"], "Function does not exist: "),
        ],
    )
    def test_errors(self, raw, function, inputs, text):
        assert run_binding(raw, function, inputs) == Error(text)
        assert raw.call("EXISTS", "y") == 0

    def test_the_signature_alone_makes_no_entry_point(self, raw):
        """A list of tensors ends the binding, so two parameters stay empty."""
        expected = Error("Wrong number of inputs provided to function: unannounced")
        assert run_script(raw, "binding", "unannounced", ["x"], ["y"], keys=["k"], args=["a"]) == expected

    def test_functions_beside_entry_points(self, raw):
        store_script(raw, "s", BINDING, "unannounced")
        assert run_script(raw, "s", "unannounced", ["x"], ["y"]) == OK
        assert run_script(raw, "s", "sub", ["five", "two"], ["y"], keys=["k"], args=["a"]) == OK
        assert get_tensor(raw, "y").tolist() == [3]


class TestReturns:
    def run(self, raw, function, outputs, inputs=("five", "two"), args=()):
        return run_script(raw, "returns", function, inputs, outputs, args=args)

    @pytest.mark.parametrize("function", ["listed", "tupled", "all_inputs"])
    def test_several(self, raw, function):
        assert self.run(raw, function, ["y1", "y2"]) == OK
        assert (get_tensor(raw, "y1").tolist(), get_tensor(raw, "y2").tolist()) == ([5], [2])

    @pytest.mark.parametrize("function", ["one", "listed", "tupled", "all_inputs"])
    @pytest.mark.parametrize("count", [3, 10])
    def test_fewer_than_asked_for(self, raw, function, count):
        outputs = [f"y{number}" for number in range(count)]
        expected = Error(f"Function returned unexpected number of outputs - {function}")
        assert self.run(raw, function, outputs) == expected
        assert raw.call("EXISTS", *outputs) == 0

    @pytest.mark.parametrize("function", ["listed", "tupled", "all_inputs"])
    def test_more_than_asked_for(self, raw, function):
        expected = Error(f"Function returned unexpected number of outputs - {function}")
        assert self.run(raw, function, ["y"]) == expected
        assert raw.call("EXISTS", "y") == 0

    def test_an_empty_list(self, raw):
        expected = Error("Function returned unexpected number of outputs - all_inputs")
        assert self.run(raw, "all_inputs", ["y"], inputs=[]) == expected
        assert self.run(raw, "all_inputs", [], inputs=[]) == OK

    @pytest.mark.parametrize("function", ["nothing", "number", "text", "mapping", "mixed", "nested"])
    def test_no_tensors(self, raw, function):
        expected = Error(f"Function returned non-tensor values{function}")
        assert self.run(raw, function, ["y"]) == expected
        assert self.run(raw, function, ["y", "z"]) == expected
        # Without outputs it does not matter what is returned.
        assert self.run(raw, function, []) == OK

    def test_none_in_place_of_a_tensor(self, raw):
        assert self.run(raw, "maybe", ["y"]) == OK
        assert self.run(raw, "maybe", ["z"], inputs=["five"]) == Error("Function returned non-tensor valuesmaybe")

    def test_numbers_become_scalars(self, raw):
        assert self.run(raw, "int_scalar", ["i"], args=[str(2**62)]) == OK
        assert raw.call("AI.TENSORGET", "i", "META", "VALUES") == [
            *(b"dtype", b"INT64", b"shape", [], b"values", [2**62])
        ]
        assert self.run(raw, "float_scalar", ["f"], args=["0.5"]) == OK
        assert raw.call("AI.TENSORGET", "f", "META", "VALUES") == [
            *(b"dtype", b"FLOAT", b"shape", [], b"values", [b"0.5"])
        ]

    def test_no_elements(self, raw):
        assert self.run(raw, "no_elements", ["y"]) == OK
        assert raw.call("AI.TENSORGET", "y") == [b"dtype", b"FLOAT", b"shape", [0, 2], b"blob", b""]

    @pytest.mark.parametrize(
        "function, text",
        [
            ("half", "ERR unsupported dtype"),
            ("bfloat", "BFloat16 is not supported by dlpack"),
            ("complex", "ComplexFloat is not supported by dlpack"),
        ],
    )
    def test_types_without_a_name(self, raw, function, text):
        assert self.run(raw, function, ["y"], inputs=["x"]) == Error(text)
        assert raw.call("EXISTS", "y") == 0

    @pytest.mark.parametrize(
        "function, result",
        [("transposed", [[1, 3], [2, 4]]), ("negated_view", [[-1, -2], [-3, -4]])],
    )
    def test_the_bytes_are_in_order(self, raw, function, result):
        assert self.run(raw, function, ["y"], inputs=["x"]) == OK
        assert get_tensor(raw, "y").tolist() == result

    def test_a_tensor_that_is_zero_by_decree(self, raw):
        """It has no memory; what is answered must not be what lay in the server's."""
        for _ in range(5):
            assert self.run(raw, "without_memory", ["y"]) == OK
            assert raw.call("AI.TENSORGET", "y", "BLOB") == bytes(4000)

    @pytest.mark.parametrize(
        "function, result",
        [
            ("written", [[2, 3], [4, 5]]),
            ("written_view", [[0, 0], [3, 4]]),
            ("written_out", [[2, 3], [4, 5]]),
        ],
    )
    def test_writing_to_an_input_changes_no_stored_tensor(self, raw, function, result):
        for _ in range(3):
            assert self.run(raw, function, ["y"], inputs=["x", "x"]) == OK
            assert get_tensor(raw, "y").tolist() == result
            assert get_tensor(raw, "x").tolist() == [[1, 2], [3, 4]]

    @pytest.mark.parametrize("function", ["batch_norm", "instance_norm"])
    def test_normalizing_changes_no_stored_tensor(self, raw, function):
        """It updates the statistics that it is given, without its schema saying so."""
        set_tensor(raw, "images", np.arange(8, dtype=np.float32).reshape(1, 2, 4))
        set_tensor(raw, "mean", [0, 0])
        set_tensor(raw, "var", [1, 1])
        for _ in range(3):
            assert self.run(raw, function, ["y"], inputs=["images", "mean", "var"]) == OK
        assert (get_tensor(raw, "mean").tolist(), get_tensor(raw, "var").tolist()) == ([0, 0], [1, 1])

    def test_the_lists_belong_to_the_run(self, raw):
        for _ in range(2):
            assert self.run(raw, "appended", ["y"]) == OK
            assert get_tensor(raw, "y").tolist() == 3

    @pytest.mark.parametrize(
        "function, text",
        [
            ("index_error", "list index out of range"),
            ("assertion", "AssertionError: too few tensors"),
            ("shape_error", "mat1 and mat2 shapes cannot be multiplied"),
            ("too_large", "memory allocation failed"),
        ],
    )
    def test_errors_of_the_program(self, raw, function, text):
        assert text in failure(self.run(raw, function, ["y"], inputs=["x"]))
        assert raw.call("EXISTS", "y") == 0

    @pytest.mark.parametrize("function", ["modulo", "floored", "both"])
    def test_divisions_that_the_processor_refuses(self, server, raw, function):
        """They must not end the process."""
        reply = self.run(raw, function, ["y"], args=["1", "0"])
        assert "ZeroDivisionError: integer division or modulo by zero" in failure(reply)
        reply = self.run(raw, function, ["y"], args=[str(-(2**63)), "-1"])
        assert "OverflowError: the quotient of an integer division is too large" in failure(reply)
        assert server.responsive()

    def test_division_of_items_by_zero(self, raw):
        set_tensor(raw, "zero", [0], "INT64")
        set_tensor(raw, "seven", [7], "INT64")
        assert "ZeroDivisionError" in failure(self.run(raw, "items", ["y"], inputs=["seven", "zero"]))
        for inputs in (["five", "two"], ["zero", "seven"]):
            assert self.run(raw, "items", ["y"], inputs=inputs) == OK
        assert get_tensor(raw, "y").tolist() == 0

    @pytest.mark.parametrize("dividend", [7, -7, 6, 0, 2**63 - 1, -(2**63)])
    @pytest.mark.parametrize("divisor", [3, -3, 1, 2**63 - 1, -(2**63)])
    def test_divisions_round_as_in_python(self, raw, dividend, divisor):
        args = [str(dividend), str(divisor)]
        for function, result in (
            ("modulo", dividend % divisor),
            ("floored", dividend // divisor),
            ("both", list(divmod(dividend, divisor))),
        ):
            assert self.run(raw, function, ["y"], args=args) == OK
            assert get_tensor(raw, "y").tolist() == result

    def test_torch_in_any_case(self, raw):
        assert self.run(raw, "capitals", ["y1", "y2"]) == OK
        assert (get_tensor(raw, "y1").tolist(), get_tensor(raw, "y2").tolist()) == ([1], [2])

    def test_prints_and_warnings_are_not_shown(self, server, raw):
        assert self.run(raw, "prints", []) == OK
        assert "text on the console" not in server.log_text()


class TestRedisExecute:
    def run(self, raw, function, *args, keys=("k",), outputs=()):
        return run_script(raw, "redis", function, [], outputs, keys=keys, args=args)

    @pytest.mark.parametrize(
        "command, kind",
        [
            ("PING", b"text"),
            ("SET a 1", b"text"),
            ("GET text", b"text"),
            ("STRLEN text", b"integer"),
            ("GET none", b"nil"),
            ("LRANGE list 0 -1", b"array"),
            ("LRANGE none 0 -1", b"array"),
            ("HGETALL hash", b"array"),
            ("ZSCORE sorted a", b"text"),
            ("LPOP none 5", b"nil"),
            ("SCAN 0", b"array"),
        ],
    )
    def test_kinds_of_replies(self, raw, command, kind):
        for setup in ("SET text abc", "RPUSH list a b", "HSET hash f v", "ZADD sorted 1.5 a"):
            raw.call(*words(setup))
        assert self.run(raw, "kind_of", *words(command)) == OK
        assert raw.call("GET", "k") == kind

    def test_elements_of_an_array(self, raw):
        raw.call("MSET", "a", "1", "b", "2")
        assert self.run(raw, "kinds_of", "MGET", "a", "none", "b") == OK
        assert raw.call("LRANGE", "k", 0, -1) == [b"text", b"nil", b"text"]

    def test_nested_arrays(self, raw):
        raw.call("XADD", "stream", "1-1", "f", "v", "g", "w")
        assert self.run(raw, "kinds_of", "XRANGE", "stream", "-", "+") == OK
        assert self.run(raw, "inner", "XRANGE", "stream", "-", "+", keys=["inner", "0"]) == OK
        assert raw.call("LRANGE", "k", 0, -1) == [b"array"]
        assert raw.call("LRANGE", "inner", 0, -1) == [b"text", b"array"]

    @pytest.mark.parametrize("text", [b"text", b"", b"\xff\xfe\x80", "é", b"line\r\nbreak", b"x" * 1_000_000], ids=len)
    def test_texts_pass_unchanged(self, raw, text):
        raw.call("SET", "source", text)
        assert self.run(raw, "copy", "GET", "source") == OK
        assert raw.call("GET", "k") == (text.encode() if isinstance(text, str) else text)

    def test_texts_with_a_nul(self, raw):
        """From the server they keep it; what a client sends as an argument ends there."""
        raw.call("SET", "source", b"a\0b")
        assert self.run(raw, "copy", "GET", "source") == OK
        assert raw.call("GET", "k") == b"a\0b"

    @pytest.mark.parametrize("number", [0, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)])
    def test_integers_have_64_bits(self, raw, number):
        assert self.run(raw, "number_of", "INCRBY", "n", str(number), outputs=["y"]) == OK
        assert get_tensor(raw, "y").tolist() == number

    @pytest.mark.parametrize("function", ["separate", "as_list"])
    def test_arguments_one_by_one_or_as_a_list(self, raw, function):
        assert self.run(raw, function, "b") == OK
        assert raw.call("LRANGE", "k", 0, -1) == [b"a", b"b", b"c"]

    def test_a_command_alone(self, raw):
        assert self.run(raw, "alone", outputs=["y"]) == OK
        assert get_tensor(raw, "y").tolist() == len("PONG")

    def test_many_arguments(self, raw):
        assert self.run(raw, "many", outputs=["y"]) == OK
        assert get_tensor(raw, "y").tolist() == 10_000
        assert raw.call("LLEN", "l") == 10_000

    def test_redis_in_any_case(self, raw):
        assert self.run(raw, "capitals") == OK
        assert raw.call("MGET", "a", "b") == [b"1", b"2"]

    @pytest.mark.parametrize(
        "command, text",
        [
            ("GET list", "WRONGTYPE Operation against a key holding the wrong kind of value"),
            ("INCR text", "ERR value is not an integer or out of range"),
            ("SET k v NONSENSE", "ERR syntax error"),
            ("AI.MODELGET none", "ERR model key is empty"),
            # Refused before they are run: the system's texts.
            ("GET", "Invalid argument"),
            ("GET a b", "Invalid argument"),
            ("NOSUCHCOMMAND", "No such file or directory"),
            ("OBJECT NOSUCHCOMMAND", "No such file or directory"),
        ],
    )
    def test_errors(self, raw, command, text):
        raw.call("RPUSH", "list", "a")
        raw.call("SET", "text", "abc")
        assert REPLIED + text in failure(self.run(raw, "run", *words(command)))

    @pytest.mark.parametrize("command", ["", "\xff", " ", "GET\r\n", "x" * 100_000])
    def test_no_such_command(self, raw, command):
        reply = failure(self.run(raw, "run", command.encode("latin1"), "a"))
        assert REPLIED + "No such file or directory" in reply

    @pytest.mark.parametrize(
        "command",
        [
            "SHUTDOWN NOSAVE",
            "MULTI",
            "EXEC",
            "WATCH a",
            "SUBSCRIBE a",
            "PSUBSCRIBE a",
            "MONITOR",
            "SAVE",
            "BGSAVE",
            "BGREWRITEAOF",
            "DEBUG SLEEP 60",
            "REPLICAOF NO ONE",
            "CONFIG SET maxmemory 1",
            "CLIENT PAUSE 60000",
            "HELLO 3",
            "AUTH x",
            "EVAL return(1) 0",
        ],
    )
    def test_commands_that_are_not_for_scripts(self, server, raw, command):
        """None of them may block, end or change the server."""
        reply = failure(self.run(raw, "run", *words(command)))
        assert REPLIED + "the command is not allowed in scripts" in reply
        assert server.responsive()

    @pytest.mark.parametrize(
        "command",
        ["XREAD BLOCK 0 STREAMS stream $", "AI.SCRIPTDEL redis", "AI.CONFIG GET BACKENDSPATH", "AI._SCRIPTSCAN"],
    )
    def test_nothing_blocks(self, raw, command):
        assert self.run(raw, "run", *words(command)) == OK

    @pytest.mark.parametrize("command", ["BLPOP none 0", "BRPOPLPUSH none other 0", "WAIT 5 0"])
    def test_blocking_commands_do_not_block(self, raw, command):
        """Some servers refuse them to scripts, others answer at once."""
        reply = self.run(raw, "run", *words(command))
        assert reply == OK or REPLIED + "the command is not allowed in scripts" in failure(reply)

    @pytest.mark.parametrize(
        "command",
        [
            "AI.SCRIPTEXECUTE redis alone INPUTS 0",
            "AI.SCRIPTRUN redis alone",
            "AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y",
            "AI.MODELRUN m INPUTS x OUTPUTS y",
            "AI.DAGEXECUTE LOAD 1 x |> AI.TENSORGET x",
            "AI.DAGEXECUTE_RO LOAD 1 x |> AI.TENSORGET x",
            "AI.DAGRUN |> AI.TENSORSET x FLOAT 1",
            "AI.DAGRUN_RO |> AI.SCRIPTRUN redis alone",
        ],
    )
    def test_no_queued_runs(self, raw, command):
        """The script's worker would wait for itself."""
        text = "ERR Cannot run RedisAI command within a transaction or a LUA script"
        assert REPLIED + text in failure(self.run(raw, "run", *words(command)))

    def test_effects_before_a_failure_stay(self, raw):
        failure(self.run(raw, "effects", "INCR", "list", "x"))
        assert raw.call("MGET", "before", "after") == [b"1", None]

    def test_calls_are_neither_merged_nor_left_out(self, raw):
        for calls in range(1, 6):
            assert self.run(raw, "twice", outputs=["y"]) == OK
            assert raw.call("GET", "n") == b"%d" % (2 * calls)
        assert self.run(raw, "unused", outputs=["y"]) == OK
        assert raw.call("GET", "n") == b"11"

    def test_tensors_of_texts(self, raw):
        raw.call("SET", "k", "42")
        assert self.run(raw, "tensor_from", outputs=["y"]) == OK
        assert get_tensor(raw, "y").tolist() == 42
        raw.call("SET", "k", "text")
        assert "RuntimeError: stoll" in failure(self.run(raw, "tensor_from", outputs=["y"]))

    def test_as_list(self, raw):
        assert self.run(raw, "as_list_of_ints", outputs=["y"]) == OK
        assert get_tensor(raw, "y").tolist() == 3
        reply = failure(self.run(raw, "as_list_of_text", outputs=["y"]))
        assert "redis.asList: the value is not a list" in reply

    def test_the_clients_database(self, server, raw):
        with server.raw() as other:
            other.call("SELECT", 5)
            store_script(other, "mine", REDIS, "run")
            assert run_script(other, "mine", "run", args=["SET", "where", "here"]) == OK
            assert other.call("GET", "where") == b"here"
        assert raw.call("EXISTS", "where") == 0

    def test_selecting_another_database_ends_with_the_call(self, raw):
        assert self.run(raw, "effects", "SELECT", "5") == OK
        assert raw.call("MGET", "before", "after") == [b"1", b"1"]

    def test_deleting_everything_and_itself(self, raw):
        store_script(raw, "s", REDIS, "effects")
        assert run_script(raw, "s", "effects", [], [], args=["FLUSHALL"]) == OK
        assert raw.call("KEYS", "*") == [b"after"]

    def test_replacing_itself(self, raw):
        store_script(raw, "s", REDIS, "run")
        other = entry_point("run", "return torch.tensor([7])")
        command = ["AI.SCRIPTSTORE", "s", "CPU", "ENTRY_POINTS", "1", "run", "SOURCE", other]
        assert run_script(raw, "s", "run", [], [], args=command) == OK
        assert run_script(raw, "s", "run", [], ["y"]) == OK
        assert get_tensor(raw, "y").tolist() == [7]

    def test_tensors_through_commands(self, raw):
        """What a script stores by a command does not concern its inputs."""
        assert self.run(raw, "effects", "AI.TENSORSET", "t", "INT64", "2", "VALUES", "1", "2") == OK
        assert get_tensor(raw, "t").tolist() == [1, 2]

    def test_the_caller_s_rights(self, server, raw):
        """Beyond the original, whose scripts may do everything: see test_extension_access_rules.py for that, and for more."""
        rules = words("on nopass resetkeys ~redis ~k -@all +ai.scriptexecute")
        assert raw.call("ACL", "SETUSER", "u", *rules) == OK
        with server.raw() as connection:
            assert connection.call("AUTH", "u", "x") == OK
            reply = run_script(connection, "redis", "run", keys=["k"], args=["SET", "elsewhere", "1"])
        assert REPLIED + "NOPERM " in failure(reply)
        assert raw.call("ACL", "DELUSER", "u") == 1
        assert raw.call("EXISTS", "elsewhere") == 0


class TestModelExecute:
    def run(self, raw, key, inputs, outputs, count=None, function="model"):
        count = len(outputs) if count is None else count
        return run_script(raw, "redis", function, inputs, outputs, keys=[key], args=[str(count)])

    def test_onnx(self, raw):
        store_model(raw, "m", onnx_models.sum_and_difference())
        assert self.run(raw, "m", ["five", "two"], ["y1", "y2"]) == OK
        assert (get_tensor(raw, "y1").tolist(), get_tensor(raw, "y2").tolist()) == ([7], [3])

    def test_torch(self, raw):
        assert raw.call("AI.MODELSTORE", "m", "TORCH", "CPU", "BLOB", torch_models.two()) == OK
        assert self.run(raw, "m", ["five", "two"], ["y"]) == OK
        assert get_tensor(raw, "y").tolist() == [10]

    def test_one_after_the_other(self, raw):
        store_model(raw, "m", onnx_models.add_constant(1))
        assert raw.call("AI.MODELSTORE", "n", "TORCH", "CPU", "BLOB", torch_models.rows()) == OK
        assert run_script(raw, "redis", "models", ["five"], ["y"], keys=["m", "n"]) == OK
        assert get_tensor(raw, "y").tolist() == [12]

    def test_a_batched_model_runs_alone(self, raw):
        store_model(raw, "m", onnx_models.add_constant(1), "BATCHSIZE", 8, "MINBATCHSIZE", 8)
        assert self.run(raw, "m", ["five"], ["y"]) == OK

    @pytest.mark.parametrize(
        "key, inputs, count, text",
        [
            ("none", ["five"], 1, "ERR model key is empty"),
            ("text", ["five"], 1, "WRONGTYPE Operation against a key holding the wrong kind of value"),
            ("five", ["five"], 1, "WRONGTYPE Operation against a key holding the wrong kind of value"),
            ("redis", ["five"], 1, "WRONGTYPE Operation against a key holding the wrong kind of value"),
            ("m", [], 2, "ERR Expected 2 inputs but got 0"),
            ("m", ["five"], 2, "ERR Expected 2 inputs but got 1"),
            ("m", ["five", "two"], 1, "ERR Expected 2 outputs but got 1"),
            ("m", ["five", "two"], 3, "ERR Expected 2 outputs but got 3"),
            ("m", ["five", "two"], -1, "the number of outputs is negative"),
            ("m", ["five", "ints"], 2, "Unexpected input data type. Actual: (tensor(int64))"),
        ],
    )
    def test_errors(self, raw, key, inputs, count, text):
        raw.call("SET", "text", "x")
        set_tensor(raw, "ints", [1], "INT64")
        store_model(raw, "m", onnx_models.sum_and_difference())
        assert text in failure(self.run(raw, key, inputs, ["y"], count))
        assert raw.call("EXISTS", "y") == 0

    def test_redisai_in_any_case(self, raw):
        store_model(raw, "m", onnx_models.add_constant(1))
        assert run_script(raw, "redis", "model_capitals", ["five"], ["y1", "y2"]) == OK
        assert get_tensor(raw, "y2").tolist() == [6]

    def test_a_model_that_is_still_loading(self, raw):
        """The script waits for it, and the time does not count as its own."""
        model = onnx_models.big_weights(20)
        assert raw.pipeline([["MULTI"], words("AI.MODELSTORE m ONNX CPU BLOB", model), ["EXEC"]])[2] == [OK]
        assert self.run(raw, "m", ["five"], ["y"]) == OK

    def test_a_model_that_is_broken(self, raw):
        model = words("AI.MODELSTORE m ONNX CPU BLOB", onnx_models.NOT_PROTOBUF)
        assert raw.pipeline([["MULTI"], model, ["EXEC"]])[2] == [OK]
        assert "ERR model is broken: " in failure(self.run(raw, "m", ["five"], ["y"]))
