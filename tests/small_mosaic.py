"""A small Level-3 mosaic with a plain tangent-plane WCS, for tests that need no real sky."""

from __future__ import annotations

import numpy as np
from astropy.table import Table
from astropy.time import Time
from roman_datamodels import datamodels as rdm

from small import tangent_wcs

MOSAIC = "r00001_p_v01001001001001_270p65x50y50_f106_coadd.asdf"
START = Time(["2027-03-01T00:00:00", "2027-03-03T00:00:00", "2027-03-08T00:00:00"])
END = Time(["2027-03-01T00:02:00", "2027-03-03T00:04:00", "2027-03-08T00:06:00"])


def level3_mosaic(shape=(150, 160), seed=0):
    """A MosaicModel in MJy/sr of noise about 0.2, of three exposures of two detectors."""
    mosaic = rdm.MosaicModel.create_fake_data(shape=shape)
    mosaic.data = np.random.default_rng(seed).normal(0.2, 0.01, shape).astype(np.float32)
    mosaic.err = np.full(shape, 0.01, dtype=np.float32)
    mosaic.weight = np.full(shape, 100.0, dtype=np.float32)
    mosaic.context = np.full((1, *shape), 7, dtype=np.uint32)
    mosaic.meta.wcs = tangent_wcs(shape)
    mosaic.meta.filename = MOSAIC
    mosaic.meta.instrument.optical_element = "F106"
    mosaic.meta.cal_step.flux = "COMPLETE"
    mosaic.meta.resample.pixel_scale_ratio = 1.0
    mosaic.meta.resample.pixfrac = 1.0
    mosaic.meta.resample.weight_type = "exptime"
    mosaic.meta.resample.members = ["a_cal.asdf", "b_cal.asdf", "c_cal.asdf"]
    mosaic.meta.individual_image_meta = {
        "exposure": Table({"start_time": START, "end_time": END, "type": ["WFI_IMAGE"] * 3}),
        "instrument": Table({"detector": ["WFI04", "WFI02", "WFI02"]}),
        "photometry": Table({"pixel_area": [2.8e-13, 2.81e-13, 2.82e-13]}),
    }
    return mosaic
