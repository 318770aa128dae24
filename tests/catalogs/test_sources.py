"""Catalogs of every format give the positions and ids that were written, or a clear error."""

from __future__ import annotations

import decimal
import gzip
import logging
import subprocess
import sys

import astropy.units as u
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from astropy.coordinates import FK5, AltAz, Angle, EarthLocation, Galactic, Longitude, SkyCoord
from astropy.io import fits
from astropy.table import Column, MaskedColumn, QTable, Table
from astropy.time import Time
from astropy.utils.masked import Masked

from romancal_forcedphot import Sources
from romancal_forcedphot.catalogs import CatalogError, read_sources


def random_table(n=50):
    """Full-precision positions, 18-digit ids and columns that nobody asked for."""
    rng = np.random.default_rng(20261122)
    return Table(
        {
            "flux": rng.normal(size=n),
            "ra": rng.uniform(0, 360, n),
            "dec": rng.uniform(-90, 90, n),
            "type": np.where(rng.random(n) < 0.5, "PSF", "SER"),
            "id": rng.integers(2**53, 2**63 - 1, n),
        }
    )


def write_parquet(table, path, **metadata):
    """Write as tools other than astropy do: no description of the table."""
    arrow = pa.table({name: np.asarray(table[name]) for name in table.colnames})
    fields = [
        field.with_metadata({"unit": metadata.get(field.name, "None")}) for field in arrow.schema
    ]
    pyarrow.parquet.write_table(arrow.cast(pa.schema(fields)), path)


def gzipped(path):
    zipped = path.with_name(path.name + ".gz")
    zipped.write_bytes(gzip.compress(path.read_bytes()))
    return zipped


WRITERS = {
    "ecsv": lambda table, path: table.write(path, format="ascii.ecsv"),
    "comma.ecsv": lambda table, path: table.write(path, format="ascii.ecsv", delimiter=","),
    "csv": lambda table, path: table.write(path, format="ascii.csv"),
    "fits": lambda table, path: table.write(path, format="fits"),
    "parquet": lambda table, path: table.write(path, format="parquet"),
    "arrow.parquet": write_parquet,
    "vot": lambda table, path: table.write(path, format="votable"),
}


@pytest.fixture(params=WRITERS)
def write(request, tmp_path):
    """Return a function that writes a table in one of the formats and gives the path."""

    def written(table, name=None):
        path = tmp_path / (name or f"catalog.{request.param}")
        WRITERS[request.param](table, path)
        return path

    return written


