"""A small Level-2 image with a plain tangent-plane WCS, for tests that need no real sky."""

from __future__ import annotations

import numpy as np
from astropy import coordinates as coord
from astropy import units as u
from astropy.modeling import models
from astropy.time import Time
from gwcs import coordinate_frames, wcs
from roman_datamodels import datamodels as rdm

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


def level2_image(shape=(180, 200), seed=0):
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
    image.meta.filename = "r0003201001001001004_0001_wfi01_f106_cal.asdf"
    return image
