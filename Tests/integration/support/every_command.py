"""One successful example of every command, and what they need: for everything that must hold for all of them."""

from __future__ import annotations

from support import onnx_models
from support.commands import set_tensor, store_model, words
from support.resp import OK, Argument, RawClient
from support.scripts import entry_point, store_script

KEPT_KEYS = ("m", "s", "p")
MODEL = onnx_models.add_constant(1)
SOURCE = entry_point("f", "return tensors[0]")
PLAIN_SOURCE = "def g(a: Tensor):\n    return a\n"

# In an order in which they can be called on what `prepare` stores, again and again.
EXAMPLES: dict[str, list[Argument]] = {
    "ai.tensorset": words("AI.TENSORSET t DOUBLE 2 VALUES 0.5 -inf"),
    "ai.tensorget": words("AI.TENSORGET t META VALUES"),
    "ai.modelstore": words("AI.MODELSTORE n ONNX CPU TAG v1 BATCHSIZE 4 BLOB", MODEL),
    "ai.modelset": words("AI.MODELSET n ONNX cpu TAG v2 BLOB", MODEL),
    "ai.modelget": words("AI.MODELGET n"),
    "ai.modelexecute": words("AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y"),
    "ai.modelrun": words("AI.MODELRUN m INPUTS x OUTPUTS y"),
    "ai._modelscan": words("AI._MODELSCAN"),
    "ai.modeldel": words("AI.MODELDEL n"),
    "ai.scriptstore": words("AI.SCRIPTSTORE r CPU TAG v1 ENTRY_POINTS 1 f SOURCE", SOURCE),
    "ai.scriptset": words("AI.SCRIPTSET r CPU TAG v2 SOURCE", SOURCE),
    "ai.scriptget": words("AI.SCRIPTGET r"),
    "ai.scriptexecute": words("AI.SCRIPTEXECUTE s f INPUTS 1 x OUTPUTS 1 y"),
    "ai.scriptrun": words("AI.SCRIPTRUN p g INPUTS x OUTPUTS y"),
    "ai._scriptscan": words("AI._SCRIPTSCAN"),
    "ai.scriptdel": words("AI.SCRIPTDEL r"),
    "ai.dagexecute": words(
        "AI.DAGEXECUTE LOAD 1 x PERSIST 1 y |> AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y |> AI.TENSORGET y VALUES"
    ),
    "ai.dagexecute_ro": words("AI.DAGEXECUTE_RO LOAD 1 x |> AI.TENSORGET x META VALUES"),
    "ai.dagrun": words(
        "AI.DAGRUN LOAD 1 x PERSIST 1 y |> AI.SCRIPTRUN p g INPUTS x OUTPUTS y |> AI.TENSORGET y META"
    ),
    "ai.dagrun_ro": words("AI.DAGRUN_RO LOAD 1 x |> AI.MODELRUN m INPUTS x OUTPUTS y |> AI.TENSORGET y"),
    "ai.info": words("AI.INFO p RESETSTAT"),
    "ai.config": words("AI.CONFIG GET MODEL_CHUNK_SIZE"),
}
# Those that wait for threads of the module.
BLOCKING = [
    *("ai.modelstore", "ai.modelset", "ai.modeldel", "ai.modelexecute", "ai.modelrun"),
    *("ai.scriptstore", "ai.scriptset", "ai.scriptdel", "ai.scriptexecute", "ai.scriptrun"),
    *("ai.dagexecute", "ai.dagexecute_ro", "ai.dagrun", "ai.dagrun_ro"),
]


def prepare(raw: RawClient) -> None:
    """Stores the model `m` and the scripts `s` and `p`, unless they are there, and the tensors `x` and `bytes`, which `m` does
    not take. No example changes them."""
    if raw.call("EXISTS", *KEPT_KEYS) < len(KEPT_KEYS):
        store_model(raw, "m", MODEL)
        store_script(raw, "s", SOURCE, "f")
        store_script(raw, "p", PLAIN_SOURCE)
    set_tensor(raw, "x", [0.5])
    set_tensor(raw, "bytes", [1], "INT8")
