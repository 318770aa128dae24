"""The product: its metadata, its schema, its files."""

import copy
import json
import os
import subprocess
import sys

import asdf
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import roman_datamodels.datamodels as rdm
from asdf.exceptions import AsdfWarning, ValidationError
from astropy.table import Table
from astropy.time import Time
from astropy.units import Unit

from romancal_forcedphot import ForcedPhotometryModel
from romancal_forcedphot.product.resources import SCHEMA_URI, TAG_URI
from romancal_forcedphot.storage import StorageError
from romancal_forcedphot.table import model_columns, psf_columns
from small import output_columns, save_image

RADII = [3.0, 3.5]


def make_table(n_rows, *, source_names=False):
    """A table of random numbers with the right columns, NaN in the first row."""
    rng = np.random.default_rng(7)
    table = Table()
    for column in output_columns(RADII, source_names=source_names):
        if column.dtype == "str":
            values = np.array([f"Δ {'x' * i}" for i in range(n_rows)], dtype=str)
        elif column.dtype.startswith("int"):
            values = rng.integers(0, np.iinfo(column.dtype).max, n_rows, dtype=column.dtype)
        else:
            values = rng.normal(size=n_rows).astype(column.dtype)
            values[:1] = np.nan
        table[column.name] = values
        table[column.name].unit = column.unit or None
        table[column.name].description = column.description
    return table


def make_model(n_rows=3, *, image=None, **kwargs):
    forced_phot = {
        "methods": ["aperture"],
        "parameters": {"aperture_radii": tuple(RADII), "dq_mask": ["DO_NOT_USE"]},
        "aperture_radii": np.array(RADII),
        "aperture_radius_unit": "pixel",
        "ee_fractions": [np.float64(0.81), None],
        "catalog": {"name": "cat.ecsv", "n_rows": np.int64(n_rows)},
        "pixel_area": {"source": "wcs", "reason": "no reference file"},
        "aperture_correction": {"source": "none"},
    }
    image = make_image() if image is None else image
    return ForcedPhotometryModel.from_image(image.meta, make_table(n_rows, **kwargs), forced_phot)


def make_image(tag=None):
    image = rdm.ImageModel.create_fake_data(shape=(8, 8), tag=tag)
    image.meta.filename = type(image.meta.filename)("r0001_wfi01_f106_cal.asdf")
    image.meta.instrument.detector = "WFI07"
    image.meta.exposure.read_pattern = [[1], [2, 3], [4]]
    return image


def flat(model):
    return {key: str(value) for key, value in model.to_flat_dict().items() if ".meta." in key}


def assert_same_table(found, expected):
    assert found.colnames == expected.colnames
    for name in expected.colnames:
        assert found[name].dtype == expected[name].dtype, name
        assert found[name].unit == expected[name].unit, name
        assert found[name].description == expected[name].description, name
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


# --- metadata ------------------------------------------------------------------------------


def test_metadata_are_those_of_romancals_catalog():
    """`create_minimal` is how romancal's SourceCatalogStep starts its catalog."""
    image = make_image()
    rad = rdm.ImageSourceCatalogModel.create_minimal({"meta": image.meta})
    ours, theirs = flat(make_model(image=image)), flat(rad)
    own = {f"roman.meta.ref_file.{name}" for name in ("area", "apcorr", "epsf")}
    own |= {"roman.meta.model_type", "roman.meta.file_date"}
    assert len(theirs) > 60
    for key in theirs.keys() - own:
        assert ours[key] == theirs[key], key
    assert ours["roman.meta.model_type"] == "ForcedPhotometryModel"
    assert ours["roman.meta.image.filename"] == "r0001_wfi01_f106_cal.asdf"
    assert ours["roman.meta.filename"] == "r0001_wfi01_f106_cal.asdf"
    assert {ours[key] for key in own if "ref_file" in key} == {"N/A"}
    assert not [key for key in ours if ".wcs." in key or key.endswith(".wcs")]


