"""Jitter of ePSF stamps against romancal's own way to exchange it, and Gaussians by hand."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
from roman_datamodels import datamodels as rdm
from romancal.source_catalog.psf import add_jitter

from romancal_forcedphot.psfs.jitter import Jitter, gaussian_transform, with_jitter
from small import level2_image

OVERSAMPLE = 4


@pytest.mark.parametrize(
    ("guide_star", "jitter"),
    [
        (None, None),
        ({"jitter_major": 8.0}, None),
        ({"jitter_major": np.nan, "jitter_minor": 1, "jitter_position_angle": 0}, None),
        (
            {"jitter_major": 9, "jitter_minor": 7, "jitter_position_angle": 12},
            Jitter(9.0, 7.0, 12.0),
        ),
    ],
)
def test_jitter_of_an_image_is_used_if_it_is_all_told(guide_star, jitter):
    assert Jitter.of_image(guide_star) == jitter


def models(stamps, old, new):
    """An ePSF reference and an image, each with its jitter."""
    reference = rdm.EpsfRefModel.create_fake_data()
    reference.psf = stamps
    reference.meta.oversample = OVERSAMPLE
    image = level2_image((8, 8))
    names = ("jitter_major", "jitter_minor", "jitter_position_angle")
    reference.meta.update(dict(zip(names, astuple(old), strict=True)))
    image.meta.guide_star.update(dict(zip(names, astuple(new), strict=True)))
    return reference, image


@pytest.mark.parametrize("shape", [(41, 41), (40, 40), (37, 44)], ids=["odd", "even", "oblong"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (Jitter(8.0, 8.0), Jitter(12.0, 12.0)),
        (Jitter(8.0, 6.0, 20.0), Jitter(14.0, 5.0, -70.0)),
        (Jitter(12.0, 9.0, 135.0), Jitter(0.0, 0.0)),  # rid of all jitter
    ],
    ids=["round", "oblong", "none"],
)
def test_jitter_is_exchanged_as_romancal_does(old, new, shape):
    """Its function, which is not public, as the oracle."""
    v, u = (np.arange(n) - (n - 1) / 2 for n in shape)
    star = np.exp(-(u**2 + v[:, None] ** 2) / (2 * 3.1**2)) / (2 * np.pi * 3.1**2) * OVERSAMPLE**2
    stamps = np.stack([star, np.roll(star, 2, axis=0)])[None, None]
    expected = add_jitter(*models(stamps, old, new))
    found = with_jitter(stamps[0, 0], OVERSAMPLE, old=old, new=new)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected[0, 0], rtol=0, atol=1e-13 * star.max())
    np.testing.assert_allclose(found.sum(axis=(1, 2)), stamps[0, 0].sum(axis=(1, 2)), rtol=1e-12)
    assert np.abs(found - stamps[0, 0]).max() > 1e-4 * star.max()


def test_the_transform_of_a_gaussian_is_that_of_its_samples():
    """On samples so fine that they hold all of it; the major axis lies along y at 0 degrees."""
    n, pixel_arcsec = 64, 0.1
    offset = np.arange(n) - n // 2
    width = Jitter(300.0, 180.0, 0.0)
    along_y, along_x = (np.exp(-(offset**2) / (2 * s**2)) for s in (3.0, 1.8))
    samples = np.outer(along_y, along_x)
    expected = np.fft.rfft2(np.fft.ifftshift(samples / samples.sum()))
    found = gaussian_transform(np.fft.rfftfreq(n), np.fft.fftfreq(n)[:, None], width, pixel_arcsec)
    np.testing.assert_allclose(found, expected, atol=1e-6)
