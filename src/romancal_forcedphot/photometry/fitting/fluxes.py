"""Fluxes of the sources of an image, fitted all at once: arrays in, arrays out.

`fit_fluxes` is the door to this package. What it returns, a `FluxFit`, has a row for each source,
the model of the image, and what it takes to see one source without the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .image import Estimate, FitImage, scaled_image
from .joint import solve_jointly
from .profiles import Profiles
from .quality import Quality, quality_of
from .sky import MeshSky, Sky
from .unknowns import Unknowns

__all__ = ["FluxFit", "fit_fluxes"]

_LEAST_USABLE_LIGHT = 0.5
_LARGEST_INFLATION = 25.0  # of a variance by neighbours; that of two stars 0.17 pixel apart
_POOR_CHI2 = 1.8
_POOR_SIGMA = 6.0


def fit_fluxes(
    data: NDArray[np.float32],
    err: NDArray,
    profiles: Profiles,
    *,
    area: NDArray | None = None,
    sky: Sky | None = None,
    n_threads: int = 1,
) -> FluxFit:
    """Fit the fluxes of all sources and the sky of an image.

    Parameters
    ----------
    data : (ny, nx) ndarray of float32
        Surface brightness; NaN where a pixel may not be used.
    err : (ny, nx) ndarray
        Standard deviation. How it depends on the light is taken from it, and which pixels are far
        noisier than others with their light.
    profiles : Profiles
        Of n sources, at finite positions on the image or off it.
    area : (ny, nx) ndarray, optional
        Relative pixel area; 1 everywhere if not given.
    sky : Sky, optional
        How the sky is estimated; `MeshSky` if not given.
    n_threads : int
        Threads over parts of the image. The numbers are the same for any.

    Returns
    -------
    FluxFit
    """
    image, scale = scaled_image(data, err, area, n_threads)
    unknowns = Unknowns.of(profiles.x, profiles.y, profiles.shape_id)
    of_unknowns = profiles.for_rows(unknowns.row)
    estimate, kept = solve_jointly(image, of_unknowns, sky or MeshSky(), n_threads=n_threads)
    quality = quality_of(image, kept, estimate, n_threads)
    return FluxFit(image, profiles, unknowns, of_unknowns, estimate, quality, scale)


@dataclass(frozen=True, eq=False)
class FluxFit:
    """The fitted fluxes of n sources, and the model of their image.

    Attributes
    ----------
    image : FitImage
        The image in units of `scale`.
    profiles : Profiles
        Of the n sources.
    unknowns : Unknowns
        Which source has which unknown.
    of_unknowns : Profiles
        Of the m unknowns.
    estimate : Estimate
        The m fluxes and the sky, in units of `scale`.
    quality : Quality
        Of the m unknowns.
    scale : float
        Units of the image in which the fit was done: the median error of its pixels.
    """

    image: FitImage
    profiles: Profiles
    unknowns: Unknowns
    of_unknowns: Profiles
    estimate: Estimate
    quality: Quality
    scale: float

    # --- a row for each source -------------------------------------------------------------------

    @property
    def flux(self) -> NDArray:
        """(n,) fluxes in units of the image times pixels; NaN for sources that are not measured.

        Sources that share an unknown have equal parts of its flux.
        """
        return self._of_sources(self.scale * self.estimate.flux / self.unknowns.n_sources)

    @property
    def flux_err(self) -> NDArray:
        """(n,) standard errors of `flux`, neighbours and sky included.

        Nothing tells how sources share an unknown: a part may be wrong by as much as the whole.
        """
        of_sky = self.estimate.response * self.estimate.sky_err
        of_sharing = self.estimate.flux * (self.unknowns.n_sources > 1)
        err = np.sqrt(self.estimate.err**2 + of_sky**2 + of_sharing**2)
        return self._of_sources(self.scale * err)

    @property
    def sky(self) -> NDArray:
        """(n,) sky at the sources, in units of the image."""
        return self._of_sources(self.scale * self.estimate.sky[self._center])

    @property
    def sky_err(self) -> NDArray:
        """(n,) standard errors of `sky`."""
        return self._of_sources(self.scale * self.estimate.sky_err)

    @property
    def sky_variance(self) -> NDArray:
        """(n,) variance of a pixel with the sky at the sources alone, in units of the image."""
        level = self.estimate.sky[self._center]
        return self._of_sources(self.scale**2 * self.image.variance(level))

    @property
    def chi2(self) -> NDArray:
        """(n,) reduced χ² of the fitted pixels, see `quality.Quality`."""
        return self._of_sources(self.quality.chi2)

    @property
    def gof(self) -> NDArray:
        """(n,) reduced χ² weighted by the profile, see `quality.Quality`."""
        return self._of_sources(self.quality.gof)

    @property
    def blend(self) -> NDArray:
        """(n,) share of the fitted light in the core that is others'."""
        return self._of_sources(1 - (1 - self.quality.blend) / self.unknowns.n_sources)

    @property
    def nea(self) -> NDArray:
        """(n,) noise-equivalent areas in pixels."""
        return self._of_sources(self.quality.nea)

    @property
    def is_measured(self) -> NDArray[np.bool_]:
        """(n,) whether there is a flux."""
        return self._is_measured[self.unknowns.of_source]

    @property
    def is_masked(self) -> NDArray[np.bool_]:
        """(n,) whether the central pixel, or half of the core's light, is on unusable pixels."""
        row, column = (np.rint(at) for at in (self.of_unknowns.y, self.of_unknowns.x))
        ny, nx = self.image.shape
        on_image = (row >= 0) & (row < ny) & (column >= 0) & (column < nx)
        is_usable = on_image & np.isfinite(self.image.data[self._center])
        light = np.nan_to_num(self.quality.usable_light)
        return (~is_usable | (light < _LEAST_USABLE_LIGHT))[self.unknowns.of_source]

    @property
    def is_degenerate(self) -> NDArray[np.bool_]:
        """(n,) whether another source is so near that the data hardly tell one from the other."""
        inflation = self.estimate.err**2 * self.estimate.diagonal
        near = self.unknowns.is_degenerate | (inflation > _LARGEST_INFLATION)
        return (near & self._is_measured)[self.unknowns.of_source]

    @property
    def is_poor(self) -> NDArray[np.bool_]:
        """(n,) whether residuals are larger than noise, as by a source that the catalog lacks."""
        spread = np.sqrt(2 / np.maximum(np.nan_to_num(self.quality.n_pixels), 1))
        limit = np.maximum(_POOR_CHI2, 1 + _POOR_SIGMA * spread)
        return ((self.quality.chi2 > limit) & self._is_measured)[self.unknowns.of_source]

    def exceeds_model_error(self, fraction: float) -> NDArray[np.bool_]:
        """Return whether residuals are larger than a relative error of the profiles explains.

        Parameters
        ----------
        fraction : float
            The error, relative to the profile and weighted by its light.

        Returns
        -------
        (n,) ndarray of bool
        """
        signal = self.estimate.flux**2 * self.estimate.diagonal
        excess = (self.quality.chi2 - 1) * self.quality.n_pixels
        return (excess > fraction**2 * signal)[self.unknowns.of_source]

    # --- images ----------------------------------------------------------------------------------

    def model_image(self, *, with_sky: bool = True) -> NDArray[np.float32]:
        """Return the model (ny, nx) of all sources, and of the sky, in units of the image."""
        model = self.image.surface(self.estimate.model)
        return np.float32(self.scale) * (model + self.estimate.sky if with_sky else model)

    def residual_image(self) -> NDArray[np.float32]:
        """Return the image less its model; NaN at pixels that may not be used."""
        return np.float32(self.scale) * self.image.residual(self.estimate)

    def image_without_sources(self) -> NDArray[np.float32]:
        """Return the image less all sources, with the sky; NaN at pixels that may not be used."""
        return np.float32(self.scale) * (self.image.data - self.image.surface(self.estimate.model))

    def own_light(self, rows: NDArray[np.intp], side: int) -> NDArray:
        """Return the light of some sources that the model has on the pixels around them.

        Divided by the pixels' areas and added to a cutout of `residual_image`, it is the image
        without all other sources.

        Parameters
        ----------
        rows : (k,) ndarray of intp
            Which of the n sources.
        side : int
            Odd side s of the stamps, which are centred on pixel (rint(y), rint(x)).

        Returns
        -------
        (k, s, s) ndarray of float64, indexed [source, y, x], in units of the image times pixels
            0 beyond `modelled_half_size`, and for sources that are not fitted.
        """
        flux = self.scale * self.estimate.flux / self.unknowns.n_sources
        half_size = np.minimum(self.modelled_half_size[rows], side // 2)
        light = np.zeros((rows.size, side, side))
        for half in np.unique(half_size):
            same = np.flatnonzero(half_size == half)
            inside = slice(side // 2 - half, side // 2 + half + 1)
            light[same, inside, inside] = self.profiles.stamps(rows[same], 2 * int(half) + 1)
        return light * flux[self.unknowns.of_source[rows], None, None]

    @property
    def modelled_half_size(self) -> NDArray[np.intp]:
        """(n,) half sides of the stamps beyond which the model has no light of a source.

        Where far wings are in the model, as far as profiles go.
        """
        half_size = self.estimate.half_size
        has_wings = (half_size > 0) & (self.estimate.far_wings[self._center] != 0)
        half_size = np.where(has_wings, self.profiles.largest_half_size, half_size)
        return half_size[self.unknowns.of_source]

    # ---------------------------------------------------------------------------------------------

    @property
    def _is_measured(self) -> NDArray[np.bool_]:
        """(m,) bool."""
        return self.estimate.is_fitted & ~self.estimate.is_guest

    @property
    def _center(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Row and column of the pixels on the image nearest to the unknowns, (m,) each."""
        places = zip((self.of_unknowns.y, self.of_unknowns.x), self.image.shape, strict=True)
        return tuple(np.clip(np.rint(at), 0, n - 1).astype(np.intp) for at, n in places)

    def _of_sources(self, of_unknowns: NDArray) -> NDArray:
        """Return values (n,) of the sources from those of the unknowns, NaN if not measured."""
        return np.where(self._is_measured, of_unknowns, np.nan)[self.unknowns.of_source]