def test_image_is_neither_changed_nor_shared():
    image, table = make_image(), make_table(3)
    before = copy.deepcopy(image.meta._data)
    dates = (image.meta.file_date.copy(), table["ra"].copy())
    model = make_model(image=image)
    model.meta.exposure.read_pattern[0].append(99)
    model.meta.instrument.detector = "WFI01"
    model.meta.ref_file.area = "crds://area.asdf"
    model.meta.cal_logs.append("changed")
    assert json.dumps(before, default=str) == json.dumps(image.meta._data, default=str)
    assert image.meta.file_date == dates[0]
    model = ForcedPhotometryModel.from_image(image.meta, table, dict(model.meta.forced_phot))
    model.source_catalog["ra"][:] = 1.0
    np.testing.assert_array_equal(table["ra"], dates[1])


@pytest.mark.parametrize("version", ["1.0.0", "1.4.0", "1.8.0", "2.0.0", "2.1.0"])
def test_images_of_every_generation(tmp_path, caplog, version):
    """Nothing that the image says is lost; what it does not say is filled, and said to be.

    The image is read from a file, as a lazy tree, and closed before the product is used.
    """
    image = make_image(f"asdf://stsci.edu/datamodels/roman/tags/wfi_image-{version}")
    if version == "1.0.0":
        image.meta.exposure.data_problem = True  # RAD has text here since
    with rdm.open(image.save(tmp_path / "r0001_wfi01_f106_cal.asdf")) as opened:
        model = make_model(image=opened)
    path = model.save(tmp_path / "product.asdf")
    with rdm.open(path) as product:
        assert list(product.meta.exposure.read_pattern[1]) == [2, 3]
        assert product.meta.instrument.detector == "WFI07"
        assert type(product.meta.telescope) is str
        assert type(product.meta.file_date) is Time
        if version == "1.0.0":
            assert product.meta.exposure.data_problem == "True"
    lacks = "hga_move" not in image.meta.exposure
    assert lacks == (version < "1.8")
    assert ("meta.exposure.hga_move" in caplog.text) == lacks


def test_a_required_block_that_an_image_lacks_is_filled(caplog):
    image = make_image()
    del image.meta["ref_file"]
    model = make_model(image=image)
    model.validate()
    assert model.meta.ref_file.gain == "N/A"
    assert "meta.ref_file.crds" in caplog.text


def test_what_the_step_writes_into_the_metadata(tmp_path):
    model = make_model()
    model.meta.cal_logs = ["one line", "another"]
    model.meta.ref_file.area = "crds://roman_wfi_area_0001.asdf"
    model.meta.ref_file.crds.context = "roman_0042.pmap"
    with rdm.open(model.save(tmp_path / "product.asdf")) as product:
        assert list(product.meta.cal_logs) == ["one line", "another"]
        assert product.meta.ref_file.area == "crds://roman_wfi_area_0001.asdf"
        assert product.meta.ref_file.crds.context == "roman_0042.pmap"
        assert product.meta.forced_phot.pixel_area.reason == "no reference file"
        assert list(product.meta.forced_phot.ee_fractions) == [0.81, None]


def test_crds_parameters():
    model = make_model()
    parameters = model.get_crds_parameters()
    assert model.crds_observatory == "roman"
    assert parameters["roman.meta.instrument.detector"] == "WFI07"
    assert all(isinstance(v, str | int | float) for v in parameters.values())


def test_copies_are_independent():
    model = make_model()
    deep, same = model.copy(), rdm.open(model)
    deep.source_catalog["x"][:] = 0.0
    deep.meta.forced_phot.catalog["name"] = "other"
    assert type(deep) is type(same) is ForcedPhotometryModel
    assert_same_table(model.source_catalog, make_table(3))
    assert same.meta.forced_phot.catalog.name == "cat.ecsv"
    deep.validate()


def test_saving_names_and_dates_the_file_only(tmp_path):
    model = make_model()
    with rdm.open(model.save(tmp_path / "product.asdf")) as product:
        assert product.meta.filename == "product.asdf"
        assert product.meta.file_date >= model.meta.file_date
        assert product.meta.model_type == "ForcedPhotometryModel"
    assert model.meta.filename == "r0001_wfi01_f106_cal.asdf"


# --- files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("source_names", [False, True])
@pytest.mark.parametrize("n_rows", [0, 1, 3, 2000])
def test_round_trip(tmp_path, n_rows, source_names):
    """Short tables are written inline, long ones as blocks."""
    model = make_model(n_rows, source_names=source_names)
    with rdm.open(model.save(tmp_path / "product.asdf")) as product:
        assert type(product) is ForcedPhotometryModel
        table = product.source_catalog
    assert_same_table(table, make_table(n_rows, source_names=source_names))
    assert not isinstance(table["label"], np.ma.MaskedArray)


