"""Aperture weights that see the sky through the PSF of another filter.

A sum with weights w over an image with the PSF P measures the sky with the weights w * P (*
correlation). An aperture is therefore the same in two filters where w₁ * P₁ = w₂ * P₂: with the
nominal aperture w₂ in the filter with the wider PSF, the weights in the other one are, in Fourier
space with the optical transfer function T of each filter, ::

    w₁ = w₂ T₂ / T₁

which is the nominal aperture on an image convolved to the wider PSF, without the correlated noise
of one. Colours are then those of the same light for point sources and galaxies of any profile.
Radii that hold the same encircled-energy fraction of a star do that for stars alone: from F213 to
F106 they lose up to 1 mag of a galaxy, as its own width shares in none of the change.

T is taken from curves of growth, T(k) = ∫ J₀(2πkr) dEE(r), and so averaged over the position angle.
Both curves are of the optics, or both of ePSFs, with the pixel, which leaves the ratio as it is.

The background subtracts a share of the source's own light, that in its annulus, which is larger in
the filter with the wider PSF: from a circle of 10 pixels 1 % more in F213 than in F106. A
background is a median and has no weights to be matched. Instead a sum is brought to the annulus of
the other filter: with the encircled-energy fraction E of the weights, their sum W and a star's mean
fraction per pixel p of the annulus, it is multiplied by ::

    (E - W p₂) / (E - W p₁)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, next_fast_len
from scipy.special import j0, j1

from .apcorr import half_light_radius
from .curve import CurveOfGrowth
from .epsf import GriddedEPSF
from .errors import PSFError
from .fourier import sample_frequencies

__all__ = ["PSFMatching", "curve_of_epsf", "transfer_function"]

MARGIN_PIX = 12.0  # of the weights around the nominal aperture; 4 lose 0.005 mag of F106 to F213
LEAST_TRANSFER = 0.01  # below it T₁ says nothing
LARGEST_RATIO = 1.05  # of T₂ / T₁; above it the other PSF is the sharper one
MIN_RADII = 8  # of a curve within four half-light radii

_OVERSAMPLE = 2  # of the weights, against ringing
_WRAPPED = 8  # pixels between a stamp and its periodic image
_SOURCES_AT_ONCE = 64
_N_RADII_OF_EPSF = 160
_N_RINGS, _WING_REACH = 2000, 100.0  # rings within the curve; how far the wings go, in its end
_HIGHEST, _N_FREQUENCIES = 2.2, 800  # cycles per pixel: the corner of the oversampled plane is 1.42


def transfer_function(curve: CurveOfGrowth, frequency: NDArray) -> NDArray:
    """Return the optical transfer function of a curve of growth, averaged over the angle.

    Parameters
    ----------
    curve : CurveOfGrowth
        The curve. The light that it lacks is taken to fall with r**-3 beyond its end.
    frequency : (k,) ndarray of float64
        Cycles per unit of the curve's radii.

    Returns
    -------
    (k,) ndarray of float64
        T, 1 at frequency 0.
    """
    end = curve.radii[-1]
    edges = np.linspace(0.0, end, _N_RINGS + 1)
    wings = np.geomspace(end, _WING_REACH * end, _N_RINGS // 5)
    light = curve.encircled_energy(edges)
    beyond = light[-1] + (1 - light[-1]) * (1 - end / wings)
    radius = np.concatenate([(edges[1:] + edges[:-1]) / 2, np.sqrt(wings[1:] * wings[:-1])])
    in_ring = np.concatenate([np.diff(light), np.diff(beyond)])
    return j0(2 * np.pi * np.multiply.outer(frequency, radius)) @ (in_ring / in_ring.sum())


def curve_of_epsf(epsf: GriddedEPSF) -> CurveOfGrowth:
    """Return the curve of growth of an ePSF, averaged over its positions.

    Parameters
    ----------
    epsf : GriddedEPSF
        The ePSF, normalised to the total flux.

    Returns
    -------
    CurveOfGrowth
        In pixels, to the edge of the stamps; of a PSF that includes the integration over a pixel.
    """
    radii = epsf.stamp_radius * (np.arange(1, _N_RADII_OF_EPSF + 1) / _N_RADII_OF_EPSF) ** 1.5
    light = [epsf.in_annulus(epsf.x, epsf.y, 0.0, radius).mean() for radius in radii]
    return CurveOfGrowth(radii, np.array(light), "pixel", psf="pixel", fractions_from="the ePSF")


@dataclass(frozen=True, eq=False)
class PSFMatching:
    """The ratio of two optical transfer functions, and the aperture weights that follow from it.

    Attributes
    ----------
    frequency : (k,) ndarray of float64
        Cycles per unit of the curves, from 0 on.
    ratio : (k,) ndarray of float64
        T₂ / T₁ there, 0 where T₁ says nothing.
    own, other : CurveOfGrowth
        The curves of the image's filter and of the other one.
    """

    frequency: NDArray
    ratio: NDArray
    own: CurveOfGrowth
    other: CurveOfGrowth

    @classmethod
    def of_curves(cls, own: CurveOfGrowth, other: CurveOfGrowth) -> PSFMatching:
        """Make the matching of an image to another filter.

        Parameters
        ----------
        own, other : CurveOfGrowth
            Curves of the image's filter and of the other one.

        Returns
        -------
        PSFMatching

        Raises
        ------
        PSFError
            The other filter's PSF is the sharper one, the curves have different units, or one has
            too few radii.
        """
        if own.radius_unit != other.radius_unit:
            raise PSFError(
                f"the curves of growth of the two filters are in {own.radius_unit} and "
                f"{other.radius_unit}: expected one unit to match their PSFs"
            )
        for curve in (own, other):
            _check_sampling(curve)
        middle = np.zeros(1)
        scale = float(own.units_per_pixel(middle, middle)[0])
        frequency = np.linspace(0.0, _HIGHEST / scale, _N_FREQUENCIES)
        first, second = (transfer_function(curve, frequency) for curve in (own, other))
        known = first > LEAST_TRANSFER
        known &= np.logical_and.accumulate(known)  # beyond its first zero there is nothing to learn
        ratio = np.where(known, second / np.where(known, first, 1.0), 0.0)
        if ratio.max() > LARGEST_RATIO:
            raise PSFError(
                f"its PSF is sharper than that of the image, by {ratio.max():.3g} at "
                f"{frequency[ratio.argmax()]:.3g} cycles per {own.radius_unit}: expected the "
                "filter with the widest PSF of those that are compared, the reddest"
            )
        return cls(frequency, ratio, own, other)

    def aperture_weights(
        self,
        x: NDArray,
        y: NDArray,
        semimajor: NDArray,
        semiminor: NDArray,
        theta: NDArray,
        reach: int,
    ) -> NDArray:
        """Return the weights of pixels in an aperture of the other filter.

        Parameters
        ----------
        x, y : (n,) ndarray of float64
            0-indexed pixel positions.
        semimajor, semiminor : (n,) ndarray of float64
            Half axes of the nominal aperture in pixels.
        theta : (n,) ndarray of float64
            Angle of the major axis in radian, counterclockwise from the positive x axis.
        reach : int
            The stamps are s = 2 * reach + 1 pixels wide, centred on pixel (rint(y), rint(x)).

        Returns
        -------
        (n, s, s) ndarray of float64, indexed [source, y, x]
            Weights, some of them slightly below 0, and 0 farther than `MARGIN_PIX` from the nominal
            aperture's half axes.
        """
        side = 2 * reach + 1
        scale = self.own.units_per_pixel(x, y)
        columns = (x - np.rint(x), y - np.rint(y), semimajor, semiminor, theta, scale)
        weights = np.empty((x.size, side, side))
        for first in range(0, x.size, _SOURCES_AT_ONCE):
            rows = slice(first, first + _SOURCES_AT_ONCE)
            weights[rows] = self._weights(*(each[rows] for each in columns), side=side)
        return weights

    def annulus_factor(
        self,
        x: NDArray,
        y: NDArray,
        r_in: float | NDArray,
        r_out: float | NDArray,
        weights: NDArray,
        area: NDArray,
        *,
        share: NDArray | float = 1.0,
    ) -> NDArray:
        """Return what brings sums to the source's own light in the annulus of the other filter.

        Parameters
        ----------
        x, y : (n,) ndarray of float64
            0-indexed pixel positions.
        r_in, r_out : float or (n,) ndarray
            Radii of the annulus in pixels.
        weights : (n, s, s) ndarray of float64
            Weights of the sums, on usable pixels, as of `aperture_weights`.
        area : (n,) ndarray of float64
            Sums of the weights, times pixel areas.
        share : (n,) ndarray or float
            Of the light in the annulus that is in its background; the rest was subtracted before.

        Returns
        -------
        (n,) ndarray of float64
            Factors of background-subtracted sums; 1 where these hold nothing of a star.
        """
        fraction = self.own.in_aperture(x, y, None, weights=weights)
        per_pixel = share * area / (np.pi * (np.square(r_out) - np.square(r_in)))
        seen, sought = (
            fraction - per_pixel * curve.in_annulus(x, y, r_in, r_out)
            for curve in (self.own, self.other)
        )
        return np.divide(sought, seen, out=np.ones(x.shape), where=seen > 0)

    def _weights(
        self,
        x_fraction: NDArray,
        y_fraction: NDArray,
        semimajor: NDArray,
        semiminor: NDArray,
        theta: NDArray,
        scale: NDArray,
        *,
        side: int,
    ) -> NDArray:
        """Weights of few sources: the ellipse averaged over pixels, times the ratio."""
        size = next_fast_len(side + _WRAPPED, real=True) * _OVERSAMPLE
        u, v = sample_frequencies(size, size, _OVERSAMPLE)
        a, b, cos, sin, x, y, units = (
            each[:, None, None]
            for each in (
                *(semimajor, semiminor, np.cos(theta), np.sin(theta)),
                *(x_fraction + side // 2, y_fraction + side // 2, scale),
            )
        )
        transform = _ellipse_transform(a * (u * cos + v * sin), b * (v * cos - u * sin))
        transform *= np.pi * a * b * np.sinc(u) * np.sinc(v)
        transform *= np.interp(np.hypot(u, v) / units, self.frequency, self.ratio, right=0.0)
        shifted = transform * np.exp(-2j * np.pi * u * x) * np.exp(-2j * np.pi * v * y)
        fine = irfft2(shifted, s=(size, size)) * _OVERSAMPLE**2
        return fine[:, : side * _OVERSAMPLE : _OVERSAMPLE, : side * _OVERSAMPLE : _OVERSAMPLE]


def _ellipse_transform(along: NDArray, across: NDArray) -> NDArray:
    """Transform of an ellipse over its area, at frequencies in units of its half axes."""
    z = 2 * np.pi * np.hypot(along, across)
    return np.where(z > 0, 2 * j1(z) / np.where(z > 0, z, 1.0), 1.0)


def _check_sampling(curve: CurveOfGrowth) -> None:
    """Raise a PSFError for a curve with too few radii to know the PSF by."""
    reach = 4 * half_light_radius(curve.radii, curve.fractions)
    n_radii = np.count_nonzero(curve.radii < reach)
    if n_radii < MIN_RADII:
        raise PSFError(
            f"a curve of growth has {n_radii} radii below {reach:.3g} {curve.radius_unit}: "
            f"expected {MIN_RADII} or more to match PSFs by"
        )
