"""The local background of a source, from the sigma-clipped pixels of an annulus around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...psfs import Correction, PSFMatching
from ..pixels.aperture_sums import ApertureSums
from ..pixels.background import Background, local_background
from ..pixels.neighbors import mask_sources
from ..settings import DEFAULT_RADII

__all__ = ["ESTIMATORS", "AnnulusBackground", "OwnLight"]

#: Values of ``bkg_estimator``.
ESTIMATORS = ("median", "mean", "none")


@dataclass(frozen=True)
class AnnulusBackground:
    """Parameters of local backgrounds, see also `photometry.Settings`.

    Attributes
    ----------
    radii : (float, float)
        Inner and outer radius of the annulus in `radius_unit`.
    radius_unit : {'pixel', 'arcsec'}
        Unit of the radii.
    estimator : {'median', 'mean', 'none'}
        Estimator after sigma clipping; ``'none'`` subtracts no background.
    sigma : float
        Clipping limit in standard deviations.
    maxiters : int
        Maximum number of clipping iterations; 0 iterates to convergence.
    mask_radius : float
        Radius in pixels of the circles around all sources that are masked in annuli; 0 for none.
    """

    radii: tuple[float, ...]
    radius_unit: str
    estimator: str
    sigma: float
    maxiters: int
    mask_radius: float

    @property
    def is_subtracted(self) -> bool:
        """Whether a background is estimated and subtracted."""
        return self.estimator != "none"

    def check(self, largest_aperture: float) -> None:
        """Check the parameters.

        Parameters
        ----------
        largest_aperture : float
            Radius of the largest aperture in `radius_unit`.

        Raises
        ------
        ValueError
            A parameter is out of range, or an aperture overlaps its own annulus.
        """
        if self.estimator not in ESTIMATORS:
            raise ValueError(
                f"bkg_estimator {self.estimator!r} is unknown: use median, mean or none"
            )
        if not self.is_subtracted:
            return
        self._check_radii(largest_aperture)
        if not self.sigma > 0 or self.maxiters < 0:
            raise ValueError(
                f"bkg_sigma is {self.sigma:g} and bkg_maxiters {self.maxiters}: expected "
                "a number above 0 and one not below 0"
            )
        if not (np.isfinite(self.mask_radius) and self.mask_radius >= 0):
            raise ValueError(
                f"bkg_mask_radius is {self.mask_radius:g}: expected pixels, or 0 for no mask"
            )
        if self.radius_unit == "pixel":  # in arcsec: once the image's scale is known
            self.check_mask(self.radii[0])

    def _check_radii(self, largest_aperture: float) -> None:
        """Raise a ValueError for radii that are not 0 < aperture <= inner < outer."""
        unit = self.radius_unit
        if len(self.radii) != 2:
            example = DEFAULT_RADII["annulus_radii"][unit]
            raise ValueError(
                f"annulus_radii has {len(self.radii)} numbers: expected two, the inner "
                f"and the outer radius, such as {example[0]:g},{example[1]:g} {unit}"
            )
        r_in, r_out = self.radii
        if not (np.isfinite([r_in, r_out]).all() and 0 < r_in < r_out):
            raise ValueError(
                f"annulus_radii is {r_in:g}, {r_out:g}: expected 0 < inner < outer in "
                f"{unit}; swap or change them"
            )
        if largest_aperture > r_in:
            raise ValueError(
                f"aperture radius {largest_aperture:g} is larger than the annulus' inner "
                f"radius {r_in:g} ({unit}), so the source would be its own background: "
                "shrink the aperture, widen annulus_radii, or set bkg_estimator=none"
            )

    def check_mask(self, r_in_pix: float) -> None:
        """Check that the mask of a source does not overlap its own annulus.

        Parameters
        ----------
        r_in_pix : float
            Inner radius of the annulus in pixels.

        Raises
        ------
        ValueError
            The radius of the mask is larger.
        """
        if self.mask_radius > r_in_pix:
            raise ValueError(
                f"bkg_mask_radius {self.mask_radius:g} is larger than the annulus' inner "
                f"radius of {r_in_pix:.4g} pixels, so a source would mask its own background: "
                "shrink it, or widen annulus_radii"
            )

    def masked_image(
        self, data: NDArray[np.float32], x: NDArray, y: NDArray
    ) -> NDArray[np.float32]:
        """Return an image with NaN around sources, for `estimate`.

        Parameters
        ----------
        data : (ny, nx) ndarray of float32
            The image.
        x, y : (n,) ndarray of float64
            0-indexed pixel positions of the sources.

        Returns
        -------
        (ny, nx) ndarray of float32
            `data` itself if no sources are to be masked.
        """
        if not (self.is_subtracted and self.mask_radius):
            return data
        return mask_sources(data, x, y, self.mask_radius)

    def estimate(
        self,
        image: NDArray[np.float32],
        x: NDArray,
        y: NDArray,
        r_in: float | NDArray,
        r_out: float | NDArray,
    ) -> Background:
        """Estimate the backgrounds at positions; see `local_background`.

        Parameters
        ----------
        image : (ny, nx) ndarray of float32
            Image with NaN at unusable pixels and masked sources.
        x, y : (n,) ndarray of float64
            0-indexed pixel positions.
        r_in, r_out : float or (n,) ndarray
            Inner and outer radius in pixels, common to all sources or one per source.

        Returns
        -------
        Background
        """
        return local_background(
            image,
            x,
            y,
            r_in,
            r_out,
            estimator=self.estimator,
            sigma=self.sigma,
            maxiters=self.maxiters,
        )


@dataclass(frozen=True, eq=False)
class OwnLight:
    """The light of n sources in their own annuli, which their backgrounds subtract.

    Attributes
    ----------
    x, y : (n,) ndarray of float64
        0-indexed pixel positions.
    r_in, r_out : float or (n,) ndarray
        Radii of the annuli in pixels.
    share : (n,) ndarray of float64
        Of this light that is in the image; 0 of sources without a background.
    """

    x: NDArray
    y: NDArray
    r_in: float | NDArray
    r_out: float | NDArray
    share: NDArray

    @classmethod
    def none(cls, x: NDArray, y: NDArray) -> OwnLight:
        """Return that of sources without a background."""
        return cls(x, y, 1.0, 2.0, np.zeros(x.shape))

    def per_pixel(self, correction: Correction | None, matching: PSFMatching | None) -> NDArray:
        """Return the mean fraction of each source's flux on a pixel; 0 without a correction.

        It is that of the other filter where the PSF is matched.
        """
        if correction is None or not self.share.any():
            return np.zeros(self.x.shape)
        correction = correction if matching is None else matching.other
        fraction = correction.in_annulus(self.x, self.y, self.r_in, self.r_out)
        return self.share * fraction / (np.pi * (self.r_out**2 - self.r_in**2))

    def factor(self, matching: PSFMatching | None, sums: ApertureSums) -> NDArray | float:
        """Return the factor of sums for a matched PSF, see `PSFMatching.annulus_factor`."""
        if matching is None or not self.share.any():
            return 1.0
        annulus = self.x, self.y, self.r_in, self.r_out
        return matching.annulus_factor(*annulus, sums.weights, sums.area, share=self.share)

    def of(self, rows: NDArray) -> OwnLight:
        """Return that of some of the sources."""
        radii = (np.broadcast_to(radius, self.x.shape)[rows] for radius in (self.r_in, self.r_out))
        return OwnLight(self.x[rows], self.y[rows], *radii, self.share[rows])
