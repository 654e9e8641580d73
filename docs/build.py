"""Builds the documentation site: ``python docs/build.py`` leaves it in ``build/site``.

Lessons are executed (not with ``--unexecuted``) and become pages with their outputs; the
reference is made of docstrings.
Nothing on the site comes from elsewhere: no fonts, no scripts, and formulas are MathML.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "build" / "docs"
SITE = ROOT / "build" / "site"
LIVE = "application/vnd.jupyter.widget-view+json"  # needs a kernel; a picture stands beside it
SHIM = "https://unpkg.com/iframe-worker/shim"
WORKERS = 2


def main() -> None:
    """Assemble the pages and build the site; any warning is an error."""
    shutil.rmtree(SOURCES, ignore_errors=True)
    shutil.copytree(ROOT / "docs", SOURCES, ignore=shutil.ignore_patterns("*.py", "*.yml"))
    shutil.copy(ROOT / "CHANGELOG.md", SOURCES / "changelog.md")
    lessons = sorted((ROOT / "notebooks" / "lessons").glob("*.ipynb"))
    (SOURCES / "lessons").mkdir()
    with ProcessPoolExecutor(WORKERS) as pool:
        list(pool.map(partial(lesson_page, execute="--unexecuted" not in sys.argv), lessons))
    reference_pages()
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    config = ["--config-file", str(ROOT / "docs" / "mkdocs.yml"), "--site-dir", str(SITE)]
    subprocess.run([*command, *config], check=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"})
    without_other_hosts()
    print(f"The documentation is in {SITE.relative_to(ROOT)}/index.html")


def lesson_page(path: Path, execute: bool) -> None:
    """Execute one lesson if asked to, and write it as a page, with its pictures beside it."""
    import nbformat
    from nbclient import NotebookClient
    from nbconvert import MarkdownExporter

    notebook = nbformat.read(path, 4)
    if execute:
        NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = with_mathml(cell.source)
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(LIVE, None)
    exporter = MarkdownExporter()
    priority = ["text/html", "image/png", "text/plain"]
    exporter.default_config.NbConvertBase.display_data_priority = priority
    name = path.stem
    text, resources = exporter.from_notebook_node(notebook)
    for file, content in resources["outputs"].items():
        (SOURCES / "lessons" / f"{name}-{file}").write_bytes(content)
        text = text.replace(f"({file})", f"({name}-{file})")
    (SOURCES / "lessons" / f"{name}.md").write_text(text, "utf-8")


def with_mathml(text: str) -> str:
    """Formulas between dollars as MathML, which browsers draw without a script."""
    from latex2mathml.converter import convert

    text = re.sub(r"\$\$(.+?)\$\$", lambda m: convert(m[1], display="block"), text, flags=re.DOTALL)
    return re.sub(r"\$([^$\n]+)\$", lambda m: convert(m[1]), text)


def without_other_hosts() -> None:
    """Search in a folder needs one small script, which the theme would fetch; npm brought it."""
    shutil.copy(ROOT / "js/node_modules/iframe-worker/shim/index.js", SITE / "assets/worker.js")
    for page in SITE.rglob("*.html"):
        up = "../" * (len(page.relative_to(SITE).parts) - 1)
        text = page.read_text("utf-8").replace(SHIM, f"{up}assets/worker.js")
        if outside := re.findall(r'<(?:script|img|link)[^>]+(?:src|href)="(https?:[^"]+)', text):
            sys.exit(f"{page.name} would fetch {outside[0]}; the site has to work offline.")
        page.write_text(text, "utf-8")


def reference_pages() -> None:
    """One page for each public name, from where it is defined."""
    import paoding

    folder = SOURCES / "reference"
    folder.mkdir()
    index = ["# Reference", "", "Every public name, with what it takes and gives.", ""]
    for name, home in sorted(paoding._HOMES.items(), key=lambda item: item[0].lower()):
        page = f"# paoding.{name}\n\n::: {home}.{name}\n    options:\n      heading_level: 2\n"
        (folder / f"{name}.md").write_text(page, "utf-8")
        index.append(f"- [paoding.{name}]({name}.md)")
    (folder / "index.md").write_text("\n".join(index) + "\n", "utf-8")


if __name__ == "__main__":
    main()
