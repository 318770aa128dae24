"""Aperture-correction references of every generation, through the step."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from roman_datamodels import datamodels as rdm

from reference_models import FINE, SCALE, apcorr_file, encircled, reference
from romancal_forcedphot.references import read_apcorr
from small_run import measured

pytestmark = pytest.mark.usefixtures("inputs")

ELEVEN = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95])


def radii_of(fractions):
    """Radii in pixels that hold fractions of the light, by bisection."""
    low, high = np.zeros_like(fractions), np.full_like(fractions, 50.0)
    for _ in range(80):
        middle = (low + high) / 2
        below = encircled(middle) < fractions
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return low


#: name: radii, fractions and changes of an entry, the unit that shall be found, agreement in E
GENERATIONS = {
    "arcsec": ((FINE, encircled(FINE / SCALE), {}), "arcsec", 2e-6),
    "pixel": ((FINE / SCALE, encircled(FINE / SCALE), {}), "pixel", 2e-6),
    "eleven fractions": ((radii_of(ELEVEN), ELEVEN, {}), "pixel", 5e-3),
    "null fractions": (
        (FINE, encircled(FINE / SCALE), {"ee_fractions": None}),
        "arcsec",
        2e-6,
    ),
    "null background": (
        (
            FINE,
            encircled(FINE / SCALE),
            dict.fromkeys(["sky_background_rin", "sky_background_rout"]),
        ),
        "arcsec",
        2e-6,
    ),
    "no corrections": ((FINE, encircled(FINE / SCALE), {"ap_corrections": None}), "arcsec", 2e-6),
}


@functools.cache
def caught_on_pixels(radius):
    """E at a radius, by adding up `encircled` over cells of a pixel, squares and circles."""
    n = 11  # cells per pixel
    half = 34 * n  # beyond the annulus
    axis = (np.arange(2 * half + 1) - half) / n
    distance = np.hypot(*np.meshgrid(axis, axis))
    edges = np.linspace(0, 50, 20001)
    middles = (edges[1:] + edges[:-1]) / 2
    density = np.diff(encircled(edges)) / (np.pi * np.diff(edges**2))
    light = np.interp(distance, middles, density) / n**2
    for axis_number in (0, 1):  # the pixel gathers light, and the circle is laid on pixels
        for _ in range(2):
            padded = np.cumsum(np.insert(light, 0, 0, axis=axis_number), axis=axis_number)
            size = light.shape[axis_number] - n + 1
            first, last = (np.arange(size) + shift for shift in (0, n))
            light = (padded.take(last, axis_number) - padded.take(first, axis_number)) / n
    half -= n - 1
    axis = (np.arange(2 * half + 1) - half) / n
    distance = np.hypot(*np.meshgrid(axis, axis))
    in_annulus = light[(distance >= 15) & (distance < 22)].mean() * n**2
    return light[distance < radius].sum() - in_annulus * np.pi * radius**2


@functools.cache
def todays_fluxes():
    """Total fluxes by a file like those that are delivered now."""
    apcorr_file("today.asdf", *GENERATIONS["arcsec"][0][:2])
    return measured(override_apcorr="today.asdf", pixel_area="none")[0]["total_flux"]


@pytest.mark.parametrize("name", GENERATIONS)
def test_apcorr_files_of_every_generation_mean_the_same(name):
    entry, unit, agreement = GENERATIONS[name]
    radii, fractions, changes = entry
    apcorr_file("roman_wfi_apcorr_0001.asdf", radii, fractions, **changes)
    columns, product = measured(override_apcorr="roman_wfi_apcorr_0001.asdf", pixel_area="none")
    expected = [caught_on_pixels(radius) for radius in (2, 4)]
    np.testing.assert_allclose(columns["ee_fraction"], [expected] * 7, rtol=agreement + 1.5e-3)
    np.testing.assert_allclose(
        columns["total_flux"], columns["flux"] / columns["ee_fraction"], rtol=3e-7
    )
    provenance = product.meta.forced_phot.aperture_correction
    assert (provenance.source, provenance.radius_unit) == ("apcorr", unit)
    assert provenance.reference == product.meta.ref_file.apcorr
    assert "roman_wfi_apcorr_0001.asdf" in provenance.reference
    np.testing.assert_allclose(columns["total_flux"], todays_fluxes(), rtol=agreement)


def test_the_unit_may_be_forced():
    """What is decided otherwise is taken as it is told."""
    apcorr_file("apcorr.asdf", FINE / SCALE, encircled(FINE / SCALE))
    auto, _ = measured(override_apcorr="apcorr.asdf", pixel_area="none")
    forced, product = measured(
        override_apcorr="apcorr.asdf", pixel_area="none", apcorr_radius_unit="pixel"
    )
    np.testing.assert_array_equal(forced["total_flux"], auto["total_flux"])
    decision = product.meta.forced_phot.aperture_correction.radius_unit_decision
    assert decision == "set by the user"


def test_a_model_in_memory_is_a_reference_too():
    apcorr_file("apcorr.asdf", FINE, encircled(FINE / SCALE))
    expected, _ = measured(override_apcorr="apcorr.asdf", pixel_area="none")
    with rdm.open("apcorr.asdf") as model:
        columns, _ = measured(override_apcorr=model, pixel_area="none")
    np.testing.assert_array_equal(columns["total_flux"], expected["total_flux"])


@pytest.mark.parametrize("band", ["DARK", "GRISM", "PRISM", "F213"])
def test_entries_that_are_null_or_missing(band):
    apcorr_file("apcorr.asdf", FINE, encircled(FINE / SCALE))
    entry = read_apcorr(reference("apcorr", "apcorr.asdf"), band=band)
    assert all(value is None for value in entry.values())
