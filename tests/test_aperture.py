"""The kernel against photutils (overlaps, pixel choice) and astropy (clipping)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from astropy.stats import SigmaClip
from photutils.aperture import ApertureStats, CircularAnnulus, CircularAperture

from romancal_forcedphot.aperture import (
    aperture_sums,
    cut_stamps,
    local_background,
    sum_in_circle,
)
from romancal_forcedphot.overlap import circle_overlap, stamp_reach

SHAPE = (240, 260)
RADII = [0.3, 0.45, 0.5, 0.7072, 1.0, 2.5, 3.0, 4.2, 7.5, 10.0]
RADII += [2.759]  # radius**2 of the C library is less than radius * radius here


@pytest.fixture(scope="module")
def scene():
    """Noise with a gradient, stars, masked pixels, float16 errors, saturation and an area map."""
    rng = np.random.default_rng(20270501)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    data = 0.4 + 0.002 * y + rng.normal(0, 0.05, SHAPE)
    for flux, x0, y0 in zip(
        10 ** rng.uniform(0, 4, 150),
        rng.uniform(0, 260, 150),
        rng.uniform(0, 240, 150),
        strict=True,
    ):
        data += flux / (2 * np.pi * 1.2**2) * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / 2 / 1.2**2)
    err = np.sqrt(0.0025 + np.abs(data) / 100).astype(np.float16)
    data = data.astype(np.float32)
    data[rng.random(SHAPE) < 0.02] = np.nan
    data[100:140, 50:90] = np.nan
    data[10, 10], data[11, 12] = 1e7, -1e7
    area = (1 + 0.02 * (x - y) / 250).astype(np.float32)
    err[np.isnan(data)] = area[np.isnan(data)] = np.nan  # must not matter
    return {"data": data, "err": err, "saturated": rng.random(SHAPE) < 0.005, "area": area}


@pytest.fixture(scope="module")
def positions():
    """Random places on and around the image, then special ones: centres, corners, ties, far off."""
    rng = np.random.default_rng(42)
    x = np.concatenate([rng.uniform(-30, SHAPE[1] + 30, 1500), SPECIAL[:, 0]])
    y = np.concatenate([rng.uniform(-30, SHAPE[0] + 30, 1500), SPECIAL[:, 1]])
    return x, y


SPECIAL = np.array(
    [
        [100, 60], [100.5, 60.5], [99.5, 60.5], [100, 60.5], [100.25, 60.75], [0, 0], [-0.5, -0.5],
        [259.5, 239.5], [259.49, 239.51], [-3.5, 20], [-2.5, 20], [70, 120], [70.5, 120.5],
        [10, 10], [263, 120], [30, -1e9], [1e12, 50], [-1e300, 1e300], [-7.0, 243.0],
    ]
)  # fmt: skip


def exact_weights(x, y, radius, reach):
    """photutils' weights on the stamp around the nearest pixel."""
    side = 2 * reach + 1
    place = (x - np.rint(x) + reach, y - np.rint(y) + reach)
    return CircularAperture(place, radius).to_mask(method="exact").to_image((side, side))


@pytest.mark.parametrize("radius", RADII)
def test_weights_equal_photutils(radius, positions):
    x, y = (p[np.abs(positions[0]) < 1e6][-400:] for p in positions)
    reach = stamp_reach(radius)
    ours = circle_overlap(x - np.rint(x), y - np.rint(y), radius)
    theirs = np.array([exact_weights(*place, radius, reach) for place in zip(x, y, strict=True)])
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("radius", RADII)
def test_weights_are_exact_fractions(radius):
    rng = np.random.default_rng(3)
    fx, fy = rng.uniform(-0.5, 0.5, (2, 300))
    weights = circle_overlap(fx, fy, radius)
    np.testing.assert_allclose(weights.sum(axis=(1, 2)), np.pi * radius**2, rtol=1e-13)
    k = np.arange(weights.shape[1]) - stamp_reach(radius)
    dy, dx = k[:, None] - fy[:, None, None], k - fx[:, None, None]
    nearest = np.hypot(np.maximum(np.abs(dy) - 0.5, 0), np.maximum(np.abs(dx) - 0.5, 0))
    farthest = np.hypot(np.abs(dy) + 0.5, np.abs(dx) + 0.5)
    assert (weights[nearest > radius + 1e-9] == 0).all()
    assert (weights[farthest < radius - 1e-9] == 1).all()
    on_rim = (nearest < radius - 1e-6) & (farthest > radius + 1e-6)
    assert (weights[on_rim] > 0).all()
    assert (weights[on_rim] < 1).all()


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


