"""Files that are written once, atomically, with a record of what they were made from."""

from __future__ import annotations

import json
import shutil
import uuid
from pathlib import Path
from typing import Any

_OF_URIS = set("#?%;\n\r\t")


def plain_directory(directory: str | Path) -> Path:
    """Return the directory of an example, unless the libraries that write there would not.

    Parameters
    ----------
    directory : str or path-like
        It need not exist.

    Returns
    -------
    pathlib.Path
        Absolute.

    Raises
    ------
    ValueError
        asdf would take its path for a URI and write somewhere else.
    """
    path = Path(directory).resolve()
    if set(str(path)) & _OF_URIS:
        raise ValueError(
            f"{str(path)!r} cannot be the directory of an example: asdf takes #, ?, %, ; and line "
            "breaks in a path for parts of a URI; choose another directory"
        )
    return path


class Record:
    """Record of what files were made from, by which a later run recognises finished files.

    Parameters
    ----------
    path : pathlib.Path
        File of the record.
    content : dict
        Parameters that determine the files, in JSON types.
    """

    def __init__(self, path: Path, content: dict[str, Any]) -> None:
        self.path = path
        self.text = json.dumps(content, indent=1)

    def matches(self, *files: Path) -> bool:
        """Return whether the record and the files exist, and the record has the same content."""
        if not all(path.exists() for path in (self.path, *files)):
            return False
        return self.path.read_text() == self.text

    def write(self) -> None:
        """Write the record, which declares the files finished."""
        with Renamed(self.path) as partial:
            partial.write_text(self.text)


class Renamed:
    """Context that yields a temporary path, and renames it to the final one without an error.

    The temporary file or directory has the final name in a temporary directory, because datamodels
    record the name under which they are saved.

    Parameters
    ----------
    path : pathlib.Path
        Final path; an existing directory is replaced.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.temporary = path.parent / f"partial-{uuid.uuid4().hex}"

    def __enter__(self) -> Path:
        self.temporary.mkdir()
        return self.temporary / self.path.name

    def __exit__(self, error: type | None, *_: object) -> None:
        if error is None:
            if self.path.is_dir():
                shutil.rmtree(self.path)
            (self.temporary / self.path.name).replace(self.path)
        shutil.rmtree(self.temporary)
