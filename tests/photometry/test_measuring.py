"""The measurement of any method: rows, order, batches, threads, columns."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table

from romancal_forcedphot import CircularApertures, Sources, WarningFlag, measure
from romancal_forcedphot.table import Column
from small import pixel_sources


def test_rows_survive_in_order_with_flags_that_say_why(exposure):
    x = np.array([np.nan, 100.2, -500.0, 1.0, 60.0, 150.0])
    y = np.array([50.0, 90.7, 40.0, 90.0, 60.0, 120.0])
    exposure.data[59:62, 59:62] = np.nan
    exposure.data[115:125, 145:155] = np.nan
    exposure.data[85:97, 95:106] = 2.0
    table = measure(exposure, pixel_sources(x, y), area=None)
    F = WarningFlag
    np.testing.assert_array_equal(table["label"], [1, 2, 3, 4, 5, 6])
    lost = F.CENTER_UNUSABLE | F.NOT_PLACED
    assert [F(int(flag)) for flag in table["warning_flags"]][:3] == [lost, F(0), lost]
    assert F(int(table["warning_flags"][3])) & (F.EDGE | F.NO_CORRECTION)
    assert F(int(table["warning_flags"][4])) == F.CENTER_UNUSABLE | F.MASKED | F.NO_CORRECTION
    wholly_masked = table[5]
    assert F(int(wholly_masked["warning_flags"])) & F.CENTER_UNUSABLE
    measured = np.isfinite(table["aper3pix_flux"])
    np.testing.assert_array_equal(measured, [False, True, False, True, True, False])
    # without a correction, what a cut or masked aperture lost is not known
    total = np.isfinite(table["aper3pix_total_flux"])
    np.testing.assert_array_equal(total, [False, True, False, False, False, False])


def test_sky_and_pixel_positions_agree(exposure):
    x, y = np.array([40.3, 120.9]), np.array([50.1, 99.6])
    from_pixels = measure(exposure, pixel_sources(x, y))
    ra, dec = (from_pixels[name].data for name in ("ra", "dec"))
    from_sky = measure(exposure, Sources(label=from_pixels["label"].data, ra=ra, dec=dec))
    np.testing.assert_allclose(from_sky["x"], x, atol=1e-6)
    np.testing.assert_allclose(from_sky["y"], y, atol=1e-6)
    np.testing.assert_allclose(from_sky["aper3pix_flux"], from_pixels["aper3pix_flux"], rtol=1e-4)


def test_numbers_do_not_depend_on_threads_or_company(exposure, area):
    rng = np.random.default_rng(8)
    x, y = rng.uniform(-5, 205, 3000), rng.uniform(-5, 185, 3000)
    method = CircularApertures(aperture_radii=(1.0, 3.0), annulus_radii=(6.0, 9.0))
    everyone = measure(exposure, pixel_sources(x, y), [method], area=area, n_threads=1)
    threaded = measure(exposure, pixel_sources(x, y), [method], area=area, n_threads=3)
    some = slice(1200, 1300)
    few = measure(exposure, pixel_sources(x[some], y[some]), [method], area=area)
    for name in everyone.colnames:
        np.testing.assert_array_equal(everyone[name], threaded[name])
        if name not in ("label", "warning_flags"):
            np.testing.assert_array_equal(everyone[name][some], few[name])


@dataclass(frozen=True)
class RowNumbers:
    """A method that knows the numbers of its rows, and measures them in batches of seven."""

    name: ClassVar[str] = "rows"
    uses: ClassVar[frozenset] = frozenset()
    column: str = "row_number"
    flag: int = int(WarningFlag.SATURATED)
    given: list = field(default_factory=list)

    def columns(self):
        return [Column(self.column, "float32", "", "Number of the row")]

    def bind(self, exposure, sources, x, y, **given):
        self.given.append((len(sources), given))
        return BoundRows(self, np.flatnonzero(np.isfinite(x)), len(x))


@dataclass(frozen=True)
class BoundRows:
    method: RowNumbers
    rows: np.ndarray
    n: int

    @property
    def unmeasured_flags(self):
        return np.full(self.n, WarningFlag.NOT_PLACED, dtype=np.int32)

    def batches(self):
        shuffled = np.random.default_rng(1).permutation(self.rows)
        yield from (shuffled[first : first + 7] for first in range(0, len(shuffled), 7))

    def measure(self, rows):
        flags = np.where(rows % 2, 0, self.method.flag).astype(np.int32)
        return {self.method.column: 10.0 * rows, "warning_flags": flags}


@pytest.mark.parametrize("n_threads", [1, 3])
def test_any_method_fills_the_rows_that_it_measured(exposure, n_threads):
    x, y = np.random.default_rng(2).uniform(5, 150, (2, 100))
    x[[3, 50]] = np.nan
    other = RowNumbers(column="other", flag=int(WarningFlag.EDGE))
    told = []
    method = RowNumbers()
    table = measure(
        exposure,
        pixel_sources(x, y),
        [method, other],
        psf="a PSF",
        n_threads=n_threads,
        progress=told.append,
    )
    assert table.colnames[5:] == ["row_number", "other", "warning_flags"]
    expected = np.where(np.isfinite(x), 10.0 * np.arange(100), np.nan)
    for name in ("row_number", "other"):
        np.testing.assert_array_equal(table[name], expected)
    both = WarningFlag.SATURATED | WarningFlag.EDGE
    flags = np.where(np.arange(100) % 2, 0, both)
    np.testing.assert_array_equal(
        table["warning_flags"], np.where(np.isfinite(x), flags, WarningFlag.NOT_PLACED)
    )
    assert sum(told) == 200
    (n_sources, given) = method.given[0]
    assert n_sources == 100
    assert given == {"area": None, "psf": "a PSF", "correction": None, "n_threads": n_threads}


def test_methods_stand_side_by_side_and_alone(exposure):
    """Apertures measure the same beside another method; flags are those of both."""
    catalog = pixel_sources([50.0, 60.0, np.nan], [50.0, 90.0, 5.0])
    alone = measure(exposure, catalog)
    both = measure(exposure, catalog, [RowNumbers(), CircularApertures()])
    for name in set(alone.colnames) - {"warning_flags"}:
        np.testing.assert_array_equal(both[name], alone[name])
    expected = alone["warning_flags"] | [WarningFlag.SATURATED, 0, WarningFlag.NOT_PLACED]
    np.testing.assert_array_equal(both["warning_flags"], expected)
    with pytest.raises(ValueError, match="two methods would both write column 'row_number'"):
        measure(exposure, catalog, [RowNumbers(), RowNumbers()])


def test_what_a_method_places_is_on_the_image(exposure):
    """Wherever it is: the method says, not the position."""
    catalog = pixel_sources([50.0, -40.0, np.nan], [50.0, 90.0, 5.0])
    table = measure(exposure, catalog, [RowNumbers()], on_image_only=True)
    np.testing.assert_array_equal(table["row_number"], [0.0, 10.0])


def test_a_number_of_threads_below_zero_is_refused(exposure):
    with pytest.raises(ValueError, match="n_threads is -1: expected"):
        measure(exposure, pixel_sources([50.0], [50.0]), n_threads=-1)


def test_an_empty_catalog_gives_an_empty_table(exposure):
    table = measure(exposure, pixel_sources([], []))
    assert len(table) == 0
    assert table["aper3pix_flux"].unit == u.nJy


def test_the_exposure_is_left_as_it_was(exposure):
    before = replace(exposure, data=exposure.data.copy(), err=exposure.err.copy())
    measure(exposure, pixel_sources([50.0, 3.0], [60.0, 1.0]))
    np.testing.assert_array_equal(exposure.data, before.data)
    np.testing.assert_array_equal(exposure.err, before.err)


def test_rows_off_the_image_may_be_left_out(exposure, area):
    """The same numbers as with all rows, neighbours from off the image counted too."""
    rng = np.random.default_rng(9)
    x, y = rng.uniform(-30, 230, 400), rng.uniform(-30, 210, 400)
    x[:2], y[:2] = (-2.0, -3.5), (50.0, 50.0)  # one with pixels on the image, its neighbour without
    x[2] = np.nan
    catalog = replace(pixel_sources(x, y), columns=Table({"truth": np.arange(400)}))
    everything = measure(exposure, catalog, area=area)
    table = measure(exposure, catalog, area=area, on_image_only=True)
    kept = (everything["warning_flags"] & WarningFlag.NOT_PLACED) == 0
    assert 100 < kept.sum() < 390
    assert list(kept[:3]) == [True, False, False]
    assert table["warning_flags"][0] & WarningFlag.NEIGHBOR
    for name in everything.colnames:
        np.testing.assert_array_equal(table[name], everything[name][kept], err_msg=name)
        assert table[name].unit == everything[name].unit
        assert table[name].description == everything[name].description


def test_no_row_may_be_left(exposure):
    table = measure(exposure, pixel_sources([-99.0, np.nan], [5.0, 5.0]), on_image_only=True)
    assert len(table) == 0
    assert table.colnames == measure(exposure, pixel_sources([5.0], [5.0])).colnames


def test_columns_of_the_catalog_follow_ours(exposure):
    more = Table({"type": ["PSF", "SER"], "n": np.ma.array([1, 2], mask=[False, True])})
    catalog = replace(pixel_sources([50.0, -90.0], [50.0, 50.0]), columns=more)
    table = measure(exposure, catalog)
    assert table.colnames[-3:] == ["warning_flags", "type", "n"]
    assert list(table["type"]) == ["PSF", "SER"]
    assert list(table["n"].mask) == [False, True]


@pytest.mark.parametrize("name", ["ra", "label", "source_name", "aper3pix_flux", "aper04_abmag"])
def test_columns_with_our_names_are_refused(exposure, name):
    catalog = replace(pixel_sources([50.0], [50.0]), columns=Table({name: [1]}))
    with pytest.raises(ValueError, match=f"keep_columns names '{name}'.*rename"):
        measure(exposure, catalog)
