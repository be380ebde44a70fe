"""The module loads in a process without an environment.

Valkey clears its environment before it loads modules, and the Swift runtime reads ``environ`` in a static
initialiser: without a remedy the server dies inside dlopen.
"""

from support import onnx_models
from support.commands import execute, get_tensor, set_tensor, store_model
from support.resp import OK
from support.server import Server


def test_empty_environment(server_kind, module_path):
    with Server(server_kind.name, server_kind.binary, module_path, environment={}) as server:
        raw = server.raw()
        store_model(raw, "m", onnx_models.add_constant(1))
        set_tensor(raw, "x", [1])
        assert execute(raw, "m", ["x"], ["y"]) == OK
        assert get_tensor(raw, "y").tolist() == [2]
        assert server.crash_report() is None


def test_module_load_at_run_time(server_kind, module_path):
    """MODULE LOAD comes long after the server's start."""
    config = ("--enable-module-command", "yes")
    with Server(server_kind.name, server_kind.binary, None, config=config) as server:
        raw = server.raw()
        assert raw.call("MODULE", "LOAD", module_path) == OK
        store_model(raw, "m", onnx_models.add_constant(1))
        # Data types of a module cannot be taken away from under the keys that hold them.
        assert raw.call("MODULE", "UNLOAD", "ai").text.startswith("ERR ")
        assert server.responsive()
