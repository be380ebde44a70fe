"""Which serving systems there are."""

import importlib
import pkgutil
import sys


from suite import systems
from suite.serving import ServingSystem
from suite.settings import Settings
from suite.systems.redisai import RedisAI

OURS = "redisai"


def ours(settings: Settings) -> RedisAI:
    return RedisAI(OURS, "RedisAI in Swift", settings.server, settings.module)


def ours_untuned(settings: Settings) -> RedisAI:
    """The module's defaults, which leave the number of its threads to each engine."""
    return RedisAI(OURS, "RedisAI in Swift, defaults", settings.server, settings.module, (), "none")


def other_modules(settings: Settings) -> list[RedisAI]:
    return [
        RedisAI(f"redisai-{title}", title, settings.server, module) for title, module in settings.other_modules.items()
    ]


def adapters() -> dict[str, ServingSystem]:
    """All peers by their names, whether or not they can run here."""
    found = {}
    for entry in pkgutil.iter_modules(systems.__path__):
        module = importlib.import_module(f"{systems.__name__}.{entry.name}")
        if (system := getattr(module, "SYSTEM", None)) is not None:
            found[system.name] = system
    return found


def peers(settings: Settings) -> list[ServingSystem]:
    """Those to compare with that can run here: other modules first, then other kinds of servers."""
    known = adapters()
    chosen = [known[name] for name in settings.peers if name in known]
    return [each for each in [*other_modules(settings), *chosen] if each.unavailable() is None]


def describe(settings: Settings) -> dict[str, dict]:
    """What the report says of each system."""
    result = {}
    for system in [ours(settings), *other_modules(settings), *adapters().values()]:
        reason = system.unavailable()
        if reason is None and system.name in adapters() and system.name not in settings.peers:
            reason = "left out of this run"
        result[system.name] = {
            "title": system.title,
            "tuning": tuning(system),
            "unavailable": reason,
        }
    return result


def tuning(system: ServingSystem) -> str:
    """How it is set up for speed: what its adapter says at the top of its file."""
    if isinstance(system, RedisAI):
        return system.tuning
    return " ".join((sys.modules[type(system).__module__].__doc__ or "").split())
