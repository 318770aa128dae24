"""What the user hands to the step, opened as a Level-2 image or refused with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from roman_datamodels import datamodels as rdm

__all__ = ["InputError", "open_image"]


_MOSAIC = "; mosaics cannot be measured yet, measure the exposures they were made from"
_OTHER = "; give the image that romancal's exposure pipeline writes"


class InputError(ValueError):
    """The input is not a Roman Level-2 image that can be read."""


def open_image(dataset: Any) -> rdm.ImageModel:
    """Open a Level-2 image.

    Parameters
    ----------
    dataset : str, pathlib.Path or ImageModel
        Path of a ``*_cal.asdf`` file, or a model, which is returned as it is.

    Returns
    -------
    roman_datamodels.datamodels.ImageModel
        The image, its arrays not read yet.

    Raises
    ------
    InputError
        There is no such file, it is not readable, or it holds something else.
    """
    model = _open(Path(dataset)) if isinstance(dataset, str | Path) else dataset
    if isinstance(model, rdm.ImageModel):
        return model
    kind = type(model).__name__
    name = dataset if isinstance(dataset, str | Path) else kind
    if isinstance(dataset, str | Path):
        model.close()
    raise InputError(
        f"input {str(name)!r} is a {kind}: expected a Level-2 image (ImageModel, *_cal.asdf)"
        + (_MOSAIC if "Mosaic" in kind else _OTHER)
    )


def _open(path: Path) -> Any:
    """Open a file as a Roman model."""
    if not path.is_file():
        raise InputError(
            f"input {str(path)!r} is not a file: expected the path of a Level-2 image "
            "(*_cal.asdf); check the name and the directory"
        )
    with path.open("rb") as file:
        if file.read(5) != b"#ASDF":
            raise InputError(
                f"input {str(path)!r} is not an ASDF file: expected a Level-2 image "
                "(*_cal.asdf) as romancal writes it"
            )
    try:
        return rdm.open(path)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"input {str(path)!r} cannot be opened as a Roman model ({reason}): expected a "
            "Level-2 image (*_cal.asdf); it may be truncated or of another mission, fetch it again"
        ) from error
