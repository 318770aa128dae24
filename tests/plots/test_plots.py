"""What the pictures show, read back from the Axes: numbers by NumPy and by hand."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from astropy.table import Table
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from scipy.stats import norm

from romancal_forcedphot import WarningFlag, plots


@pytest.fixture
def rng():
    return np.random.default_rng(8)


def image(shape=(100, 120)):
    """Noise about 1, with one masked pixel."""
    data = np.random.default_rng(1).normal(1.0, 0.1, shape)
    data[40, 50] = np.nan
    return data


def table(**columns):
    """Three sources; the second is flagged, the third is off the image."""
    found = {
        "label": [11, 12, 13],
        "x": [50.25, 3.0, 500.0],
        "y": [40.5, 97.0, 20.0],
        "warning_flags": [0, int(WarningFlag.EDGE | WarningFlag.MASKED), 3],
        "aper3pix_abmag": [20.0, 21.0, np.nan],
        "aper3pix_abmag_err": [0.01, 0.02, np.nan],
        "aper3pix_ee_fraction": [0.8, 0.6, np.nan],
    }
    return Table(found | columns)


def heights(ax):
    """Counts of the outlines of a histogram, by name."""
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    outlines = [patch for patch in ax.patches if not patch.get_fill()]
    return dict(zip(names, (np.unique(p.get_xy()[:, 1]) for p in outlines), strict=True))


def drawn(ax):
    """Render, as saving does: this is when matplotlib warns."""
    ax.figure.canvas.draw_idle()
    ax.figure.draw_without_rendering()
    return ax


def test_histogram_counts_each_type():
    kind = ["PSF"] * 5 + ["SER"] * 2 + ["PSF"]
    magnitude = [18.1, 18.2, 18.2, 19.1, 19.2, 18.3, 18.4, np.nan]
    ax = drawn(plots.magnitude_histogram(magnitude, kind, band="F106", bin_width=1))
    counts = heights(ax)
    np.testing.assert_array_equal(counts["stars (PSF): 5"], [0, 2, 3])
    np.testing.assert_array_equal(counts["galaxies (SER): 2"], [0, 2])
    assert ax.get_xlabel() == "F106 magnitude (AB)"


def test_histogram_takes_rare_types_together():
    ax = plots.magnitude_histogram(np.full(10, 20.0), list("aaaabbcdef"))
    assert [t.get_text() for t in ax.get_legend().get_texts()][-1] == "other: 3"


def test_errors_are_split_by_flag():
    ax = drawn(plots.magnitude_errors([20.0, 21.0, 22.0], [0.01, 0.02, np.nan], [0, 4, 0]))
    good, flagged = ax.collections
    np.testing.assert_allclose(good.get_offsets(), [[20.0, 0.01]])
    np.testing.assert_allclose(flagged.get_offsets(), [[21.0, 0.02]])


def test_used_radii_are_marked():
    radius, fraction = np.array([1.0, 2.0, 4.0]), np.array([0.5, 0.7, 0.9])
    ax = drawn(plots.encircled_energy(radius, fraction, used_radii=[3.0], unit="arcsec"))
    curve, _, mark = ax.lines
    np.testing.assert_allclose(curve.get_xydata(), np.stack([radius, fraction], axis=1))
    np.testing.assert_allclose(mark.get_xydata(), [[3.0, 0.8]])
    assert mark.get_label() == "3 arcsec: 0.8000"
    assert ax.get_xlabel() == "Radius (arcsec)"


def test_fractions_that_were_used_need_not_lie_on_the_curve():
    used = {"used_radii": [1.0, 3.0], "used_fractions": [None, 0.75]}
    ax = drawn(plots.encircled_energy([1.0, 4.0], [0.5, 0.9], **used))
    labels = [line.get_label() for line in ax.lines if not line.get_label().startswith("_")]
    assert labels == ["encircled energy", "1 pixels", "3 pixels: 0.7500"]


def test_area_map_is_the_area_in_percent():
    x = np.mgrid[:1030, :1100][1]
    ax = drawn(plots.pixel_area_map(1 + 1e-5 * x, detector="WFI07"))
    (picture,) = ax.images
    shown = picture.get_array()
    assert shown.shape == (344, 367)  # every third pixel
    np.testing.assert_allclose(shown[5], 1e-3 * x[0, ::3])
    assert picture.get_extent() == pytest.approx([-0.5, 1099.5, -0.5, 1029.5])
    assert ax.get_title() == "pixel area of WFI07"


def test_a_flat_area_map_has_no_contours():
    assert len(drawn(plots.pixel_area_map(np.ones((20, 20)))).collections) == 0


def test_cutout_draws_circles_to_scale():
    ax = drawn(plots.cutout(image(), table(), label=11, half_size=30, aperture_radii=(3, 5)))
    apertures, annuli = (c for c in ax.collections if isinstance(c, PatchCollection))
    for circles, radii in ((apertures, (3, 5)), (annuli, (20, 25))):
        shown = [path.get_extents() for path in circles.get_paths()]
        assert len(shown) == 2  # of the source in the middle; the others are out of the frame
        for box, radius in zip(shown, radii, strict=True):
            np.testing.assert_allclose(
                box.get_points(), [[50.25 - radius, 40.5 - radius], [50.25 + radius, 40.5 + radius]]
            )
    assert ax.get_aspect() == 1.0
    assert (ax.get_xlim(), ax.get_ylim()) == ((20.25, 80.25), (10.5, 70.5))
    assert [text.get_text() for text in ax.texts] == ["11"]


def test_cutout_draws_ellipses_in_place_of_circles():
    """Of 4 x 2 pixels, upright; the second source has none."""
    ellipses = [4.0, np.nan, 4.0], [2.0, np.nan, 2.0], [np.pi / 2, np.nan, 0.0]
    ax = drawn(plots.cutout(image(), table(), label=11, half_size=30, ellipses=ellipses))
    (collection,) = (c for c in ax.collections if isinstance(c, PatchCollection))
    box, _ = (path.get_extents() for path in collection.get_paths())
    np.testing.assert_allclose(box.get_points(), [[48.25, 36.5], [52.25, 44.5]], atol=0.01)


def test_cutout_shows_the_pixels_where_they_are():
    data = image()
    ax = drawn(plots.cutout(data, table(), center=(5, 95), half_size=10, annulus_radii=None))
    (picture,) = ax.images
    np.testing.assert_array_equal(picture.get_array().filled(np.nan), data[85:, :16])
    assert picture.get_extent() == pytest.approx([-0.5, 15.5, 84.5, 99.5])
    assert ax.get_title() == "apertures of 3 pixels"


def test_masked_pixels_have_a_colour_of_their_own():
    ax = plots.cutout(image(), table(), label=11, half_size=5)
    (picture,) = ax.images
    colors = picture.to_rgba(picture.get_array())
    row, column = 40 - 35, 50 - 45
    assert np.ptp(colors[row, column, :3]) > 0.3  # not gray
    assert (
        np.ptp(np.delete(colors.reshape(-1, 4), row * 12 + column, axis=0)[:, :3], axis=1).max()
        < 1e-6
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"label": 99}, "label 99 is not in the table of 3 sources"),
        ({"center": (1000, 0)}, "nothing of the image .* within 60 pixels"),
    ],
)
def test_cutouts_of_nothing_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        plots.cutout(image(), table(), **options)


def test_cutout_of_a_source_without_a_position_is_refused():
    with pytest.raises(ValueError, match="source 11 has no pixel position"):
        plots.cutout(image(), table(x=[np.nan, 0, 0]), label=11)


def test_gallery_shows_flagged_sources_on_the_image():
    data = image()
    ax = drawn(plots.flagged_gallery(data, table(), half_size=6, aperture_radius=2.5))
    (stamp,) = ax.images
    np.testing.assert_array_equal(stamp.get_array().filled(np.nan), data[91:, :10])
    assert [text.get_text() for text in ax.texts] == ["12\nedge\nmasked"]
    left, right, bottom, top = stamp.get_extent()
    assert (right - left, bottom - top) == (10, 9)
    (circle,) = ax.patches
    # centre of pixel (3, 97): the fourth column and, from the upper edge of row 99, the third row
    assert circle.center == pytest.approx((left + 3.5, top + 2.5))
    assert circle.radius == 2.5
    assert "1 of 1 flagged" in ax.get_title()


def test_gallery_lets_every_flag_have_its_turn():
    flags = np.full(30, int(WarningFlag.SATURATED))
    flags[20], flags[25] = int(WarningFlag.NEIGHBOR), int(WarningFlag.EDGE)
    n = np.arange(30)
    sources = Table({"label": n, "x": 20.0 + n, "y": 50.0 + 0 * n, "warning_flags": flags})
    ax = plots.flagged_gallery(image(), sources, n_columns=2, n_rows=2)
    shown = {text.get_text() for text in ax.texts}
    assert {"20\nneighbor", "25\nedge", "0\nsaturated"} <= shown
    assert len(ax.images) == 4


def test_offsets_by_magnitude(rng):
    magnitude = rng.uniform(18, 20, 400)
    offset = rng.normal(0.02, 0.01, 400)
    offset[:3] = np.nan, np.inf, 5.0
    ax = drawn(plots.offset_against_magnitude(magnitude, offset, bin_width=1, limit=0.1))
    (medians,) = ax.containers
    line, _, (bars,) = medians
    for (middle, median), bar in zip(line.get_xydata(), bars.get_segments(), strict=True):
        chosen = offset[(np.abs(magnitude - middle) < 0.5) & ~np.isnan(offset)]
        assert median == pytest.approx(np.median(chosen))
        scatter = np.median(np.abs(chosen - median)) / norm.ppf(0.75)
        err = 1.2533 * scatter / np.sqrt(chosen.size)
        np.testing.assert_allclose(bar[:, 1], [median - err, median + err])
    assert ax.get_title().startswith(f"399 sources: median {np.nanmedian(offset):+.4f} ± ")
    assert [text.get_text() for text in ax.texts] == ["2 beyond the frame"]


def test_pulls_say_their_width(rng):
    pull = rng.normal(0.5, 2.0, 10_000)
    ax = drawn(plots.pulls(np.append(pull, np.nan)))
    counts = [patch.get_height() for patch in ax.patches]
    np.testing.assert_array_equal(counts, np.histogram(pull, np.linspace(-5, 5, 41))[0])
    width = np.diff(np.percentile(pull, [15.8655, 84.1345]))[0] / 2
    assert f"width {width:.2f}; {np.count_nonzero(np.abs(pull) > 5)} beyond" in ax.get_title()
    (normal,) = ax.lines
    assert np.trapezoid(normal.get_ydata(), normal.get_xdata()) == pytest.approx(2500, rel=1e-3)


def test_offset_map_by_hand():
    x, y = [0, 1, 2, 99, 98, 97, 0], [0, 1, 2, 0, 1, 2, 49]
    offset = [0.01, 0.02, 0.09, -0.03, -0.04, -0.05, 0.5]
    ax = drawn(plots.offset_map(x, y, offset, shape=(50, 100), n_cells=2))
    shown = np.ma.filled(ax.images[0].get_array(), np.nan)
    np.testing.assert_allclose(shown, [[0.02, -0.04], [np.nan, np.nan]])
    assert ax.images[0].get_clim() == pytest.approx((-0.04, 0.04))


def test_given_axes_are_drawn_on_and_returned():
    figure = Figure()
    ax = figure.add_subplot()
    assert plots.pulls([0.1, 0.2], ax=ax) is ax
    assert plots.pulls([0.1, 0.2]).figure is not figure


def test_empty_tables_give_empty_pictures():
    none, sources = np.array([]), table()[:0]
    for ax in (
        plots.magnitude_histogram(none),
        plots.magnitude_errors(none, none),
        plots.encircled_energy(none, none),
        plots.cutout(np.full((50, 50), np.nan), sources),
        plots.flagged_gallery(image(), sources),
        plots.offset_against_magnitude(none, none),
        plots.pulls(none),
        plots.offset_map(none, none, none),
    ):
        drawn(ax)


def test_summary_page_of_a_table(tmp_path):
    figure = plots.summary_page(
        table(),
        image(),
        aperture_radii=[3.0],
        area=np.ones((100, 120)),
        curve=([1.0, 3.0], [0.5, 0.8]),
        title="a_forcedphot",
    )
    figure.savefig(tmp_path / "page.png")
    titles = [ax.get_title() for ax in figure.axes]
    assert "1 of 1 flagged sources on the image" in titles
    assert any(line.get_label() == "3 pixels: 0.7000" for ax in figure.axes for line in ax.lines)
    width, _ = figure.get_size_inches() * figure.dpi
    assert width >= 1000


def test_summary_page_without_anything_measured(tmp_path):
    sources = table(aper3pix_abmag=np.full(3, np.nan), x=np.full(3, np.nan))
    page = plots.summary_page(sources, image(), aperture_radii=[3.0], annulus_radii=None)
    page.savefig(tmp_path / "page.png")
    words = [text.get_text() for ax in page.axes for text in ax.texts]
    assert {"no pixel-area map was used", "no aperture correction was used"} <= set(words)


@pytest.mark.slow
def test_no_window_and_no_global_state():
    code = (
        "import sys, warnings; from romancal_forcedphot import plots; plots.pulls([1, 2]);"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "False"