def test_saving_again_keeps_everything(tmp_path):
    first = make_model(2000).save(tmp_path / "product.asdf")
    with rdm.open(first) as product:
        product.save(first)
    with rdm.open(first) as product:
        assert_same_table(product.source_catalog, make_table(2000))
        assert product.meta.instrument.detector == "WFI07"


OUR_EXTENSION = "asdf://romancal-forcedphot/extensions/forcedphot-1.0.0"


def run(code):
    """Run Python code in a process of its own, warnings being errors; give what it prints."""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def software_of_our_extension(path):
    with asdf.open(path) as file:
        extensions = {e["extension_uri"]: e["software"] for e in file["history"]["extensions"]}
    return extensions[OUR_EXTENSION]["name"]


@pytest.mark.slow
def test_roman_datamodels_knows_the_model_unasked(tmp_path):
    """In a process that never imported the package; and there it is written again as ours."""
    path = make_model().save(tmp_path / "product.asdf")
    printed = run(
        "import sys, roman_datamodels as rdm\n"
        "assert 'romancal_forcedphot.product.model' not in sys.modules\n"
        f"with rdm.open({str(path)!r}) as model:\n"
        "    print(type(model).__name__, model.schema_uri, len(model.source_catalog))\n"
        f"    model.save({str(path)!r})"
    )
    assert printed == ["ForcedPhotometryModel", SCHEMA_URI, "3"]
    assert software_of_our_extension(path) == "romancal_forcedphot"


@pytest.mark.slow
def test_model_may_be_imported_before_asdf_loads_its_extensions(tmp_path):
    path = make_model().save(tmp_path / "product.asdf")
    run(
        "from romancal_forcedphot.product.model import ForcedPhotometryModel\n"
        f"ForcedPhotometryModel({str(path)!r}).save({str(path)!r})"
    )
    assert software_of_our_extension(path) == "romancal_forcedphot"


def test_asdf_reads_the_file_where_the_package_is_not_installed(tmp_path):
    path = make_model().save(tmp_path / "product.asdf")
    with asdf.config_context() as config:
        config.remove_extension(package="romancal_forcedphot")
        config.remove_resource_mapping(package="romancal_forcedphot")
        with pytest.warns(AsdfWarning, match="romancal_forcedphot|forced_photometry"):
            file = asdf.open(path)
        with file:
            assert file["roman"]["meta"]["forced_phot"]["catalog"]["name"] == "cat.ecsv"
            assert_same_table(file["roman"]["source_catalog"], make_table(3))


def test_file_has_our_tag_and_usual_permissions(tmp_path):
    path = make_model().save(tmp_path / "product.asdf")
    (tmp_path / "usual").touch()
    assert path.stat().st_mode == (tmp_path / "usual").stat().st_mode
    assert f"roman: !<{TAG_URI}>".encode() in path.read_bytes()


@pytest.mark.parametrize("source_names", [False, True])
@pytest.mark.parametrize("n_rows", [0, 3])
def test_parquet_is_read_by_everyone(tmp_path, n_rows, source_names):
    model = make_model(n_rows, source_names=source_names)
    path = model.save(tmp_path / "product.parquet")
    expected = make_table(n_rows, source_names=source_names)
    assert_same_table(Table.read(path), expected)
    arrow, frame = pq.read_table(path), pd.read_parquet(path)
    assert arrow.column_names == list(frame.columns) == expected.colnames
    for name in expected.colnames:
        unit = arrow.schema.field(name).metadata[b"unit"].decode()
        assert unit == "None" if expected[name].unit is None else Unit(unit) == expected[name].unit
        np.testing.assert_array_equal(arrow[name].to_numpy(), expected[name])
        np.testing.assert_array_equal(frame[name].to_numpy(), expected[name])