def test_each_source_may_have_its_own_annulus(scene, positions):
    x, y = (p[np.abs(positions[0]) < 1e6][-300:] for p in positions)
    rng = np.random.default_rng(7)
    r_in, r_out = rng.uniform(4, 9, x.size), rng.uniform(10, 14, x.size)
    ours = local_background(scene["data"], x, y, r_in, r_out, estimator="mean")
    for i in range(x.size):
        alone = local_background(scene["data"], x[[i]], y[[i]], r_in[i], r_out[i], estimator="mean")
        for name in ("value", "err", "n_pixels"):
            np.testing.assert_array_equal(getattr(ours, name)[i], getattr(alone, name)[0])


def expected_survivors(data, x, y, r_in, r_out, sigma, maxiters):
    """What astropy's SigmaClip leaves, in float64, of the pixels that photutils chooses.

    One row per source; what was clipped or never there is masked. The rounds are called one by
    one: SigmaClip along an axis masks by the last round's bounds alone, and where the median has
    moved they can let in again what an earlier round, and photutils, have thrown out.
    """
    masks = CircularAnnulus(np.column_stack([x, y]), r_in, r_out).to_mask(method="center")
    data, bad = data.astype(np.float64), np.isnan(data)
    chosen = [mask.get_values(data, mask=bad) for mask in masks]
    pixels = np.ma.masked_all((len(chosen), max(values.size for values in chosen)))
    pixels.data[...] = 0
    for row, values in zip(pixels, chosen, strict=True):
        row[: values.size] = values
    for _ in range(maxiters or 100):
        pixels = SigmaClip(sigma, maxiters=1)(pixels, axis=1)
    return pixels


@pytest.mark.parametrize(
    ("n", "r_in", "r_out", "sigma", "maxiters"),
    [
        (10_000, 20, 25, 3.0, 5),
        (800, 20, 25, 2.0, 10),
        (800, 5, 10, 3.0, 1),
        (800, 7.5, 9.25, 2.5, 0),
        (800, 0.2, 3.1, 3.0, 5),
        (800, 0.1, 6.0, 1.2, 5),
    ],
)
def test_background_equals_astropy(n, r_in, r_out, sigma, maxiters, scene, positions):
    rng = np.random.default_rng(n)
    near = np.abs(positions[0]) < 1e6
    x = np.concatenate([rng.uniform(-30, SHAPE[1] + 30, n), positions[0][near][-100:]])
    y = np.concatenate([rng.uniform(-30, SHAPE[0] + 30, n), positions[1][near][-100:]])
    survivors = expected_survivors(scene["data"], x, y, r_in, r_out, sigma, maxiters)
    options = {"sigma": sigma, "maxiters": maxiters}
    median = local_background(scene["data"], x, y, r_in, r_out, **options)
    mean = local_background(scene["data"], x, y, r_in, r_out, estimator="mean", **options)

    n_pixels = survivors.count(axis=1)
    np.testing.assert_array_equal(median.n_pixels, n_pixels)
    np.testing.assert_array_equal(mean.n_pixels, n_pixels)
    few = n_pixels < 30
    assert 0 < few.sum() < few.size or r_out == 3.1
    for sky in (median, mean):
        np.testing.assert_array_equal(np.isnan([sky.value, sky.err]), [few, few])
    enough = survivors[~few]
    np.testing.assert_array_equal(median.value[~few], np.ma.median(enough, axis=1))
    np.testing.assert_allclose(mean.value[~few], enough.mean(axis=1), rtol=1e-12)
    error = enough.std(axis=1) / np.sqrt(n_pixels[~few])
    np.testing.assert_allclose(mean.err[~few], error, rtol=1e-10)
    np.testing.assert_allclose(median.err[~few], 1.2533 * error, rtol=1e-10)


