"""Quiet pixels: those that tell of the sky, not of the PSF of bright stars.

They are not much noisier than the median pixel of their surroundings, a cell of a mesh. All is done
in strips of cells, in which every pixel is looked at while the cache has it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .image import Estimate, FitImage
from .mesh import Mesh, Strip

__all__ = ["QuietStrip"]

_QUIET = 1.2  # times the variance of the median pixel


@dataclass(frozen=True, eq=False)
class QuietStrip:
    """The quiet pixels in a strip of a mesh.

    Attributes
    ----------
    strip : Strip
        The strip.
    residual : (k, nx) ndarray of float32
        The image less sources and sky; NaN where pixels are not quiet.
    kept : (k, nx) ndarray of float32
        What each pixel keeps of a sky of 1, when sources have taken their share.
    """

    strip: Strip
    residual: NDArray[np.float32]
    kept: NDArray[np.float32]

    @classmethod
    def of(cls, image: FitImage, estimate: Estimate, strip: Strip) -> QuietStrip:
        """Return the quiet pixels of an image in a strip, as an estimate tells them."""
        data, level = image.data[strip.rows], image.level(estimate, strip.rows)
        known = np.where(np.isnan(data), np.float32(np.nan), level)
        middle, _ = strip.mesh.own_medians(known, sparse=True)
        limit = image.variance.level_of(_QUIET * image.variance(middle))
        residual = data - level
        residual[level > strip.mesh.repeated(limit)] = np.nan
        return cls(strip, residual, 1 - image.surface(estimate.absorbed, strip.rows))

    def share_of(self, image: FitImage) -> NDArray:
        """Return the shares (r, c) of the cells' pixels that an image has."""
        return self.strip.mesh.own_means(
            np.isfinite(image.data[self.strip.rows]).astype(np.float32)
        )

    def mean_kept(self) -> NDArray:
        """Return the means (1, r, c) of `kept` on quiet pixels, NaN for cells without."""
        kept = np.where(np.isnan(self.residual), np.float32(np.nan), self.kept)
        return self.strip.mesh.own_means(kept)[None]

    def medians(self) -> NDArray:
        """Return the medians of the residual and their errors, (2, r, c), NaN for cells without."""
        return self.strip.mesh.own_medians(self.residual)

    def with_more_sky(self, mesh: Mesh, cells: NDArray) -> QuietStrip:
        """Return the strip where the sky is higher by the surface through all cells of a mesh."""
        less = self.kept * mesh.on_pixels(cells, self.strip.rows)
        return replace(self, residual=self.residual - less)