def test_parquet_metadata_are_laid_out_as_in_romancals_catalogs(tmp_path):
    image = make_image()
    rad = rdm.ImageSourceCatalogModel.create_minimal({"meta": image.meta})
    rad.source_catalog = rad.create_empty_catalog()
    rad.save(tmp_path / "rad.parquet")
    make_model(image=image).save(tmp_path / "product.parquet")
    theirs = pq.read_schema(tmp_path / "rad.parquet").metadata
    ours = pq.read_schema(tmp_path / "product.parquet").metadata
    own = {f"roman.meta.ref_file.{name}".encode() for name in ("area", "apcorr", "epsf")}
    own |= {b"roman.meta.model_type", b"roman.meta.file_date", b"table_meta_yaml"}
    assert theirs.keys() <= ours.keys()
    for key in theirs.keys() - own - {b"roman.meta.filename"}:
        assert ours[key] == theirs[key], key
    assert ours[b"roman.meta.filename"] == b"product.parquet"
    assert ours[b"roman.meta.forced_phot.aperture_radii.1"] == b"3.5"


# --- products of other kinds ----------------------------------------------------------------


@pytest.mark.parametrize(("method", "columns"), [("psf", psf_columns), ("model", model_columns)])
def test_a_product_without_apertures_is_valid(tmp_path, method, columns):
    """With the columns of a joint fit alone."""
    model = make_model()
    model.meta.forced_phot["methods"] = [method]
    for name in ("aperture_radii", "aperture_radius_unit", "ee_fractions", "aperture_correction"):
        del model.meta.forced_phot[name]
    ours = [name for name in model.source_catalog.colnames if name.startswith("aper")]
    model.source_catalog.remove_columns(ours)
    for column in columns():
        model.source_catalog[column.name] = np.ones(3, dtype=np.float32)
        model.source_catalog[column.name].unit = column.unit or None
    with rdm.open(model.save(tmp_path / "product.asdf")) as product:
        assert list(product.meta.forced_phot.methods) == [method]
        assert product.source_catalog.colnames[-1] == columns()[-1].name


def test_a_product_of_a_mosaic_is_valid(tmp_path):
    mosaic = rdm.MosaicModel.create_fake_data(shape=(8, 8))
    mosaic.meta.filename = "r00001_p_v01001001001001_270p65x50y50_f106_coadd.asdf"
    model = make_model(image=mosaic)
    with rdm.open(model.save(tmp_path / "product.asdf")) as product:
        assert product.meta.image.filename == mosaic.meta.filename
        assert product.meta.coadd_info.time_first == mosaic.meta.coadd_info.time_first
        assert "exposure" not in product.meta
    model.save(tmp_path / "product.parquet")


def test_many_products_are_read_whole(tmp_path):
    """Nothing of the file is left open, so that it may be replaced."""
    path = make_model(2000).save(tmp_path / "product.asdf")
    product = ForcedPhotometryModel.read(path)
    path.unlink()
    assert_same_table(product.source_catalog, make_table(2000))
    product.validate()


# --- what is refused -----------------------------------------------------------------------


def _without(name):
    return lambda model: model.source_catalog.remove_column(name)


def _as_type(name, dtype):
    return lambda model: model.source_catalog.replace_column(
        name, model.source_catalog[name].astype(dtype)
    )


def _in_unit(name, unit):
    def change(model):
        model.source_catalog[name].unit = unit

    return change


def _meta(path, value):
    def change(model):
        *parents, last = path.split(".")
        node = model.meta
        for parent in parents:
            node = node[parent]
        if value is None:
            del node[last]
        else:
            node[last] = value

    return change


BROKEN = {
    "no label": _without("label"),
    "no warning_flags": _without("warning_flags"),
    "no flux": _without("aper3pix_flux"),
    "no background": _without("aper_bkg_flux_err"),
    "one aperture incomplete": _without("aper3p5pix_ee_fraction"),
    "label int32": _as_type("label", "int32"),
    "flux float64": _as_type("aper3pix_flux", "float64"),
    "x float32": _as_type("x", "float32"),
    "flux in Jy": _in_unit("aper3pix_total_flux", "Jy"),
    "flux in erg": _in_unit("aper3pix_total_flux", "erg"),
    "ra without unit": _in_unit("ra", None),
    "magnitude without unit": _in_unit("aper3pix_abmag", None),
    "background in nJy": _in_unit("aper_bkg_flux", "nJy"),
    "no exposure": _meta("exposure", None),
    "no image": _meta("image", None),
    "no cal_logs": _meta("cal_logs", None),
    "log of numbers": _meta("cal_logs", [1]),
    "no forced_phot": _meta("forced_phot", None),
    "no version": _meta("forced_phot.version", None),
    "no radii": _meta("forced_phot.aperture_radii", []),
    "radii not told": _meta("forced_phot.aperture_radii", None),
    "unit of radii not told": _meta("forced_phot.aperture_radius_unit", None),
    "no methods": _meta("forced_phot.methods", []),
    "methods not told": _meta("forced_phot.methods", None),
    "a radius of the table missing": _meta("forced_phot.aperture_radii", [3.0, 4.0]),
    "negative radius": _meta("forced_phot.aperture_radii", [-3.0]),
    "unit of radii": _meta("forced_phot.aperture_radius_unit", "parsec"),
    "catalog without a name": _meta("forced_phot.catalog.name", None),
    "rows not counted": _meta("forced_phot.catalog.n_rows", "many"),
    "area without a source": _meta("forced_phot.pixel_area", {}),
    "detector unknown": _meta("instrument.detector", "WFI99"),
}


