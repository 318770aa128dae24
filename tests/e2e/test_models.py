"""Apertures, PSF and models in one run by `strun`, against the catalog of the simulated scene."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table

from romancal_forcedphot.example import summary
from romancal_forcedphot.table import WarningFlag

pytestmark = pytest.mark.slow

UNUSABLE = (
    WarningFlag.CENTER_UNUSABLE
    | WarningFlag.NOT_PLACED
    | WarningFlag.SATURATED
    | WarningFlag.PSF_MASKED
)


@pytest.fixture(scope="module")
def table(scene, crds_env, strun, tmp_path_factory):
    directory = tmp_path_factory.mktemp("models")
    options = f"--catalog={scene.catalog}", "--methods=aperture,psf,model"
    answer = strun(scene.image, *options, cwd=directory, env=crds_env)
    assert answer.returncode == 0, answer.stderr
    return summary.read_source_catalog(directory / scene.image.name.replace("_cal", "_forcedphot"))


@pytest.fixture(scope="module")
def truth(scene):
    """Type, flux in nJy and AB magnitude of all sources."""
    catalog = Table.read(scene.catalog)
    flux = np.array(catalog["F106"]) * 3631e9  # from maggies
    return np.array(catalog["type"]) == "SER", flux, (flux * u.nJy).to_value(u.ABmag)


def sample(table, truth, name, *, galaxies, magnitudes):
    """Offsets in magnitudes and in errors of usable sources."""
    is_galaxy, flux, magnitude = truth
    measured, err = (
        np.array(table[f"{name}_{each}"], dtype=float) for each in ("flux", "flux_err")
    )
    usable = (table["warning_flags"] & UNUSABLE == 0) & np.isfinite(measured)
    low, high = magnitudes
    rows = usable & (is_galaxy == galaxies) & (magnitude > low) & (magnitude < high)
    offset = -2.5 * np.log10(np.maximum(measured, 1e-9) / flux)
    return offset[rows], ((measured - flux) / err)[rows]


def width(pulls):
    return np.diff(np.quantile(pulls, [0.15865, 0.84135])).item() / 2


def test_galaxies_have_the_flux_of_the_catalog(table, truth):
    offset, _ = sample(table, truth, "model", galaxies=True, magnitudes=(17, 21))
    assert offset.size >= 80
    assert abs(np.median(offset)) <= 0.004
    offset, pulls = sample(table, truth, "model", galaxies=True, magnitudes=(19, 25))
    assert pulls.size >= 100
    assert abs(np.median(pulls)) <= 0.35
    assert 0.85 <= width(pulls) <= 1.15


def test_points_and_small_apertures_miss_light_of_galaxies(table, truth):
    offset, _ = sample(table, truth, "psf", galaxies=True, magnitudes=(19, 22))
    assert np.median(offset) > 0.5
    is_galaxy, _, magnitude = truth
    rows = is_galaxy & (magnitude > 19) & (magnitude < 22)
    missed = np.array(table["aper3pix_abmag"])[rows] - magnitude[rows]
    assert np.nanmedian(missed) > 0.3


@pytest.mark.parametrize("name", ["psf", "model"])
def test_stars_among_them_have_theirs(table, truth, name):
    offset, _ = sample(table, truth, name, galaxies=False, magnitudes=(18, 21))
    assert offset.size >= 500
    assert abs(np.median(offset)) <= 0.002
    _, pulls = sample(table, truth, name, galaxies=False, magnitudes=(19, 25))
    assert abs(np.median(pulls)) <= 0.1
    assert 0.92 <= width(pulls) <= 1.08
