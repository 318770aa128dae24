"""The CRDS ``epsf`` reference: its content, with the image's jitter instead of its own.

The reference holds stamps for some values of defocus, some spectral types and a grid of detector
positions; one of the first, some of the second and all of the third are read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from roman_datamodels import datamodels as rdm

from ..psfs.jitter import Jitter, with_jitter
from .errors import ReferenceFileError
from .files import check_instrument, opened
from .finder import Reference, remedy_for

__all__ = ["EPSFReference", "read_epsf"]

log = logging.getLogger(f"romancal.{__name__}")

_REMEDY = f"give the right one with --override_epsf=FILE, or set {remedy_for('epsf')}"


@dataclass(frozen=True)
class EPSFReference:
    """Content of an ePSF reference file, at one value of defocus.

    Attributes
    ----------
    stamps : ndarray
        (t, k, ny, nx) float64, the ePSF of the t chosen spectral types at k positions.
    spectral_types : tuple of str
        Names of the t spectral types, as the file has them; ``''`` if it names none.
    x, y : ndarray
        (k,) 0-indexed pixel positions.
    oversample : int
        Samples per pixel.
    extended : ndarray or None
        (ny, nx) extended PSF.
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
        What a finder has found.
    detector, band : str
        The image's detector and filter, which the file's must match.
    guide_star : mapping, optional
        The image's ``meta.guide_star``, which may tell its jitter.
    defocus : int
        Waves of defocus, one of the file's.
    choose : callable
        Is given the names of the file's spectral types and returns the indices of those to read.

    Returns
    -------
    EPSFReference

    Raises
    ------
    ReferenceFileError
        The file is no ePSF reference, belongs to another detector or filter, or lacks what was
        asked for.
    """
    with opened(reference, rdm.EpsfRefModel) as model:
        check_instrument(reference, model, detector=detector, optical_element=band)
        meta = model.meta
        oversample = meta.get("oversample")
        if not oversample:
            raise ReferenceFileError(
                f"epsf reference {reference.shown} does not tell its oversampling "
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
    """Where a value of defocus stands; a file that names none has its values in order from 0."""
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
    """Exchange the reference's jitter for the image's, and say what was done."""
    theirs, ours = Jitter.of_image(model.meta), Jitter.of_image(guide_star)
    if ours is None:
        return stamps, "the reference's (the image tells none)"
    if theirs is None or ours == theirs:
        return stamps, "the reference's, which is the image's"
    shown = "{:g} x {:g} mas at {:g} deg"
    new, old = shown.format(*astuple(ours)), shown.format(*astuple(theirs))
    stamps = with_jitter(stamps, int(model.meta.oversample), old=theirs, new=ours)
    return stamps, f"{new}, instead of {old}"
