"""Sums over circles against photutils and arithmetic by hand."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from photutils.aperture import ApertureStats, CircularAperture

from circles import RADII, SHAPE, batches_of, exact_weights
from romancal_forcedphot.geometry import stamp_reach
from romancal_forcedphot.photometry.pixels.aperture_sums import (
    aperture_sums,
    cut_stamps,
    sum_in_circle,
)


def expected_sums(scene, x, y, radius):
    """The sums of DESIGN.md section 4 over photutils' weights, written out for one source."""
    reach = stamp_reach(radius)
    side = 2 * reach + 1
    weights = exact_weights(x, y, radius, reach)
    row, column = np.clip([np.rint(y), np.rint(x)], -side, np.add(SHAPE, side)).astype(int)
    row, column = row + 2 * side - reach, column + 2 * side - reach

    def cut(image, fill):
        padded = np.pad(np.asarray(image, dtype=float), 2 * side, constant_values=fill)
        return padded[row : row + side, column : column + side]

    on_image = cut(np.ones(SHAPE), 0) > 0
    data, err, area = cut(scene["data"], np.nan), cut(scene["err"], 0), cut(scene["area"], 0)
    good = np.isfinite(data) & (weights > 0)
    touched = weights > 0
    return {
        "flux": np.sum((weights * data * area)[good]),
        "variance": np.sum((weights**2 * err**2 * area**2)[good]),
        "area": np.sum((weights * area)[good]),
        "weights": np.where(good, weights, 0),
        "full_weights": weights,
        "masked": (touched & on_image & ~np.isfinite(data)).any(),
        "cut_by_edge": (touched & ~on_image).any(),
        "off_image": not (touched & on_image).any(),
        "saturated": (cut(scene["saturated"], 0) > 0)[touched].any(),
        "center_unusable": not np.isfinite(data[reach, reach]),
    }


@pytest.mark.parametrize("radius", [0.3, 1.0, 3.0, 4.2, 10.0])
def test_sums_and_flags_equal_arithmetic_by_hand(radius, scene, positions):
    x, y = (p[-250:] for p in positions)
    sums = aperture_sums(*scene.values(), x, y, radius)
    for i, place in enumerate(zip(x, y, strict=True)):
        for name, value in expected_sums(scene, *place, radius).items():
            ours = getattr(sums, name)[i]
            if np.asarray(value).dtype.kind == "f":
                np.testing.assert_allclose(ours, value, rtol=1e-10, atol=1e-12, err_msg=name)
            else:
                assert ours == value, (name, place)
    for flag in ("cut_by_edge", "off_image", "saturated", "center_unusable", "masked"):
        assert 0 < getattr(sums, flag).sum() < x.size, flag


def test_sums_equal_photutils_photometry(scene, positions):
    x, y = positions
    near = np.abs(x) < 1e6
    x, y = x[near], y[near]
    sums = aperture_sums(scene["data"], scene["err"], scene["saturated"], None, x, y, 3.0)
    theirs = ApertureStats(
        scene["data"].astype(np.float64),
        CircularAperture(np.column_stack([x, y]), 3.0),
        mask=np.isnan(scene["data"]),
    )
    seen = sums.area > 0
    assert (np.isfinite(theirs.sum) == seen).all()
    np.testing.assert_allclose(sums.flux[seen], theirs.sum[seen], rtol=1e-10, atol=1e-9)
    assert (sums.flux[~seen] == 0).all()


def test_stamps_for_the_largest_radius_serve_all(scene, positions):
    stamps = cut_stamps(*scene.values(), *positions, 10.0)
    for radius in RADII:
        shared = sum_in_circle(stamps, radius)
        alone = aperture_sums(*scene.values(), *positions, radius)
        for name in vars(alone):
            np.testing.assert_array_equal(getattr(shared, name), getattr(alone, name), name)
    with pytest.raises(ValueError, match=r"radius 11\.0 pixels does not fit"):
        sum_in_circle(stamps, 11.0)


def test_each_source_may_have_its_own_radius(scene, positions):
    """The weights are those of a circle of that radius; the sums are equal but for rounding."""
    x, y = (p[-200:] for p in positions)
    radii = np.random.default_rng(6).uniform(0.2, 4.0, x.size)
    stamps = cut_stamps(*scene.values(), x, y, 4.2)
    ours = sum_in_circle(stamps, radii)
    for i, radius in enumerate(radii):
        one = sum_in_circle(cut_stamps(*scene.values(), x[[i]], y[[i]], 4.2), radii[[i]])
        alone = aperture_sums(*scene.values(), x[[i]], y[[i]], radius)
        margin = stamps.reach - stamp_reach(radius)
        inner = slice(margin, 11 - margin)
        np.testing.assert_array_equal(ours.weights[i, inner, inner], alone.weights[0])
        for name in ("flux", "variance", "area"):
            assert getattr(ours, name)[i] == getattr(one, name)[0]
            np.testing.assert_allclose(getattr(ours, name)[i], getattr(alone, name)[0], rtol=1e-13)
        for name in ("masked", "saturated", "cut_by_edge", "off_image", "center_unusable"):
            assert getattr(ours, name)[i] == getattr(alone, name)[0]
    with pytest.raises(ValueError, match=r"radius 5\.5 pixels does not fit"):
        sum_in_circle(stamps, np.full(x.size, 5.5))


def test_sums_do_not_depend_on_the_batch(scene, positions):
    """Bit for bit: alone or among others, in any order, in two threads."""
    x, y = positions
    sums = aperture_sums(*scene.values(), x, y, 3.0)
    with ThreadPoolExecutor(2) as pool:
        measured = pool.map(
            lambda batch: (batch, aperture_sums(*scene.values(), x[batch], y[batch], 3.0)),
            batches_of(x.size),
        )
        for batch, some in measured:
            for name in vars(some):
                np.testing.assert_array_equal(getattr(sums, name)[batch], getattr(some, name), name)


def test_no_sources_have_no_sums(scene):
    nothing = np.empty(0)
    sums = aperture_sums(*scene.values(), nothing, nothing, 3.0)
    assert sums.flux.shape == (0,)
    assert sums.weights.shape == (0, 7, 7)
