"""What light curves want to know of a PSF, from stamps of it over the detector.

A PSF that is not symmetric has its centroid beside the star (Roman's up to 0.1 pixel): centroids of
sources tell how far they lie off the catalog only after that is taken off.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RegularGridInterpolator

from ...psfs import PSF, Correction, PSFError
from .offsets import centroids
from .rows import noise_equivalent_area

__all__ = ["PSFSample"]

_SIDE = 21
_PHASES = np.array([-0.25, 0.25])


@dataclass(frozen=True, eq=False)
class PSFSample:
    """Stamps of a PSF at nine places of a detector and four sub-pixel phases each.

    Attributes
    ----------
    nodes : tuple of ndarray
        The y and the x of the places, three each.
    x, y : (36,) ndarray
        Positions of the stamps' stars.
    stamps : (36, 21, 21) ndarray, or None
        Fraction of a star's light on each pixel; None where no PSF is known.
    """

    nodes: tuple[NDArray, NDArray]
    x: NDArray
    y: NDArray
    stamps: NDArray | None

    @classmethod
    def of(cls, psf: PSF | Correction | None, shape: tuple[int, int]) -> PSFSample:
        """Evaluate a PSF.

        Parameters
        ----------
        psf : PSF, Correction or None
            What a measurement used. A correction that is no PSF on pixels tells nothing. Of
            sources with several spectral types, that of the first counts.
        shape : (int, int)
            Shape (ny, nx) of the image.

        Returns
        -------
        PSFSample
        """
        nodes = tuple(np.rint(np.linspace(0, n - 1, 3)) for n in shape)
        y, x, phase_y, phase_x = np.meshgrid(*nodes, _PHASES, _PHASES, indexing="ij")
        x, y = (x + phase_x).ravel(), (y + phase_y).ravel()
        if not hasattr(psf, "on_pixels"):
            return cls(nodes, x, y, None)
        try:
            stamps = psf.for_rows(np.zeros(len(x), dtype=int)).on_pixels(x, y, _SIDE)
            return cls(nodes, x, y, stamps)
        except PSFError:  # its stamps are smaller
            return cls(nodes, x, y, None)

    @cached_property
    def centroid(self) -> tuple[float, float]:
        """Median x and y of the PSF's centroid about the star in pixels; 0 if it is not known."""
        if self.stamps is None:
            return 0.0, 0.0
        image = np.concatenate(list(self.stamps), axis=1)  # side by side
        middle = _SIDE // 2
        x = middle + self.x - np.rint(self.x) + _SIDE * np.arange(len(self.x))
        y = middle + self.y - np.rint(self.y)
        found = centroids(image, x, y)
        away = np.column_stack([found[0] - x, found[1] - y])
        x, y = np.nan_to_num(np.nanmedian(away, axis=0))
        return float(x), float(y)

    def noise_equivalent_area(self, x: NDArray, y: NDArray) -> NDArray:
        """Return the noise-equivalent area, the mean over sub-pixel phases, interpolated.

        Parameters
        ----------
        x, y : (n,) ndarray
            Positions, 0-indexed pixels.

        Returns
        -------
        (n,) ndarray
            In pixels; NaN where the PSF is not known.
        """
        if self.stamps is None:
            return np.full(len(x), np.nan)
        area = noise_equivalent_area(self.stamps).reshape(3, 3, -1).mean(axis=2)
        between = RegularGridInterpolator(self.nodes, area, bounds_error=False, fill_value=None)
        return between(np.column_stack([y, x]))
