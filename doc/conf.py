"""How Sphinx builds the site: `sphinx-build -W doc doc/_build`."""

import os
import re
from pathlib import Path

import sparsenet

ROOT = Path(__file__).parent.parent
REPOSITORY = "https://github.com/sparsenet/sparsenet"

project = "sparsenet"
author = "The sparsenet developers"
copyright = author
version = release = sparsenet.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
highlight_language = "none"  # of blocks that do not name theirs
exclude_patterns = ["_build", "examples"]
templates_path = ["_templates"]
default_role = "py:obj"  # of names in docstrings; what has no page is plain code
nitpicky = True
nitpick_ignore_regex = [
    ("py:obj", r'"?\w+"?'),
    ("py:.*", r"(copy|pickle|skl2onnx|sklearn)\..*"),
]
autodoc_typehints = "none"  # docstrings have them in words

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False  # the template lists them

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "abort_on_example_error": True,
    "backreferences_dir": "api",
    "capture_repr": ("_repr_html_",),
    "doc_module": ("sparsenet",),
    "download_all_examples": False,
    "image_srcset": ["2x"],
    "min_reported_time": 5,
    "show_memory": False,
    "show_signature": False,
    "subsection_order": [
        f"examples/{name}"
        for name in ("first", "tables", "networks", "training", "deployment")
    ],
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_title = "sparsenet"
html_show_sourcelink = False
html_theme_options = {
    "github_url": REPOSITORY,
    "header_links_before_dropdown": 6,
    "logo": {"text": "sparsenet"},
    "navbar_persistent": ["search-button"],
    "navigation_with_keys": False,
}
html_sidebars = {page: [] for page in ("index", "getting_started", "changelog", "faq")}

#: Pages whose text is a file elsewhere in the repository.
ELSEWHERE = {
    "changelog": ROOT / "CHANGELOG.md",
    "contributing": ROOT / "CONTRIBUTING.md",
    "kernels": ROOT / "sparsenet" / "_kernels" / "README.md",
}
LINK = re.compile(r"(?<=\]\()(?!\w+:)([^)#\s]+)")


def lead_into_site(app, docname, source):
    """Fill in the pages of ELSEWHERE; let links to files lead to pages or URLs."""
    page = Path(app.env.doc2path(docname))
    if page.suffix != ".md":
        return
    file = ELSEWHERE.get(docname, page)
    if file != page:
        app.env.note_dependency(str(file))
        source[0] = file.read_text(encoding="utf-8")
    pages = {path: Path(app.srcdir) / f"{name}.md" for name, path in ELSEWHERE.items()}

    def led(link):
        target = (file.parent / link[0]).resolve()
        target = pages.get(target, target)
        if target.is_relative_to(app.srcdir):
            return os.path.relpath(target, page.parent)
        return f"{REPOSITORY}/blob/main/{target.relative_to(ROOT)}"

    source[0] = LINK.sub(led, source[0])


def without_foreign_labels(app, what, name, obj, options, lines):
    """Let what inherited texts refer to on scikit-learn's own site be plain words."""
    lines[:] = [re.sub(r":ref:`([^`<]*\w)[^`]*`", r"\1", line) for line in lines]


def setup(app):
    """Called by Sphinx."""
    app.connect("source-read", lead_into_site)
    app.connect("autodoc-process-docstring", without_foreign_labels)
