"""The CRDS ``epsf`` reference, with its jitter replaced by that of the image.

The reference holds stamps for several values of defocus, several spectral types and a grid of
detector positions; one value of defocus, selected spectral types and all positions are read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from roman_datamodels import datamodels as rdm

from ..psfs.jitter import Jitter, with_jitter
from .errors import ReferenceFileError
from .files import check_instrument, open_reference
from .finder import Reference, remedy_for

__all__ = ["EPSFReference", "read_epsf"]

log = logging.getLogger(f"romancal.{__name__}")

_REMEDY = f"give the right one with --override_epsf=FILE, or set {remedy_for('epsf')}"


@dataclass(frozen=True)
class EPSFReference:
    """Content of an ePSF reference file, at one value of defocus.

    Attributes
    ----------
    stamps : (t, k, ny, nx) ndarray of float64
        ePSFs of the t selected spectral types at k positions, see `psfs.GriddedEPSF`.
    spectral_types : tuple of str
        Names of the t spectral types in the file; ``''`` if it has none.
    x, y : (k,) ndarray of float64
        0-indexed pixel positions.
    oversample : int
        Samples per pixel.
    extended : (my, mx) ndarray of float64 or None
        Extended PSF.
    provenance : dict
        Defocus and jitter, for the product's metadata.
    """

    stamps: np.ndarray
    spectral_types: tuple[str, ...]
    x: np.ndarray
    y: np.ndarray
    oversample: int
    extended: np.ndarray | None
    provenance: dict[str, Any]


def read_epsf(
    reference: Reference,
    *,
    detector: str,
    band: str,
    guide_star: Mapping[str, Any] | None = None,
    defocus: int = 0,
    choose: Callable[[tuple[str, ...]], Sequence[int]] = lambda names: range(len(names)),
) -> EPSFReference:
    """Read the ePSFs for an image.

    Parameters
    ----------
    reference : Reference
        Result of a finder.
    detector, band : str
        Detector and filter of the image, which must be those of the file.
    guide_star : mapping, optional
        The image's ``meta.guide_star``, which may include its jitter.
    defocus : int
        Waves of defocus, one of the values in the file.
    choose : callable
        (names of the file's spectral types) -> indices of those to be read.

    Returns
    -------
    EPSFReference

    Raises
    ------
    ReferenceFileError
        The file is not an ePSF reference, is for another detector or filter, or lacks the defocus
        or the spectral type.
    """
    with open_reference(reference, rdm.EpsfRefModel) as model:
        check_instrument(reference, model, detector=detector, optical_element=band)
        meta = model.meta
        oversample = meta.get("oversample")
        if not oversample:
            raise ReferenceFileError(
                f"epsf reference {reference.shown} has no oversampling factor "
                f"(meta.oversample is {oversample}): expected samples per pixel; {_REMEDY}"
            )
        n_defocus, n_types, *_ = model.psf.shape
        focus = _defocus_index(reference, meta.get("defocus"), n_defocus, defocus)
        names = tuple(str(name) for name in meta.get("spectral_type") or ())
        names = names if len(names) == n_types else ("",) * n_types
        chosen = list(choose(names))
        stamps = np.array([model.psf[focus, index] for index in chosen], dtype=np.float64)
        stamps, jitter = _with_jitter_of(guide_star, model, stamps)
        extended = model.get("extended_psf")
        return EPSFReference(
            stamps=stamps,
            spectral_types=tuple(names[index] for index in chosen),
            x=np.array(list(meta.pixel_x), dtype=np.float64),
            y=np.array(list(meta.pixel_y), dtype=np.float64),
            oversample=int(oversample),
            extended=None if extended is None else np.array(extended, dtype=np.float64),
            provenance={"defocus": defocus, "jitter": jitter},
        )


def _defocus_index(
    reference: Reference, waves: Sequence[int] | None, n_defocus: int, wanted: int
) -> int:
    """Index of a value of defocus; a file without values has 0, 1, 2, ... waves."""
    available = [int(value) for value in waves or range(n_defocus)]
    if wanted not in available:
        raise ReferenceFileError(
            f"defocus is {wanted}: expected one of {', '.join(map(str, available))}, the waves of "
            f"defocus in epsf reference {reference.shown}; change --defocus"
        )
    return available.index(wanted)


def _with_jitter_of(
    guide_star: Mapping[str, Any] | None, model: Any, stamps: np.ndarray
) -> tuple[np.ndarray, str]:
    """Replace the reference's jitter by the image's; return the stamps and a description.

    Where one of the two is not told, the stamps stay as they are.
    """
    old, new = Jitter.of_image(model.meta), Jitter.of_image(guide_star)
    if new is None:
        return stamps, "the reference's (the image has none)"
    if old is None:
        return stamps, f"the reference's, which it does not tell (the image has {new})"
    if new == old:
        return stamps, "the reference's, which is the image's"
    stamps = with_jitter(stamps, int(model.meta.oversample), old=old, new=new)
    return stamps, f"{new}, instead of {old}"
