"""Pictures of light curves: what is drawn, not how it looks."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.time import Time
from astropy.timeseries import TimeSeries
from lightcurves.images import PLAIN, Field
from lightcurves.test_collation import make_dataset

from romancal_forcedphot import lightcurves, plots
from romancal_forcedphot.lightcurves.cutouts import cutouts
from romancal_forcedphot.lightcurves.measuring.rows import derived_columns


def made(flux, err=10.0, flags=0):
    flux = np.asarray(flux, dtype=float)
    series = TimeSeries(time=Time(61000.0 + np.arange(len(flux)), format="mjd", scale="tai"))
    series["band"] = np.where(np.arange(len(flux)) % 2, "F158", "F106")
    series["flux"], series["flux_err"] = flux * u.nJy, np.full(len(flux), err) * u.nJy
    for name, values in derived_columns(flux, np.full(len(flux), err)).items():
        series[name] = values
    series["warning_flags"] = np.broadcast_to(flags, len(flux))
    return series


def drawn(axes):
    """Points by marker style: (x, y) of all lines that have markers."""
    return [line for line in axes.lines if line.get_marker() not in ("None", "", None)]


def test_detections_are_points_and_others_are_limits():
    axes = plots.light_curve(made([100, 120, -5, 8, 100, 110]))
    arrows = [line for line in drawn(axes) if line.get_marker() == "v"]
    shown = sum(len(line.get_xdata()) for line in drawn(axes))
    assert shown == 6
    assert sum(len(line.get_xdata()) for line in arrows) == 2
    np.testing.assert_allclose(arrows[0].get_ydata(), 31.4 - 2.5 * np.log10(30.0), rtol=1e-6)
    assert axes.yaxis_inverted()
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert sorted(labels) == ["F106: 1 limit", "F106: 2", "F158: 1 limit", "F158: 2"]


def test_the_source_is_named_above():
    series = made([100, 120])
    assert plots.light_curve(series).get_legend().get_title().get_text() == ""
    for name, value in (("label", 17), ("source_name", "Mira")):
        series.meta[name] = value
        title = plots.light_curve(series).get_legend().get_title().get_text()
        assert title == f"Source {value}"


def test_fluxes_are_all_drawn_and_flags_are_hollow():
    axes = plots.light_curve(made([100, -20, 5, 7], flags=[0, 4, 0, 0]), quantity="flux")
    assert sum(len(line.get_xdata()) for line in drawn(axes)) == 4
    assert any(line.get_markerfacecolor() == "none" for line in drawn(axes))
    assert not axes.yaxis_inverted()


def test_a_folded_curve_shows_two_periods():
    axes = plots.light_curve(made(np.full(8, 200.0)), period=2.5, epoch=61000.5)
    x = np.concatenate([line.get_xdata() for line in drawn(axes)])
    assert len(x) == 16
    assert x.min() >= 0
    assert x.max() < 2
    phase = np.mod((np.arange(8) - 0.5) / 2.5, 1)
    np.testing.assert_allclose(np.sort(x), np.sort([*phase, *(phase + 1)]), atol=1e-9)


def test_what_is_not_there_is_refused():
    with pytest.raises(ValueError, match="one of abmag, flux"):
        plots.light_curve(made([1.0]), quantity="flux_difference")
    with pytest.raises(ValueError, match="period is -1"):
        plots.light_curve(made([1.0]), period=-1)
    with pytest.raises(ValueError, match="no cutout"):
        plots.cutout_series([], [])


def test_an_empty_curve_is_an_empty_picture():
    assert drawn(plots.light_curve(made([]))) == []


def test_the_scatter_of_constant_stars_is_that_of_their_errors(tmp_path):
    dataset = make_dataset(tmp_path)
    lightcurves.collate(dataset)
    curves = lightcurves.open(tmp_path)
    axes = plots.rms_against_magnitude(curves.table(), "F106")
    magnitude, scatter = np.asarray(axes.collections[0].get_offsets()).T
    x, expected = axes.lines[0].get_data()
    ratio = scatter / np.interp(magnitude, x, expected)
    assert 0.7 < np.median(ratio) < 1.3
    assert len(curves.plot(1003).figure.axes) == 1


@pytest.mark.slow
def test_cutouts_are_centred_on_the_source(tmp_path):
    field = Field()
    images = [field.save(tmp_path / f"e{n}_cal.asdf", 61000 + n, seed=n) for n in range(3)]
    lightcurves.run(
        images, field.catalog, output_dir=tmp_path / "series", settings=PLAIN, n_workers=1
    )
    curves = lightcurves.open(tmp_path / "series")
    brightest = 101 + int(np.argmax(field.flux))
    stamps, titles = cutouts(curves, brightest, side=15)
    assert [title.split()[0] for title in titles] == ["F106"] * 3
    for stamp in stamps:
        assert stamp.shape == (15, 15)
        assert np.unravel_index(np.argmax(stamp), stamp.shape) == (7, 7)
    assert len(plots.cutout_series(stamps, titles).axes) == 3
    images[1].unlink()
    assert len(cutouts(curves, brightest)[0]) == 2
    wide, _ = cutouts(curves, 101, side=101, most=1)
    assert np.isnan(wide[0]).any()
