from pathlib import Path
from xml.etree import ElementTree

import pytest
from conftest import adder, empty_results, loaded

from suite import bars
from suite.report import write_report
from suite.results import Results, load_results
from suite.scenarios import clients, hot_path


@pytest.fixture(scope="module")
def measured() -> Results:
    results = empty_results()
    add = adder(results)
    for point in (1, 50):
        add("hot-path", "redisai", hot_path.PLAIN, point, loaded(13), loaded(14))
        add("hot-path", "echo", hot_path.PLAIN, point, loaded(6), loaded(6))
        add("hot-path", "engine", "onnx", point, {"run_us": 4}, {"run_us": 4})
    for count in (16, 64):
        add("clients", "redisai", clients.PLAIN, count, loaded(10, 50_000))
        add("clients", "torchserve", clients.BATCHED, count, loaded(200, 5_000, errors={"503 <busy>": 3}))
    for share in (0.4, 0.7):
        add("clients", "redisai", clients.OPEN + clients.PLAIN, share, loaded(10, 50_000 * share))
    results.problems.append({"scenario": "reference", "text": "it could not be measured"})
    results.bars = [bar.as_json() for bar in bars.all_bars(results)]
    return results


@pytest.fixture(scope="module")
def page(measured: Results, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(measured, tmp_path_factory.mktemp("report"))


def test_the_page_needs_nothing_beside_it(page: Path) -> None:
    text = page.read_text()
    assert text.count("<svg") == len(list((page.parent / "plots").glob("*.svg"))) >= 5
    assert 'src="' not in text
    assert "stylesheet" not in text


def test_the_page_says_what_was_not_run_and_what_failed(page: Path) -> None:
    text = page.read_text()
    assert "not run: it is &lt;not&gt; there" in text
    assert "Not measured: it could not be measured" in text
    assert "503 &lt;busy&gt;" in text
    assert "10.0 x 1.0" in text


def test_plots_are_files_of_both_kinds(page: Path) -> None:
    drawn = sorted((page.parent / "plots").glob("*.svg"))
    assert drawn
    for path in drawn:
        ElementTree.parse(path)
        assert path.with_suffix(".png").stat().st_size > 5_000


def test_results_come_back_as_they_were(measured: Results, tmp_path: Path) -> None:
    measured.save(tmp_path)
    assert load_results(tmp_path) == measured
