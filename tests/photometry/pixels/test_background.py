"""Local backgrounds against photutils' pixels and astropy's clipping."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from astropy.stats import SigmaClip
from photutils.aperture import CircularAnnulus

from circles import SHAPE, batches_of
from romancal_forcedphot.photometry.pixels.background import local_background


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
        pytest.param(10_000, 20, 25, 3.0, 5, marks=pytest.mark.slow),
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


def test_backgrounds_do_not_depend_on_the_batch(scene, positions):
    """Bit for bit: alone or among others, in any order, in two threads, contiguous or not."""
    x, y = positions
    sky = local_background(scene["data"], x, y, 20, 25)
    wide = np.zeros((SHAPE[0], 2 * SHAPE[1]), dtype=np.float32)
    wide[:, ::2] = scene["data"]
    with ThreadPoolExecutor(2) as pool:
        measured = pool.map(
            lambda batch: (batch, local_background(wide[:, ::2], x[batch], y[batch], 20, 25)),
            batches_of(x.size),
        )
        for batch, some in measured:
            for name in vars(some):
                np.testing.assert_array_equal(getattr(sky, name)[batch], getattr(some, name), name)


def test_no_sources_have_no_background(scene):
    nothing = np.empty(0)
    assert local_background(scene["data"], nothing, nothing, 20, 25).value.shape == (0,)
