"""The simulated exposure and its references, against pysiaf, GalSim and crds themselves."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pysiaf
import pytest
import roman_datamodels as rdm
from astropy.table import Table
from scipy.special import j1

from romancal_forcedphot.example import cli, summary
from romancal_forcedphot.example.crds_cache import crds_environment
from romancal_forcedphot.example.files import Record, Renamed
from romancal_forcedphot.example.optics import encircled_energy
from romancal_forcedphot.example.scene import Scene, make_scene
from romancal_forcedphot.example.simulation import optics_of

SIDE = 256


@pytest.fixture(scope="module")
def optics(small_scene):
    recipe = small_scene.recipe
    return optics_of(recipe.detector, recipe.band, recipe.n_pixels)


def reference(cache, kind):
    (path,) = (cache / "references" / "roman").glob(f"roman_wfi_{kind}_*.asdf")
    return rdm.open(path)


def crds_says(code, cache):
    """What a fresh process with the cache prints as JSON."""
    answer = subprocess.run(
        [sys.executable, "-c", "import json, crds\n" + code],
        env=os.environ | crds_environment(cache),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(answer.stdout.splitlines()[-1])


@pytest.mark.slow
def test_crds_finds_the_references_of_the_image(small_scene, small_cache):
    code = f"""
import roman_datamodels as rdm
with rdm.open({os.fspath(small_scene.image)!r}) as model:
    header = model.get_crds_parameters()
types = ["area", "apcorr", "epsf"]
print(json.dumps([crds.getreferences(header, reftypes=types, observatory="roman"),
                  crds.get_context_name("roman")]))
"""
    found, context = crds_says(code, small_cache)
    directory = small_cache / "references" / "roman"
    assert context == "roman_0001.pmap"
    assert found == {
        "area": os.fspath(directory / "roman_wfi_area_09.asdf"),
        "apcorr": os.fspath(directory / "roman_wfi_apcorr_09.asdf"),
        "epsf": os.fspath(directory / "roman_wfi_epsf_09158.asdf"),
    }


def test_crds_finds_nothing_for_another_detector_or_filter(small_cache):
    code = """
header = {"ROMAN.META.INSTRUMENT.NAME": "WFI", "ROMAN.META.INSTRUMENT.DETECTOR": "WFI09",
          "ROMAN.META.INSTRUMENT.OPTICAL_ELEMENT": "F158",
          "ROMAN.META.EXPOSURE.START_TIME": "2026-10-31T00:00:00"}
failed = []
for kind, change in [("area", {"DETECTOR": "WFI10"}), ("epsf", {"OPTICAL_ELEMENT": "F106"})]:
    other = header | {"ROMAN.META.INSTRUMENT." + key: value for key, value in change.items()}
    try:
        crds.getreferences(other, reftypes=[kind], observatory="roman")
    except crds.CrdsLookupError:
        failed.append(kind)
print(json.dumps(failed))
"""
    assert crds_says(code, small_cache) == ["area", "epsf"]


def test_crds_accepts_the_checksums_and_refuses_a_changed_mapping(small_cache, tmp_path):
    mappings = sorted((small_cache / "mappings" / "roman").iterdir())
    changed = tmp_path / "roman_wfi_area_0001.rmap"
    changed.write_text((mappings[0].parent / changed.name).read_text().replace("2020", "2021"))
    code = f"""
from crds.core import rmap
good = [rmap.load_mapping(path).basename for path in {[str(path) for path in mappings]}]
try:
    rmap.load_mapping({os.fspath(changed)!r})
except crds.core.exceptions.ChecksumError:
    good.append("refused")
