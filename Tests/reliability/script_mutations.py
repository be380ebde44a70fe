"""Damages TorchScript source: of scripts, and of the code inside modules."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from reliability.model_mutations import NUMBERS, damage_bytes

_TOKENS = re.compile(r"[A-Za-z_][A-Za-z_0-9.]*|\d+\.?\d*|\"[^\"]*\"|\s+|.", re.DOTALL)
_TYPES = ("Tensor", "int", "float", "bool", "str", "List[Tensor]", "List[int]", "Optional[Tensor]", "Dict[str, Tensor]")
_LITERALS = (
    "None",
    "True",
    "[]",
    "{}",
    '""',
    "-1",
    "inf",
    "1e400",
    "'\\0'",
    "(1,)",
    "[1, -1]",
    "torch",
    "self",
    "0x7f",
)
# Operations that trust numbers, or take shapes and positions from them; {x} is a tensor, {n} and {m} numbers.
STATEMENTS = (
    "torch.as_strided({x}, [{n}], [{m}], 0)",
    "torch.as_strided({x}, [2, 2], [{n}, 1], {m})",
    "torch.zeros([{n}, {m}])",
    "torch.empty([{n}])",
    "torch.ones([{n}])[{m}]",
    "torch.arange({n}, {m})",
    "torch.reshape({x}, [{n}, {m}])",
    "torch.unfold_copy({x}, 0, {n}, {m})",
    "torch.index_select({x}, 0, torch.tensor([{n}]))",
    "torch.gather({x}, 0, torch.tensor([[{n}]]))",
    "torch.scatter({x}, 0, torch.tensor([[{n}]]), 1.0)",
    "torch.take({x}, torch.tensor([{n}]))",
    "torch.put({x}, torch.tensor([{n}]), torch.tensor([1.0]))",
    "torch.embedding(torch.zeros([2, 2]), torch.tensor([{n}]))",
    "torch.embedding_bag(torch.zeros([2, 2]), torch.tensor([{n}]), torch.tensor([{m}]))[0]",
    "torch.bincount(torch.tensor([{n}]), None, {m})",
    "torch.one_hot(torch.tensor([{n}]), {m})",
    "torch.repeat_interleave({x}, torch.tensor([{n}]))",
    "torch.repeat_interleave({x}, {n})",
    "torch.roll({x}, [{n}], [{m}])",
    "torch.pad({x}, [{n}, {m}])",
    "torch.constant_pad_nd({x}, [{n}, {m}])",
    "torch.max_pool1d(torch.zeros([1, 1, 4]), {n}, {m})",
    "torch.max_unpool2d(torch.zeros([1, 1, 2, 2]), torch.full([1, 1, 2, 2], {n}), [{m}, 2])",
    "torch.conv1d(torch.zeros([1, 1, 4]), torch.zeros([1, 1, 2]), None, {n}, {m})",
    "torch.conv_transpose1d(torch.zeros([1, 1, 4]), torch.zeros([1, 1, 2]), None, [{n}], [{m}])",
    "torch.upsample_nearest1d(torch.zeros([1, 1, 4]), [{n}])",
    "torch.grid_sampler(torch.zeros([1, 1, 2, 2]), torch.full([1, 1, 1, 2], {n}.0), 0, {m}, True)",
    "torch.pixel_shuffle(torch.zeros([1, 4, 2, 2]), {n})",
    "torch.fold(torch.zeros([1, 4, 4]), [{n}, 2], [2, 2], [1, 1], [0, 0], [1, 1])",
    "torch.im2col(torch.zeros([1, 1, 4, 4]), [{n}, 2], [1, 1], [{m}, 0], [1, 1])",
    "torch.ctc_loss(torch.zeros([2, 1, 2]), torch.tensor([[{n}]]), torch.tensor([2]), torch.tensor([{m}]))",
    "torch.searchsorted({x}, {x}, sorter=torch.full([4], {n}))",
    "torch.sparse_coo_tensor(torch.tensor([[{n}]]), torch.ones([1]), [{m}]).to_dense()",
    "torch.sparse_csr_tensor(torch.tensor([0, {n}]), torch.tensor([{m}]), torch.ones([1]), [1, 1]).to_dense()",
    "torch._pack_padded_sequence(torch.zeros([2, 2, 2]), torch.tensor([{n}, {m}]), False)[0]",
    "torch._pad_packed_sequence(torch.zeros([2, 2]), torch.tensor([{n}]), False, 0.0, {m})[0]",
    "torch.quantize_per_tensor({x}, 0.0, {n}, 13).dequantize()",
    "torch.quantize_per_channel(torch.zeros([2, 2]), torch.ones([1]), torch.zeros([1]), {n}, 13).dequantize()",
    "torch.fft_fft({x}, {n}, {m})",
    "torch.stft(torch.zeros([16]), {n}, {m}, return_complex=False)",
    "torch.multinomial(torch.ones([4]), {n}, False)",
    "torch.combinations(torch.zeros([8]), {n})",
    "torch.cartesian_prod([{x}, {x}, {x}, {x}, {x}])",
    "torch.tril_indices({n}, {m})",
    "torch.vander(torch.zeros([4]), {n})",
    "torch.matrix_power(torch.ones([2, 2]), {n})",
    "torch.linalg_inv(torch.zeros([2, 2]))",
    "torch.histc({x}, {n}, 0, {m})",
    "torch.kthvalue({x}, {n})[0]",
    "torch.topk({x}, {n})[0]",
    "torch.nested_to_padded_tensor({x}, 0.0)",
    "torch.to({x}, {n})",
    "torch.view({x}, {n})",
    "torch.resize_(torch.zeros([1]), [{n}])",
    "torch.set_(torch.zeros([1]), torch.zeros([4]), {n}, [{m}], [1])",
    "torch.div({x}, {n})",
    "torch.floor_divide(torch.tensor([{n}]), torch.tensor([0]))",
    "torch.remainder(torch.tensor([{n}]), torch.tensor([-1]))",
    "torch.bitwise_left_shift(torch.tensor([1]), torch.tensor([{n}]))",
    "torch.cdist(torch.zeros([{n}, 2]), torch.zeros([2, 2]))",
    "torch.renorm({x}, {n}, 0, 1)",
    "torch.tensor([{n}, {m}])",
    "torch.segment_reduce(torch.zeros([4]), 'sum', lengths=torch.tensor([{n}, {m}]), unsafe=True)",
    "torch._weight_norm({x}, {x}, {n})",
    "torch._cufft_set_plan_cache_max_size({n}, {m})",
    "torch.mkldnn_linear({x}, {x})",
    "torch._make_per_tensor_quantized_tensor({x}, 1.0, {n})",
    "torch._convert_indices_from_csr_to_coo(torch.tensor([{n}, {m}]), torch.tensor([0]))[0]",
    "torch._convert_indices_from_coo_to_csr(torch.tensor([{n}]), {m})",
)


def damage_source(source: bytes, random: Random) -> bytes:
    """A damaged copy of a text in which functions stand."""
    if random.random() < 0.06:
        return damage_bytes(source, random)
    text = source.decode("utf-8", "replace")
    for _ in range(random.choice((1, 1, 2, 3))):
        text = random.choice(_DAMAGES)(text, random)
    return text.encode("utf-8", "replace")


def _change_token(text: str, random: Random) -> str:
    """A number, a name, or a sign becomes another."""
    tokens = _TOKENS.findall(text)
    places = [index for index, token in enumerate(tokens) if not token.isspace()]
    if not places:
        return text
    place = random.choice(places)
    old = tokens[place]
    if old[0].isdigit():
        tokens[place] = str(random.choice(NUMBERS))
    elif random.random() < 0.6:
        tokens[place] = tokens[random.choice(places)]
    else:
        tokens[place] = random.choice((*_TYPES, *_LITERALS, "", "(", ")", "@", "\\", "\u202e"))
    return "".join(tokens)


def _lines(text: str) -> list[str]:
    return text.split("\n")


def _insert_statement(text: str, random: Random) -> str:
    """An operation on a name of the line's surroundings, with numbers that are too large or negative."""
    lines = _lines(text)
    places = [index for index, line in enumerate(lines) if re.match(r"\s+(return|\w+ = )", line)]
    if not places:
        return text
    place = random.choice(places)
    indentation = re.match(r"\s*", lines[place]).group()  # type: ignore[union-attr]
    names = re.findall(r"\b[a-z_]\w*\b", lines[place]) or ["x"]
    tensor = random.choice((*names, "tensors[0]", "torch.ones([4])"))
    operation = random.choice(STATEMENTS)
    values = {"x": tensor, "n": random.choice(NUMBERS), "m": random.choice(NUMBERS)}
    for key, value in values.items():
        operation = operation.replace(f"{{{key}}}", str(value))
    if lines[place].strip().startswith("return") and random.random() < 0.5:
        lines[place] = f"{indentation}return {operation}"
    else:
        lines.insert(place, f"{indentation}{random.choice(('result', *names))} = {operation}")
    return "\n".join(lines)


