"""Reference files of every kind, made with RAD's models, through the step; CRDS that lacks some."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import asdf
import numpy as np
import pytest
from astropy.table import Table
from roman_datamodels import datamodels as rdm

from romancal_forcedphot import ForcedPhotometryStep
from romancal_forcedphot.example.crds_cache import crds_environment, write_context
from romancal_forcedphot.references import ReferenceFileError, read_apcorr, read_area
from small import CENTER, level2_image

# stpipe 1.1 asks crds 14 by a function that crds deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:'get_cache_lock':DeprecationWarning")

SCALE = 0.11  # arcsec per pixel of the small image
STERADIAN = 2.8e-13  # nominal pixel area of the small image
ARCSECSQ = STERADIAN * np.rad2deg(3600) ** 2
SHAPE = (180, 200)
RADIUS = {"aperture_radii": "2,4", "annulus_radii": "15,22"}


def write_inputs(directory):
    """Write an image and a catalog of seven sources on it."""
    level2_image().save(directory / "image_cal.asdf")
    ra, dec = CENTER
    offsets = np.arange(-3, 4) / 3600
    Table({"ra": ra + 2 * offsets, "dec": dec + offsets}).write(directory / "catalog.ecsv")


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    """An image and a catalog in the working directory, and no CRDS."""
    for name in list(os.environ):
        if name.startswith("CRDS"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    write_inputs(tmp_path)


def measured(**parameters):
    """Total fluxes and their fractions, (sources, apertures), and the product."""
    product = ForcedPhotometryStep.call(
        "image_cal.asdf", catalog="catalog.ecsv", **RADIUS, **parameters
    )
    table = product.source_catalog
    columns = {
        name: np.stack([table[f"aper{radius}pix_{name}"] for radius in (2, 4)], axis=1)
        for name in ("flux", "total_flux", "ee_fraction")
    }
    assert np.isfinite(columns["total_flux"]).all()
    return columns, product


# --- aperture corrections ------------------------------------------------------------------

FINE = np.arange(1, 201) * 0.025  # as the files of today, in arcsec; the older ones in pixels
ELEVEN = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95])


def encircled(radius_pix):
    """Light within a radius: a core and a halo that falls as Roman's does."""
    radius = np.asarray(radius_pix, dtype=float)
    core, halo = 1 - (1 + (radius / 1.1) ** 2) ** -1.5, 1 - np.exp(-((radius / 5) ** 2))
    return 0.85 * core + 0.15 * halo


def radii_of(fractions):
    """Radii in pixels that hold fractions of the light, by bisection."""
    low, high = np.zeros_like(fractions), np.full_like(fractions, 50.0)
    for _ in range(80):
        middle = (low + high) / 2
        below = encircled(middle) < fractions
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return low


def apcorr_file(name, radii, fractions, **changes):
    """An apcorr reference with one filter; the elements that take no images are null."""
    fractions = np.asarray(fractions)
    entry = {
        "ap_corrections": 1 / fractions,
        "ee_fractions": fractions,
        "ee_radii": np.asarray(radii),
        "sky_background_rin": 2.4,
        "sky_background_rout": 2.8,
    } | changes
    nothing = dict.fromkeys(entry)
    model = rdm.ApcorrRefModel.create_fake_data()
    model.meta.instrument.detector = "WFI01"
    model.data = {"F106": entry} | dict.fromkeys(("DARK", "GRISM", "PRISM"), nothing)
    model.save(name)


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
    facts = product.meta.forced_phot.aperture_correction
    assert (facts.source, facts.radius_unit) == ("apcorr", unit)
    assert facts.reference == product.meta.ref_file.apcorr
    assert "roman_wfi_apcorr_0001.asdf" in facts.reference
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
    entry = read_apcorr("apcorr.asdf", band=band)
    assert all(value is None for value in entry.values())


# --- pixel areas ---------------------------------------------------------------------------


def area_map():
    """Areas around one, rising by 2 % over the image."""
    y, x = np.indices(SHAPE)
    return 0.99 + 0.01 * x / SHAPE[1] + 0.01 * y / SHAPE[0]


def area_file(name, data, **changes):
    """An area reference whose array has any type, which RAD's own models would not write."""
    model = rdm.PixelareaRefModel.create_fake_data(shape=(8, 8))
    model.meta.instrument.detector = "WFI01"
    model.meta.instrument.optical_element = "F106"
    nominal = {"pixelarea_steradians": STERADIAN, "pixelarea_arcsecsq": ARCSECSQ} | changes
    model.meta.photometry = nominal
    model.save(name)
    tag = model._instance.tag
    with asdf.open(name, lazy_load=False, memmap=False) as file:
        meta = file["roman"]["meta"]
    asdf.AsdfFile({"roman": {"meta": meta, "data": data}}).write_to(name, include_block_index=False)
    with open(name, "r+b") as file:
        content = file.read().replace(b"\nroman:\n", f"\nroman: !<{tag}>\n".encode(), 1)
        file.seek(0)
        file.write(content)


AREAS = {
    "relative": (1.0, "float32", {}),
    "relative, double": (1.0, "float64", {}),
    "relative, big-endian": (1.0, ">f4", {}),
    "relative, half": (1.0, "float16", {}),
    "relative, no nominal": (
        1.0,
        "float32",
        dict.fromkeys(["pixelarea_steradians", "pixelarea_arcsecsq"]),
    ),
    "steradian": (STERADIAN, "float32", {}),
    "steradian, double": (STERADIAN, "float64", {}),
    "steradian alone": (STERADIAN, "float32", {"pixelarea_arcsecsq": None}),
    "arcsec2": (ARCSECSQ, "float32", {}),
    "arcsec2, double": (ARCSECSQ, ">f8", {}),
    "arcsec2, half": (ARCSECSQ, "float16", {}),
    "arcsec2 alone": (ARCSECSQ, "float64", {"pixelarea_steradians": None}),
}


