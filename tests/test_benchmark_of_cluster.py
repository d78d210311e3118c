"""The benchmarks of training by several processes run; no time is looked at."""

import importlib
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "benchmarks"))
common = importlib.import_module("common")

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a program with options; returns what it prints."""

    def run(name, options):
        benchmark = importlib.import_module(name)
        for module in common, benchmark:
            monkeypatch.setattr(module, "describe_machine", lambda n: None, False)
            monkeypatch.setattr(module, "limit_threads", lambda n: None, False)
            monkeypatch.setattr(module, "machine", lambda n: {}, False)
        monkeypatch.setattr(sys, "argv", [name, *map(str, options)])
        benchmark.main()
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize("name", ["float32", "bfloat16", "int8"])
def test_two_members_measure_a_sum(name, tmp_path, capsys):
    benchmark = importlib.import_module("all_reduce")
    options = {"sizes": [100], "repeats": 3, "warm_up": 1, "folder": tmp_path}
    members = [
        SimpleNamespace(run=f"sparsenet, {name}", rank=rank, **options)
        for rank in range(benchmark.N_PROCESSES)
    ]
    with ThreadPoolExecutor(len(members)) as pool:
        list(pool.map(benchmark.run_process, members))
    measured = json.loads(capsys.readouterr().out)
    assert len(measured["seconds"]) == 3 and min(measured["seconds"]) > 0


def test_sums_have_a_line_for_each_peer(run, monkeypatch):
    benchmark = importlib.import_module("all_reduce")
    monkeypatch.setattr(benchmark, "has", lambda python, package: package != "torch")
    peers = "sparsenet, int8", "torch, Gloo"
    options = "--sizes", 100, "--repeats", 3, "--warm-up", 1, "--peers", *peers
    _, _, ours, missing = run("all_reduce", options).splitlines()
    assert ours.startswith(peers[0]) and float(ours.split()[3]) > 0
    assert missing.startswith(peers[1]) and missing.endswith("not installed")


def test_processes_share_a_training(run):
    options = "--random --rows 600 --hidden 16 --precision float32 --rounds 1".split()
    printed = run("cluster", [*options, "--epochs", 2, "--intervals", 2])
    speeds, traffic = printed.rstrip().split("\n\n")
    title, _, _, *lines = speeds.splitlines()
    assert title.startswith("784-16-10, density 0.1, 600 samples")
    assert [line.split()[1] for line in lines] == ["1", "2", "2"]
    assert "never" in lines[1] and lines[0].endswith("1.00")
    _, _, *lines = traffic.splitlines()
    assert [line.split()[0] for line in lines] == ["float32", "bfloat16", "int8"]
    sent = [float(line.split()[-1]) for line in lines]
    assert sent == sorted(sent, reverse=True)


def test_forecasts_are_for_each_link_interval_and_format(run, monkeypatch):
    def measure(name, size, args):
        assert name in importlib.import_module("all_reduce").PEERS
        assert size > 784 * 8
        return {"seconds": [0.001] * args.repeats}, None

    benchmark = importlib.import_module("cluster_speedup")
    monkeypatch.setattr(benchmark, "measure", measure)
    options = "--networks 16:0.5 --workers 1 4 --steps 2 --rounds 1 --repeats 2".split()
    measured, forecast = run("cluster_speedup", options).rstrip().split("\n\n")
    assert measured.splitlines()[-1].startswith("784-16-10, density 0.5")
    _, _, header, *lines = forecast.splitlines()
    assert header.split() == ["link", "interval", "sent", "as", "1", "4"]
    assert len(lines) == 3 * 3 * 2
    for line in lines:
        alone, four = map(float, line.split()[-2:])
        assert alone == 1 and 0 <= four <= 4


def test_forecasts_follow_their_formula():
    benchmark = importlib.import_module("cluster_speedup")
    parts = benchmark.Parts(
        n_connections=0,
        n_bytes={None: 125_000_000},
        step=0.1,
        all_reduce={None: 0.2},
        rest=0.05,
    )
    # Four workers: 1.5 times a gigabit, and the latency twice.
    seconds = 0.2 + 0.05 + 1.5 + 2 * 0.01
    expected = 4 * 20 * 0.1 / (20 * 0.1 + seconds)
    found = benchmark.speed_up(4, 20, parts, None, gigabits=1, latency=0.01)
    assert found == pytest.approx(expected)
    assert benchmark.speed_up(1, 20, parts, None, gigabits=1, latency=0.01) == 1


@pytest.fixture
def results(run, tmp_path, monkeypatch):
    """What a run of the benchmark of local steps prints, and the file it writes."""
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=300)
    X = rng.standard_normal((300, 12), np.float32) + y[:, np.newaxis]
    benchmark = importlib.import_module("local_steps")
    data = X, X, y, y
    tasks = {task: (lambda args: data, (8,)) for task in benchmark.TASKS}
    monkeypatch.setattr(benchmark, "TASKS", tasks)
    path = tmp_path / "local_steps.json"
    options = "--rows 300 --workers 1 4 --intervals 1 2 --epochs 2 --seeds 2".split()
    options += ["--rewire-interval", 1, "--density", 0.5, "--json", path]
    return run("local_steps", options), path


def test_local_steps_have_a_line_for_each_group(results):
    printed, path = results
    tasks = json.loads(path.read_text())["tasks"]
    for table, (task, points) in zip(
        printed.rstrip().split("\n\n"), tasks.items(), strict=True
    ):
        title, _, _, *lines = table.splitlines()
        assert title.startswith(f"{task}: 300 rows, 2 epochs, 2 seeds")
        groups = [(point["workers"], point["interval"]) for point in points]
        assert groups == [(1, None), (4, 1), (4, 2)]
        for line, point in zip(lines, points, strict=True):
            accuracy, half_range, _ = map(float, line.split()[-3:])
            low, high = sorted(point["accuracy"])
            assert accuracy == pytest.approx((low + high) / 2, abs=0.006)
            assert half_range == pytest.approx((high - low) / 2, abs=0.006)


def test_local_steps_are_drawn(results, monkeypatch):
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    _, path = results
    monkeypatch.syspath_prepend(ROOT / "doc")
    charts = importlib.import_module("charts")
    monkeypatch.setattr(charts, "__file__", str(path.with_name("charts.py")))
    _, *panels = charts.local_steps().figure.axes
    measured = json.loads(path.read_text())
    for axes, (task, measure) in zip(
        panels, (("fashion", "accuracy"), ("flights", "log_loss")), strict=True
    ):
        alone, *lines = axes.lines
        first, *others = measured["tasks"][task]
        assert set(alone.get_ydata()) == {np.mean(first[measure])}
        for line, point in zip(lines, others, strict=True):
            assert list(line.get_xdata()) == [1, 4]
            assert line.get_ydata()[1] == np.mean(point[measure])
    del measured["tasks"]["flights"]
    path.write_text(json.dumps(measured))
    with pytest.raises(ValueError, match="has nothing of flights"):
        charts.local_steps()
