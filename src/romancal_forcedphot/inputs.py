"""What the user hands to the step, opened as a Level-2 image or refused with a reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from roman_datamodels import datamodels as rdm

__all__ = ["InputError", "find_input", "open_image", "read_association"]


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


def find_input(dataset: Any, input_dir: str) -> Any:
    """Find an input whose name has no directory in ``input_dir``, unless it is right here.

    Parameters
    ----------
    dataset : object
        A path, or anything else, which is returned as it is.
    input_dir : str
        The directory; may be empty.

    Returns
    -------
    object
    """
    if not input_dir or not isinstance(dataset, str | Path):
        return dataset
    path = Path(dataset)
    return Path(input_dir) / path if path.name == str(path) and not path.exists() else dataset


def read_association(path: str | Path) -> list[str]:
    """Read the paths of an association's exposures.

    Parameters
    ----------
    path : str or pathlib.Path
        Association in JSON: members with an ``expname`` and, optionally, an ``exptype``, in one
        or more products.

    Returns
    -------
    list of str
        Each member of type ``science``, or of none, once; relative names start at the
        association's directory.

    Raises
    ------
    InputError
        The file is missing or is no association.
    """
    try:
        content = json.loads(Path(path).read_text())
        members = [member for product in content["products"] for member in product["members"]]
        names = [
            str(member["expname"])
            for member in members
            if str(member.get("exptype", "science")).lower() == "science"
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"association {str(path)!r} cannot be read ({type(error).__name__}: {error}): expected "
            "JSON with products, members and expnames as asn_from_list writes it; mend it or name "
            "the images themselves"
        ) from error
    directory = Path(path).parent
    return [name if "://" in name else str(directory / name) for name in dict.fromkeys(names)]


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
