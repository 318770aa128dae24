"""Files that are made once: whole or not at all, and known again by what they were made from."""

from __future__ import annotations

import json
import shutil
import uuid
from pathlib import Path
from typing import Any


class Record:
    """A note of what finished files were made from, by which a later run knows them again."""

    def __init__(self, path: Path, content: dict[str, Any]) -> None:
        self.path = path
        self.text = json.dumps(content, indent=1)

    def matches(self, *files: Path) -> bool:
        """Tell whether the files exist and were made from the same content."""
        if not all(path.exists() for path in (self.path, *files)):
            return False
        return self.path.read_text() == self.text

    def write(self) -> None:
        """Declare the files finished."""
        with Renamed(self.path) as partial:
            partial.write_text(self.text)


class Renamed:
    """Give a place to write a file or directory, and move it when the block ends without an error.

    The place has the same name in a directory of its own: datamodels record the name they are saved
    under.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.room = path.parent / f"partial-{uuid.uuid4().hex}"

    def __enter__(self) -> Path:
        self.room.mkdir()
        return self.room / self.path.name

    def __exit__(self, error: type | None, *_: object) -> None:
        if error is None:
            if self.path.is_dir():
                shutil.rmtree(self.path)
            (self.room / self.path.name).replace(self.path)
        shutil.rmtree(self.room)