def _change_lines(text: str, random: Random) -> str:
    """A line twice, gone, moved, or indented differently."""
    lines = _lines(text)
    place = random.randrange(len(lines))
    kind = random.randrange(5)
    if kind == 0:
        del lines[place]
    elif kind == 1:
        lines[place:place] = [lines[place]] * random.choice((1, 2, 50))
    elif kind == 2:
        lines.insert(random.randrange(len(lines)), lines.pop(place))
    elif kind == 3:
        lines[place] = " " * random.choice((1, 2, 4, 40)) + lines[place]
    else:
        lines[place] = lines[place].lstrip()
    return "\n".join(lines)


def _nest(text: str, random: Random) -> str:
    """Parentheses, lists, blocks or signs some hundreds or thousands deep: parsers recurse."""
    depth = random.choice((10, 100, 1000, 20_000))
    name, closing = random.choice(
        (("(", ")"), ("[", "]"), ("-", ""), ("not ", ""), ("torch.neg(", ")"), ("x + (", ")"))
    )
    if random.random() < 0.3:
        depth = min(depth, 300)
        blocks = "".join(" " * level + " if True:\n" for level in range(1, depth))
        return f"{text}\ndef nested(x: Tensor):\n{blocks}{' ' * (depth + 1)}x = x\n return x\n"
    return f"{text}\ndef nested(x: Tensor):\n    return {name * depth}x{closing * depth}\n"


