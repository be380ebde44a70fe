"""What each command of the module does with each of its keys: the statement that the permission tests go by.

It is written down from what the commands are for, not from what the module reports. A command is a text with the kinds of
its keys in braces; see ``Use``.

A key is READ when its content reaches the caller, or decides what does; WRITTEN when its content is replaced, changed or
removed. A script's own commands stand in the same table: they are subject to the same rights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from support import onnx_models
from support.resp import Argument
from support.scripts import entry_point

READ, WRITE = frozenset("R"), frozenset("W")
BOTH = READ | WRITE

MODEL = onnx_models.add_constant(1)
# Entry points that run whatever command they are given, and a model; a function for the deprecated commands.
SOURCE = (
    entry_point("run", "redis.execute(args[0], args[1:])", "return tensors[0]")
    + entry_point("infer", "return redisAI.model_execute(args[0], tensors, 1)")
    + entry_point("same", "return tensors[0]")
)
PLAIN_SOURCE = "def plain(a: Tensor):\n    return a\n"


@dataclass(frozen=True)
class Use:
    """A command, and what it does with its keys.

    ``keys`` maps the names in braces of ``text`` to what is done with them. The first letters of a name tell what the key
    holds: ``m`` model, ``s`` script with entry points, ``p`` script without, ``t`` tensor, ``v`` string.
    """

    text: str
    keys: dict[str, frozenset[str]]
    # The last argument, where it is no text.
    data: bytes | str | None = None
    # Brings a model or script in.
    uploads: bool = False
    # Keys that only the running script names: the refusal comes from within it.
    inside: frozenset[str] = frozenset()

    def command(self, names: dict[str, str]) -> list[Argument]:
        """The words with a key for each name."""
        words: list[Argument] = [word.format_map(names) for word in self.text.split()]
        return words if self.data is None else [*words, self.data]

    def __str__(self) -> str:
        return self.text


def _use(text: str, data: bytes | str | None = None, uploads: bool = False, **keys: frozenset[str]) -> Use:
    return Use(text, keys, data, uploads)


def _inside(text: str, inner: str, **keys: frozenset[str]) -> Use:
    """A script's command: ``inner`` names the keys that stand only in it."""
    return Use(text, keys, inside=frozenset(inner.split()))


