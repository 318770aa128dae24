"""A small Level-2 image with a plain tangent-plane WCS, for tests that need no real sky.

Also what goes with it: an exposure and sources of plain arrays, and the step's parameters for a run
that needs no reference file.
"""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np
from astropy import coordinates as coord
from astropy import units as u
from astropy.modeling import models
from astropy.time import Time
from gwcs import coordinate_frames, wcs
from roman_datamodels import datamodels as rdm

from romancal_forcedphot import Exposure, Sources
from romancal_forcedphot.example.crds_cache import crds_environment, write_context
from romancal_forcedphot.table import aperture_columns, background_columns, table_columns

#: Name of the image, and of what the step makes of it.
IMAGE = "r0003201001001001004_0001_wfi01_f106_cal.asdf"
PRODUCT = IMAGE.replace("_cal", "_forcedphot")
#: Parameters of the step for a run without reference files, and the same on the command line.
PLAIN = {"pixel_area": "wcs", "aperture_correction": "none"}
PLAIN_OPTIONS = tuple(f"--{name}={value}" for name, value in PLAIN.items())
SHAPE = (180, 200)
CONVERSION, PIXEL_AREA = 0.3, 2.8e-13  # of the exposure
SCALE_DEG = 0.11 / 3600
CENTER = (270.0, 66.0)
STEPS = ("assign_wcs", "dark", "dark_decay", "dq_init", "flat_field", "flux", "linearity")
STEPS += ("outlier_detection", "photom", "ramp_fit", "refpix", "saturation", "skymatch")
STEPS += ("source_catalog", "tweakreg", "wfi18_transient")


def tangent_wcs(shape):
    """North up, 0.11 arcsec per pixel, `CENTER` at the middle of the image."""
    ny, nx = shape
    transform = (
        models.Shift(-(nx - 1) / 2) & models.Shift(-(ny - 1) / 2)
        | models.Scale(-SCALE_DEG) & models.Scale(SCALE_DEG)
        | models.Pix2Sky_TAN()
        | models.RotateNative2Celestial(*CENTER, 180.0)
    )
    pixels = coordinate_frames.Frame2D(name="detector", unit=(u.pix, u.pix))
    sky = coordinate_frames.CelestialFrame(name="world", reference_frame=coord.ICRS())
    return wcs.WCS([(pixels, transform), (sky, None)])


class GrowingPixels:
    """A WCS whose pixels grow along x, by a tenth over an image of `SHAPE`."""

    def __init__(self):
        self.plane = tangent_wcs(SHAPE)

    def __call__(self, x, y, **options):
        return self.plane(x + 2.5e-4 * x**2, y, **options)


def level2_image(shape=SHAPE, seed=0):
    """An ImageModel of noise about 2 DN/s with a calibration, ready to be measured."""
    image = rdm.ImageModel.create_fake_data(shape=shape)
    image.data = np.random.default_rng(seed).normal(2.0, 0.1, shape).astype(np.float32)
    image.err = np.full(shape, 0.1, dtype=np.float16)
    image.dq = np.zeros(shape, dtype=np.uint32)
    image.meta.wcs = tangent_wcs(shape)
    image.meta.photometry.conversion_megajanskys = 0.25
    image.meta.photometry.pixel_area = 2.8e-13
    image.meta.instrument.optical_element = "F106"
    image.meta.exposure.start_time = Time("2027-03-01T00:00:00")
    image.meta.exposure.end_time = Time("2027-03-01T00:02:00")
    image.meta["cal_step"] = dict.fromkeys(STEPS, "INCOMPLETE")
    image.meta.filename = IMAGE
    return image


def save_image(path, **options):
    """Save `level2_image(**options)` in a file, whose content is made but once."""
    Path(path).write_bytes(_content(Path(path).name, **options))


@functools.cache
def _content(name, **options):
    with tempfile.TemporaryDirectory() as directory:
        return level2_image(**options).save(Path(directory) / name).read_bytes()


def exposure_of(data, err, **changes):
    """An exposure of arrays, about `CENTER`, with a zero point."""
    values = {
        "data": data,
        "err": err,
        "saturated": np.zeros(data.shape, dtype=bool),
        "wcs": tangent_wcs(data.shape),
        "conversion": CONVERSION,
        "pixel_area": PIXEL_AREA,
        "detector": "WFI01",
        "band": "F106",
        "mid_time": Time("2027-01-01"),
    }
    return Exposure(**values | changes)


def pixel_sources(x, y, **fields):
    """Sources at pixel positions, labelled from 1."""
    x, y = np.atleast_1d(np.asarray(x, float)), np.atleast_1d(np.asarray(y, float))
    return Sources(label=np.arange(1, x.size + 1), x=x, y=y, name="test", **fields)


def output_columns(radii, unit="pixel", *, flux_unit="nJy", source_names=False):
    """All columns of a product with apertures."""
    of_method = aperture_columns(radii, unit, flux_unit=flux_unit)
    of_method += background_columns(flux_unit=flux_unit)
    return table_columns(of_method, source_names=source_names)


def run_step(image, catalog, **parameters):
    """The product of a run without reference files, but for what the parameters say."""
    from romancal_forcedphot import ForcedPhotometryStep

    return ForcedPhotometryStep.call(image, catalog=catalog, **PLAIN | parameters)


def small_crds_cache(directory, detector="WFI01", shape=SHAPE):
    """A CRDS cache with a flat area map and a Gaussian star; return the environment to use it."""
    references = directory / "references" / "roman"
    references.mkdir(parents=True)
    area = rdm.PixelareaRefModel.create_fake_data(shape=shape)
    area.data = np.ones(shape, dtype=np.float32)
    area.meta.photometry = {"pixelarea_steradians": None, "pixelarea_arcsecsq": None}
    radii = np.arange(1, 201) * 0.025
    curve = 1 - np.exp(-((radii / 0.12) ** 2))
    entry = {"ee_radii": radii, "ee_fractions": curve, "ap_corrections": 1 / curve}
    apcorr = rdm.ApcorrRefModel.create_fake_data()
    apcorr.data = {"F106": entry | dict.fromkeys(["sky_background_rin", "sky_background_rout"])}
    rules = {}
    for kind, model in (("area", area), ("apcorr", apcorr)):
        model.meta.instrument.detector = detector
        name = f"roman_wfi_{kind}_{detector[3:]}.asdf"
        model.save(references / name)
        rules[kind] = {(detector,): name}
    write_context(directory, rules)
    return crds_environment(directory)
