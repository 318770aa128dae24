"""`ForcedPhotometryStep`: forced photometry as a step of stpipe and romancal.

The step reads the catalog, calls `exposures.measure_exposure` and makes the product from its table.
Its integration with stpipe, as a hook or on many exposures, is in `pipeline.framework`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from .catalogs import read_sources, shape_options
from .exposures import InputError, Inspection, Measurement, check_settings, measure_exposure
from .photometry import Settings, Sources, methods_for
from .photometry.settings import DEFAULT_RADII
from .pipeline import pictures, summary
from .pipeline.descriptors import (
    CatalogParameter,
    Extension,
    NameList,
    RadiusList,
    StorageOptionsParameter,
    wrap_objects,
)
from .pipeline.framework import FrameworkStep
from .pipeline.inputs import find_input
from .pipeline.residual import save_residual
from .product.model import ForcedPhotometryModel
from .references import REFERENCE_KINDS
from .storage.progress import Progress
from .table import in_flux_unit, table_unit

__all__ = ["ForcedPhotometryStep"]


class ForcedPhotometryStep(FrameworkStep):
    """Calibrated forced photometry at the positions of a catalog on a Roman image or mosaic.

    Measures background-subtracted, aperture-corrected fluxes in nJy, their errors and AB
    magnitudes in circular apertures, one row for each row of the catalog.
    """

    class_alias = "forced_phot"

    spec = """
        catalog = string(default='') # Catalog of the sources: ECSV, FITS, CSV, VOTable, Parquet, HATS or ASDF (required)
        ra_column = string(default='') # Column of right ascension; usual names if empty
        dec_column = string(default='') # Column of declination; usual names if empty
        x_column = string(default='') # Column of 0-indexed x, used without sky positions
        y_column = string(default='') # Column of 0-indexed y, used without sky positions
        label_column = string(default='') # Column of ids; label, id or source_id if empty
        storage_options = string(default='') # Python only: dict of s3fs options for s3:// locations
        proper_motion = boolean(default=True) # Apply proper motions (pmra, pmdec) to the time of the exposure
        ref_epoch = float(default=None) # Julian year of the catalog's positions; its ref_epoch if not given
        select = string(default='') # Rows to measure, such as type == 'PSF' and F106 > 1e-9; all if empty
        keep_columns = force_list(default='') # Columns of the catalog to include in the product
        on_image_only = boolean(default=False) # Omit the rows of sources that are not on the image
        methods = force_list(default='aperture') # One or more methods of measurement: aperture, psf, model (galaxies of the catalog's shapes)
        radius_unit = option('auto', 'pixel', 'arcsec', default='auto') # Unit of aperture_radii and annulus_radii; auto is pixel on images, arcsec on mosaics
        aperture_radii = force_list(default='') # One or more aperture radii; 3.0 pixels, or 0.33 arcsec, if empty
        annulus_radii = force_list(default='') # Radii of the background annulus; 20.0, 25.0 pixels, or 2.4, 2.8 arcsec (2.2, 2.75 for auto on mosaics), if empty
        aperture_shape = option('circle', 'ellipse', 'kron', default='circle') # Circles, or ellipses by the catalog's shapes: scaled, or of 2.5 Kron radii
        shape_scale = float(default=2.5) # Half axes of elliptical apertures, in those of the catalog's shapes
        kron_from = string(default='') # Product of a reference image whose Kron apertures are forced on this one, with aperture_shape=kron
        match_psf_to = string(default='') # Filter, such as F213, whose wider PSF all apertures see the sky through, for colours
        bkg_estimator = option('median', 'mean', 'none', default='median') # Background estimator in the annulus; none subtracts nothing
        bkg_sigma = float(default=3.0) # Sigma-clipping limit in the annulus
        bkg_maxiters = integer(default=5) # Maximum number of clipping iterations; 0 iterates to convergence
        bkg_mask_radius = float(default=0.0) # Radius in pixels of the masks around all sources in annuli; 0 masks none
        pixel_area = option('crds', 'wcs', 'none', default='crds') # Source of the pixel-area map
        aperture_correction = option('apcorr', 'epsf', 'stpsf', 'stars', 'none', default='apcorr') # Source of the correction to total flux; stars are those of the image
        apcorr_radius_unit = option('auto', 'pixel', 'arcsec', default='auto') # Unit of the apcorr reference's ee_radii
        apcorr_psf = option('optical', 'pixel', default='optical') # PSF of the apcorr curve: optical, or integrated over a pixel
        gain_correction = boolean(default=False) # Multiply by gain/median(gain); only correct if the flat lacks the gain
        error_calibration = option('none', 'empty', 'empty_scale', default='none') # Compare errors with the scatter of blank-sky apertures (empty), or also scale them, and those of psf and model by the correlation of the noise of pixels
        psf_source = option('auto', 'epsf', 'stpsf', 'stars', default='auto') # Source of the PSF for psf; auto for that of aperture_correction, else epsf
        psf_background = option('mesh', 'annulus', 'none', default='mesh') # Sky for psf, from the image less all fitted sources
        psf_mesh = integer(default=64) # Side of the mesh's cells in pixels
        subtract_neighbors = boolean(default=False) # Measure apertures on the image less all other sources of psf or model
        save_residual = boolean(default=False) # Also write the image less all fitted sources and sky (psf) beside the product
        spectral_type = string(default='') # Spectral type of the sources, one of the epsf reference's; G2V if empty
        spectral_type_column = string(default='') # Column of each source's spectral type, for epsf
        defocus = integer(default=0) # Waves of defocus of the epsf reference
        stpsf_n_psfs = integer(default=9) # Detector positions at which STPSF computes an ePSF, a square number
        stpsf_sed = string(default='5700K') # Spectrum for STPSF: a temperature, 1.06um, flat (per frequency) or a type, G2V
        stpsf_charge_diffusion = float(min=0, default=None) # Charge diffusion for STPSF, sigma in mas; STPSF's own if not given
        dq_mask = force_list(default='DO_NOT_USE') # DQ flags that make a pixel unusable; or ANY (dq2 too) or NONE
        output_units = option('nJy', 'uJy', 'mJy', 'Jy', 'maggy', 'ABmag', default='nJy') # Unit of the fluxes, nJy for ABmag; AB magnitudes are always there
        verify_checksums = boolean(default=True) # Compare the image's arrays with the checksums in its file
        save_plots = boolean(default=False) # Also write a page of plots (PNG) beside the product; needs matplotlib
        n_threads = integer(default=0) # Number of threads; 0 for the cores available to the process
        suffix = string(default='forcedphot') # Default suffix for output files
    """  # noqa: E501

    reference_file_types: ClassVar = list(REFERENCE_KINDS)
    # stpipe's prefetch would request every type, and stop a pipeline at the first missing one.
    prefetch_references = False

    catalog = CatalogParameter()
    storage_options = StorageOptionsParameter()
    aperture_radii = RadiusList(DEFAULT_RADII)
    annulus_radii = RadiusList(DEFAULT_RADII)
    dq_mask = NameList()
    keep_columns = NameList()
    methods = NameList()
    output_ext = Extension()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **wrap_objects(kwargs))

    @classmethod
    def call(cls, *args: Any, **kwargs: Any) -> Any:
        """Run the step on an image; see `stpipe.Step.call`.

        Parameters
        ----------
        *args : str, pathlib.Path, ImageModel or list
            Images, as for `run`.
        **kwargs
            Parameters of the step. ``catalog`` may also be an astropy Table, a SkyCoord or a Roman
            catalog model.

        Returns
        -------
        ForcedPhotometryModel or sequence of ForcedPhotometryModel
            Of many images that were saved as Parquet, the tables: such a file holds no more.
        """
        return super().call(*args, **wrap_objects(kwargs))

    def process(self, dataset: Any) -> Any:
        """Measure the catalog's sources on a Level-2 image or a Level-3 mosaic.

        Parameters
        ----------
        dataset : str, pathlib.Path, ImageModel or MosaicModel
            Path or ``s3://`` URI of an image or mosaic, or a model, which is not changed.

        Returns
        -------
        ForcedPhotometryModel
        """
        settings, sources = self._shared or self._prepare()
        with Progress(
            "Measuring", len(sources) * len(settings.methods), unit="sources"
        ) as progress:
            measurement = measure_exposure(
                find_input(dataset, self.input_dir),
                settings,
                sources,
                self._finder(),
                on_image_only=self.on_image_only,
                n_threads=self.n_threads,
                storage_options=self.storage_options.options,
                verify_checksums=self.verify_checksums,
                progress=progress.advance,
                inspect=self._inspector(),
            )
        summary.report(measurement.provenance["catalog"], sources.name)
        return self._product(measurement)

    def _prepare(self) -> tuple[Settings, Sources]:
        """Settings, after a check, and sources of the catalog: common to all exposures."""
        if self.save_plots:
            pictures.require_matplotlib()
        settings = Settings.from_parameters(self._settings())
        check_settings(settings)
        return settings, self._read_catalog(**shape_options(settings, self.kron_from))

    def _settings(self) -> dict[str, Any]:
        """Return the parameters that are settings, by name."""
        return {name: getattr(self, name) for name in Settings.names()}

    def _product(self, measurement: Measurement) -> ForcedPhotometryModel:
        """Make the product of a measurement, with fluxes in the requested unit."""
        unit = table_unit(self.output_units)
        settings = measurement.settings
        methods = methods_for(settings)
        radii = ("radius_unit", "aperture_radii", "annulus_radii")  # as they are on this image
        forced_phot = {
            "parameters": self._parameters() | {name: getattr(settings, name) for name in radii},
            "flux_unit": unit,
            **measurement.provenance,
        }
        columns = [column for method in methods for column in method.columns()]
        table = in_flux_unit(measurement.table, unit, columns)
        return ForcedPhotometryModel.from_image(measurement.metadata, table, forced_phot)

    def _inspector(self) -> Callable[..., None] | None:
        """Return a function that writes plots and images of an exposure, None without any."""
        if not (self.save_plots or self.save_residual):
            return None

        def write(inspection: Inspection) -> None:
            basepath = self._basepath(inspection.exposure.name)
            if self.save_plots:
                path = self.make_output_path(basepath=basepath, ext="png")
                pictures.save_summary(path, inspection)
            if self.save_residual:
                path = self.make_output_path(basepath=basepath, suffix="residual", ext="asdf")
                save_residual(path, inspection)

        return write

    def _read_catalog(self, **shapes: Any) -> Sources:
        """Read the catalog and the shapes in it; raise an InputError if none is given."""
        if not self.catalog:
            raise InputError(
                "catalog is empty: expected the path of a source catalog; give it with "
                "--catalog=FILE, or catalog=... in Python"
            )
        names = ("ra_column", "dec_column", "x_column", "y_column", "label_column")
        names += ("keep_columns", "select")
        catalog = getattr(self.catalog, "table", self.catalog)
        return read_sources(
            catalog,
            **{name: getattr(self, name) for name in names},
            proper_motion=self.proper_motion,
            ref_epoch_wanted=self.ref_epoch is None,
            spectral_type_column=self.spectral_type_column,
            **shapes,
            storage_options=self.storage_options.options,
        )

    def get_pars(self, full_spec: bool = True) -> dict[str, Any]:
        """Return the parameters, objects in memory as their names; see `stpipe.Step.get_pars`."""
        pars = super().get_pars(full_spec)
        return pars | {name: str(pars[name]) for name in {"catalog", "storage_options"} & set(pars)}
