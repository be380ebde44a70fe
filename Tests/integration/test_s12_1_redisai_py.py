"""Reference section 12.1: redisai-py 1.3 as applications use it; the checks are in clients/redisai_py.py."""

import functools

import pytest

from support import onnx_models
from support.client_programs import checks_of, model_files, run_program
from support.engines import ENGINES

PROGRAM = "redisai_py.py"
pytestmark = pytest.mark.timeout(180)


@functools.cache
def models():
    rows = {f"rows.{engine.name.lower()}": engine.model for engine in ENGINES}
    return model_files(**rows, **{"sum_and_difference.onnx": onnx_models.sum_and_difference})


@pytest.fixture(scope="module")
def report(module_server):
    return run_program(PROGRAM, str(module_server.port), models())


@pytest.mark.parametrize("check", checks_of(PROGRAM))
def test_check(report, check):
    report.assert_passed(check)


def test_every_public_method_is_called(report):
    report.assert_all_called()
