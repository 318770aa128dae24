"""Location of the inputs of a step in its ``input_dir``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..storage import is_uri

__all__ = ["find_input"]


def find_input(dataset: Any, input_dir: str) -> Any:
    """Return the path of an input in ``input_dir``, for a name without a directory.

    Parameters
    ----------
    dataset : object
        A path, or anything else, which is returned unchanged.
    input_dir : str
        Directory or ``s3://`` prefix; may be empty.

    Returns
    -------
    object
        `dataset` itself if it has a directory or exists in the working directory.
    """
    if not input_dir or not isinstance(dataset, str | Path):
        return dataset
    path = Path(dataset)
    if path.name != str(path) or path.exists():
        return dataset
    return f"{input_dir.rstrip('/')}/{path}" if is_uri(input_dir) else Path(input_dir) / path