def _loop(text: str, random: Random) -> str:
    """Loops without end, recursion, and what grows while it runs."""
    bodies = (
        "while True:\n{i}    pass",
        "for i in range(9223372036854775807):\n{i}    i = i",
        "while True:\n{i}    torch.zeros([100000])",
        "l = [torch.ones([1000])]\n{i}while True:\n{i}    l.append(torch.ones([100000]))",
        's = "aaaaaaaa"\n{i}while True:\n{i}    s = s + s',
        "assert False",
        'raise ValueError("" * 3)',
        'redis.execute("GET", "x")',
        'redis.execute("SHUTDOWN", "NOSAVE")',
        'redis.execute("BLPOP", ["nothing", "0"])',
        'redisAI.model_execute("m", [torch.ones([1])], 1)',
    )
    lines = _lines(text)
    places = [index for index, line in enumerate(lines) if line.startswith("    ") and line.strip()]
    if not places:
        return text
    place = random.choice(places)
    indentation = re.match(r"\s*", lines[place]).group()  # type: ignore[union-attr]
    lines.insert(place, indentation + random.choice(bodies).replace("{i}", indentation))
    return "\n".join(lines)


def _change_signature(text: str, random: Random) -> str:
    annotations = list(re.finditer(r": ?([A-Za-z\[\], ]+)(?=[,)=])", text))
    if not annotations:
        return text
    found = random.choice(annotations)
    return text[: found.start()] + ": " + random.choice(_TYPES) + text[found.end() :]


_DAMAGES: list[Callable[[str, Random], str]] = [
    *[_insert_statement] * 12,
    *[_change_token] * 8,
    *[_change_lines] * 3,
    *[_loop] * 2,
    _change_signature,
    _nest,
]
