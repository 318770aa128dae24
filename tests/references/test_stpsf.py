"""Grids of the real STPSF, kept on disk and found again; and what is said without its data."""

from __future__ import annotations

import io
import logging
import shutil
from dataclasses import replace

import numpy as np
import pytest

from romancal_forcedphot.psfs import CorrectionUnavailable
from romancal_forcedphot.psfs.stpsf import GridRequest, compute_grid
from romancal_forcedphot.references import optical_grid
from stpsf_tree import DATA_VERSION

#: Quick to compute: one wavelength, one place, few samples.
QUICK = GridRequest("WFI01", "F106", n_psfs=1, sed="1.06um", fov_pixels=15, oversample=2)
VARIABLE = "environment variable STPSF_PATH"


@pytest.fixture(scope="module")
def quick_grid(stpsf_data, tmp_path_factory):
    """The grid of QUICK, and the file in which it is kept."""
    directory = tmp_path_factory.mktemp("quick")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("STPSF_PATH", str(stpsf_data))
        monkeypatch.setenv("XDG_CACHE_HOME", str(directory))
        grid, _ = optical_grid(QUICK)
    (path,) = directory.rglob("*.npz")
    return grid, path


@pytest.fixture
def kept(quick_grid, stpsf_cache):
    """The grid of QUICK, in the cache."""
    grid, path = quick_grid
    stpsf_cache.mkdir(parents=True)
    shutil.copy(path, stpsf_cache)
    return grid


def test_a_grid_is_found_again_without_optics(stpsf_cache, stpsf_data, tmp_path, monkeypatch):
    """Nothing of STPSF's data is needed for a grid that is kept, but their version."""
    made, provenance = optical_grid(QUICK)
    assert provenance["stpsf_data_version"] == DATA_VERSION
    bare = tmp_path / "bare"
    bare.mkdir()
    shutil.copy(stpsf_data / "version.txt", bare)
    monkeypatch.setenv("STPSF_PATH", str(bare))
    found, provenance_again = optical_grid(QUICK)
    assert provenance_again == provenance
    for name in ("samples", "x", "y"):
        np.testing.assert_array_equal(getattr(found, name), getattr(made, name))
        assert getattr(found, name).dtype == getattr(made, name).dtype
    for name in ("oversample", "pixel_arcsec", "charge_diffusion_mas", "jitter_mas"):
        assert getattr(found, name) == getattr(made, name)
    assert len(list(stpsf_cache.iterdir())) == 1


@pytest.mark.parametrize(
    "change",
    [{"sed": "1.1um"}, {"n_psfs": 4}, {"fov_pixels": 17}, {"oversample": 3}],
    ids=lambda change: next(iter(change)),
)
def test_whatever_changes_a_grid_makes_another(kept, stpsf_cache, stpsf_data, change):
    other, _ = optical_grid(replace(QUICK, **change))
    expected = compute_grid(replace(QUICK, **change), data_path=stpsf_data)
    np.testing.assert_array_equal(other.samples, expected.samples)
    assert len(list(stpsf_cache.iterdir())) == 2


def test_other_data_make_another_grid(kept, stpsf_cache, stpsf_data, tmp_path, monkeypatch):
    newer = shutil.copytree(stpsf_data, tmp_path / "newer")
    (newer / "version.txt").write_text("2.1.1\n")
    monkeypatch.setenv("STPSF_PATH", str(newer))
    _, provenance = optical_grid(QUICK)
    assert provenance["stpsf_data_version"] == "2.1.1"
    assert len(list(stpsf_cache.iterdir())) == 2


def test_a_damaged_grid_is_made_again(kept, stpsf_cache, caplog):
    (path,) = stpsf_cache.iterdir()
    path.write_bytes(path.read_bytes()[:1000])
    with caplog.at_level(logging.WARNING):
        again, _ = optical_grid(QUICK)
    assert f"{path} cannot be read" in caplog.text
    np.testing.assert_array_equal(again.samples, kept.samples)
    caplog.clear()
    optical_grid(QUICK)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_cache_that_cannot_be_written_costs_a_warning(stpsf_cache, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    grid, _ = optical_grid(QUICK)
    assert "cannot be kept" in caplog.text
    assert grid.samples.sum() == pytest.approx(0.95, abs=0.05)


def test_the_cache_is_below_the_home_directory_by_default(stpsf_cache, tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    optical_grid(QUICK)
    assert list((tmp_path / ".cache" / "romancal_forcedphot" / "stpsf").glob("WFI01_F106_1_*.npz"))


def test_progress_is_shown_on_a_terminal(stpsf_cache, monkeypatch):
    """Computing begins at none of four places and ends at four of four."""
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr("romancal_forcedphot.storage.progress.BAR_DELAY_S", 0)
    optical_grid(replace(QUICK, n_psfs=4))
    shown = terminal.getvalue()
    assert "ePSFs of F106 on WFI01" in shown
    assert "0/4" in shown


def test_no_data_name_the_variable(stpsf_cache, tmp_path, monkeypatch):
    monkeypatch.delenv("STPSF_PATH")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(CorrectionUnavailable, match=rf"STPSF_PATH is not set.*{VARIABLE}"):
        optical_grid(QUICK)
    assert not stpsf_cache.exists()


def test_a_place_without_data_names_the_variable(stpsf_cache, tmp_path, monkeypatch):
    monkeypatch.setenv("STPSF_PATH", str(tmp_path / "nowhere"))
    with pytest.raises(CorrectionUnavailable, match=rf"no STPSF data in .*nowhere.*{VARIABLE}"):
        optical_grid(QUICK)


@pytest.mark.parametrize("data_version", ["1.5.0", "2.1.0", "of Tuesday"])
def test_old_or_incomplete_data_name_the_variable(stpsf_cache, tmp_path, monkeypatch, data_version):
    (tmp_path / "version.txt").write_text(data_version)
    monkeypatch.setenv("STPSF_PATH", str(tmp_path))
    with pytest.raises(CorrectionUnavailable, match=rf"cannot work with the data.*{VARIABLE}"):
        optical_grid(QUICK)
    assert not stpsf_cache.exists()


def test_data_without_the_filter_say_what_there_is(stpsf_cache):
    with pytest.raises(CorrectionUnavailable, match="no filter GRISM: expected one of F106"):
        optical_grid(replace(QUICK, band="GRISM"))


def test_data_without_the_pupil_of_the_detector_name_the_variable(stpsf_cache):
    with pytest.raises(CorrectionUnavailable, match=rf"cannot work with the data.*{VARIABLE}"):
        optical_grid(replace(QUICK, detector="WFI02"))
