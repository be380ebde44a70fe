"""Reference section 4.1: argument counts; the name is printed as typed, for commands that run something in capitals."""

import pytest

from support.commands import words, wrong_arity

TOO_FEW_OR_MANY = [
    "AI.TENSORSET",
    "AI.TENSORSET t",
    "AI.TENSORSET t FLOAT",
    "AI.TENSORGET",
    "AI.TENSORGET t META BLOB VALUES",
    "AI.MODELSTORE",
    "AI.MODELSTORE m ONNX CPU BLOB",
    "AI.MODELSET",
    "AI.MODELSET m ONNX",
    "AI.MODELGET",
    "AI.MODELGET m META BLOB x",
    "AI.MODELDEL",
    "AI.MODELDEL a b",
    "AI._MODELSCAN x",
    "AI.SCRIPTSTORE",
    "AI.SCRIPTSTORE s CPU ENTRY_POINTS 1 f SOURCE",
    "AI.SCRIPTSTORE s CPU ENTRY_POINTS 0 SOURCE x",
    "AI.SCRIPTSET",
    "AI.SCRIPTSET s CPU SOURCE",
    "AI.SCRIPTSET s CPU TAG t SOURCE",
    "AI.SCRIPTSET s CPU TAG t SOURCE x y",
    "AI.SCRIPTGET",
    "AI.SCRIPTGET s META SOURCE x",
    "AI.SCRIPTDEL",
    "AI.SCRIPTDEL a b",
    "AI._SCRIPTSCAN x",
    "AI.INFO",
    "AI.INFO m RESETSTAT x",
    "AI.CONFIG",
    "AI.CONFIG LOADBACKEND",
    "AI.CONFIG LOADBACKEND ONNX",
    "AI.CONFIG GET",
]


@pytest.mark.parametrize("command", TOO_FEW_OR_MANY)
def test_upper_case_name(raw, command):
    assert raw.call(*words(command)) == wrong_arity(command.split()[0])


@pytest.mark.parametrize(
    "name", ["ai.tensorset", "Ai.TensorGet", "ai.MODELSTORE", "aI.modelget", "ai.modeldel", "Ai.Info", "ai.config"]
    + ["Ai.ModelSet", "ai.ScriptStore", "ai.scriptset", "Ai.scriptGET", "ai.scriptdel"],
)
def test_name_as_typed(raw, name):
    assert raw.call(name) == wrong_arity(name)


def test_modelscan_name_as_typed(raw):
    assert raw.call("ai._ModelScan", "x") == wrong_arity("ai._ModelScan")


@pytest.mark.parametrize(
    "command",
    ["AI.MODELEXECUTE", "ai.modelexecute m", "Ai.ModelExecute m INPUTS 1 a OUTPUTS 1"],
)
def test_modelexecute_name_is_fixed(raw, command):
    assert raw.call(*words(command)) == wrong_arity("AI.MODELEXECUTE")


@pytest.mark.parametrize("command", ["AI.SCRIPTEXECUTE", "ai.scriptexecute s", "Ai.ScriptRun", "ai.scriptrun s"])
def test_names_of_script_runs_are_fixed(raw, command):
    assert raw.call(*words(command)) == wrong_arity(command.split()[0].upper())
