"""The page of benchmarks has what was measured; nothing is measured here."""

import importlib
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
sys.path.append(str(FOLDER))
report = importlib.import_module("report")


@pytest.fixture
def doc(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "DOC", tmp_path)
    (tmp_path / "benchmarks").mkdir()
    return tmp_path


def test_every_program_exists_and_says_what_it_measures(doc):
    for name, (title, _) in report.REPORTS.items():
        (doc / "benchmarks" / f"{name}.txt").write_text(f"{name} was measured")
        report.page()
        page = (doc / "benchmarks.md").read_text()
        assert f"\n## {title}\n" in page and f"\n{name} was measured\n```" in page


def test_the_page_leaves_out_what_was_not_measured(doc):
    report.page()
    assert "```" not in (doc / "benchmarks.md").read_text()


def test_what_a_program_prints_is_kept(doc, monkeypatch, tmp_path):
    (tmp_path / "program.py").write_text(
        '"""Measures."""\nimport sys; print(sys.argv[1:])'
    )
    monkeypatch.setattr(report, "FOLDER", tmp_path)
    monkeypatch.setitem(report.REPORTS, "mine", ("Mine", "program.py --fast"))
    report.measure("mine", ["--texts", "file"])
    printed = (doc / "benchmarks" / "mine.txt").read_text()
    assert printed == "['--fast', '--texts', 'file']\n"


def test_other_names_are_refused(doc, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["report.py", "horses"])
    with pytest.raises(SystemExit):
        report.main()
    assert "'horses'; allowed: accuracy_over_time," in capsys.readouterr().err
