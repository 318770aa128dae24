"""The measurement of one exposure or mosaic, from its file to a table.

`measure_exposure` opens an image, finds its reference files, measures the sources and returns a
table with its provenance. Its arguments can be pickled, so that it may be called by the step or by
a worker on another machine.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from astropy.table import Table
from numpy.typing import NDArray
from roman_datamodels.datamodels import ImageModel, MosaicModel

from ..photometry import (
    CircularApertures,
    Exposure,
    Method,
    Settings,
    Sources,
    measure,
    methods_for,
)
from ..photometry.blank_sky import calibrate_errors
from ..photometry.methods import BoundFit, BoundMethod
from ..photometry.proper_motion import apply_proper_motion
from ..psfs import PSF, Correction, PSFMatching
from ..references import Finder
from ..storage import shown
from ..table import count_rows, median_ee_fractions
from .corrections import aperture_correction, psf_on_pixels, with_remedy
from .dq import dq_bits
from .ingredients import area_map, gain_corrected
from .level2 import read_level2
from .level3 import read_level3
from .matching import psf_matching
from .mosaics import check_pixel_positions, mosaic_provenance
from .opening import open_image

__all__ = ["Inspection", "Measurement", "check_settings", "measure_exposure"]

log = logging.getLogger(f"romancal.{__name__}")


@dataclass(frozen=True, eq=False)
class Measurement:
    """The photometry of one exposure.

    Attributes
    ----------
    table : astropy.table.Table
        Result of `photometry.measure`, fluxes in nJy.
    metadata : mapping
        Metadata of the image, for the product.
    provenance : mapping
        Methods, radii, reference files and numbers of rows, for the product.
    settings : Settings
        What was measured with: the settings, with the unit of radii for this image.
    """

    table: Table
    metadata: Mapping[str, Any]
    provenance: Mapping[str, Any]
    settings: Settings


@dataclass(frozen=True, eq=False)
class Inspection:
    """What an exposure was measured with, for plots and images beside the product.

    Attributes
    ----------
    exposure : Exposure
        The image.
    table : astropy.table.Table
        What was measured, fluxes in nJy.
    area : (ny, nx) ndarray or None
        Relative pixel area.
    correction : Correction or None
        Aperture correction.
    psf : PSF or None
        PSF that was fitted.
    bound : tuple of BoundMethod
        The methods, bound to the image.
    """

    exposure: Exposure
    table: Table
    area: NDArray | None
    correction: Correction | None
    psf: PSF | None
    bound: tuple[BoundMethod, ...]


def check_settings(settings: Settings) -> None:
    """Check settings without an image.

    Parameters
    ----------
    settings : Settings
        The settings.

    Raises
    ------
    ValueError
        A setting is invalid.
    """
    dq_bits(settings.dq_mask)
    try:
        methods_for(settings)
    except ValueError:
        if settings.radius_unit != "auto":
            raise
        try:
            methods_for(settings.resolved(is_mosaic=True))
        except ValueError:
            pass
        else:
            return  # the radii are those of a mosaic: an image refuses them
        raise


def measure_exposure(
    location: Any,
    settings: Settings,
    sources: Sources,
    finder: Finder,
    *,
    on_image_only: bool = False,
    n_threads: int = 0,
    storage_options: Mapping[str, Any] | None = None,
    verify_checksums: bool = True,
    progress: Callable[[int], object] = lambda n_rows: None,
    inspect: Callable[[Inspection], object] | None = None,
) -> Measurement:
    """Measure the sources of a catalog on one exposure.

    Parameters
    ----------
    location : str, pathlib.Path, ImageModel or MosaicModel
        Path or ``s3://`` URI of a Level-2 image or a Level-3 mosaic, or an open model, which is not
        changed.
    settings : Settings
        All parameters that affect the measured values.
    sources : Sources
        The sources, with positions at the epoch of the catalog.
    finder : Finder
        Finder of reference files.
    on_image_only, n_threads, progress
        See `photometry.measure`.
    storage_options : mapping, optional
        Options of the file system for a remote image, see `storage.open_remote`.
    verify_checksums : bool
        Whether the arrays of the image are compared with the checksums in its file.
    inspect : callable, optional
        Called with what was measured with, while the image is open.

    Returns
    -------
    Measurement

    Raises
    ------
    InputError, ExposureError
        The image cannot be read, or lacks data that photometry needs.
    ReferenceFileError, PSFError
        A reference file is not available or invalid, or the PSF does not cover the apertures.
    ValueError
        A setting is invalid.
    MemoryError
        There is not enough memory, for instance for apertures nearly as large as the image.
    """
    model = open_image(location, storage_options=storage_options, verify_checksums=verify_checksums)
    try:
        exposure = _read(model, settings)
        return _measure(
            exposure,
            settings,
            sources,
            finder,
            on_image_only=on_image_only,
            n_threads=n_threads,
            progress=progress,
            inspect=inspect,
        )
    except MemoryError as error:
        name = shown(location) if isinstance(location, str | Path) else "the image"
        raise MemoryError(
            f"{name} cannot be measured: there is not enough memory ({error}); choose smaller "
            "radii or fewer threads (--n_threads)"
        ) from error
    finally:
        if isinstance(location, str | Path):
            model.close()


def _read(model: ImageModel | MosaicModel, settings: Settings) -> Exposure:
    """Read an open model as an exposure."""
    if isinstance(model, MosaicModel):
        return read_level3(model)
    return read_level2(model, dq_mask=settings.dq_mask)


def _measure(
    exposure: Exposure,
    settings: Settings,
    sources: Sources,
    finder: Finder,
    *,
    inspect: Callable[..., object] | None,
    n_threads: int,
    **options: Any,
) -> Measurement:
    """Measure on an exposure whose file is open."""
    settings = settings.resolved(is_mosaic=exposure.is_mosaic)
    methods = methods_for(settings)
    if exposure.is_mosaic:
        check_pixel_positions(exposure, sources)
    exposure, gain_provenance = gain_corrected(exposure, settings, finder)
    n_read, n_selected = sources.n_read, len(sources)
    sources, motion_provenance = apply_proper_motion(
        sources, exposure.mid_time, ref_epoch=settings.ref_epoch
    )
    area, area_provenance = area_map(exposure, settings, finder)
    matching, matching_provenance = _matching(exposure, sources, settings, finder, methods)
    correction, correction_provenance = _correction(exposure, sources, settings, finder, methods)
    psf, psf_provenance = _psf(exposure, sources, settings, finder, methods, correction)
    bound: list[BoundMethod] = []
    with with_remedy(settings):
        table = measure(
            exposure,
            sources,
            methods,
            area=area,
            psf=psf,
            correction=correction,
            matching=matching,
            n_threads=n_threads,
            inspect=bound.extend,
            **options,
        )
    provenance = {
        "methods": [method.name for method in methods],
        "catalog": {"name": sources.name, **count_rows(table, n_read, n_selected)},
        "proper_motion": motion_provenance,
        "pixel_area": area_provenance,
        "aperture_correction": correction_provenance,
        "psf_matching": matching_provenance,
        "gain_correction": gain_provenance,
        "psf": psf_provenance,
    }
    if exposure.is_mosaic:
        provenance["mosaic"] = mosaic_provenance(
            exposure, sources, table, methods, settings, area=area, n_threads=n_threads
        )
    for method in methods:
        if isinstance(method, CircularApertures):
            provenance["error_calibration"] = calibrate_errors(
                table,
                exposure,
                mode=settings.error_calibration,
                method=method,
                area=area,
                n_threads=n_threads,
            )
            provenance |= _aperture_provenance(method, table)
    provenance.setdefault("error_calibration", _calibration_of_fits(bound, settings))
    if inspect is not None:
        inspect(Inspection(exposure, table, area, correction, psf, tuple(bound)))
    return Measurement(table, exposure.metadata, provenance, settings)


def _correction(
    exposure: Exposure,
    sources: Sources,
    settings: Settings,
    finder: Finder,
    methods: list[Method],
) -> tuple[Correction | None, dict[str, Any]]:
    """Aperture correction and its provenance, if a method uses one."""
    users = [method for method in methods if "correction" in method.uses]
    if not users:
        return None, {"source": "none"}
    largest = max(method.reach(exposure) for method in users)
    return aperture_correction(exposure, sources, settings, finder, largest_aperture=largest)


def _matching(
    exposure: Exposure,
    sources: Sources,
    settings: Settings,
    finder: Finder,
    methods: list[Method],
) -> tuple[PSFMatching | None, dict[str, Any]]:
    """Matching of the PSF and its provenance, if a method uses one."""
    if not (settings.match_psf_to and any("matching" in method.uses for method in methods)):
        return None, {"filter": "none"}
    return psf_matching(exposure, sources, settings, finder)


def _psf(
    exposure: Exposure,
    sources: Sources,
    settings: Settings,
    finder: Finder,
    methods: list[Method],
    correction: Correction | None,
) -> tuple[PSF | None, dict[str, Any]]:
    """PSF on pixels and its provenance, if a method uses one."""
    if not any("psf" in method.uses for method in methods):
        return None, {"source": "none"}
    return psf_on_pixels(exposure, sources, settings, finder, correction=correction)


def _calibration_of_fits(bound: list[BoundMethod], settings: Settings) -> dict[str, Any]:
    """Whether the errors of fits were scaled, and by what, where there are no apertures."""
    noises = [each.noise for each in bound if isinstance(each, BoundFit)]
    mode = settings.error_calibration
    found: dict[str, Any] = {"mode": mode, "scaled": False}
    if noises and noises[0] is not None:
        found |= {"scaled": mode == "empty_scale", "noise_correlation": noises[0].provenance()}
    return found


def _aperture_provenance(method: CircularApertures, table: Table) -> dict[str, Any]:
    """Radii and median encircled-energy fractions, for the product's metadata."""
    return {
        "aperture_radii": method.aperture_radii,
        "aperture_radius_unit": method.radius_unit,
        "annulus_radii": method.annulus_radii if method.background.is_subtracted else [],
        "ee_fractions": median_ee_fractions(table, method.names),
    }
