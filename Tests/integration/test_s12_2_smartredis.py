"""Reference section 12.2: SmartRedis as simulations use it, on one server and on a cluster of three shards.

The checks are in clients/smartredis_py.py.
"""

import functools

import pytest

from support import onnx_models
from support.client_programs import checks_of, model_files, run_program
from support.engines import ENGINES

PROGRAM = "smartredis_py.py"
pytestmark = pytest.mark.timeout(180)
# Models are built while the client waits: by default it waits for a quarter of a second. One check does it like that.
ENVIRONMENT = {"SR_SOCKET_TIMEOUT": "30000", "SR_LOG_LEVEL": "QUIET", "SR_LOG_FILE": "smartredis.log"}

# What a cluster does in the same way, three times as slowly.
ONE_SERVER = (
    "extreme_values", "default_timeouts", "models_for_gpus", "scripts_for_gpus", "multigpu_scripts", "function",
    "logging", "config_options",
)  # fmt: skip


@functools.cache
def models():
    rows = {f"rows.{engine.name.lower()}": engine.model for engine in ENGINES}
    return model_files(**rows, **{"sum_and_difference.onnx": onnx_models.sum_and_difference})


@pytest.fixture(scope="module")
def standalone(module_server):
    address = f"127.0.0.1:{module_server.port}"
    return run_program(PROGRAM, models(), environment=ENVIRONMENT | {"SSDB": address, "SR_DB_TYPE": "Standalone"})


@pytest.fixture(scope="module")
def clustered(module_cluster):
    addresses = ",".join(module_cluster.addresses)
    environment = ENVIRONMENT | {"SSDB": addresses, "SR_DB_TYPE": "Clustered"}
    return run_program(PROGRAM, models(), *ONE_SERVER, environment=environment)


@pytest.mark.parametrize("check", checks_of(PROGRAM))
def test_on_one_server(standalone, check):
    standalone.assert_passed(check)


@pytest.mark.parametrize("check", [check for check in checks_of(PROGRAM) if check not in ONE_SERVER])
def test_on_a_cluster(clustered, check):
    clustered.assert_passed(check)


def test_every_public_method_is_called(standalone):
    standalone.assert_all_called()
