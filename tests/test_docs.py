"""Links and pictures of the documentation lead somewhere."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [
    *sorted((ROOT / "doc").glob("*.md")),
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "sparsenet" / "_kernels" / "README.md",
]
PICTURES = ROOT / "doc" / "pictures"
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def text_of(page):
    """A page without its code."""
    return FENCED.sub("", page.read_text(encoding="utf-8"))


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
        path = (page.parent / name).resolve() if name else page
        exists = path.exists() and path.is_relative_to(ROOT.resolve())
        if not exists or (anchor and anchor not in anchors_of(path)):
            broken.append(target)
        elif is_picture and not words:
            broken.append(f"{target} without a text for those who cannot see it")
    assert not broken


def test_pictures_are_drawn_by_code(tmp_path):
    matplotlib = pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    spec = importlib.util.spec_from_file_location("pictures", ROOT / "doc/pictures.py")
    pictures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pictures)
    pictures.draw_all(tmp_path, "svg")
    drawn = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    kept = {path.name: path.read_bytes() for path in PICTURES.iterdir()}
    assert drawn.keys() == kept.keys()
    # Another version of matplotlib may write the same picture in other bytes.
    version = f"Matplotlib v{matplotlib.__version__},".encode()
    differ = [name for name in kept if version in kept[name] != drawn[name]]
    assert not differ, "python doc/pictures.py draws them anew"


def test_every_picture_is_shown():
    shown = "".join(text_of(page) for page in PAGES)
    assert all(f"pictures/{path.name}" in shown for path in PICTURES.iterdir())
