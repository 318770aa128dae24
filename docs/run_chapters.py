"""Run chapters of the tutorial as a reader would, and keep what they show for the site.

    python docs/run_chapters.py EXAMPLE_DIR [CHAPTER ...]

A chapter is a MyST notebook below docs/tutorial. Each is run by Jupyter in an empty directory, in
which the example appears as ``example``; what a chapter needs beyond that it makes itself, below
``example``, where the next run finds it. Outputs go to a cache, where `conf.py` finds them, so that
building the site runs nothing. The tests run the chapters by `run` as well.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.cache.main import JupyterCacheBase
from jupyter_cache.executors.utils import single_nb_execution
from myst_nb.core.read import read_myst_markdown_notebook
from nbformat import NotebookNode

DOCS = Path(__file__).parent
CHAPTERS = sorted(DOCS.glob("tutorial/[!i]*.md"))
CACHE = Path(os.environ.get("FORCED_PHOT_DOCS_CACHE", DOCS / "_build" / "cache"))
TIMEOUT_S = 900  # for each cell
# But for tqdm's, which romanisim's progress bars cause where there are no ipywidgets.
PYTHON_WARNING = re.compile(r"^.*:\d+: (?!Tqdm)\w*Warning: .*$", re.MULTILINE)


def run(chapter: Path, directory: Path, example: Path) -> NotebookNode:
    """Run a chapter and keep its outputs for the site.

    Parameters
    ----------
    chapter : pathlib.Path
        A page of MyST Markdown with code cells.
    directory : pathlib.Path
        An empty directory, where the chapter's files are written.
    example : pathlib.Path
        What ``forced_phot_example`` made.

    Returns
    -------
    nbformat.NotebookNode
        The notebook with its outputs.

    Raises
    ------
    RuntimeError
        A cell failed, or Python warned of something.
    """
    notebook = read(chapter)
    (directory / "example").symlink_to(example.resolve(), target_is_directory=True)
    bin_directory = os.fspath(Path(sys.executable).parent)
    if bin_directory not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([bin_directory, os.environ["PATH"]])
    result = single_nb_execution(
        notebook, cwd=os.fspath(directory), timeout=TIMEOUT_S, allow_errors=False
    )
    if result.err is not None:
        raise RuntimeError(f"{chapter.name} fails:\n{result.exc_string}")
    if warnings := PYTHON_WARNING.findall("\n".join(texts(notebook, "stderr"))):
        raise RuntimeError(f"{chapter.name} causes warnings:\n" + "\n".join(warnings))
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    bundle = CacheBundleIn(notebook, os.fspath(chapter), data={"execution_seconds": result.time})
    with open_cache() as cache:
        cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
    return notebook


@contextmanager
def open_cache() -> Iterator[JupyterCacheBase]:
    """Open the cache of outputs; its database, which jupyter_cache leaves open, is closed after."""
    cache = get_cache(CACHE)
    try:
        yield cache
    finally:
        cache.db.dispose()


def read(chapter: Path) -> NotebookNode:
    """Return a chapter as a notebook without outputs."""
    return read_myst_markdown_notebook(chapter.read_text(encoding="utf-8"))


def has_run(chapter: Path) -> bool:
    """Whether the outputs of a chapter, as it stands, are in the cache."""
    try:
        with open_cache() as cache:
            cache.match_cache_notebook(read(chapter))
    except KeyError:
        return False
    return True


def outputs(notebook: NotebookNode) -> Iterator[NotebookNode]:
    """Yield all outputs of a notebook."""
    for cell in notebook.cells:
        yield from cell.get("outputs", ())


def texts(notebook: NotebookNode, stream: str = "stdout") -> list[str]:
    """Return what cells printed to a stream."""
    return [output.text for output in outputs(notebook) if output.get("name") == stream]


def pictures(notebook: NotebookNode) -> list[str]:
    """Return the pictures that a notebook shows, as PNG in base64."""
    shown = (output.get("data", {}) for output in outputs(notebook))
    return [data["image/png"] for data in shown if "image/png" in data]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Run chapters of the tutorial for the site.")
    add = parser.add_argument
    add("example", type=Path, help="what forced_phot_example made, or where it is to be made")
    chapters = [chapter.stem for chapter in CHAPTERS]
    add("names", nargs="*", metavar="chapter", help=f"one of {', '.join(chapters)} (default: all)")
    options = parser.parse_args()
    unknown = set(options.names) - set(chapters)
    if unknown:
        parser.error(f"there is no chapter {min(unknown)!r}: use {', '.join(chapters)}")
    for chapter in CHAPTERS:
        if not options.names or chapter.stem in options.names:
            with tempfile.TemporaryDirectory() as place:
                n_pictures = len(pictures(run(chapter, Path(place), options.example)))
            print(f"{chapter.stem}: ran, {n_pictures} pictures")