@pytest.mark.parametrize("extension", ["asdf", "parquet"])
@pytest.mark.parametrize("case", BROKEN)
def test_a_wrong_product_is_refused_and_leaves_nothing(tmp_path, case, extension):
    model = make_model()
    BROKEN[case](model)
    with pytest.raises(ValidationError):
        model.save(tmp_path / f"product.{extension}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "case",
    [
        "no label",
        "no warning_flags",
        "label int32",
        "flux float64",
        "x float32",
        "flux in erg",
        "ra without unit",
        "magnitude without unit",
        "background in nJy",
    ],
)
def test_the_schema_alone_refuses_wrong_columns(case):
    """So that a file which other software wrote is refused too when it is read."""
    model = make_model()
    BROKEN[case](model)
    with pytest.raises(ValidationError):
        asdf.AsdfFile({"roman": model._instance}).validate()


@pytest.mark.parametrize(
    "change",
    [
        _meta("forced_phot.own_remark", {"seen": True}),
        lambda model: model.source_catalog.add_column(np.arange(3), name="own_column"),
    ],
    ids=["metadata", "column"],
)
def test_there_is_room_for_more(tmp_path, change):
    model = make_model()
    change(model)
    path = model.save(tmp_path / "product.asdf")
    with rdm.open(path) as product:
        assert product.source_catalog.colnames == model.source_catalog.colnames
        assert flat(product).keys() == flat(model).keys()


def test_a_wrong_product_does_not_harm_the_file_that_is_there(tmp_path):
    path = make_model().save(tmp_path / "product.asdf")
    before = path.read_bytes()
    broken = make_model()
    del broken.meta["forced_phot"]
    with pytest.raises(ValidationError):
        broken.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["product.asdf"]


@pytest.mark.slow
def test_a_write_that_breaks_off_leaves_nothing(tmp_path):
    """The system refuses to write more than 20 kB: the disk is full, so to speak."""
    model = make_model(5000)
    source = model.save(tmp_path / "whole.asdf")
    assert min(os.path.getsize(source), os.path.getsize(model.save(tmp_path / "p.parquet"))) > 1e5
    (tmp_path / "out").mkdir()
    printed = run(
        "import resource, signal, roman_datamodels as rdm, pyarrow.parquet\n"
        f"model = rdm.open({str(source)!r})\n"
        "model.source_catalog\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "for extension in ('asdf', 'parquet'):\n"
        "    try:\n"
        f"        model.save({str(tmp_path / 'out' / 'product.')!r} + extension)\n"
        "    except OSError:\n"
        "        print('OSError')"
    )
    assert printed == ["OSError", "OSError"]
    assert list((tmp_path / "out").iterdir()) == []


def test_a_directory_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("not a directory")
    path = tmp_path / "file" / "product.asdf"
    with pytest.raises(StorageError, match=f"cannot write '{path}': .*--output_dir"):
        make_model().save(path)


def test_what_is_no_product_is_refused_by_name(tmp_path):
    save_image(tmp_path / "image_cal.asdf")
    asdf.AsdfFile({"roman": {"a": 1}}).write_to(tmp_path / "other.asdf")
    with pytest.raises(TypeError, match=r"image_cal.asdf' is a ImageModel: expected a Forced"):
        ForcedPhotometryModel.read(tmp_path / "image_cal.asdf")
    with pytest.raises(TypeError, match=r"other.asdf' is not a Roman product"):
        ForcedPhotometryModel.read(tmp_path / "other.asdf")
