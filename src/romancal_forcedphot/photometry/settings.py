"""All parameters that affect the measured values, in one object.

The step makes it from its own parameters, which have the same names and defaults. Equal settings
have equal fingerprints, by which an interrupted run can be resumed and products can be compared.
Quantities that depend on the image as well, such as radii in pixels, are derived by the methods.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

__all__ = ["CATALOG_SHAPES", "DEFAULT_RADII", "MOSAIC_RADII", "Settings", "radii_or_default"]

#: Values of ``aperture_shape`` that ask for the shapes of the catalog's sources.
CATALOG_SHAPES = frozenset({"ellipse", "kron"})

#: Default radii by parameter and unit.
DEFAULT_RADII: Mapping[str, Mapping[str, tuple[float, ...]]] = {
    "aperture_radii": {"pixel": (3.0,), "arcsec": (0.33,)},
    "annulus_radii": {"pixel": (20.0, 25.0), "arcsec": (2.4, 2.8)},
}
#: Default radii in arcsec on mosaics if the unit is ``'auto'``: as large as 3, 20 and 25 pixels.
MOSAIC_RADII: Mapping[str, tuple[float, ...]] = {
    "aperture_radii": (0.33,),
    "annulus_radii": (2.2, 2.75),
}


def radii_or_default(name: str, radii: Any, unit: str) -> tuple[float, ...]:
    """Return radii as a tuple, those of `DEFAULT_RADII` for an empty list.

    Parameters
    ----------
    name : {'aperture_radii', 'annulus_radii'}
        Name of the parameter.
    radii : array_like of float
        Its value, may be empty.
    unit : str
        ``'pixel'`` or ``'arcsec'``; there are no defaults for ``'auto'``.

    Returns
    -------
    tuple of float
    """
    return tuple(float(radius) for radius in np.ravel(radii)) or DEFAULT_RADII[name].get(unit, ())


@dataclass(frozen=True)
class Settings:
    """Parameters of a measurement.

    Attributes
    ----------
    methods : tuple of str
        Names of the methods of measurement, see `photometry.methods`.
    aperture_radii : tuple of float
        Radii of the circular apertures in `radius_unit`; 3 pixels or 0.33 arcsec if not given.
    annulus_radii : tuple of float
        Inner and outer radius of the background annulus in `radius_unit`; 20 and 25 pixels, or 2.4
        and 2.8 arcsec, if not given.
    radius_unit : {'auto', 'pixel', 'arcsec'}
        Unit of these radii; ``'auto'`` is pixel on images and arcsec on mosaics, where radii that
        are not given are `MOSAIC_RADII` (see `resolved`).
    aperture_shape : {'circle', 'ellipse', 'kron'}
        Shape of the apertures: circles of `aperture_radii`, or ellipses from the catalog's shapes.
    shape_scale : float
        Half axes of elliptical apertures in units of the catalog's.
    match_psf_to : str
        Filter whose PSF apertures see the sky through, see `psfs.matching`; that of the image if
        empty.
    bkg_estimator : {'median', 'mean', 'none'}
        Estimator of the background in the annulus after sigma clipping.
    bkg_sigma : float
        Clipping limit in standard deviations.
    bkg_maxiters : int
        Maximum number of clipping iterations; 0 iterates to convergence.
    bkg_mask_radius : float
        Radius in pixels of the circles around all sources that are masked in all annuli; 0 masks
        none.
    pixel_area : {'crds', 'wcs', 'none'}
        Source of the pixel-area map.
    aperture_correction : {'apcorr', 'epsf', 'stpsf', 'stars', 'none'}
        Source of the aperture correction; ``'stars'`` are bright ones of the image itself.
    apcorr_radius_unit : {'auto', 'pixel', 'arcsec'}
        Unit of the radii of an ``apcorr`` reference.
    apcorr_psf : {'optical', 'pixel'}
        Whether the PSF of an ``apcorr`` curve includes the integration over a pixel (``'pixel'``).
    gain_correction : bool
        Whether data and errors are multiplied by gain/median(gain).
    error_calibration : {'none', 'empty', 'empty_scale'}
        Whether errors are compared with the scatter of blank-sky apertures (``'empty'``), and also
        scaled such that they agree (``'empty_scale'``); those of fits by the correlation of the
        noise of pixels on blank sky.
    spectral_type : str
        Spectral type of an ``epsf`` reference to use; G2V, or its first, if empty.
    defocus : int
        Waves of defocus of an ``epsf`` reference.
    stpsf_n_psfs : int
        Number of detector positions of an STPSF grid, a square number.
    stpsf_sed : str
        Source spectrum for STPSF.
    stpsf_charge_diffusion : float or None
        Standard deviation of the charge diffusion in mas for STPSF; its own value if None.
    dq_mask : tuple of str
        Names of the DQ flags that make a pixel unusable.
    proper_motion : bool
        Whether proper motions are applied to the time of the exposure.
    ref_epoch : float or None
        Reference epoch of the catalog's positions as Julian year; the catalog's own if None.
    psf_source : {'auto', 'epsf', 'stpsf', 'stars'}
        Source of the PSF for PSF photometry; ``'auto'`` takes that of the aperture correction
        where it has one, else ``'epsf'``.
    psf_background : {'mesh', 'annulus', 'none'}
        Sky of PSF photometry, from the image less all fitted sources: medians of square cells, or
        of an annulus around each source.
    psf_mesh : int
        Side of the cells in pixels.
    subtract_neighbors : bool
        Whether apertures are measured on the image less all other sources of the PSF or model fit.
    """

    methods: tuple[str, ...] = ("aperture",)
    aperture_radii: tuple[float, ...] = ()
    annulus_radii: tuple[float, ...] = ()
    radius_unit: str = "auto"
    aperture_shape: str = "circle"
    shape_scale: float = 2.5
    match_psf_to: str = ""
    bkg_estimator: str = "median"
    bkg_sigma: float = 3.0
    bkg_maxiters: int = 5
    bkg_mask_radius: float = 0.0
    pixel_area: str = "crds"
    aperture_correction: str = "apcorr"
    apcorr_radius_unit: str = "auto"
    apcorr_psf: str = "optical"
    gain_correction: bool = False
    error_calibration: str = "none"
    spectral_type: str = ""
    defocus: int = 0
    stpsf_n_psfs: int = 9
    stpsf_sed: str = "5700K"
    stpsf_charge_diffusion: float | None = None
    dq_mask: tuple[str, ...] = ("DO_NOT_USE",)
    proper_motion: bool = True
    ref_epoch: float | None = None
    psf_source: str = "auto"
    psf_background: str = "mesh"
    psf_mesh: int = 64
    subtract_neighbors: bool = False

    def __post_init__(self) -> None:
        for name in DEFAULT_RADII:
            radii = radii_or_default(name, getattr(self, name), self.radius_unit)
            object.__setattr__(self, name, radii)
        for name in ("methods", "dq_mask"):
            names = getattr(self, name)
            names = (names,) if isinstance(names, str) else names
            object.__setattr__(self, name, tuple(str(each) for each in names))

    @classmethod
    def names(cls) -> Sequence[str]:
        """Return the names of all settings."""
        return [field.name for field in fields(cls)]

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> Settings:
        """Make settings from parameters; those that are not settings are ignored.

        Parameters
        ----------
        parameters : mapping
            Parameters by name, such as those of a step.

        Returns
        -------
        Settings
        """
        return cls(**{name: parameters[name] for name in cls.names() if name in parameters})

    @property
    def needs_profiles(self) -> bool:
        """Whether a method fits the profiles of the catalog's sources."""
        return "model" in self.methods

    @property
    def needs_shapes(self) -> bool:
        """Whether a method asks for the shapes of the catalog's sources."""
        of_apertures = "aperture" in self.methods and self.aperture_shape in CATALOG_SHAPES
        return of_apertures or self.needs_profiles

    def resolved(self, *, is_mosaic: bool = False) -> Settings:
        """Return settings whose radii have a unit, on an image or on a mosaic.

        Parameters
        ----------
        is_mosaic : bool
            Whether they are for a mosaic.

        Returns
        -------
        Settings
            The same object if ``radius_unit`` is not ``'auto'``.
        """
        if self.radius_unit != "auto":
            return self
        if not is_mosaic:
            return replace(self, radius_unit="pixel")
        radii: dict[str, Any] = {
            name: getattr(self, name) or default for name, default in MOSAIC_RADII.items()
        }
        return replace(self, radius_unit="arcsec", **radii)

    def fingerprint(self) -> str:
        """Return a digest of all settings.

        Returns
        -------
        str
            16 hexadecimal digits, equal for equal settings only.
        """
        values = {name: _canonical(value) for name, value in asdict(self).items()}
        text = json.dumps(values, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _canonical(value: Any) -> Any:
    """Return a value in a form that is the same for equal values: numbers and booleans as float."""
    if isinstance(value, tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, int | float | np.number | np.bool_):
        return float(value) + 0.0  # -0.0 is 0.0
    return value