print(json.dumps(good))
"""
    assert crds_says(code, small_cache) == [*(path.name for path in mappings), "refused"]
    assert len(mappings) == 5


def test_area_reference_is_that_of_pysiaf(small_cache):
    """By differences of pysiaf's own distortion, in V2 and V3 on the sphere."""
    aperture = pysiaf.Siaf("Roman")["WFI09_FULL"]
    x, y = np.meshgrid(np.arange(SIDE) + 1917.0, np.arange(SIDE) + 1917.0)  # counted from 1

    def telescope(x, y):
        v2, v3 = aperture.sci_to_tel(x, y)
        return np.stack([v2 * np.cos(np.deg2rad(v3 / 3600)), v3])

    v2_x, v3_x = telescope(x + 0.5, y) - telescope(x - 0.5, y)
    v2_y, v3_y = telescope(x, y + 0.5) - telescope(x, y - 0.5)
    arcsec2 = np.abs(v2_x * v3_y - v3_x * v2_y)
    nominal = arcsec2[SIDE // 2 - 1 : SIDE // 2 + 1, SIDE // 2 - 1 : SIDE // 2 + 1].mean()
    with reference(small_cache, "area") as model:
        photometry = model.meta.photometry
        np.testing.assert_allclose(model.data, arcsec2 / nominal, rtol=3e-6)
        assert photometry.pixelarea_arcsecsq == pytest.approx(nominal, rel=3e-6)
        steradian = np.deg2rad(1 / 3600) ** 2
        assert photometry.pixelarea_steradians == pytest.approx(nominal * steradian, rel=3e-6)


@pytest.mark.slow
def test_apcorr_reference_is_the_hankel_transform_of_the_optics(small_cache, optics):
    """EE(r) = r ∫ T(k) J₁(kr) dk, with T the transfer function averaged over angle."""
    import galsim
    from romanisim.models.wcs import GWCS

    centre = (SIDE - 1) / 2
    local = GWCS(optics.wcs).local(galsim.PositionD(centre, centre))
    profile = local.toImage(optics.psf.at_position(centre, centre))  # per pixel
    k = np.linspace(0, 4 * profile.maxk, 4500)
    angles = np.deg2rad(np.arange(7.5, 180, 15))
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    values = [[profile.kValue(*(length * one)).real for one in directions] for length in k]
    transfer = np.mean(values, axis=1)
    with reference(small_cache, "apcorr") as model:
        curve = model.data.F158
        radii = np.array(curve.ee_radii)
        np.testing.assert_allclose(radii, np.arange(1, 201) * 0.025)
        for index in (1, 3, 5, 9, 13, 21, 40, 100):
            r = radii[index] / np.rad2deg(np.sqrt(optics.central_area_steradian)) / 3600
            inside = r * np.trapezoid(transfer * j1(k * r), k)
            assert curve.ee_fractions[index] == pytest.approx(inside, abs=1e-3)
        np.testing.assert_allclose(curve.ap_corrections * curve.ee_fractions, 1)
        assert model.data.GRISM.ee_radii is None
        assert model.data.F106.ee_fractions is None


@pytest.mark.slow
def test_encircled_energy_rises_to_the_light_at_infinity(optics):
    curve = encircled_energy(optics, np.array([0.05, 0.1, 0.3, 1.0, 3.0, 5.0]))
    assert np.all(np.diff(curve) > 0)
    assert 0.97 < curve[-1] < 1.0


@pytest.mark.slow
def test_epsf_reference_is_what_a_star_leaves_on_the_pixels(small_cache, optics):
    """Against GalSim's own drawing of the PSF on pixels, at several sub-pixel phases."""
    import galsim
    from romanisim.models.wcs import GWCS

    wcs = GWCS(optics.wcs)
    with reference(small_cache, "epsf") as model:
        positions = list(zip(model.meta.pixel_x, model.meta.pixel_y, strict=True))
        stamps = np.array(model.psf[0, 0])
        assert model.meta.oversample == 4
    middle = stamps.shape[-1] // 2
    x, y = positions[4]
    assert stamps.shape == (9, 361, 361)
    profile = optics.psf.at_position(x, y)
    for phase_x, phase_y in [(0, 0), (1, 0), (2, 3)]:
        at = galsim.PositionD(x + phase_x / 4, y + phase_y / 4)
        bounds = galsim.BoundsI(x - 9, x + 9, y - 9, y + 9)
        image = galsim.ImageD(bounds, wcs=wcs.local(at))
        drawn = profile.drawImage(image, center=at).array
        steps = np.arange(-9, 10) * 4 + middle
        sampled = stamps[4][np.ix_(steps - phase_y, steps - phase_x)]
        np.testing.assert_allclose(sampled, drawn, atol=3e-4)
        assert sampled.sum() == pytest.approx(drawn.sum(), abs=5e-4)


def test_stars_stand_where_the_catalog_says(small_scene):
    truth = Table.read(small_scene.catalog)
    magnitude = -2.5 * np.log10(np.asarray(truth["F158"]))
    isolated = summary.isolated_stars(truth, magnitude)
    with rdm.open(small_scene.image) as model:
        model.validate()
        data = np.array(model.data - np.median(model.data))
        x, y = model.meta.wcs.invert(truth["ra"], truth["dec"], with_bounding_box=False)
    bright = isolated & (magnitude < 20) & (np.abs(x - 128) < 118) & (np.abs(y - 128) < 118)
    assert bright.sum() >= 3
    offsets = np.arange(-3, 4)
    for x_star, y_star in zip(x[bright], y[bright], strict=True):
        column, row = int(np.rint(x_star)), int(np.rint(y_star))
        stamp = data[row - 3 : row + 4, column - 3 : column + 4]
        found = (stamp.sum(axis=0) @ offsets, stamp.sum(axis=1) @ offsets) / stamp.sum()
        np.testing.assert_allclose(found, (x_star - column, y_star - row), atol=0.2)


def test_a_second_run_takes_what_is_there(small_scene):
    before = small_scene.image.stat().st_mtime_ns
    recipe = small_scene.recipe
    again = make_scene(
        small_scene.directory,
        detector=recipe.detector,
        band=recipe.band,
        n_pixels=recipe.n_pixels,
        n_stars=recipe.n_stars,
        n_galaxies=recipe.n_galaxies,
        seed=recipe.seed,
    )
    assert again == small_scene
    assert small_scene.image.stat().st_mtime_ns == before


def test_files_made_otherwise_are_not_taken(tmp_path):
    made = tmp_path / "made"
    record = Record(tmp_path / "record.json", {"recipe": 1})
    record.write()
    assert not record.matches(made)
    made.touch()
    assert record.matches(made)
    assert not Record(tmp_path / "record.json", {"recipe": 2}).matches(made)


def test_an_interrupted_run_leaves_nothing(tmp_path):
    def interrupted():
        with Renamed(tmp_path / "file") as partial:
            partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []
    with Renamed(tmp_path / "file") as partial:
        partial.write_text("whole")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["whole"]


def test_isolated_stars_by_hand():
    """At 1 arcsec: a star and one 2 mag fainter, and, far away, one and another 5 mag fainter."""
    arcsec = 1 / 3600
    truth = Table({"ra": [10.0, 10.0, 20.0, 20.0, 30.0], "dec": [0, arcsec, 0, arcsec, 0]})
    truth["type"] = ["PSF", "PSF", "PSF", "PSF", "SER"]
    magnitude = np.array([18.0, 20.0, 18.0, 23.0, 18.0])
    np.testing.assert_array_equal(
        summary.isolated_stars(truth, magnitude), [False, False, True, False, False]
    )


def made_up(offset=0.0, width=1.0, n=4000):
    """A comparison of n stars with known errors; every tenth is flagged and far off."""
    rng = np.random.default_rng(4)
    flags = np.where(np.arange(n) % 10 == 0, 16, 0)
    wrong = np.where(flags, 5.0, 0.0)
    return summary.Comparison(
        magnitude=rng.uniform(17, 23, n),
        offset=rng.normal(offset, 0.004, n) + wrong,
        pull=rng.normal(0, width, n) + wrong,
        flags=flags,
        isolated=np.ones(n, dtype=bool),
    )


def test_summary_of_made_up_stars():
    figures = summary.summarize(made_up(offset=0.001))
    assert (figures.n_sources, figures.n_measured, figures.n_flagged) == (4000, 4000, 400)
    assert figures.n_bright + figures.n_faint == 3600
    assert figures.median_offset == pytest.approx(0.001, abs=5e-4)
    assert figures.scatter == pytest.approx(0.004, rel=0.1)
    assert figures.pull_width == pytest.approx(1, abs=0.06)
    assert figures.problems == []


@pytest.mark.parametrize(
    ("stars", "problem"),
    [
        (made_up(offset=0.004), "median offset"),
        (made_up(offset=-0.004), "median offset"),
        (made_up(width=1.2), "pull width"),
        (made_up(width=0.8), "pull width"),
        (made_up(n=0), "median offset nan"),
    ],
)
def test_what_is_out_of_bounds_is_said(stars, problem):
    assert problem in summary.summarize(stars).problems[0]


def test_the_command_line_survives_a_shell(small_scene, tmp_path):
    """The printed line is for pasting: a shell must read the same arguments from it."""
    import shlex

    directory = tmp_path / "it's a $HOME"
    scene = Scene(
        directory, directory / "a_cal.asdf", directory / "catalog.ecsv", small_scene.recipe
    )
    command = cli.strun_command(scene)
    echo = shlex.join([sys.executable, "-c", "import sys; print(sys.argv[1:])", *command])
    answer = subprocess.run(["/bin/sh", "-c", echo], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == repr(command)
    assert cli.product_path(scene) == directory / "a_forcedphot.asdf"
