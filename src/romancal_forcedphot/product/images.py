"""Images that are written beside a product."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import asdf
import numpy as np
from numpy.typing import NDArray

from ..storage import write_atomically

__all__ = ["write_image"]


def write_image(
    path: str | os.PathLike, images: Mapping[str, NDArray], *, wcs: Any, name: str
) -> None:
    """Write images of one exposure as an ASDF file, whole or not at all.

    Parameters
    ----------
    path : path
        Destination; a file that is already there is replaced.
    images : mapping of str to (ny, nx) ndarray
        The images, in units of the exposure.
    wcs : gwcs.WCS
        WCS of all of them.
    name : str
        File name of the exposure.

    Raises
    ------
    StorageError
        The destination cannot be written.
    """
    arrays = {key: np.asarray(image, dtype=np.float32) for key, image in images.items()}
    tree = {"roman": {"meta": {"image": {"filename": name}, "wcs": wcs}, **arrays}}
    with write_atomically(path) as file:
        asdf.AsdfFile(tree).write_to(file, all_array_compression="lz4")
