"""Normalisation of ePSF stamps to the total flux, and their wings beyond the stamps.

A stamp is smaller than the PSF: one with a radius of 45 pixels holds 0.98 to 0.99 of the flux of a
star. Stamps that sum to such a value are normalised to the total flux (1 at infinity) already.
Stamps that sum to 1 are normalised to themselves; the fraction of the total flux that they hold has
to come from a correction with a larger radius: the reference's extended PSF or a curve of growth.
The same correction supplies the flux at radii beyond the stamps, the wings.

Stamps of the references come in two generations: flux per pixel (they sum to about `oversample`²),
and flux per sample, not yet integrated over a pixel (they sum to about 1).
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .epsf import GriddedEPSF
from .fourier import pixel_transform, sample_frequencies
from .samples import flux_in_circle

__all__ = ["Wings", "integrate_over_pixels", "normalize_epsf", "normalize_extended_psf"]

log = logging.getLogger(f"romancal.{__name__}")

#: No Roman stamp that is normalised to the total flux holds more of it than this.
MAX_STAMP_FLUX = 0.9985
TOLERATED_DIFFERENCE = 0.005


class Wings(Protocol):
    """A correction of known extent, such as a curve of growth or an extended PSF."""

    description: dict[str, Any]

    def in_annulus(self, x: ArrayLike, y: ArrayLike, r_in: float, r_out: float) -> NDArray:
        """Return the fraction of the flux between two radii; see `Correction.in_annulus`."""
        ...

    def reach(self, x: ArrayLike, y: ArrayLike) -> float:
        """Return the radius (pixels) to which it is known at all of some pixel positions (n,)."""
        ...


def integrate_over_pixels(stamps: NDArray, oversample: int) -> tuple[NDArray, bool]:
    """Return stamps of either generation as flux per pixel.

    Flux per sample is integrated over a pixel in the Fourier domain, which is exact for a PSF that
    is well sampled.

    Parameters
    ----------
    stamps : (k, ny, nx) ndarray
        Flux per pixel, or per sample; which of the two is inferred from their sums.
    oversample : int
        Samples per pixel.

    Returns
    -------
    stamps : (k, ny, nx) ndarray of float64
        Flux in a whole pixel centred on each sample.
    was_per_sample : bool
        Whether the integration was done here.
    """
    stamps = np.asarray(stamps, dtype=np.float64)
    if np.median(stamps.sum(axis=(-2, -1))) >= oversample**2 / 2:
        return stamps, False
    ny, nx = stamps.shape[-2:]
    pixel = pixel_transform(*sample_frequencies(ny, nx, oversample), oversample)
    return np.fft.irfft2(np.fft.rfft2(stamps) * pixel, s=(ny, nx)), True


def normalize_extended_psf(stamp: NDArray, epsf: GriddedEPSF) -> GriddedEPSF:
    """Return a reference's extended PSF with the sampling and normalisation of its stamps.

    Neither its normalisation nor its sampling is documented. It is assumed to be sampled as the
    stamps are, or once per pixel, whichever has the concentration index of the stamps. Its flux is
    scaled to that of the stamps within their radius. Where these are not normalised to the total
    flux (see `normalize_epsf`), its flux beyond its radius is assumed to equal that between half
    its radius and its radius, which holds for wings that fall with r**-3.

    Parameters
    ----------
    stamp : (ny, nx) ndarray
        The extended PSF.
    epsf : GriddedEPSF
        The reference's stamps.

    Returns
    -------
    GriddedEPSF
        With one stamp, at the median position of the stamps.
    """
    x, y = np.array([np.median(epsf.x)]), np.array([np.median(epsf.y)])
    stamp = np.asarray(stamp, dtype=np.float64)[None]
    concentration = _concentration_index(epsf.stamps.mean(axis=0, keepdims=True), epsf.oversample)
    oversample = min(
        (epsf.oversample, 1),
        key=lambda choice: abs(_concentration_index(stamp, choice) - concentration),
    )
    extended = GriddedEPSF(stamp, x, y, oversample)
    if _has_total_flux_scale(epsf):
        radius = min(epsf.stamp_radius, extended.stamp_radius)
        scale = epsf.in_annulus(x, y, 0.0, radius) / extended.in_annulus(x, y, 0.0, radius)
    else:
        radius = extended.stamp_radius
        whole, half = (flux_in_circle(stamp, r, oversample) for r in (radius, radius / 2))
        scale = 1 / (2 * whole - half)
    return replace(extended, stamps=stamp * scale)


def normalize_epsf(epsf: GriddedEPSF, wings: Wings | None, name: str) -> GriddedEPSF:
    """Return an ePSF normalised to the total flux, with wings beyond its stamps.

    Parameters
    ----------
    epsf : GriddedEPSF
        Flux per pixel, normalised as in the reference.
    wings : Wings or None
        Correction that extends beyond the stamps.
    name : str
        Name of the wings' source, for the description.

    Returns
    -------
    GriddedEPSF
        ``normalized_by`` in its description names what the normalisation was taken from.
    """
    provenance = dict(epsf.provenance)
    if wings is None:
        own = "the stamps themselves"
        provenance["normalized_by"] = (
            own if _has_total_flux_scale(epsf) else f"{own}, taken to hold all of the light"
        )
        return replace(epsf, provenance=provenance)
    radius = min(epsf.stamp_radius, wings.reach(epsf.x, epsf.y))
    fraction = epsf.in_annulus(epsf.x, epsf.y, 0.0, radius)
    ratio = wings.in_annulus(epsf.x, epsf.y, 0.0, radius) / fraction
    ratio = np.where(np.isfinite(ratio), ratio, np.nanmedian(ratio))  # positions off the image
    stamps, wings_provenance = epsf.stamps, {"beyond_stamp": name}
    if _has_total_flux_scale(epsf):
        difference = float(np.median(ratio)) - 1
        provenance |= {
            "normalized_by": "the stamps themselves",
            f"{name}_over_stamps": 1 + difference,
        }
        if abs(difference) > TOLERATED_DIFFERENCE:
            log.warning(
                "Within %.1f pixels %s holds %.2f %% more flux than the ePSF's stamps: total "
                "fluxes by apcorr and by epsf will differ by as much",
                radius,
                name,
                100 * difference,
            )
    else:
        provenance["normalized_by"] = name
        stamps = stamps * ratio[:, None, None]
    provenance |= wings_provenance
    return replace(epsf, stamps=stamps, wings=wings, provenance=provenance)  # type: ignore[arg-type]  # only in_annulus is used


def _has_total_flux_scale(epsf: GriddedEPSF) -> bool:
    """Whether the stamps are normalised to the total flux rather than to their own sum."""
    return bool(np.median(epsf.stamp_flux_fractions) < MAX_STAMP_FLUX)


def _concentration_index(stamps: NDArray, oversample: int) -> float:
    """Flux within 1.5 pixels over flux within 4 pixels."""
    near, far = (flux_in_circle(stamps, radius, oversample)[0] for radius in (1.5, 4.0))
    return near / far
