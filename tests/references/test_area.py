"""Pixel-area references of every unit and type, through the step."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from reference_models import ARCSECSQ, STERADIAN, area_file, area_map, reference
from romancal_forcedphot.references import ReferenceFileError, read_area
from small import SHAPE
from small_run import measured

pytestmark = pytest.mark.usefixtures("inputs")

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
    provenance = product.meta.forced_phot.pixel_area
    assert provenance.source == "crds"
    assert "roman_wfi_area_0001.asdf" in provenance.reference
    assert provenance.reference == product.meta.ref_file.area


def test_whole_numbers_are_areas_too():
    area_file("area.asdf", np.ones(SHAPE, dtype="int16"))
    content = read_area(reference("area", "area.asdf"), detector="WFI01", shape=SHAPE)
    assert content.relative.dtype == np.float32
    assert (content.relative == 1).all()
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


@pytest.mark.parametrize(
    ("data", "changes", "message"),
    [
        (np.ones((96, 120)), {}, r"shape \(96, 120\), the image has \(180, 200\)"),
        (area_map() * 3, {}, "median of 2.9"),
        (area_map() * STERADIAN, {"pixelarea_steradians": None}, "steradian .* pixel area is None"),
        (np.full(SHAPE, np.nan), {}, "36000 of 36000 pixels that are not finite"),
    ],
)
def test_an_unusable_area_reference_says_what_is_wrong_and_what_to_do(data, changes, message):
    area_file("area.asdf", data.astype("float32"), **changes)
    with pytest.raises(
        ReferenceFileError, match=f"{message}.*--override_area=FILE, or set --pixel_area=wcs"
    ):
        read_area(reference("area", "area.asdf"), detector="WFI01", shape=SHAPE)


def test_an_area_of_another_detector_is_refused():
    area_file("area.asdf", area_map().astype("float32"))
    with pytest.raises(
        ReferenceFileError, match=r"of detector WFI01: expected WFI07.*--pixel_area"
    ):
        read_area(reference("area", "area.asdf"), detector="WFI07", shape=SHAPE)
