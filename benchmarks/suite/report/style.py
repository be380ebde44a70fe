"""How plots look: one colour per system in all of them."""

import itertools
import math
from collections.abc import Iterable

import matplotlib
import matplotlib.ticker
from matplotlib.axes import Axes

OURS = "#c1121f"
ECHO = "#b8bcc4"
ENGINE = "#6b7280"
_OTHERS = ("#1d4ed8", "#0f9d76", "#b45309", "#7c3aed", "#0891b2", "#be185d", "#4d7c0f")
_KNOWN = {"redisai": OURS, "echo": ECHO, "engine": ENGINE}

SETTINGS = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#9ca3af",
    "axes.labelcolor": "#374151",
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e5e7eb",
    "grid.linewidth": 0.8,
    "xtick.color": "#4b5563",
    "ytick.color": "#4b5563",
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.facecolor": "white",
    "svg.fonttype": "none",
    # The same results give the same files.
    "svg.hashsalt": "suite",
}


def use() -> None:
    matplotlib.use("Agg")
    matplotlib.rcParams.update(SETTINGS)


def colours(systems: Iterable[str]) -> dict[str, str]:
    """By subject; which systems a plot shows does not change their colours."""
    others = (system for system in systems if system not in _KNOWN)
    return _KNOWN | dict(zip(others, itertools.cycle(_OTHERS)))


def thousands(axes: Axes, axis: str) -> None:
    """10,000 instead of 10^4, and whole powers of ten as limits."""
    which = getattr(axes, f"{axis}axis")
    which.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:,.10g}"))
    which.set_minor_formatter(matplotlib.ticker.NullFormatter())
    low, high = (math.log10(limit) for limit in getattr(axes, f"get_{axis}lim")())
    getattr(axes, f"set_{axis}lim")(10 ** math.floor(low + 0.01), 10 ** math.ceil(high - 0.01))
