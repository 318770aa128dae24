"""How to measure: the circles around each source, and what is taken of their background.

Radii are in pixels, or in arcsec: then they have the same size on the sky at every place, and each
source has its own in pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .geometry import pixel_scale_function

if TYPE_CHECKING:
    from .exposure import Exposure

__all__ = ["Circles", "Radii", "Recipe"]

DEFAULT_RADII = {
    "aperture_radii": {"pixel": (3.0,), "arcsec": (0.33,)},
    "annulus_radii": {"pixel": (20.0, 25.0), "arcsec": (2.4, 2.8)},
}
SCALE_SLACK = 1e-3  # how far the scale between nodes may fall below that of the nodes
N_NODES = 17


@dataclass(frozen=True)
class Recipe:
    """How to measure.

    Attributes
    ----------
    aperture_radii : tuple of float
        Radii of the circular apertures; if not given, 3 pixels or 0.33 arcsec.
    annulus_radii : tuple of float
        Inner and outer radius of the background annulus; if not given, 20 and 25 pixels or 2.4 and
        2.8 arcsec.
    radius_unit : {'pixel', 'arcsec'}
        Unit of these radii.
    bkg_estimator : {'median', 'mean', 'none'}
        What is taken of the annulus after sigma clipping.
    bkg_sigma : float
        Clipping limit in standard deviations.
    bkg_maxiters : int
        Greatest number of clipping rounds; 0 clips until nothing changes.
    bkg_mask_radius : float
        Pixels whose centres are closer than this to any source (in pixels, whatever the radii are
        in) are left out of all annuli; 0 leaves out none.
    """

    aperture_radii: tuple[float, ...] | None = None
    annulus_radii: tuple[float, float] | None = None
    radius_unit: str = "pixel"
    bkg_estimator: str = "median"
    bkg_sigma: float = 3.0
    bkg_maxiters: int = 5
    bkg_mask_radius: float = 0.0

    def __post_init__(self):
        if self.radius_unit not in ("pixel", "arcsec"):
            raise ValueError(f"radius_unit {self.radius_unit!r} is unknown: use pixel or arcsec")
        for name, defaults in DEFAULT_RADII.items():
            radii = getattr(self, name)
            radii = defaults[self.radius_unit] if radii is None else radii
            object.__setattr__(self, name, tuple(float(radius) for radius in np.ravel(radii)))
        self._check_apertures()
        if self.bkg_estimator not in ("median", "mean", "none"):
            raise ValueError(
                f"bkg_estimator {self.bkg_estimator!r} is unknown: use median, mean or none"
            )
        if self.subtracts_background:
            self._check_background()

    @property
    def subtracts_background(self) -> bool:
        """Whether a background is measured at all."""
        return self.bkg_estimator != "none"

    def _check_apertures(self):
        example = DEFAULT_RADII["aperture_radii"][self.radius_unit][0]
        if not self.aperture_radii:
            raise ValueError(
                f"aperture_radii is empty: give at least one radius, such as {example:g} "
                f"{self.radius_unit}"
            )
        for radius in self.aperture_radii:
            if not (np.isfinite(radius) and radius > 0):
                raise ValueError(
                    f"aperture_radii has {radius:g}: expected radii above 0 in "
                    f"{self.radius_unit}; mend the list"
                )

    def _check_background(self):
        if len(self.annulus_radii) != 2:
            example = DEFAULT_RADII["annulus_radii"][self.radius_unit]
            raise ValueError(
                f"annulus_radii has {len(self.annulus_radii)} numbers: expected two, the inner "
                f"and the outer radius, such as {example[0]:g},{example[1]:g} {self.radius_unit}"
            )
        r_in, r_out = self.annulus_radii
        if not (np.isfinite([r_in, r_out]).all() and 0 < r_in < r_out):
            raise ValueError(
                f"annulus_radii is {r_in:g}, {r_out:g}: expected 0 < inner < outer in "
                f"{self.radius_unit}; swap or change them"
            )
        if max(self.aperture_radii) > r_in:
            raise ValueError(
                f"aperture radius {max(self.aperture_radii):g} is larger than the annulus' inner "
                f"radius {r_in:g} ({self.radius_unit}), so the source would be its own background: "
                "shrink the aperture, widen annulus_radii, or set bkg_estimator=none"
            )
        if not self.bkg_sigma > 0 or self.bkg_maxiters < 0:
            raise ValueError(
                f"bkg_sigma is {self.bkg_sigma:g} and bkg_maxiters {self.bkg_maxiters}: expected "
                "a number above 0 and one not below 0"
            )
        if not (np.isfinite(self.bkg_mask_radius) and self.bkg_mask_radius >= 0):
            raise ValueError(
                f"bkg_mask_radius is {self.bkg_mask_radius:g}: expected pixels, or 0 for no mask"
            )
        if self.radius_unit == "pixel":  # in arcsec: once the image's scale is known
            self.check_mask(r_in)

    def check_mask(self, r_in_pix: float) -> None:
        """Raise a ValueError where the mask of a source reaches into its own annulus."""
        if self.bkg_mask_radius > r_in_pix:
            raise ValueError(
                f"bkg_mask_radius {self.bkg_mask_radius:g} is larger than the annulus' inner "
                f"radius of {r_in_pix:.4g} pixels, so a source would mask its own background: "
                "shrink it, or widen annulus_radii"
            )


class Radii(NamedTuple):
    """Radii in pixels: each one number for all sources, or (n,) of each source its own."""

    apertures: tuple[float | NDArray, ...]
    annulus: tuple[float | NDArray, float | NDArray]


@dataclass(frozen=True)
class Circles:
    """The circles of a recipe on an image.

    Attributes
    ----------
    recipe : Recipe
        Whose circles they are.
    pixel_scale : callable or None
        (x, y) -> arcsec per pixel there; None for radii in pixels.
    largest_aperture : float
        Radius in pixels of the largest aperture anywhere on the image.
    """

    recipe: Recipe
    pixel_scale: Callable[[NDArray, NDArray], NDArray] | None
    largest_aperture: float

    @classmethod
    def on(cls, exposure: Exposure, recipe: Recipe) -> Circles:
        """Lay a recipe on an exposure.

        Raises
        ------
        ValueError
            ``bkg_mask_radius`` is larger than an annulus in arcsec is here.
        """
        pixel_scale, smallest, largest = None, 1.0, 1.0
        if recipe.radius_unit == "arcsec":
            shape = exposure.data.shape
            pixel_scale = pixel_scale_function(exposure.wcs, shape)
            y, x = np.meshgrid(*(np.linspace(-0.5, n - 0.5, N_NODES) for n in shape))
            scales = pixel_scale(x.ravel(), y.ravel())
            smallest, largest = scales.min() * (1 - SCALE_SLACK), scales.max() * (1 + SCALE_SLACK)
        if recipe.subtracts_background:
            recipe.check_mask(recipe.annulus_radii[0] / largest)
        return cls(recipe, pixel_scale, float(max(recipe.aperture_radii) / smallest))

    def at(self, x: NDArray, y: NDArray) -> Radii:
        """Return the radii in pixels at positions (n,)."""
        apertures, annulus = self.recipe.aperture_radii, self.recipe.annulus_radii
        if self.pixel_scale is not None:
            scale = self.pixel_scale(x, y)
            apertures = tuple(radius / scale for radius in apertures)
            annulus = tuple(radius / scale for radius in annulus)
        return Radii(apertures, annulus)