def test_background_of_constant_image_has_no_error():
    """Rounding in the sums must not clip pixels where all are the same."""
    data = np.full((80, 80), 0.1, dtype=np.float32)
    data[40, 60] = 3.0
    x, y = np.array([40.0, 40.3]), np.array([40.0, 41.1])
    sky = local_background(data, x, y, 15, 22)
    survivors = expected_survivors(data, x, y, 15, 22, 3.0, 5)
    np.testing.assert_array_equal(sky.n_pixels, survivors.count(axis=1))
    assert (sky.value == np.float32(0.1)).all()
    assert (sky.err == 0).all()


@pytest.mark.parametrize("pedestal", [0, 3000])
def test_background_of_integer_image_equals_astropy(pedestal):
    rng = np.random.default_rng(8)
    data = (pedestal + rng.poisson(2.0, (150, 150))).astype(np.float32)
    x, y = rng.uniform(20, 130, (2, 300))
    sky = local_background(data, x, y, 8, 12, sigma=1.9)
    survivors = expected_survivors(data, x, y, 8, 12, 1.9, 5)
    np.testing.assert_array_equal(sky.n_pixels, survivors.count(axis=1))
    np.testing.assert_array_equal(sky.value, np.ma.median(survivors, axis=1))


@pytest.mark.parametrize("outlier", [1e9, -1e9])
def test_one_wild_pixel_costs_no_digits(outlier, scene):
    """It is clipped in the first round, and sums over the rest must not remember it."""
    data = scene["data"].copy()
    data[60, 160] = outlier
    x, y = np.array([182.3]), np.array([60.2])
    sky = local_background(data, x, y, 20, 25, estimator="mean")
    survivors = expected_survivors(data, x, y, 20, 25, 3.0, 5)
    np.testing.assert_allclose(sky.value, survivors.mean(axis=1), rtol=1e-13)
    np.testing.assert_allclose(
        sky.err, survivors.std(axis=1) / np.sqrt(survivors.count(axis=1)), rtol=1e-12
    )


def test_unknown_estimator_is_an_error(scene):
    with pytest.raises(ValueError, match="'mode': expected 'median' or 'mean'"):
        local_background(scene["data"], [9.0], [9.0], 20, 25, estimator="mode")


def test_results_do_not_depend_on_the_batch(scene, positions):
    """Bit for bit: alone or among others, in any order, in two threads, contiguous or not."""
    x, y = positions
    sky = local_background(scene["data"], x, y, 20, 25)
    sums = aperture_sums(*scene.values(), x, y, 3.0)
    order = np.random.default_rng(5).permutation(x.size)
    wide = np.zeros((SHAPE[0], 2 * SHAPE[1]), dtype=np.float32)
    wide[:, ::2] = scene["data"]

    def measure(batch):
        some_sky = local_background(wide[:, ::2], x[batch], y[batch], 20, 25)
        return batch, some_sky, aperture_sums(*scene.values(), x[batch], y[batch], 3.0)

    batches = [
        order[start : start + size]
        for size in (1, 7, 300, 1000)
        for start in range(0, x.size, max(size, 150))
    ]
    with ThreadPoolExecutor(2) as pool:
        for batch, some_sky, some_sums in pool.map(measure, batches):
            for all_rows, some in ((sky, some_sky), (sums, some_sums)):
                for name in vars(some):
                    np.testing.assert_array_equal(
                        getattr(all_rows, name)[batch], getattr(some, name), name
                    )


def test_no_sources_at_all(scene):
    nothing = np.empty(0)
    assert local_background(scene["data"], nothing, nothing, 20, 25).value.shape == (0,)
    sums = aperture_sums(*scene.values(), nothing, nothing, 3.0)
    assert sums.flux.shape == (0,)
    assert sums.weights.shape == (0, 7, 7)
