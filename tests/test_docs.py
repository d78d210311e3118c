"""Links of the documentation lead somewhere; its code runs, pictures are current."""

import ast
import importlib
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

import sparsenet

ROOT = Path(__file__).parent.parent
PAGES = [
    *sorted((ROOT / "doc").glob("*.md")),
    *sorted((ROOT / "doc" / "guide").glob("*.md")),
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "sparsenet" / "_kernels" / "README.md",
]
PICTURES = ROOT / "doc" / "pictures"
CODE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def text_of(page):
    """A page without its code."""
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def with_code(page):
    return CODE.search(page.read_text(encoding="utf-8"))


def written_as(path):
    """The file that a page of the site is made of, which may be a program."""
    gallery, examples = ROOT / "doc" / "gallery", ROOT / "doc" / "examples"
    if not path.is_relative_to(gallery):
        return path
    path = examples / path.relative_to(gallery)
    return path.with_name(
        "GALLERY_HEADER.rst" if path.stem == "index" else path.stem + ".py"
    )


def anchors_of(page):
    """What links may name after '#', as GitHub derives it from headings."""
    headings = re.findall(r"^#+ (.*)", text_of(page), re.MULTILINE)
    words = [re.sub(r"[^\w\- ]", "", heading).lower() for heading in headings]
    return {word.replace(" ", "-") for word in words}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    broken = []
    for is_picture, words, target in LINK.findall(text_of(page)):
        if target.startswith(("https://", "http://")):
            continue
        name, _, anchor = target.partition("#")
        path = written_as((page.parent / name).resolve()) if name else page
        exists = path.exists() and path.is_relative_to(ROOT.resolve())
        if not exists or (anchor and anchor not in anchors_of(path)):
            broken.append(target)
        elif is_picture and not words:
            broken.append(f"{target} without a text for those who cannot see it")
    assert not broken


@pytest.mark.parametrize(
    "page", list(filter(with_code, PAGES)), ids=lambda page: str(page.relative_to(ROOT))
)
def test_code_of_pages_runs(page, tmp_path, monkeypatch):
    """All of a page in one namespace, without a warning."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    text = page.read_text(encoding="utf-8")
    for module in ("sklearn.callback", "onnxruntime", "skl2onnx", "dask.distributed"):
        if f"from {module}" in text or f"import {module}" in text:
            pytest.importorskip(module, reason="not everywhere")
    names = {"__name__": "__main__"}
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        for code in CODE.finditer(text):
            lines = "\n" * text.count("\n", 0, code.start(1))  # as in the page
            exec(compile(lines + code[1], page, "exec"), names)


def test_messages_with_remedies_are_those_of_the_code():
    text = (ROOT / "doc" / "faq.md").read_text(encoding="utf-8")
    messages = re.findall(r"^### (`+)(.*)\1$", text, re.MULTILINE)
    assert len(messages) > 20
    source = " ".join(strings_of_package())
    for _, message in messages:
        for part in message.split("…"):
            assert part.strip() in source, message


def strings_of_package():
    """All that modules say, with what is formatted left out; of Cython the text."""
    for path in sorted((ROOT / "sparsenet").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
    for path in sorted((ROOT / "sparsenet").rglob("*.pyx")):
        yield path.read_text(encoding="utf-8")


def sparsenet_dask():
    pytest.importorskip("distributed", reason="Dask is an extra")
    return importlib.import_module("sparsenet.dask")


def test_the_reference_has_all_public_names():
    lines = (ROOT / "doc" / "api.rst").read_text(encoding="utf-8").splitlines()
    listed = {line.strip() for line in lines if line.startswith("   ")}
    assert set(sparsenet.__all__) <= listed
    on_cluster = sparsenet_dask().__all__
    assert all(lines.count(f"   {name}") == 2 for name in on_cluster)


def test_every_promise_has_its_test():
    page = (ROOT / "doc" / "promises.md").read_text(encoding="utf-8")
    named = re.findall(r"`(\w+\.py)::(\w+)`", page)
    assert len(named) > 30
    for file, function in named:
        content = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert f"\ndef {function}(" in content, f"{file}::{function}"
    rows = re.findall(r"^\| (?!promise)[^-].*", page, re.MULTILINE)
    assert all("::" in row for row in rows)


def test_pictures_are_drawn_by_code(tmp_path, monkeypatch):
    matplotlib = pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    monkeypatch.syspath_prepend(ROOT / "doc")
    pictures = importlib.import_module("pictures")
    pictures.draw_all(tmp_path, "svg")
    drawn, kept = (
        {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
        for folder in (tmp_path, PICTURES)
    )
    assert drawn.keys() == kept.keys()
    # Another version of matplotlib may write the same picture in other words.
    version = f"Matplotlib v{matplotlib.__version__},"
    for name in kept:
        if version in kept[name]:
            assert_same_picture(drawn[name], kept[name])


def assert_same_picture(drawn, kept):
    """Last digits differ between versions of NumPy, and with them names of shapes."""
    drawn, kept = (re.sub(r"\b[a-z][0-9a-f]{10}\b", "id", svg) for svg in (drawn, kept))
    number = re.compile(r"-?\d+\.\d+")
    hint = "python doc/pictures.py draws them anew"
    assert number.sub("#", drawn) == number.sub("#", kept), hint
    places = (np.array(number.findall(svg), float) for svg in (drawn, kept))
    np.testing.assert_allclose(*places, rtol=0, atol=2e-6, err_msg=hint)


def test_every_picture_is_shown():
    shown = "".join(text_of(page) for page in PAGES)
    assert all(f"pictures/{path.name}" in shown for path in PICTURES.iterdir())
