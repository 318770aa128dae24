"""Made-up exposures of a made-up catalog: arrays only, no image."""

from __future__ import annotations

import numpy as np

from romancal_forcedphot.lightcurves.measuring.records import ExposureRecord, MeasuredExposure
from romancal_forcedphot.photometry import Sources
from romancal_forcedphot.table import Column

CHI2 = Column("chi2", "float32", "", "Reduced chi-squared of the fit")
BANDS = ("F106", "F158")


def made_catalog(n_sources=50, *, seed=1, names=False):
    """Stars in a field of a few arcminutes, labels that are no row numbers."""
    rng = np.random.default_rng(seed)
    label = 1000 + rng.permutation(n_sources).astype(np.int64)
    return Sources(
        label=label,
        ra=270.0 + rng.uniform(-0.06, 0.06, n_sources),
        dec=66.0 + rng.uniform(-0.03, 0.03, n_sources),
        source_name=np.array([f"star {n}" for n in label]) if names else None,
        name="made up",
    )


def true_fluxes(n_sources, seed=2):
    """Fluxes between 100 and 1e5 nJy."""
    return 10 ** np.random.default_rng(seed).uniform(2, 5, n_sources)


def made_exposure(number, n_sources=50, *, zero_point=1.0, offset=(0.0, 0.0), name=None):
    """An exposure that nine of ten sources fall on, with the noise of its number."""
    rng = np.random.default_rng(1000 + number)
    rows = np.flatnonzero(rng.uniform(size=n_sources) < 0.9)
    flux = true_fluxes(n_sources)[rows]
    err = np.sqrt(20.0**2 + (0.005 * flux) ** 2)
    flags = np.where(rng.uniform(size=rows.size) < 0.05, 8, 0).astype(np.int32)
    record = ExposureRecord(
        exposure=name or f"exposure_{number:04d}",
        location=f"/nowhere/exposure_{number:04d}_cal.asdf",
        band=BANDS[number % 2],
        detector=f"WFI{1 + number % 18:02d}",
        mjd_tai=61000.0 + 5.0 * number,
        exptime=100.0,
        observer="spacecraft",
        flux="aper3pix",
        flux_scale=70.0,
        sky_rms=0.1,
        pixel_scale=0.11,
        offset_x=offset[0],
        offset_y=offset[1],
        offset_scatter=0.02,
        n_offset=30,
    )
    columns = {
        "bjd_tdb": 2400000.5 + record.mjd_tai + 0.004 + 1e-6 * rows,
        "x": rng.uniform(0, 4088, rows.size),
        "y": rng.uniform(0, 4088, rows.size),
        "flux": zero_point * (flux + err * rng.normal(size=rows.size)),
        "flux_err": zero_point * err,
        "bkg_flux": rng.normal(100.0, 1.0, rows.size),
        "bkg_flux_err": np.full(rows.size, 1.0),
        "nea": np.full(rows.size, 9.0),
        "warning_flags": flags,
        "chi2": rng.chisquare(20, rows.size) / 20,
    }
    return MeasuredExposure(record, rows, columns, (CHI2,))
