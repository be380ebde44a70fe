"""One file per scenario; this is their order."""

from suite.scenarios import (
    baseline,
    batching,
    clients,
    commands,
    dag,
    engines,
    hot_path,
    medium,
    reference,
    scripts,
)
from suite.scenarios.scenario import Scenario

_MODULES = (hot_path, clients, baseline, reference, batching, dag, commands, engines, medium, scripts)
SCENARIOS: dict[str, Scenario] = {module.SCENARIO.name: module.SCENARIO for module in _MODULES}
# What `make bench` runs.
SHORT = ("hot-path", "clients", "baseline")
