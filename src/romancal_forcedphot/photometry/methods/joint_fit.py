"""Fluxes fitted to all sources of an image at once, whatever their profiles: points or galaxies.

The model of the image is ::

    dᵢ = Σₖ fₖ Pₖᵢ / aᵢ + skyᵢ

with the profile P of each source k on the pixels i, the relative pixel area a, and the sky. It is
linear in the fluxes f, which are solved for together (`photometry.fitting`), so that a neighbour's
light is not counted twice. F = C Ω₀ f in nJy; the error of a flux comes from the covariance of all,
and from the error of the sky under it.

A method of this kind is a subclass of `FittedPhotometry`: it has a name, with which its columns
begin, and says what the profiles of the sources are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ...psfs import PSF, Correction, PSFError
from ...table import Column, WarningFlag
from .. import calibration
from ..batches import spatial_batches
from ..exposure import Exposure
from ..fitting import AnnulusSky, FluxFit, MeshSky, NoSky, PointSources, Profiles, Sky, fit_fluxes
from ..noise_correlation import NoiseCorrelation, measure_noise_correlation
from ..pixels.cutouts import cutout_values, split_position
from ..settings import Settings
from ..sources import Sources

__all__ = ["BACKGROUNDS", "BoundFit", "FittedPhotometry", "FittedSources"]

BACKGROUNDS = ("mesh", "annulus", "none")
MIN_MESH_PIX = 16
#: Half side of the square around a source in which a saturated pixel raises a flag.
CORE_HALF_SIZE_PIX = 2
#: Drizzling gives each star other pixels than the averaged PSF: measured 0.15 to 0.22.
MODEL_ERROR_OF_MOSAICS = 0.3


@dataclass(frozen=True, eq=False)
class FittedSources:
    """The fit of an exposure, and which of its rows belongs to each of n sources.

    Attributes
    ----------
    fit : FluxFit
        Of the sources with a position.
    row : (n,) ndarray of intp
        Row of the fit, -1 for sources without a position.
    """

    fit: FluxFit
    row: NDArray[np.intp]


@dataclass(frozen=True)
class FittedPhotometry:
    """Joint fit of profiles at all positions; parameters as in `photometry.Settings`.

    Raises
    ------
    ValueError
        A parameter is out of range.
    """

    psf_background: str = "mesh"
    psf_mesh: int = 64
    error_calibration: str = "none"
    _kept: dict = field(default_factory=dict, init=False, repr=False, compare=False)

    name: ClassVar[str]
    uses: ClassVar[frozenset[str]] = frozenset({"psf"})

    def __post_init__(self):
        if self.psf_background not in BACKGROUNDS:
            raise ValueError(
                f"psf_background is {self.psf_background!r}: expected one of "
                f"{', '.join(BACKGROUNDS)}"
            )
        if self.psf_mesh < MIN_MESH_PIX:
            raise ValueError(
                f"psf_mesh is {self.psf_mesh}: expected {MIN_MESH_PIX} pixels or more, such as 64"
            )

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make the method that settings describe."""
        return cls(settings.psf_background, settings.psf_mesh, settings.error_calibration)

    def columns(self) -> Sequence[Column]:
        """Return the columns of the method: some of those that `BoundFit.measure` has."""
        raise NotImplementedError

    def profiles(
        self,
        exposure: Exposure,
        sources: Sources,
        x: NDArray,
        y: NDArray,
        psf: PSF,
        rows: NDArray[np.intp],
    ) -> Profiles:
        """Return the profiles of some sources: points, where a method says nothing else.

        Parameters
        ----------
        exposure, sources, x, y, psf
            See `Method.bind`.
        rows : (m,) ndarray of intp
            Which sources, all at finite positions.

        Returns
        -------
        Profiles

        Raises
        ------
        ValueError
            The sources lack what the method has to know of them.
        """
        del exposure, sources
        return PointSources.of(psf.for_rows(rows), x[rows], y[rows])

    def source_flags(self, sources: Sources) -> NDArray[np.int32]:
        """Return flags (n,) that sources have whatever the image."""
        return np.zeros(len(sources), dtype=np.int32)

    def reach(self, exposure: Exposure) -> float:
        """Return 0: stamps go as far as the PSF does, or farther with a galaxy."""
        del exposure
        return 0.0

    def bind(
        self,
        exposure: Exposure,
        sources: Sources,
        x: NDArray,
        y: NDArray,
        *,
        area: NDArray | None = None,
        psf: PSF | None = None,
        correction: Correction | None = None,
        n_threads: int = 1,
    ) -> BoundFit:
        """Fit all sources and the sky; see `Method.bind`.

        Raises
        ------
        PSFError
            There is no PSF, or none that the method can use.
        ValueError
            See `profiles`.
        """
        del correction
        fitted = self.fit(exposure, sources, x, y, area=area, psf=psf, n_threads=n_threads)
        noise = None
        if self.error_calibration != "none":
            noise = measure_noise_correlation(exposure, x, y)
        return BoundFit(self, exposure, x, y, fitted, self.source_flags(sources), noise)

    def fit(
        self,
        exposure: Exposure,
        sources: Sources,
        x: NDArray,
        y: NDArray,
        *,
        area: NDArray | None = None,
        psf: PSF | None = None,
        n_threads: int = 1,
    ) -> FittedSources:
        """Fit all sources and the sky; the last fit is kept for other methods on the same sources.

        Parameters
        ----------
        exposure, sources, x, y, area, psf, n_threads
            See `Method.bind`.

        Returns
        -------
        FittedSources

        Raises
        ------
        PSFError, ValueError
            See `bind`.
        """
        if psf is None:
            raise PSFError(f"method {self.name} needs a PSF on pixels: a curve of growth is none")
        asked = exposure, sources, x, y, area, psf
        kept = self._kept.get("asked", ())
        if len(kept) != len(asked) or any(a is not b for a, b in zip(kept, asked, strict=True)):
            rows = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
            fit = fit_fluxes(
                exposure.data,
                exposure.err,
                self.profiles(exposure, sources, x, y, psf, rows),
                area=area,
                sky=self._sky(),
                n_threads=n_threads,
            )
            row = np.full(len(x), -1, dtype=np.intp)
            row[rows] = np.arange(len(rows))
            self._kept.update(asked=asked, fitted=FittedSources(fit, row))
        return self._kept["fitted"]

    def _sky(self) -> Sky:
        if self.psf_background == "annulus":
            return AnnulusSky()
        return MeshSky(float(self.psf_mesh)) if self.psf_background == "mesh" else NoSky()


