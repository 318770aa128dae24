"""What the user sees when something is wrong: by `strun`, as a child process and in this one.

The last line of the error names the value, what was expected and what to do; the exit status is
not 0, and no file is left behind.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import asdf
import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import QTable, Table
from roman_datamodels import datamodels as rdm
from stpipe._cli.strun import main as run_strun

from small import CENTER, PLAIN_OPTIONS, level2_image
from small_mosaic import level3_mosaic

STRUN = Path(sys.executable).with_name("strun")
CATALOG = "catalog.ecsv"
IMAGE = "image_cal.asdf"
MOSAIC = "mosaic_coadd.asdf"

#: name: (arguments, what the last line of the error must say)
CASES = {
    "no catalog": ([IMAGE], "catalog is empty.*--catalog"),
    "missing catalog": ([IMAGE, "--catalog=lost.ecsv"], "lost.ecsv.*does not exist"),
    "catalog is a directory": ([IMAGE, "--catalog=."], "directory"),
    "unreadable catalog": ([IMAGE, "--catalog=broken.fits"], "broken.fits"),
    "catalog of unknown format": ([IMAGE, "--catalog=notes.docx"], "notes.docx.*format"),
    "no positions": (
        [IMAGE, "--catalog=nopos.ecsv"],
        "nopos.ecsv.*no sky or pixel positions.*--ra_column",
    ),
    "only ra": ([IMAGE, "--catalog=onlyra.ecsv"], "onlyra.ecsv.*dec"),
    "text for numbers": ([IMAGE, "--catalog=text.csv"], "text.csv.*ra.*number"),
    "absent column": (
        [IMAGE, f"--catalog={CATALOG}", "--ra_column=alpha"],
        "alpha.*(ra|dec)",
    ),
    "select an absent column": (
        [IMAGE, f"--catalog={CATALOG}", "--select=mag < 20"],
        "no column 'mag', named by select.*ra, dec",
    ),
    "select by Python": (
        [IMAGE, f"--catalog={CATALOG}", "--select=__import__('os').getpid() > 0"],
        "no meaning here: expected comparisons",
    ),
    "keep a column of ours": (
        [IMAGE, f"--catalog={CATALOG}", "--keep_columns=ra"],
        "keep_columns names 'ra'.*rename",
    ),
    "unknown extension": (
        [IMAGE, f"--catalog={CATALOG}", "--output_ext=.fits"],
        "output_ext is '.fits': expected .asdf or .parquet",
    ),
    "missing image": (["lost_cal.asdf", f"--catalog={CATALOG}"], "lost_cal.asdf.*not a file"),
    "reference file": (
        ["area.asdf", f"--catalog={CATALOG}"],
        "area.asdf.*PixelareaRefModel.*expected a Level-2 image",
    ),
    "catalog for image": ([CATALOG, f"--catalog={CATALOG}"], "catalog.ecsv.*not an ASDF file"),
    "mosaic in DN": (
        ["dn_coadd.asdf", f"--catalog={CATALOG}"],
        "'dn_coadd.asdf' is a mosaic in DN/s .*'INCOMPLETE'.*expected MJy/sr; run .* flux step",
    ),
    "mosaic without weight": (
        ["noweight_coadd.asdf", f"--catalog={CATALOG}"],
        "'noweight_coadd.asdf' .*'weight' is a required property.*expected .* or a mosaic ",
    ),
    "mosaic without WCS": (
        ["nowcs_coadd.asdf", f"--catalog={CATALOG}"],
        "'nowcs_coadd.asdf' .*'wcs' is a required property.*expected .* or a mosaic ",
    ),
    "mosaic of JWST": (
        ["jwst_i2d.asdf", f"--catalog={CATALOG}"],
        "'jwst_i2d.asdf' has no Roman model .*but data, err, meta, wht: .* or a mosaic .*mission",
    ),
    "mosaic of HST": (
        ["hst_drz.fits", f"--catalog={CATALOG}"],
        "'hst_drz.fits' is not an ASDF file.*expected .* or a mosaic",
    ),
    "image and mosaic": (
        [IMAGE, MOSAIC, f"--catalog={CATALOG}"],
        f"{IMAGE} and {MOSAIC} are an exposure and a mosaic: .* in two runs",
    ),
    "pixels of an exposure on a mosaic": (
        [MOSAIC, "--catalog=pixels.ecsv"],
        "2 of 3 are not on mosaic .*160 x 150 pixels.*give a catalog with ra and dec",
    ),
    "other ASDF": (["other.asdf", f"--catalog={CATALOG}"], "other.asdf.*expected a Level-2 image"),
    "truncated": (["truncated_cal.asdf", f"--catalog={CATALOG}"], "truncated_cal.asdf.*truncated"),
    "truncated, not compressed": (
        ["plain_cal.asdf", f"--catalog={CATALOG}"],
        "plain_cal.asdf.*truncated",
    ),
    "cut in the tree": (["cut_cal.asdf", f"--catalog={CATALOG}"], "cut_cal.asdf.*truncated"),
    "no wcs": (["nowcs_cal.asdf", f"--catalog={CATALOG}"], "no WCS"),
    "null photometry": (
        ["null_cal.asdf", f"--catalog={CATALOG}"],
        "conversion_megajanskys=None.*expected",
    ),
    "contradictory photometry": (
        ["sign_cal.asdf", f"--catalog={CATALOG}"],
        "conversion_megajanskys=-0.25 and pixel_area=2.8e-13.*expected two positive",
    ),
    "radius 0": ([IMAGE, f"--catalog={CATALOG}", "--aperture_radii=3,0"], "aperture_radii has 0"),
    "annulus inside out": (
        [IMAGE, f"--catalog={CATALOG}", "--annulus_radii=25,20"],
        "annulus_radii is 25, 20",
    ),
    "aperture beyond annulus": (
        [IMAGE, f"--catalog={CATALOG}", "--aperture_radii=22"],
        "aperture radius 22 is larger than .* 20",
    ),
    "beyond the curve": (
        [
            *(IMAGE, f"--catalog={CATALOG}", "--aperture_radii=19.5", "--pixel_area=wcs"),
            *("--aperture_correction=apcorr", "--override_apcorr=apcorr.asdf"),
        ],
        "19.5 pixels .* reaches beyond the curve.*1 arcsec",
    ),
    "no such flag": (
        [IMAGE, f"--catalog={CATALOG}", "--dq_mask=BADPIX"],
        "'BADPIX' is not a DQ flag.*DO_NOT_USE",
    ),
    "area of another shape": (
        [IMAGE, f"--catalog={CATALOG}", "--pixel_area=crds", "--override_area=area.asdf"],
        r"area reference.*shape.*\(180, 200\)",
    ),
    "area of another detector": (
        [IMAGE, f"--catalog={CATALOG}", "--pixel_area=crds", "--override_area=area07.asdf"],
        "WFI07.*expected WFI01",
    ),
    "output below a file": (
        [IMAGE, f"--catalog={CATALOG}", "--output_dir=catalog.ecsv/sub"],
        "catalog.ecsv/sub.*is a file, not a directory",
    ),
    "no CRDS": (
        [IMAGE, f"--catalog={CATALOG}", "--pixel_area=crds"],
        "CRDS_SERVER_URL.*CRDS_PATH.*CRDS_CONTEXT.*--override_area.*--pixel_area=wcs",
    ),
    "no CRDS for apcorr": (
        [IMAGE, f"--catalog={CATALOG}", "--aperture_correction=apcorr"],
        "CRDS_SERVER_URL.*--override_apcorr.*--aperture_correction=none",
    ),
    "null for the filter": (
        [
            *(IMAGE, f"--catalog={CATALOG}", "--aperture_correction=apcorr"),
            "--override_apcorr=apcorr_null.asdf",
        ],
        "no encircled energy for this filter.*--aperture_correction=none",
    ),
    "ellipses without shapes": (
        [IMAGE, f"--catalog={CATALOG}", "--aperture_shape=ellipse"],
        "catalog.ecsv.*has no shapes: looked for n, half_light_radius.*--aperture_shape=circle",
    ),
    "models without an index": (
        [IMAGE, "--catalog=no_index.ecsv", "--methods=model"],
        "no_index.ecsv.*has shapes, but no column 'n': its columns are ra, dec, half_light_radius",
    ),
    "a length in mag": (
        [IMAGE, "--catalog=mag.ecsv", "--methods=model"],
        "'half_light_radius' is in 'mag', expected arcsec.*; correct it, or measure without shapes",
    ),
    "a type of galaxies that is none": (
        [IMAGE, "--catalog=types.ecsv", "--aperture_shape=kron"],
        "column 'type' has 'GALAXY' in row 2: expected SER for galaxies and PSF for stars",
    ),
    "apcorr not applicable": (
        [IMAGE, f"--catalog={CATALOG}", "--aperture_correction=apcorr", "--override_apcorr=N/A"],
        "no apcorr reference.*--aperture_correction=none",
    ),
}


def save(model, path, **options):
    model.meta.filename = path.name
    model.save(path, **options)


def write_images(directory):
    save(level2_image(), directory / IMAGE)
    whole = (directory / IMAGE).read_bytes()
    (directory / "truncated_cal.asdf").write_bytes(whole[: len(whole) * 6 // 10])
    save(level2_image(), directory / "plain_cal.asdf", all_array_compression=None)
    with (directory / "plain_cal.asdf").open("r+b") as file:
        file.truncate((directory / "plain_cal.asdf").stat().st_size // 10)
    (directory / "cut_cal.asdf").write_bytes(whole[:3000])
    for name, key, value in (
        ("null", "conversion_megajanskys", None),
        ("sign", "conversion_megajanskys", -0.25),
    ):
        image = level2_image()
        image.meta.photometry[key] = value
        save(image, directory / f"{name}_cal.asdf")
    asdf.AsdfFile({"something": [1, 2]}).write_to(directory / "other.asdf")
    with asdf.open(directory / IMAGE) as file:
        file["roman"]["meta"]["wcs"] = None
        file["roman"]["meta"]["filename"] = "nowcs_cal.asdf"
        with asdf.config_context() as config:
            config.validate_on_save = False
            file.write_to(directory / "nowcs_cal.asdf")


def write_mosaics(directory):
    """Mosaics that lack something, and some of other projects."""
    save(level3_mosaic(), directory / MOSAIC)
    unit = level3_mosaic()
    unit.meta.cal_step.flux = "INCOMPLETE"
    save(unit, directory / "dn_coadd.asdf")
    whole = (directory / MOSAIC).read_bytes()
    for name, key in (("noweight", b"\n  weight:"), ("nowcs", b"\n    wcs:")):
        assert whole.count(key) == 1
        renamed = whole.replace(key, key[:-2] + b"x:")
        (directory / f"{name}_coadd.asdf").write_bytes(renamed)
    plane = np.ones((20, 20), dtype=np.float32)
    jwst = {"meta": {"telescope": "JWST", "instrument": {"name": "NIRCAM"}}, "data": plane}
    asdf.AsdfFile(jwst | {"err": plane, "wht": plane}).write_to(directory / "jwst_i2d.asdf")
    planes = [fits.ImageHDU(plane, name=name) for name in ("SCI", "WHT", "CTX")]
    fits.HDUList([fits.PrimaryHDU(), *planes]).writeto(directory / "hst_drz.fits")


def write_references(directory):
    for name, detector in (("area", "WFI01"), ("area07", "WFI07")):
        area = rdm.PixelareaRefModel.create_fake_data(shape=(50, 50))
        area.data = np.ones((50, 50), dtype=np.float32)
        area.meta.instrument.detector = detector
        save(area, directory / f"{name}.asdf")
    radii = np.linspace(0.02, 1.0, 50)
    for name, curve in (("apcorr", 1 - np.exp(-((radii / 0.12) ** 2))), ("apcorr_null", None)):
        apcorr = rdm.ApcorrRefModel.create_fake_data()
        apcorr.data = {
            "F106": {
                "ee_radii": None if curve is None else radii,
                "ee_fractions": curve,
                "ap_corrections": None if curve is None else 1 / curve,
                "sky_background_rin": None,
                "sky_background_rout": None,
            }
        }
        save(apcorr, directory / f"{name}.asdf")


def write_catalogs(directory):
    ra, dec = CENTER
    Table({"ra": [ra, ra + 1e-4], "dec": [dec, dec]}).write(directory / CATALOG)
    Table({"ra": [ra]}).write(directory / "onlyra.ecsv")
    Table({"x": [20.0, 2000.0, 3000.0], "y": [30.0, 40.0, 4000.0]}).write(directory / "pixels.ecsv")
    Table({"flux": [1.0]}).write(directory / "nopos.ecsv")
    shape = {"half_light_radius": [0.3, 0.2], "ba": [1.0, 0.5], "pa": [0.0, 9.0]}
    galaxies = {"ra": [ra, ra + 1e-4], "dec": [dec, dec]} | shape
    Table(galaxies).write(directory / "no_index.ecsv")
    galaxies |= {"n": [1.0, 4.0]}
    Table(galaxies | {"type": ["PSF", "galaxy"]}).write(directory / "types.ecsv")
    galaxies["half_light_radius"] *= u.mag
    QTable(galaxies).write(directory / "mag.ecsv")
    (directory / "text.csv").write_text("ra,dec\n270.0,66.0\nabout here,66.0\n")
    (directory / "broken.fits").write_bytes(b"SIMPLE  = nonsense")
    (directory / "notes.docx").write_bytes(b"PK\x03\x04 no table")


def last_line(text):
    return [line for line in text.strip().splitlines() if line.strip()][-1]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Where the inputs of all cases are."""
    directory = tmp_path_factory.mktemp("inputs")
    write_images(directory)
    write_mosaics(directory)
    write_references(directory)
    write_catalogs(directory)
    return directory