# What runs at once: also inside of MULTI, of the server's scripts and of the module's.
SIMPLE = [
    _use("AI.TENSORSET {t} FLOAT 1 VALUES 1", t=WRITE),
    _use("AI.TENSORGET {t} META VALUES", t=READ),
    _use("AI.MODELSTORE {m} ONNX CPU BLOB", MODEL, uploads=True, m=WRITE),
    _use("AI.MODELSET {m} ONNX CPU BLOB", MODEL, uploads=True, m=WRITE),
    _use("AI.MODELGET {m} META", m=READ),
    _use("AI.MODELDEL {m}", m=WRITE),
    _use("AI.SCRIPTSTORE {s} CPU ENTRY_POINTS 1 same SOURCE", SOURCE, uploads=True, s=WRITE),
    _use("AI.SCRIPTSET {s} CPU SOURCE", PLAIN_SOURCE, uploads=True, s=WRITE),
    _use("AI.SCRIPTGET {s}", s=READ),
    _use("AI.SCRIPTDEL {s}", s=WRITE),
    _use("AI.INFO {m}", m=READ),
    _use("AI.INFO {s} RESETSTAT", s=BOTH),
    _use("AI._MODELSCAN"),
    _use("AI._SCRIPTSCAN"),
    _use("AI.CONFIG GET MODEL_CHUNK_SIZE"),
]
# What runs models and scripts.
RUNNING = [
    _use("AI.MODELEXECUTE {m} INPUTS 1 {t} OUTPUTS 1 {t2}", m=READ, t=READ, t2=WRITE),
    _use("AI.MODELRUN {m} INPUTS {t} OUTPUTS {t2}", m=READ, t=READ, t2=WRITE),
    _use(
        "AI.SCRIPTEXECUTE {s} same KEYS 1 {v} INPUTS 1 {t} ARGS -1 OUTPUTS 1 {t2}", s=READ, v=BOTH, t=READ, t2=WRITE
    ),
    _use("AI.SCRIPTRUN {p} plain INPUTS {t} OUTPUTS {t2}", p=READ, t=READ, t2=WRITE),
    _use(
        "AI.DAGEXECUTE LOAD 1 {t} PERSIST 1 {t2} ROUTING {v}"
        " |> AI.MODELEXECUTE {m} INPUTS 1 {t} OUTPUTS 1 a |> AI.SCRIPTEXECUTE {s} same INPUTS 1 a OUTPUTS 1 {t2}",
        t=READ, t2=WRITE, v=READ, m=READ, s=READ,
    ),
    # Names of tensors that are words of the command elsewhere.
    _use(
        "AI.DAGEXECUTE PERSIST 1 {t2} LOAD 1 {t} |> AI.TENSORSET LOAD FLOAT 1 VALUES 1 |> AI.TENSORSET ROUTING FLOAT 1"
        " |> AI.TENSORSET PERSIST INT8 2 BLOB |> |> AI.MODELEXECUTE {m} INPUTS 1 LOAD OUTPUTS 1 AI.MODELEXECUTE"
        " |> AI.SCRIPTEXECUTE {s} same INPUTS 1 {t} OUTPUTS 1 {t2}",
        t=READ, t2=WRITE, m=READ, s=READ,
    ),
    # The keys that scripts are given are no keys to the server here.
    _use(
        "AI.DAGEXECUTE LOAD 1 {t} |> AI.SCRIPTEXECUTE {s} same INPUTS 1 {t} ARGS -1 KEYS 1 {v} OUTPUTS 1 a",
        t=READ, s=READ, v=BOTH,
    ),
    _use("AI.DAGEXECUTE_RO LOAD 1 {t} |> AI.MODELEXECUTE {m} INPUTS 1 {t} OUTPUTS 1 a", t=READ, m=READ),
    # Nor are the models and scripts of the deprecated forms.
    _use(
        "AI.DAGRUN LOAD 1 {t} PERSIST 1 {t2} |> AI.MODELRUN {m} INPUTS {t} OUTPUTS a"
        " |> AI.SCRIPTRUN {p} plain INPUTS a OUTPUTS {t2}",
        t=READ, t2=WRITE, m=READ, p=READ,
    ),
    _use("AI.DAGRUN |> AI.TENSORSET a FLOAT 1 |> AI.MODELRUN {m} INPUTS a OUTPUTS b", m=READ),
    _use(
        "AI.DAGRUN_RO LOAD 1 {t} |> AI.MODELRUN {m} INPUTS {t} OUTPUTS a |> AI.SCRIPTRUN {p} plain INPUTS a OUTPUTS b",
        t=READ, m=READ, p=READ,
    ),
]  # fmt: skip
# What the module's scripts do.
WITHIN = [
    _inside("AI.SCRIPTEXECUTE {s} run INPUTS 1 {t} ARGS 2 GET {v} OUTPUTS 1 {t2}", "v", s=READ, t=READ, v=READ, t2=WRITE),
    _inside("AI.SCRIPTEXECUTE {s} run INPUTS 1 {t} ARGS 3 SET {v} 1", "v", s=READ, t=READ, v=WRITE),
    _inside("AI.SCRIPTEXECUTE {s} run INPUTS 1 {t} ARGS 2 GETDEL {v}", "v", s=READ, t=READ, v=BOTH),
    _inside("AI.SCRIPTEXECUTE {s} run INPUTS 1 {t} ARGS 3 RENAME {v} {v2}", "v v2", s=READ, t=READ, v=BOTH, v2=WRITE),
    _inside("AI.SCRIPTEXECUTE {s} infer INPUTS 1 {t} ARGS 1 {m} OUTPUTS 1 {t2}", "m", s=READ, t=READ, m=READ, t2=WRITE),
    _inside(
        "AI.DAGEXECUTE LOAD 1 {t} PERSIST 1 {t2} |> AI.SCRIPTEXECUTE {s} infer INPUTS 1 {t} ARGS 1 {m} OUTPUTS 1 {t2}",
        "m", t=READ, t2=WRITE, s=READ, m=READ,
    ),
    _inside(
        "AI.DAGEXECUTE LOAD 1 {t} |> AI.SCRIPTEXECUTE {s} run INPUTS 1 {t} ARGS 3 SET {v} 1 OUTPUTS 1 a",
        "v", t=READ, s=READ, v=WRITE,
    ),
]  # fmt: skip
ALL = [*SIMPLE, *RUNNING, *WITHIN]

# Prefixes of key names, by what a user of the tests may do with such a key.
RIGHTS = {"none": frozenset(), "read": READ, "write": WRITE, "all": BOTH}
PATTERNS = ["%R~read:*", "%W~write:*", "~all:*"]


def assignments(use: Use) -> Iterator[dict[str, str]]:
    """For each key each right, while the others have all; then each right for all keys together. Name to prefix."""
    for name in use.keys:
        for right in RIGHTS:
            yield {other: right if other == name else "all" for other in use.keys}
    if len(use.keys) != 1:
        for right in RIGHTS:
            yield dict.fromkeys(use.keys, right)


def lacking(use: Use, rights: dict[str, str]) -> set[str]:
    """The keys for which the rights do not suffice."""
    return {name for name, wanted in use.keys.items() if not wanted <= RIGHTS[rights[name]]}