def text_file(tmp_path, text, name="catalog.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


class TestFormats:
    @pytest.mark.parametrize("as_type", [str, lambda path: path])
    def test_round_trip_is_exact(self, write, as_type):
        table = random_table()
        path = write(table)
        sources = read_sources(as_type(path))
        np.testing.assert_array_equal(sources.ra, table["ra"])
        np.testing.assert_array_equal(sources.dec, table["dec"])
        np.testing.assert_array_equal(sources.label, table["id"])
        assert sources.ra.dtype == sources.dec.dtype == np.float64
        assert sources.ra.dtype.isnative
        assert sources.label.dtype == np.int64
        assert (sources.x, sources.y, sources.source_name) == (None, None, None)
        assert (len(sources), sources.name) == (len(table), path.name)

    def test_the_format_is_told_by_the_content(self, write):
        table = random_table()
        np.testing.assert_array_equal(read_sources(write(table, "catalog.dat")).ra, table["ra"])

    def test_gzipped_files(self, write):
        table = random_table()
        np.testing.assert_array_equal(read_sources(gzipped(write(table))).ra, table["ra"])

    def test_empty_catalog(self, write):
        sources = read_sources(write(random_table()[:0]))
        assert len(sources) == len(sources.ra) == len(sources.dec) == 0
        assert sources.ra.dtype == sources.dec.dtype == np.float64
        assert sources.label.dtype == np.int64
        assert sources.source_name is None

    def test_empty_catalog_without_ids(self, write):
        assert len(read_sources(write(random_table()["ra", "dec"][:0]))) == 0

    def test_missing_values_stay_as_rows(self, write):
        table = Table({"ra": [1.0, np.nan, 3.0], "dec": [-1.0, 2.0, np.nan]})
        sources = read_sources(write(table))
        np.testing.assert_array_equal(sources.ra, [1, np.nan, 3])
        np.testing.assert_array_equal(sources.dec, [-1, 2, np.nan])

    @pytest.mark.parametrize("form", ["ecsv", "csv", "fits", "parquet", "vot"])
    def test_masked_values_stay_as_rows(self, tmp_path, form):
        ra = MaskedColumn([1.0, 2.0, 3.0], mask=[False, True, False])
        path = tmp_path / f"catalog.{form}"
        table = Table({"ra": ra, "dec": [4.0, 5.0, 6.0]})
        if form == "parquet":  # astropy does not write masks; arrow's own nulls
            pyarrow.parquet.write_table(pa.table({"ra": [1.0, None, 3.0], "dec": [4, 5, 6]}), path)
        else:
            WRITERS[form](table, path)
        sources = read_sources(path)
        np.testing.assert_array_equal(sources.ra, [1, np.nan, 3])
        np.testing.assert_array_equal(sources.dec, [4, 5, 6])

    @pytest.mark.parametrize("form", ["ecsv", "parquet", "vot"])
    def test_units_survive_the_file(self, tmp_path, form):
        table = random_table()
        turned = Table(
            {"ra": np.radians(table["ra"]) * u.rad, "dec": table["dec"] * 3600 * u.arcsec},
        )
        WRITERS[form](turned, tmp_path / "catalog")
        sources = read_sources(tmp_path / "catalog")
        np.testing.assert_allclose(sources.ra, table["ra"], rtol=1e-15)
        np.testing.assert_allclose(sources.dec, table["dec"], rtol=1e-15)

    def test_units_of_the_fields_of_a_parquet_file(self, tmp_path):
        table = Table({"ra": [0.5, 1.0], "dec": [3.0, 4.0]})
        write_parquet(table, tmp_path / "catalog", ra="rad")
        sources = read_sources(tmp_path / "catalog")
        np.testing.assert_allclose(sources.ra, np.degrees([0.5, 1.0]), rtol=1e-15)
        np.testing.assert_array_equal(sources.dec, [3, 4])

    @pytest.mark.parametrize(
        "text",
        [
            "ra,dec,id\n10.5,-3,7\n",
            "ra, dec, id\n10.5, -3, 7\n",
            "ra;dec;id\n10.5;-3;7\n",
            "ra\tdec\tid\n10.5\t-3\t7\n",
            "\ufeffra,dec,id\r\n10.5,-3,7\r\n",
            "# a comment, with, commas\n\n# another\nra,dec,id\n10.5,-3,7\n",
            'name,"ra","dec",id\n"a, b",10.5,-3,7\n',
            "ra,dec,id\n10.5,-3,7",
        ],
    )
    def test_dialects_of_csv(self, tmp_path, text):
        sources = read_sources(text_file(tmp_path, text))
        assert (sources.ra.tolist(), sources.dec.tolist()) == ([10.5], [-3.0])
        assert sources.label.tolist() == [7]

    @pytest.mark.parametrize("text", ["ra,dec", "ra,dec\n", "id,ra,dec\n"])
    def test_csv_of_a_header_alone(self, tmp_path, text):
        assert len(read_sources(text_file(tmp_path, text))) == 0

    def test_csv_whose_types_change_after_a_megabyte(self, tmp_path):
        n = 100_000
        rows = "".join(f"{i}.5,{i % 90},{i}\n" for i in range(n))
        sources = read_sources(
            text_file(tmp_path, f"ra,dec,id\n{rows}null,1.5,late\n{n % 360},,x\n")
        )
        np.testing.assert_array_equal(sources.ra[:-2], (np.arange(n) + 0.5) % 360)
        np.testing.assert_array_equal(sources.ra[-2:], [np.nan, n % 360])
        np.testing.assert_array_equal(sources.dec[-2:], [1.5, np.nan])
        assert sources.source_name[[0, 5, -2, -1]].tolist() == ["0", "5", "late", "x"]

    def test_ecsv_that_only_the_reference_parser_reads(self, tmp_path):
        text = (
            "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: ra, datatype: float64}\n"
            "# - {name: dec, datatype: float64}\n# - {name: big, datatype: float128}\n"
            "ra dec big\n# a comment amid the header and the rows\n1.5 2.5 1e4000\n"
        )
        sources = read_sources(text_file(tmp_path, text, "catalog.ecsv"))
        assert (sources.ra.tolist(), sources.dec.tolist()) == ([1.5], [2.5])

    def test_the_first_table_of_a_fits_file_is_read_and_said_so(self, tmp_path, caplog):
        tables = [fits.table_to_hdu(Table({"ra": [ra], "dec": [1.0]})) for ra in (10.0, 20.0)]
        fits.HDUList([fits.PrimaryHDU(), *tables]).writeto(tmp_path / "two.fits")
        assert read_sources(tmp_path / "two.fits").ra.tolist() == [10.0]
        assert "multiple tables" in caplog.text

    @pytest.mark.parametrize("frame", ["icrs", "galactic"])
    @pytest.mark.parametrize("form", ["ecsv", "fits", "parquet"])
    def test_coordinate_columns_survive_the_file(self, tmp_path, form, frame):
        icrs = SkyCoord([10, 200] * u.deg, [-30, 89] * u.deg)
        table = QTable({"where": icrs.transform_to(frame), "id": [5, 4], "a": [1, 2] * u.Jy})
        table.write(tmp_path / f"catalog.{form}")
        sources = read_sources(tmp_path / f"catalog.{form}", keep_columns=["a"])
        np.testing.assert_allclose(sources.ra, [10, 200], atol=1e-10)
        np.testing.assert_allclose(sources.dec, [-30, 89], atol=1e-10)
        assert sources.label.tolist() == [5, 4]
        assert u.Quantity(sources.columns["a"]).to_value(u.mJy).tolist() == [1000, 2000]

    def test_parquet_reads_no_column_but_those_that_are_needed(self, tmp_path):
        columns = {"flux": [[1.0], None], "RA": [1.0, 2.0], "Dec": [3.0, 4.0], "Type": ["a", None]}
        pyarrow.parquet.write_table(pa.table(columns), tmp_path / "catalog.parquet")
        sources = read_sources(tmp_path / "catalog.parquet", keep_columns=["type"])
        assert sources.columns.colnames == ["Type"]
        assert sources.columns["Type"].mask.tolist() == [False, True]
        with pytest.raises(CatalogError, match=r"'id'.*flux, RA, Dec, Type"):
            read_sources(tmp_path / "catalog.parquet", label_column="id")

    def test_parquet_with_dictionaries_large_strings_and_many_row_groups(self, tmp_path):
        names = [f"star {i % 3}" for i in range(100)]
        arrow = pa.table(
            {
                "ra": pa.array(np.arange(100), pa.int32()),
                "dec": pa.array([decimal.Decimal(i) / 4 for i in range(100)]),
                "id": pa.array(names).dictionary_encode(),
                "note": pa.array(names, pa.large_string()),
            }
        )
        pyarrow.parquet.write_table(arrow, tmp_path / "catalog", row_group_size=7)
        sources = read_sources(tmp_path / "catalog", keep_columns=["note"])
        np.testing.assert_array_equal(sources.ra, np.arange(100))
        np.testing.assert_array_equal(sources.dec, np.arange(100) / 4)
        assert sources.source_name.tolist() == names
        assert sources.columns["note"].tolist() == names

    @pytest.mark.slow
    def test_a_process_that_read_parquet_ends_well(self, tmp_path):
        """Pyarrow's threads can abort the interpreter at its end; see `catalogs.parquet`."""
        random_table().write(tmp_path / "catalog.parquet")
        code = (
            "import sys; from romancal_forcedphot.catalogs import read_sources; "
            "print(len(read_sources(sys.argv[1])))"
        )
        command = [sys.executable, "-c", code, str(tmp_path / "catalog.parquet")]
        for _ in range(2):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert (done.returncode, done.stdout, done.stderr) == (0, "50\n", "")


class TestTables:
    def test_plain_numbers_are_degrees_and_are_not_copied(self):
        table = random_table()
        sources = read_sources(table)
        np.testing.assert_array_equal(sources.ra, table["ra"])
        assert np.shares_memory(sources.ra, table["ra"])
        assert np.shares_memory(sources.dec, table["dec"])

    def test_the_table_is_left_as_it_is(self):
        ra = MaskedColumn([-10.0, 2.0, np.inf], mask=[False, True, False], unit="deg")
        table = Table({"ra": ra, "dec": [1.0, 95.0, 3.0], "id": ["a", "b", "c"]})
        before = table.copy()
        read_sources(table, keep_columns=["id"])
        assert table.colnames == before.colnames
        for name in table.colnames:
            np.testing.assert_array_equal(np.asarray(table[name]), np.asarray(before[name]))
        np.testing.assert_array_equal(table["ra"].mask, before["ra"].mask)
        assert table["ra"].unit == u.deg

    @pytest.mark.parametrize("kind", [Table, QTable])
    @pytest.mark.parametrize(
        ("unit", "per_degree"),
        [
            ("deg", 1),
            ("rad", np.pi / 180),
            ("hourangle", 1 / 15),
            ("arcmin", 60),
            ("arcsec", 3600),
            ("mas", 3.6e6),
        ],
    )
    def test_units_of_angle(self, kind, unit, per_degree):
        ra, dec = np.array([0, 12.25, 359.5]), np.array([-89.5, 0, 45.125])
        table = kind({"ra": ra * per_degree * u.Unit(unit), "dec": dec * per_degree * u.Unit(unit)})
        sources = read_sources(table)
        np.testing.assert_allclose(sources.ra, ra, rtol=4e-16)
        np.testing.assert_allclose(sources.dec, dec, rtol=4e-16)

    @pytest.mark.parametrize("unit", ["degrees", "Degree", "DEG", "radians", ""])
    def test_units_as_people_write_them(self, unit):
        factor = 180 / np.pi if unit == "radians" else 1
        ra = Column([1.0, 2.0])
        ra.unit = u.Unit(unit, parse_strict="silent")
        sources = read_sources(Table({"ra": ra, "dec": [3.0, 4.0]}))
        np.testing.assert_allclose(sources.ra, np.array([1.0, 2.0]) * factor, rtol=1e-15)

    def test_angle_objects_and_masked_quantities(self):
        table = QTable(
            {
                "ra": Longitude(["1h30m0s", "23h0m0s"]),
                "dec": Masked([1.0, 2.0] * u.rad, mask=[False, True]),
            }
        )
        sources = read_sources(table)
        np.testing.assert_allclose(sources.ra, [22.5, 345.0])
        np.testing.assert_allclose(sources.dec, [np.degrees(1.0), np.nan])
        table["dec"] = Angle([5, 6], u.deg)
        assert read_sources(table).dec.tolist() == [5.0, 6.0]

    @pytest.mark.parametrize("dtype", [">f8", "i2", "u8", "f4", object])
    def test_types_of_number(self, dtype):
        table = Table({"ra": np.array([1, 2], dtype), "dec": np.array([3, 4], dtype)})
        sources = read_sources(table)
        assert sources.ra.tolist() == [1.0, 2.0]
        assert sources.ra.dtype == np.float64
        assert sources.ra.dtype.isnative

    def test_single_precision_is_warned_of(self, caplog):
        ra = np.array([270.1], np.float32)
        read_sources(Table({"ra": ra, "dec": [1.0]}))
        assert "'ra' is of single precision" in caplog.text
        assert "'dec'" not in caplog.text.replace("'ra' and 'dec'", "")
        assert 0.05 < np.spacing(ra[0]) * 3600 < 0.12  # the error is half of the spacing

    def test_numbers_held_as_text_or_objects(self):
        table = Table(
            {
                "ra": ["1.5", " 2 ", "", "nan"],
                "dec": Column([decimal.Decimal("4.25"), None, 3, b"7"], dtype=object),
            }
        )
        sources = read_sources(table)
        np.testing.assert_array_equal(sources.ra, [1.5, 2, np.nan, np.nan])
        np.testing.assert_array_equal(sources.dec, [4.25, np.nan, 3, 7])

    def test_right_ascensions_are_brought_into_one_turn(self):
        ra = [-10.0, 360.0, 370.25, 0.0, -1e-20, np.nan, 359.999]
        sources = read_sources(Table({"ra": ra, "dec": np.zeros(7)}))
        np.testing.assert_array_equal(sources.ra, [350, 0, 10.25, 0, 0, np.nan, 359.999])

    def test_impossible_declinations_have_no_position(self, caplog):
        dec = [90.0, -90.0, 90.5, -99.0, np.nan, np.inf]
        sources = read_sources(Table({"ra": np.arange(6.0), "dec": dec, "id": np.arange(6) + 10}))
        np.testing.assert_array_equal(sources.dec, [90, -90, *[np.nan] * 4])
        assert sources.label.tolist() == [10, 11, 12, 13, 14, 15]
        assert "2 declinations beyond 90 degrees, the first 90.5 in row 3" in caplog.text

    def test_take_follows_the_rows(self):
        table = Table(
            {"ra": [1.0, 2, 3], "dec": [4.0, 5, 6], "id": ["a", "b", "c"], "m": [7, 8, 9]}
        )
        sources = read_sources(table, keep_columns=["m"])
        for rows in (np.array([2, 0]), np.array([True, False, True])[::1], slice(1, None)):
            part = sources.take(rows)
            np.testing.assert_array_equal(part.ra, table["ra"][rows])
            np.testing.assert_array_equal(part.source_name, table["id"][rows])
            np.testing.assert_array_equal(part.columns["m"], table["m"][rows])
            np.testing.assert_array_equal(part.label, np.arange(1, 4)[rows])
            assert (part.x, part.name) == (None, sources.name)


class TestCoordinates:
    @pytest.mark.parametrize(
        "frame",
        [
            Galactic(),
            FK5(equinox="J1975"),
            AltAz(
                obstime=Time("2015-06-01"), location=EarthLocation.from_geodetic(10, 50), pressure=0
            ),
        ],
        ids=lambda frame: frame.name,
    )
    @pytest.mark.parametrize("in_table", [False, True])
    def test_any_frame_becomes_icrs(self, frame, in_table):
        icrs = SkyCoord([10, 200, 359] * u.deg, [-30, 89, 0] * u.deg)
        coordinates = icrs.transform_to(frame)
        sources = read_sources(QTable({"c": coordinates}) if in_table else coordinates)
        separation = SkyCoord(sources.ra, sources.dec, unit="deg").separation(icrs)
        assert separation.to_value(u.mas).max() < 0.1
        assert not np.allclose(coordinates.spherical.lon.deg, sources.ra, atol=0.01)

    def test_one_position_and_none(self):
        assert read_sources(SkyCoord(10 * u.deg, 20 * u.deg)).ra.tolist() == [10.0]
        assert len(read_sources(SkyCoord([], [], unit="deg"))) == 0

    def test_missing_positions_stay_as_rows(self):
        lon = [np.nan, 10.0, 20.0] * u.deg
        sources = read_sources(SkyCoord(lon, [0, np.nan, 5] * u.deg, frame="galactic"))
        assert np.isnan(sources.ra[:2]).all()
        assert np.isfinite(sources.ra[2])

    def test_masked_positions_stay_as_rows(self):
        lon = Masked([5.0, 10.0] * u.deg, mask=[False, True])
        sources = read_sources(SkyCoord(lon, [1.0, 2.0] * u.deg))
        np.testing.assert_array_equal(sources.ra, [5, np.nan])
        assert sources.dec[0] == 1

    def test_columns_of_numbers_win_over_coordinates_unless_named(self):
        table = QTable({"sky": SkyCoord([1] * u.deg, [2] * u.deg), "ra": [3.0], "dec": [4.0]})
        assert read_sources(table).ra.tolist() == [3.0]
        assert read_sources(table, ra_column="Sky").ra.tolist() == [1.0]

    def test_coordinates_win_over_half_a_pair_and_pixels(self):
        table = QTable({"c": SkyCoord([1] * u.deg, [2] * u.deg), "ra": [3.0], "x": [5], "y": [6]})
        sources = read_sources(table)
        assert (sources.ra.tolist(), sources.dec.tolist(), sources.x) == ([1.0], [2.0], None)

    def test_several_columns_of_coordinates(self):
        first, second = (SkyCoord([i] * u.deg, [2] * u.deg) for i in (10, 20))
        with pytest.raises(
            CatalogError, match=r"several columns of coordinates, a, b.*--ra_column"
        ):
            read_sources(QTable({"a": first, "b": second}))
        assert read_sources(QTable({"a": first, "b": second}), ra_column="b").ra.tolist() == [20]
        assert read_sources(QTable({"a": first, "sky_centroid": second})).ra.tolist() == [20]


class TestColumns:
    @pytest.mark.parametrize(
        ("ra", "dec"),
        [
            ("ra", "dec"),
            ("RA", "DEC"),
            ("Ra", "Dec"),
            ("ra_centroid", "dec_centroid"),
            ("RAJ2000", "DEJ2000"),
            ("ALPHA_J2000", "DELTA_J2000"),
        ],
    )
    def test_usual_names_of_sky_positions(self, ra, dec):
        table = Table({"x": [1.0], "y": [2.0], dec: [20.0], ra: [10.0]})
        sources = read_sources(table)
        assert (sources.ra.tolist(), sources.dec.tolist()) == ([10.0], [20.0])
        assert (sources.x, sources.y) == (None, None)

    @pytest.mark.parametrize(
        ("x", "y"),
        [("x", "y"), ("X", "Y"), ("x_centroid", "y_centroid"), ("xcentroid", "ycentroid")],
    )
    @pytest.mark.parametrize("unit", [None, u.pix])
    def test_usual_names_of_pixel_positions(self, x, y, unit):
        ys = MaskedColumn([3.0, 4.0, 5.0], mask=[False, True, False], unit=unit)
        table = Table({y: ys, x: Column([-1.5, 2.0, np.inf], unit=unit)})
        sources = read_sources(table)
        np.testing.assert_array_equal(sources.x, [-1.5, 2, np.nan])
        np.testing.assert_array_equal(sources.y, [3, np.nan, 5])
        assert (sources.ra, sources.dec) == (None, None)

    def test_ra_and_dec_come_before_other_usual_names(self):
        table = Table({"ra_centroid": [1.0], "dec_centroid": [2.0], "RA": [3.0], "DEC": [4.0]})
        assert read_sources(table).ra.tolist() == [3.0]

    def test_the_exact_spelling_comes_first(self):
        table = Table({"RA": [1.0], "ra": [2.0], "dec": [3.0], "Dec": [4.0]})
        assert (read_sources(table).ra[0], read_sources(table).dec[0]) == (2.0, 3.0)
        assert read_sources(table, ra_column="RA").ra[0] == 1.0

    def test_named_columns(self):
        table = Table({"ra": [1.0], "dec": [2.0], "A0": [3.0], "D0": [4.0], "n": [9], "id": [8]})
        sources = read_sources(table, ra_column="a0", dec_column="D0", label_column="n")
        assert (sources.ra[0], sources.dec[0], sources.label[0]) == (3.0, 4.0, 9)
        assert read_sources(table, ra_column="A0").dec[0] == 2.0

    def test_named_pixel_columns(self):
        table = Table({"col": [3.0], "row": [4.0], "y": [7.0]})
        sources = read_sources(table, x_column="col", y_column="row")
        assert (sources.x[0], sources.y[0]) == (3.0, 4.0)
        assert read_sources(table, x_column="col").y[0] == 7.0

    def test_sky_positions_win_over_named_pixels_with_a_warning(self, caplog):
        table = Table({"ra": [1.0], "dec": [2.0], "px": [3.0], "py": [4.0]})
        sources = read_sources(table, x_column="px", y_column="py")
        assert (sources.ra[0], sources.x) == (1.0, None)
        assert "x_column and y_column are not used" in caplog.text

    def test_named_pixels_help_where_half_a_sky_position_stands(self):
        table = Table({"ra": [1.0], "x": [3.0], "y": [4.0]})
        assert read_sources(table, x_column="x", y_column="y").x.tolist() == [3.0]

    def test_the_log_says_which_columns_were_used(self, caplog):
        caplog.set_level(logging.INFO, "romancal")
        read_sources(Table({"RA": [1.0], "dec": [2.0]}))
        assert "Positions come from 'RA' and 'dec'" in caplog.text

    def test_kept_columns_are_as_they_were(self):
        table = random_table()
        sources = read_sources(table, keep_columns=["Type", "flux"])
        assert sources.columns.colnames == ["type", "flux"]
        np.testing.assert_array_equal(sources.columns["flux"], table["flux"])
        assert np.shares_memory(sources.columns["flux"], table["flux"])
        assert read_sources(table).columns is None


class TestLabels:
    def read(self, ids, name="id", **parameters):
        table = Table({"ra": np.zeros(len(ids)), "dec": np.zeros(len(ids)), name: ids})
        return read_sources(table, **parameters)

    @pytest.mark.parametrize("name", ["label", "id", "source_id", "ID", "Source_ID"])
    def test_usual_names(self, name):
        assert self.read([5, 3], name).label.tolist() == [5, 3]

    def test_label_comes_before_id_before_source_id(self):
        table = Table({"ra": [0.0], "dec": [0.0], "source_id": [3], "ID": [2], "label": [1]})
        for expected in ("label", "ID", "source_id"):
            assert read_sources(table).label[0] == table[expected][0]
            table.remove_column(expected)
        assert read_sources(table).label.tolist() == [1]

    @pytest.mark.parametrize("dtype", ["i4", ">i8", "u1", "u8", "f4", "f8"])
    def test_integers_in_any_type(self, dtype):
        sources = self.read(np.array([7, 7, 0, 120], dtype))
        assert sources.label.tolist() == [7, 7, 0, 120]
        assert sources.label.dtype == np.int64
        assert sources.source_name is None

    @pytest.mark.parametrize(
        ("ids", "names"),
        [
            (["b", "a", "b"], ["b", "a", "b"]),
            (np.array([b"star 1 ", b"caf\xc3\xa9", b""]), ["star 1", "café", ""]),
            (MaskedColumn([4, 5, 6], mask=[False, True, False]), ["4", "", "6"]),
            (MaskedColumn(["x", "y", "z"], mask=[True, False, False]), ["", "y", "z"]),
            ([1.5, 2.0, 3.0], ["1.5", "2.0", "3.0"]),
            (Column([None, "q", 7], dtype=object), ["", "q", "7"]),
            (np.array([1, 2, 2**64 - 1], np.uint64), ["1", "2", "18446744073709551615"]),
        ],
    )
    def test_other_ids_are_names(self, ids, names):
        sources = self.read(ids)
        assert sources.source_name.tolist() == names
        assert sources.source_name.dtype.kind == "U"
        assert sources.label.tolist() == [1, 2, 3]

    def test_floats_that_lost_digits_are_not_taken_for_ids(self, caplog):
        sources = self.read(np.array([2.0**60, 2.0**60 + 2**8]))
        assert (sources.label.tolist(), sources.source_name) == ([1, 2], None)
        assert "more digits than its floats" in caplog.text

    def test_no_ids_at_all(self):
        sources = self.read(MaskedColumn([1, 2], mask=[True, True]))
        assert (sources.label.tolist(), sources.source_name) == ([1, 2], None)

    def test_a_named_column_of_text(self):
        assert self.read(["m", "n"], "Name", label_column="name").source_name.tolist() == ["m", "n"]


class TestErrors:
    def error(self, catalog, **parameters):
        with pytest.raises(CatalogError) as caught:
            read_sources(catalog, **parameters)
        message = str(caught.value)
        assert "\n" not in message
        return message

    def test_missing_file(self, tmp_path):
        message = self.error(tmp_path / "none.ecsv")
        assert str(tmp_path / "none.ecsv") in message
        assert "does not exist" in message

    def test_directory(self, tmp_path):
        assert "is a directory" in self.error(str(tmp_path))

    @pytest.mark.parametrize("catalog", ["", "  "])
    def test_no_catalog(self, catalog):
        assert "--catalog=FILE" in self.error(catalog)

    @pytest.mark.parametrize("catalog", [None, 3, [1, 2], {"ra": [1], "dec": [2]}])
    def test_something_else(self, catalog):
        message = self.error(catalog)
        assert type(catalog).__name__ in message
        assert "expected the path of a file, an astropy Table" in message

    @pytest.mark.parametrize(
        ("content", "name"),
        [
            (b"this is no catalog\n", "catalog.txt"),
            (b"ra dec\n1 2\n", "catalog.dat"),
            (b"\x89HDF\r\n\x1a\n" + bytes(100), "catalog.h5"),
            (b"\x89HDF\r\n\x1a\n" + bytes(100), "catalog.csv"),
            (b"not a fits file", "catalog.fits"),
            (b"not a parquet file", "catalog.parquet"),
            (b"<?xml version='1.0'?><html></html>", "catalog.xml"),
        ],
    )
    def test_unknown_format(self, tmp_path, content, name):
        message = self.error(text_file(tmp_path, content, name))
        assert name in message
        assert "unknown format" in message
        assert "expected ECSV, FITS, CSV, Parquet, VOTable or ASDF" in message

    def test_nothing_in_the_file(self, tmp_path):
        assert "empty (0 bytes)" in self.error(text_file(tmp_path, b"", "catalog.ecsv"))

    @pytest.mark.parametrize("part", [0.02, 0.5, 0.9])
    def test_truncated_file(self, write, part):
        table = random_table(2000)
        path = write(table)
        content = path.read_bytes()[: int(path.stat().st_size * part)]
        if path.suffix in (
            ".ecsv",
            ".csv",
        ):  # end within a row: an end between rows leaves no trace
            content = content.rpartition(b"\n")[0] + b"\n1.5"
        path.write_bytes(content)
        message = self.error(path)
        assert path.name in message
        assert "cannot be read as" in message

    def test_truncated_gzip(self, write):
        path = gzipped(write(random_table(2000)))
        path.write_bytes(path.read_bytes()[:-3000])
        assert "cannot be read as" in self.error(path)

    def test_fits_without_a_table(self, tmp_path):
        fits.PrimaryHDU(np.zeros((3, 3))).writeto(tmp_path / "image.fits")
        assert "cannot be read as FITS" in self.error(tmp_path / "image.fits")

    @pytest.mark.parametrize("names", [("a", "b"), ("ra_err", "dec_err"), ("x", "dec_v"), ()])
    def test_no_positions(self, names):
        table = Table({name: [1.0] for name in names if name != "x"})
        message = self.error(table)
        assert "no sky or pixel positions" in message
        assert "--ra_column/--dec_column" in message
        assert all(name in message for name in table.colnames)

    @pytest.mark.parametrize(
        "names", [("ra",), ("DEC",), ("ra", "x", "y"), ("ra_centroid", "dej2000"), ("RA", "Decl")]
    )
    def test_one_of_ra_and_dec(self, names):
        message = self.error(Table({name: [1.0] for name in names}))
        assert f"only one of the two sky columns, {names[0]!r}" in message
        assert "--ra_column/--dec_column" in message
        assert ", ".join(names) in message

    def test_one_of_ra_and_dec_where_the_other_is_named(self):
        message = self.error(Table({"A": [1.0], "b": [2.0]}), ra_column="A")
        assert "only one of the two sky columns, 'A'" in message

    def test_one_of_x_and_y(self):
        message = self.error(Table({"x": [1.0], "flux": [1.0]}))
        assert "only one of the two pixel columns, 'x'" in message
        assert "--x_column/--y_column" in message

    @pytest.mark.parametrize("axis", ["ra", "dec", "x", "y", "label"])
    def test_a_named_column_that_is_not_there(self, axis):
        table = Table({"ra": [1.0], "dec": [2.0], "x": [1.0], "y": [2.0]})
        message = self.error(table, **{f"{axis}_column": "nope"})
        assert f"no column 'nope', named by {axis}_column" in message
        assert "ra, dec, x, y" in message
        assert "keep_columns" in self.error(table, keep_columns=["nope"])

    @pytest.mark.parametrize("form", ["csv", "ecsv", "fits", "parquet", "vot"])
    def test_text_in_a_column_of_numbers(self, tmp_path, form):
        table = Table({"ra": ["1.0", "12:34:56", "abc"], "dec": [1.0, 2.0, 3.0]})
        WRITERS[form](table, tmp_path / f"catalog.{form}")
        message = self.error(tmp_path / f"catalog.{form}")
        assert "column 'ra' has '12:34:56' in row 2" in message
        assert f"catalog.{form}" in message
        assert "--ra_column/--dec_column" in message

    def test_text_in_a_column_that_ecsv_says_is_of_numbers(self, tmp_path):
        path = tmp_path / "catalog.ecsv"
        Table({"ra": [1.5, 77.25], "dec": [1.0, 2.0]}).write(path)
        path.write_text(path.read_text().replace("77.25", "oops"))
        message = self.error(path)
        assert "catalog.ecsv" in message
        assert "'ra'" in message
        assert "oops" in message

    @pytest.mark.parametrize(
        "values", [[True, False], np.array([1j, 2j]), Time([1, 2], format="jd")]
    )
    def test_other_types_in_a_column_of_numbers(self, values):
        message = self.error(QTable({"ra": values, "dec": [1.0, 2.0]}))
        assert "column 'ra'" in message
        assert "number" in message

    @pytest.mark.parametrize("unit", ["Jy", "m", "s", "h", "pix", "furlongs"])
    def test_units_that_are_no_angle(self, unit):
        ra = Column([1.0, 2.0])
        ra.unit = u.Unit(unit, parse_strict="silent")
        message = self.error(Table({"ra": ra, "dec": [1.0, 2.0]}))
        assert f"column 'ra' is in {unit!r}, which is no angle" in message
        assert "hourangle" in message

    def test_units_that_are_no_pixels(self):
        message = self.error(QTable({"x": [1.0] * u.mm, "y": [1.0]}))
        assert "column 'x' is in 'mm'" in message
        assert "--x_column" in message

    @pytest.mark.parametrize("shape", [(2, 2), (2, 1)])
    def test_columns_of_arrays(self, shape):
        values = np.zeros(shape)
        good = np.zeros(2)
        for axis in ("ra", "dec", "id"):
            table = Table({"ra": good, "dec": good, "id": [1, 2]} | {axis: values})
            message = self.error(table)
            assert f"column {axis!r} has the shape {shape[0]}x{shape[1]}" in message
        coordinates = SkyCoord(np.zeros(shape), np.zeros(shape), unit="deg")
        assert "shape" in self.error(QTable({"sky": coordinates}))

    def test_a_frame_that_is_not_of_the_sky(self):
        coordinates = SkyCoord([1] * u.deg, [2] * u.deg, frame=AltAz())
        message = self.error(QTable({"c": coordinates}))
        assert "cannot be transformed from altaz to ICRS" in message


def test_sources_are_frozen():
    sources = Sources(label=np.arange(2), ra=np.zeros(2), dec=np.zeros(2))
    with pytest.raises(AttributeError):
        sources.ra = None


@pytest.mark.parametrize(
    "column",
    [
        ["G2V ", "", "M6V"],
        np.array([b"G2V", b"", b"M6V "]),
        np.array(["G2V", None, "M6V"], dtype=object),
        np.ma.array(["G2V", "A0V", "M6V"], mask=[False, True, False]),
    ],
    ids=["text", "bytes", "objects", "masked"],
)
def test_spectral_types_are_names_or_nothing(column):
    catalog = Table({"x": [1.0, 2.0, 3.0], "y": [1.0, 2.0, 3.0], "SpType": column})
    sources = read_sources(catalog, spectral_type_column="sptype")
    assert sources.spectral_type.tolist() == ["G2V", "", "M6V"]
    assert sources.take(np.array([2, 0])).spectral_type.tolist() == ["M6V", "G2V"]
    assert read_sources(catalog).spectral_type is None