@pytest.fixture
def links(inputs, workplace):
    """Links to the inputs in the working directory, from which no CRDS is within reach."""
    for path in inputs.iterdir():
        (workplace / path.name).symlink_to(path)
    return set(workplace.iterdir())


def assert_told(name, status, error, links):
    """The last line says what the case is about, and no file is left behind."""
    said = last_line(error)
    assert status != 0
    assert re.search(CASES[name][1], said), said
    assert set(Path.cwd().rglob("*")) == links


@pytest.mark.slow
@pytest.mark.parametrize("name", ["no catalog", "truncated", "no CRDS"])
def test_strun_tells_what_to_do_and_leaves_no_file(links, name):
    (image, *options), _ = CASES[name]
    command = [STRUN, "forced_phot", image, *PLAIN_OPTIONS, *options]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert_told(name, process.returncode, process.stderr, links)


@pytest.mark.parametrize("name", CASES)
def test_the_error_tells_what_to_do_and_leaves_no_file(links, name, monkeypatch, capsys):
    """What the script strun runs, in this process."""
    arguments, _ = CASES[name]
    images = [each for each in arguments if not each.startswith("--")]
    options = [*PLAIN_OPTIONS, *arguments[len(images) :]]
    monkeypatch.setattr(sys, "argv", ["strun", "forced_phot", *images, *options])
    with pytest.raises(SystemExit) as ended:
        run_strun()
    assert_told(name, ended.value.code, capsys.readouterr().err, links)
