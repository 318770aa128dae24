"""What pictures of a fit show: data, model and residual with one stretch."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table

from romancal_forcedphot import plots

SHAPE = (60, 90)


@pytest.fixture
def fitted():
    """An image with a star and a masked pixel, and its model."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    model = 1.0 + 50 * np.exp(-((x - 40.0) ** 2 + (y - 30.0) ** 2) / 4)
    data = model + np.random.default_rng(2).normal(0, 0.1, SHAPE)
    data[20, 35] = np.nan
    return data, model


def drawn(figure):
    figure.canvas.draw_idle()
    figure.draw_without_rendering()


def test_data_model_and_residual_have_one_stretch(fitted):
    data, model = fitted
    ax = plots.psf_residual(data, model, center=(40, 30), half_size=15)
    drawn(ax.figure)
    pictures = [image.get_array().filled(np.nan) for image in ax.images]
    part = slice(15, 46), slice(25, 56)
    expected = data[part], model[part], data[part] - model[part] + np.nanmedian(data[part])
    for picture, image in zip(pictures, expected, strict=True):
        np.testing.assert_allclose(picture, image)
    assert len({(image.norm.vmin, image.norm.vmax) for image in ax.images}) == 1
    assert [text.get_text() for text in ax.texts] == ["data", "model", "data - model"]
    lefts = [image.get_extent()[0] for image in ax.images]
    assert min(np.diff(lefts)) > 31
    assert ax.get_title() == "31 x 31 pixels around (40, 30)"


def test_without_a_place_it_is_the_middle(fitted):
    ax = plots.psf_residual(*fitted)
    assert ax.get_title() == "82 x 60 pixels around (44, 30)"
    masked = np.full(SHAPE, np.nan)
    drawn(plots.psf_residual(masked, np.zeros(SHAPE)).figure)


def test_images_of_different_shapes_are_refused(fitted):
    with pytest.raises(ValueError, match=r"data have shape \(60, 90\) and model \(5, 5\)"):
        plots.psf_residual(fitted[0], np.zeros((5, 5)))


def test_pages_show_the_residual(fitted):
    names = "psf_abmag", "psf_abmag_err", "aper3pix_abmag", "aper3pix_abmag_err"
    columns = {"label": [1, 2], "x": [40.0, 3.0], "y": [30.0, 3.0], "warning_flags": [0, 4]}
    table = Table(columns | {name: [20.0, 21.0] for name in (*names, "aper3pix_ee_fraction")})
    data, model = fitted
    page = plots.summary_page(table, data, aperture_radii=[3.0], model=model)
    alone = plots.fit_page(table, data, model, band="F106")
    for figure in (page, alone):
        drawn(figure)
        shown = [ax for ax in figure.axes if ax.get_title().endswith("around (40, 30)")]
        assert [len(ax.images) for ax in shown] == [3]
    assert alone.axes[0].get_xlabel() == "F106 magnitude in psf (AB)"
