"""What ePSF stamps are fractions of, and where the light goes that they do not hold.

A stamp ends before the PSF does: one of 45 pixels holds 0.98 to 0.99 of a star. Stamps that hold
that much were divided by all of the light, and stay as they are. Stamps that hold all of it were
divided by their own sum; something that sees further (the reference's extended PSF, a curve of
growth) has to tell which share of the light that is. The same something tells the light at radii
beyond the stamps.

Stamps come in two generations: of light per pixel (they sum to `oversample`²), and of light per
sample, not yet integrated over a pixel (they sum to 1).
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .epsf import GriddedEPSF
from .samples import light_in_circle

__all__ = ["Continuation", "continued", "extended_epsf", "per_pixel"]

log = logging.getLogger(f"romancal.{__name__}")

#: No Roman stamp that was divided by all of the light holds more than this.
MOST_LIGHT_IN_STAMP = 0.9985
TOLERATED_DIFFERENCE = 0.005


class Continuation(Protocol):
    """A correction that knows how far it reaches."""

    description: dict[str, Any]

    def in_annulus(self, x: ArrayLike, y: ArrayLike, r_in: float, r_out: float) -> NDArray:
        """Return the light between two radii in pixels."""
        ...

    def reach(self, x: ArrayLike, y: ArrayLike) -> float:
        """Return the radius in pixels to which it knows the light at all of some positions."""
        ...


def per_pixel(stamps: NDArray, oversample: int) -> tuple[NDArray, bool]:
    """Return stamps of either generation as light per pixel.

    Light per sample is integrated over a pixel in the Fourier domain, exactly for a PSF without
    detail finer than the samples.

    Parameters
    ----------
    stamps : (k, ny, nx) ndarray
        Light per pixel, or per sample.
    oversample : int
        Samples per pixel.

    Returns
    -------
    stamps : (k, ny, nx) ndarray of float64
        Light per pixel.
    was_per_sample : bool
    """
    stamps = np.asarray(stamps, dtype=np.float64)
    if np.median(stamps.sum(axis=(-2, -1))) >= oversample**2 / 2:
        return stamps, False
    ny, nx = stamps.shape[-2:]
    pixel = np.sinc(np.fft.fftfreq(ny) * oversample)[:, None]
    pixel = pixel * np.sinc(np.fft.rfftfreq(nx) * oversample) * oversample**2
    return np.fft.irfft2(np.fft.rfft2(stamps) * pixel, s=(ny, nx)), True


def extended_epsf(stamp: NDArray, epsf: GriddedEPSF) -> GriddedEPSF:
    """Return a reference's extended PSF on the scale of its stamps.

    Neither its normalisation nor its sampling is on record. It is taken to be sampled as the
    stamps are, or once per pixel, whichever gives a core like theirs. Its light is brought to that
    of the stamps within their radius; where these are no fractions of all light (see
    `continued`), as much light is taken to lie beyond its radius as between half of it and it, as
    wings that fall with r**-3 have it.

    Parameters
    ----------
    stamp : (ny, nx) ndarray
        The extended PSF.
    epsf : GriddedEPSF
        The reference's stamps.

    Returns
    -------
    GriddedEPSF
        At one position, the middle of the stamps'.
    """
    x, y = [np.median(epsf.x)], [np.median(epsf.y)]
    stamp = np.asarray(stamp, dtype=np.float64)[None]
    core = _concentration(epsf.stamps.mean(axis=0, keepdims=True), epsf.oversample)
    oversample = min(
        (epsf.oversample, 1), key=lambda choice: abs(_concentration(stamp, choice) - core)
    )
    extended = GriddedEPSF(stamp, x, y, oversample)
    if _is_absolute(epsf):
        radius = min(epsf.stamp_radius, extended.stamp_radius)
        light = epsf.in_annulus(x, y, 0.0, radius) / extended.in_annulus(x, y, 0.0, radius)
    else:
        radius = extended.stamp_radius
        whole, half = (light_in_circle(stamp, r, oversample) for r in (radius, radius / 2))
        light = 1 / (2 * whole - half)
    return replace(extended, stamps=stamp * light)


def continued(epsf: GriddedEPSF, continuation: Continuation | None, name: str) -> GriddedEPSF:
    """Return an ePSF as fractions of all light, with what tells the light beyond its stamps.

    Parameters
    ----------
    epsf : GriddedEPSF
        Light per pixel, as the reference has it.
    continuation : Continuation or None
        Sees further than the stamps.
    name : str
        What the continuation is, for the description.

    Returns
    -------
    GriddedEPSF
        Its description says in ``normalized_by`` what the fractions rest on.
    """
    provenance = dict(epsf.provenance)
    if continuation is None:
        own = "the stamps themselves"
        provenance["normalized_by"] = (
            own if _is_absolute(epsf) else f"{own}, taken to hold all of the light"
        )
        return replace(epsf, provenance=provenance)
    radius = min(epsf.stamp_radius, continuation.reach(epsf.x, epsf.y))
    ours = epsf.in_annulus(epsf.x, epsf.y, 0.0, radius)
    ratio = continuation.in_annulus(epsf.x, epsf.y, 0.0, radius) / ours
    ratio = np.where(np.isfinite(ratio), ratio, np.nanmedian(ratio))  # a place off the image
    stamps, continued_by = epsf.stamps, {"beyond_stamp": name}
    if _is_absolute(epsf):
        difference = float(np.median(ratio)) - 1
        provenance |= {
            "normalized_by": "the stamps themselves",
            f"{name}_over_stamps": 1 + difference,
        }
        if abs(difference) > TOLERATED_DIFFERENCE:
            log.warning(
                "Within %.1f pixels %s holds %.2f %% more light than the ePSF's stamps: total "
                "fluxes by apcorr and by epsf will differ by as much",
                radius,
                name,
                100 * difference,
            )
    else:
        provenance["normalized_by"] = name
        stamps = stamps * ratio[:, None, None]
    return replace(
        epsf, stamps=stamps, continuation=continuation, provenance=provenance | continued_by
    )


def _is_absolute(epsf: GriddedEPSF) -> bool:
    """Whether the stamps are fractions of all light rather than of their own sum."""
    return bool(np.median(epsf.light_in_stamps) < MOST_LIGHT_IN_STAMP)


def _concentration(stamps: NDArray, oversample: int) -> float:
    """Light within 1.5 pixels over that within 4 pixels."""
    near, far = (light_in_circle(stamps, radius, oversample)[0] for radius in (1.5, 4.0))
    return near / far
