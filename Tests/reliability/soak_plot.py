"""A picture of each soak beside its samples: ``python Tests/reliability/soak_plot.py .build/reports/soak-redis7.csv``.

Needs matplotlib, which the Python of the benchmarks has.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

_LINES = (("rss", "resident"), ("allocator_allocated", "allocated by the allocator"), ("used_memory", "used_memory"))


def draw(path: Path) -> Path:
    with path.open(encoding="ascii") as file:
        rows = list(csv.DictReader(file))
    minutes = [float(row["second"]) / 60 for row in rows]
    figure, axes = plt.subplots(figsize=(9, 4.5))
    for name, label in _LINES:
        axes.plot(minutes, [int(row[name]) / 1e6 for row in rows], label=label, linewidth=1)
    axes.set(xlabel="minutes", ylabel="MB", title=path.stem, ylim=(0, None))
    axes.legend(loc="center right")
    axes.grid(alpha=0.3)
    picture = path.with_suffix(".png")
    figure.savefig(picture, dpi=120, bbox_inches="tight")
    plt.close(figure)
    return picture


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(draw(Path(name)))