@dataclass(frozen=True, eq=False)
class BoundFit:
    """The fitted fluxes of n sources on an exposure.

    Attributes
    ----------
    method : FittedPhotometry
        What was fitted.
    exposure : Exposure
        The image.
    x, y : (n,) ndarray of float64
        Pixel positions of the sources.
    fitted : FittedSources
        The fit.
    source_flags : (n,) ndarray of int32
        Flags that the sources have whatever the image.
    noise : NoiseCorrelation or None
        What errors are scaled by, if the method's ``error_calibration`` is ``'empty_scale'``.
    """

    method: FittedPhotometry
    exposure: Exposure
    x: NDArray
    y: NDArray
    fitted: FittedSources
    source_flags: NDArray[np.int32]
    noise: NoiseCorrelation | None = None

    @property
    def fit(self) -> FluxFit:
        """The fit, with the model of the image."""
        return self.fitted.fit

    def model_image(self, *, with_sky: bool = True) -> NDArray[np.float32]:
        """Return the fitted model (ny, nx) of the exposure, in its units.

        Parameters
        ----------
        with_sky : bool
            Whether the fitted sky is in it, beside the light of all sources.
        """
        return self.fit.model_image(with_sky=with_sky)

    @property
    def unmeasured_flags(self) -> NDArray:
        """(n,) int32 flags of sources that are not on the image."""
        off_image = np.int32(WarningFlag.CENTER_UNUSABLE | WarningFlag.NOT_PLACED)
        return off_image | self.source_flags

    def batches(self) -> Iterator[NDArray]:
        """Yield the rows of the sources whose position is on the image."""
        ny, nx = self.exposure.shape
        for rows in spatial_batches(self.x, self.y, (ny, nx), 0.0, n_pixels_each=1):
            x, y = np.rint(self.x[rows]), np.rint(self.y[rows])
            inside = (x >= 0) & (x < nx) & (y >= 0) & (y < ny)
            if inside.any():
                yield rows[inside]

    def measure(self, rows: NDArray) -> dict[str, NDArray]:
        """Return the columns of a batch; see `BoundMethod.measure`."""
        fit, of_fit = self.fit, self.fitted.row[rows]
        scale = calibration.flux_scale(self.exposure.conversion, self.exposure.pixel_area)
        measured = fit.is_measured[of_fit] & ~fit.is_masked[of_fit]
        is_known = measured & (self.source_flags[rows] & WarningFlag.BAD_SHAPE == 0)

        def of_rows(values: NDArray) -> NDArray:
            return np.where(is_known, values[of_fit], np.nan)

        flux, flux_err = scale * of_rows(fit.flux), scale * of_rows(self._flux_err)
        magnitude, magnitude_err = calibration.ab_magnitude(flux, flux_err)
        values = {
            "flux": flux,
            "flux_err": flux_err,
            "abmag": magnitude,
            "abmag_err": magnitude_err,
            "gof": of_rows(fit.gof),
            "chi2": of_rows(fit.chi2),
            "blend": of_rows(fit.blend),
        }
        named = {f"{self.method.name}_{quantity}": each for quantity, each in values.items()}
        columns = {column.name: named[column.name] for column in self.method.columns()}
        return columns | {"warning_flags": self._flags(rows, measured)}

    def _flags(self, rows: NDArray, measured: NDArray) -> NDArray:
        fit, of_fit = self.fit, self.fitted.row[rows]
        raised = {
            WarningFlag.CENTER_UNUSABLE: self._center_unusable(rows),
            WarningFlag.SATURATED: self._saturated(rows),
            WarningFlag.PSF_MASKED: ~measured,
            WarningFlag.PSF_DEGENERATE: measured & fit.is_degenerate[of_fit],
            WarningFlag.PSF_POOR_FIT: measured & self._is_poor[of_fit],
        }
        flags = self.source_flags[rows]
        for flag, where in raised.items():
            flags[where] |= flag
        return flags

    @cached_property
    def _flux_err(self) -> NDArray:
        """Errors of the fit's sources, scaled by the noise of pixels if requested.

        The variance beyond that of the sky under the profile is taken for that of sources' light.
        """
        if self.noise is None or self.method.error_calibration != "empty_scale":
            return self.fit.flux_err
        with np.errstate(invalid="ignore", divide="ignore"):
            of_sky = self.fit.nea * self.fit.sky_variance / self.fit.flux_err**2
            scale = self.noise.scale(self.fit.nea, 1 - np.clip(of_sky, 0, 1))
        return self.fit.flux_err * scale

    @cached_property
    def _is_poor(self) -> NDArray[np.bool_]:
        """Whether the residuals of the fit's sources are larger than noise and PSF explain."""
        if self.exposure.is_mosaic:
            return self.fit.is_poor & self.fit.exceeds_model_error(MODEL_ERROR_OF_MOSAICS)
        return self.fit.is_poor

    def _center_unusable(self, rows: NDArray) -> NDArray[np.bool_]:
        row, column = (np.rint(at[rows]).astype(np.intp) for at in (self.y, self.x))
        return ~np.isfinite(self.exposure.data[row, column])

    def _saturated(self, rows: NDArray) -> NDArray[np.bool_]:
        """Whether a pixel near the centre is saturated."""
        if self.exposure.saturated is None:
            return np.zeros(len(rows), dtype=bool)
        half, (ny, nx) = CORE_HALF_SIZE_PIX, self.exposure.shape
        y_pixel, _ = split_position(self.y[rows], ny, half)
        x_pixel, _ = split_position(self.x[rows], nx, half)
        dy, dx = np.mgrid[-half : half + 1, -half : half + 1].reshape(2, -1)
        near = cutout_values(self.exposure.saturated, y_pixel, x_pixel, dy, dx, fill=False)
        return near.any(axis=1)
