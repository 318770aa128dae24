"""Run tutorial.md from start to end, as a reader would, and renew what it shows.

    python docs/run_tutorial.py EXAMPLE_DIR

The blocks of Python share one process; the blocks of shell run in their order between them. What a
block prints goes into the block of text that follows it, and the pictures go to docs/images. A test
runs the page with `run` and looks at the pictures.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

PAGE = Path(__file__).with_name("tutorial.md")
IMAGES = PAGE.with_name("images")
BLOCK = re.compile(r"^```(python|sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PICTURE = re.compile(r"!\[[^]]+\]\(images/([^)]+)\)")
END_OF_BLOCK = "\x1e"


def run(page: str, directory: Path, example: Path) -> list[str]:
    """Run a page in a directory in which the example appears as ``example``.

    Parameters
    ----------
    page : str
        Markdown.
    directory : pathlib.Path
        Where files are written.
    example : pathlib.Path
        What ``forced_phot_example`` made.

    Returns
    -------
    list of str
        What each block of Python or shell printed.

    Raises
    ------
    subprocess.CalledProcessError
        A block failed; the traceback is on standard error.
    """
    (directory / "example").symlink_to(example.resolve())
    script = ["import subprocess as _subprocess"]
    for kind, code in BLOCK.findall(page):
        if kind == "sh":
            script.append(f"_subprocess.run(['bash', '-euc', {code!r}], check=True)")
        elif kind == "python":
            script.append(code)
        if kind != "text":
            script.append(f"print({END_OF_BLOCK!r}, end='', flush=True)")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    answer = subprocess.run(
        [sys.executable, "-c", "\n".join(script)],
        cwd=directory,
        env=os.environ | {"PATH": path},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return answer.stdout.split(END_OF_BLOCK)[:-1]


def renewed(page: str, outputs: list[str]) -> str:
    """Return the page with what its blocks printed in the blocks of text after them."""
    printed = iter(outputs)
    last = ""

    def renew(match: re.Match) -> str:
        nonlocal last
        if match[1] == "text":
            return f"```text\n{last.rstrip()}\n```"
        last = next(printed)
        return match[0]

    return BLOCK.sub(renew, page)


def pictures(page: str) -> list[str]:
    """Return the names of the pictures that a page shows."""
    return PICTURE.findall(page)


def copy_small(source: Path, destination: Path) -> None:
    """Copy a picture with 256 colours, a third of its size."""
    with Image.open(source) as picture:
        picture.convert("RGB").quantize(256, kmeans=2).save(destination, optimize=True)


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as place:
        PAGE.write_text(renewed(text, run(text, Path(place), Path(sys.argv[1]))), encoding="utf-8")
        IMAGES.mkdir(exist_ok=True)
        for picture in pictures(text):
            copy_small(Path(place) / picture, IMAGES / picture)