WITHOUT = {"aperture_correction": "none", "bkg_estimator": "none"}


@functools.cache
def fluxes_without_area():
    """Aperture fluxes where all pixels count as nominal."""
    return measured(pixel_area="none", **WITHOUT)[0]["flux"]


@pytest.mark.parametrize("name", AREAS)
def test_area_files_in_any_unit_and_type_mean_the_same(name):
    nominal, dtype, changes = AREAS[name]
    area_file("roman_wfi_area_0001.asdf", (area_map() * nominal).astype(dtype), **changes)
    columns, product = measured(override_area="roman_wfi_area_0001.asdf", **WITHOUT)
    table = product.source_catalog
    y, x = np.asarray(table["y"]), np.asarray(table["x"])
    at_sources = 0.99 + 0.01 * x / SHAPE[1] + 0.01 * y / SHAPE[0]
    expected = fluxes_without_area() * at_sources[:, np.newaxis]
    tolerance = 1e-3 if dtype == "float16" else 1e-4  # of types; of noise times the slope
    np.testing.assert_allclose(columns["flux"], expected, rtol=tolerance)
    facts = product.meta.forced_phot.pixel_area
    assert facts.source == "crds"
    assert "roman_wfi_area_0001.asdf" in facts.reference
    assert facts.reference == product.meta.ref_file.area


def test_whole_numbers_are_areas_too():
    area_file("area.asdf", np.ones(SHAPE, dtype="int16"))
    content = read_area("area.asdf", detector="WFI01")
    assert content.data.dtype == np.int16
    assert content.nominal_steradian == STERADIAN
    columns, _ = measured(override_area="area.asdf", **WITHOUT)
    np.testing.assert_array_equal(columns["flux"], fluxes_without_area())


def test_a_map_with_its_border_of_reference_pixels():
    bordered = np.pad(area_map(), 4, constant_values=0.0).astype("float32")
    area_file("bordered.asdf", bordered)
    area_file("plain.asdf", area_map().astype("float32"))
    columns, _ = measured(override_area="bordered.asdf", **WITHOUT)
    expected, _ = measured(override_area="plain.asdf", **WITHOUT)
    np.testing.assert_array_equal(columns["flux"], expected["flux"])


# --- what is no such reference -------------------------------------------------------------


def test_files_of_another_kind_are_refused():
    rdm.GainRefModel.create_fake_data(shape=(8, 8)).save("gain.asdf")
    Path("broken.asdf").write_text("#ASDF 1.0.0\n--- broken")
    with pytest.raises(
        ReferenceFileError, match=r"gain.asdf' holds a model of type GainRefModel: expected Apcorr"
    ):
        read_apcorr("gain.asdf", band="F106")
    with pytest.raises(ReferenceFileError, match=r"broken.asdf' cannot be opened .*override_area"):
        read_area("broken.asdf", detector="WFI01")
    with pytest.raises(ReferenceFileError, match=r"override_apcorr.*--aperture_correction=none"):
        measured(override_apcorr="lost.asdf", pixel_area="none")


# --- CRDS contexts -------------------------------------------------------------------------

CASES = {
    "apcorr unknown": {},
    "area unknown": {"aperture_correction": "none"},
    "both given": {"override_area": "area.asdf", "override_apcorr": "apcorr.asdf"},
}

RUN = """
import json, logging, sys
from astropy.table import Table
from romancal_forcedphot import ForcedPhotometryStep
cases = json.loads(sys.argv[1])
answers = {}
for name, parameters in cases.items():
    try:
        product = ForcedPhotometryStep.call('image_cal.asdf', catalog="catalog.ecsv", **parameters)
        facts = product.meta.forced_phot
        answers[name] = {
            "area": facts.pixel_area.source, "context": product.meta.ref_file.crds.context,
            "apcorr": facts.aperture_correction.source, "log": list(product.meta.cal_logs),
        }
    except Exception as error:
        answers[name] = {"error": f"{type(error).__name__}: {error}"}
json.dump(answers, open("answers.json", "w"))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What the step says where CRDS knows no apcorr at all and an area of another detector."""
    directory = tmp_path_factory.mktemp("contexts")
    cache = directory / "crds"
    write_context(cache, {"area": {("WFI02",): "roman_wfi_area_02.asdf"}})
    inputs = directory / "inputs"
    inputs.mkdir()
    write_inputs(inputs)
    apcorr_file(inputs / "apcorr.asdf", FINE, encircled(FINE / SCALE))
    area_file(inputs / "area.asdf", area_map().astype("float32"))
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(CASES)],
        cwd=inputs,
        env=os.environ | crds_environment(cache),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads((inputs / "answers.json").read_text())


def test_a_context_without_apcorr_is_an_error_that_offers_to_go_without(answers):
    error = answers["apcorr unknown"]["error"]
    assert error.startswith("ReferenceFileError: there is no apcorr reference for F106 on WFI01")
    assert "--override_apcorr=FILE" in error
    assert "--aperture_correction=none" in error


def test_a_context_without_area_leaves_it_to_the_wcs_and_says_so(answers):
    answer = answers["area unknown"]
    assert (answer["area"], answer["apcorr"]) == ("wcs", "none")
    assert any("WARNING" in line and "no area reference" in line for line in answer["log"])


def test_files_stand_in_for_what_the_context_lacks(answers):
    answer = answers["both given"]
    assert (answer["area"], answer["apcorr"]) == ("crds", "apcorr")
    assert answer["context"] == "roman_0001.pmap"
