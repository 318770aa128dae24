"""A cache of STPSF's grids that is damaged in any way is made again, never believed."""

from __future__ import annotations

import json
import logging
import os

import numpy as np
import pytest

from hostile import at_most
from romancal_forcedphot.psfs.stpsf import GridRequest, OpticalGrid
from romancal_forcedphot.references import stpsf

REQUEST = GridRequest("WFI01", "F106", n_psfs=4, fov_pixels=11)


def made(request) -> OpticalGrid:
    """What STPSF computes in minutes."""
    y, x = np.mgrid[:44, :44] - 21.5
    stamp = np.exp(-(x**2 + y**2) / (2 * 3.0**2)) / (2 * np.pi * 3.0**2)
    x, y = request.positions
    return OpticalGrid(np.stack([stamp] * 4).astype(np.float32), x, y, 4, 0.11, 30.0, 12.0)


@pytest.fixture
def computed(tmp_path, monkeypatch):
    """List of the requests that were computed; STPSF's data are there."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "version.txt").write_text("2.0")
    monkeypatch.setenv("STPSF_PATH", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    requests = []

    def compute(request, **_):
        requests.append(request)
        return made(request)

    monkeypatch.setattr(stpsf, "compute_grid", compute)
    return requests


@pytest.fixture
def path(computed, tmp_path):
    """The file that a first run has left."""
    stpsf.optical_grid(REQUEST)
    (path,) = (tmp_path / "cache" / "romancal_forcedphot" / "stpsf").iterdir()
    return path


def assert_right(grid):
    np.testing.assert_array_equal(grid.samples, made(REQUEST).samples)
    np.testing.assert_array_equal(grid.x, made(REQUEST).x)
    assert grid.jitter_mas == 12.0


def test_a_whole_grid_is_found_again(computed, path):
    grid, _ = stpsf.optical_grid(REQUEST)
    assert_right(grid)
    assert computed == [REQUEST]


def test_any_damage_is_made_again(computed, path, caplog):
    """A flipped bit anywhere, a cut anywhere: an error, or no harm; never another number."""
    content = path.read_bytes()
    rng = np.random.default_rng(3)
    damages = [content[: int(n)] for n in rng.integers(0, len(content), 40)]
    for place in [*rng.integers(0, len(content), 150), *range(len(content) - 300, len(content), 3)]:
        changed = bytearray(content)
        changed[int(place)] ^= 1 << int(rng.integers(8))
        damages.append(bytes(changed))
    for damaged in damages:
        path.write_bytes(damaged)
        with at_most(20):
            grid, _ = stpsf.optical_grid(REQUEST)
        assert_right(grid)
    assert len(computed) > len(damages) / 2
    assert all("is made again" in message for message in caplog.messages if "read" in message)


CHANGES = {
    "not a number": {"samples": lambda value: np.where(value > value.mean(), np.nan, value)},
    "negative": {"samples": lambda value: value - 1e-3},
    "no light": {"samples": lambda value: value * 0},
    "twice the light": {"samples": lambda value: value * 2},
    "another shape": {"samples": lambda value: value[:, :, :-1]},
    "too small": {"samples": lambda value: value[:, :-4, :-4]},
    "one place less": {"samples": lambda value: value[:3]},
    "other places": {"x": lambda value: value + 1},
    "other sampling": {"oversample": lambda value: 5},
    "infinite jitter": {"jitter_mas": lambda value: np.inf},
    "negative jitter": {"jitter_mas": lambda value: -5.0},
    "text": {"pixel_arcsec": lambda value: "wide"},
    "complex": {"samples": lambda value: value + 1j},
    "objects": {"samples": lambda value: np.array([{"code": "runs"}], dtype=object)},
    "another request": {"made_from": lambda value: json.dumps({"detector": "WFI02"})},
    "no request": {"made_from": lambda value: "not json"},
}


@pytest.mark.parametrize("what", CHANGES)
def test_contents_that_cannot_be_are_not_believed(computed, path, what, caplog):
    with np.load(path) as kept:
        content = dict(kept)
    for name, change in CHANGES[what].items():
        content[name] = change(content[name])
    with path.open("wb") as file:
        np.savez(file, **content)
    with caplog.at_level(logging.WARNING):
        grid, _ = stpsf.optical_grid(REQUEST)
    assert_right(grid)
    assert len(computed) == 2
    assert "is made again" in caplog.text
    stpsf.optical_grid(REQUEST)
    assert len(computed) == 2


def test_what_is_no_file_is_made_again(computed, path):
    for make in (path.mkdir, lambda: os.mkfifo(path), lambda: path.symlink_to(path)):
        path.unlink()
        make()
        with at_most(20):
            grid, _ = stpsf.optical_grid(REQUEST)
        assert_right(grid)
        if path.is_dir():
            path.rmdir()
            path.touch()
