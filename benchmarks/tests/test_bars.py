from collections.abc import Callable

import pytest
from conftest import loaded

from suite import bars
from suite.results import Results
from suite.scenarios import clients, hot_path, medium, reference

PLAIN = hot_path.PLAIN


def only(results: Results, number: int) -> list[bars.Bar]:
    return [bar for bar in bars.all_bars(results) if bar.number == number]


def test_nothing_measured_gives_no_bars_but_the_duration(results: Results) -> None:
    assert [bar.number for bar in bars.all_bars(results)] == [8]


def test_cost_is_the_median_of_ratios_within_rounds(results: Results, add: Callable[..., None]) -> None:
    # The machine is twice as slow in the second round: the ratio within the round does not show it.
    add("hot-path", "redisai", PLAIN, 50, loaded(13), loaded(26), loaded(14))
    add("hot-path", "echo", PLAIN, 50, loaded(6), loaded(12), loaded(6))
    add("hot-path", "engine", "onnx", 50, {"run_us": 4}, {"run_us": 8}, {"run_us": 4})
    (bar,) = only(results, 1)
    assert bar.value == pytest.approx(1.3)
    assert bar.met


def test_cost_beyond_the_limit_is_not_met(results: Results, add: Callable[..., None]) -> None:
    add("hot-path", "redisai", hot_path.BATCHED, 64, loaded(12.1))
    add("hot-path", "echo", hot_path.BATCHED, 64, loaded(6))
    add("hot-path", "engine", "onnx", 64, {"run_us": 4})
    (bar,) = only(results, 1)
    assert bar.limit == 1.2
    assert not bar.met


def test_cost_without_its_floor_is_no_bar(results: Results, add: Callable[..., None]) -> None:
    add("hot-path", "redisai", PLAIN, 1, loaded(13))
    add("hot-path", "echo", PLAIN, 1, loaded(6))
    assert only(results, 1) == only(results, 2) == []


def test_one_client_looks_at_both_percentiles(results: Results, add: Callable[..., None]) -> None:
    add("hot-path", "redisai", PLAIN, 1, loaded(20, p50=39, p99=120))
    add("hot-path", "echo", PLAIN, 1, loaded(10, p50=26, p99=60))
    add("hot-path", "engine", "onnx", 1, {"run_us": 4})
    middle, tail = only(results, 2)
    assert middle.value == pytest.approx(1.3)
    assert middle.met
    assert tail.value == pytest.approx(120 / 39)
    assert not tail.met


def test_one_client_is_not_part_of_the_sweep(results: Results, add: Callable[..., None]) -> None:
    for count, rate in ((1, 99_000), (16, 40_000), (160, 38_000)):
        add("clients", "redisai", clients.PLAIN, count, loaded(10, rate))
    (bar,) = only(results, 3)
    assert bar.value == pytest.approx(0.95)


@pytest.mark.parametrize(("ours", "echo", "met"), [(900, 10, True), (1500, 400, True), (1500, 200, False)])
def test_tail_at_a_given_rate(results: Results, add: Callable[..., None], ours: float, echo: float, met: bool) -> None:
    variant = clients.OPEN + clients.PLAIN
    add("clients", "redisai", variant, clients.SHARE, loaded(10, p99=ours))
    add("clients", "echo", variant, clients.SHARE, loaded(10, p99=echo))
    (bar,) = only(results, 3)
    assert bar.met is met


def test_peers_are_compared_with_their_best(results: Results, add: Callable[..., None]) -> None:
    for count, rate, p50 in ((16, 60_000, 200), (64, 50_000, 1000)):
        add("clients", "redisai", clients.PLAIN, count, loaded(10, rate, p50))
    add("clients", "redisai", clients.OPEN + clients.PLAIN, 0.7, loaded(10, 99_999))
    for count, rate, p50 in ((16, 2_000, 6_000), (64, 5_000, 12_000)):
        add("clients", "torchserve", clients.BATCHED, count, loaded(200, rate, p50))
    throughput, speed_up = only(results, 4)
    assert throughput.value == pytest.approx(12)
    assert throughput.met
    # At the 64 clients where the peer is best: 10 times the throughput at a twelfth of the latency.
    assert speed_up.value == pytest.approx(120)
    assert speed_up.met


def test_large_reference_data(results: Results, add: Callable[..., None]) -> None:
    add("reference", "redisai", reference.PLAIN, 4 << 20, loaded(11, p50=100))
    add("reference", "redisai", reference.PLAIN, 0, loaded(10, p50=80))
    assert [bar.met for bar in only(results, 6)] == [True, False]


def test_medium_model(results: Results, add: Callable[..., None]) -> None:
    add("medium", "redisai", medium.DEFAULT, 2, loaded(40_000, rate=24))
    add("medium", "engine", medium.DEFAULT, 2, {"wall_us": 40_000})
    throughput, ping = only(results, 7)
    assert throughput.value == pytest.approx(0.96)
    assert throughput.met
    assert ping.value == 300
    assert ping.met


def test_the_full_suite_has_no_time_limit(results: Results) -> None:
    results.environment["short"] = False
    assert bars.all_bars(results) == []


def test_table_names_both_sides(results: Results, add: Callable[..., None]) -> None:
    add("clients", "redisai", clients.PLAIN, 64, loaded(10, 50_000))
    add("clients", "torchserve", clients.BATCHED, 64, loaded(200, 10_000))
    results.bars = [bar.as_json() for bar in bars.all_bars(results)]
    (line,) = [line for line in bars.table(results) if "best throughput" in line]
    assert "50,000/s; torchserve 10,000/s at 64 clients" in line
    assert "NOT met" in line
