"""Disk cache of the PSF grids of STPSF, whose computation takes minutes.

A cached grid is identified by all parameters that determine it: filter, detector, positions,
spectrum, size and sampling of its stamps, and the versions of STPSF and of its data. It does not
include jitter, charge diffusion and pixel area (see `psfs.stpsf`). Files are written atomically,
and checked when they are read: a grid that is damaged, or was made for another request, is computed
again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from ..psfs import CorrectionUnavailable
from ..psfs.stpsf import GridRequest, OpticalGrid, compute_grid, configured_data_path
from ..storage import open_for_reading, remove_leftovers, write_atomically
from ..storage.progress import Progress

__all__ = ["optical_grid"]

log = logging.getLogger(f"romancal.{__name__}")

FORMAT = 1  # count up when the same request gives other numbers
#: Smallest and largest plausible sum of a stamp, as fraction of the flux of a star.
_LIGHT = (0.5, 1.05)
_ARRAYS = ("samples", "x", "y")
_NUMBERS = ("oversample", "pixel_arcsec", "charge_diffusion_mas", "jitter_mas")


def optical_grid(request: GridRequest) -> tuple[OpticalGrid, dict[str, Any]]:
    """Return a grid of optical PSFs from the cache, or compute it and store it there.

    Parameters
    ----------
    request : GridRequest
        Parameters of the grid.

    Returns
    -------
    grid : OpticalGrid
        The PSFs.
    provenance : dict
        The parameters and versions it was computed with, for the product's metadata.

    Raises
    ------
    CorrectionUnavailable
        STPSF's data are missing, or lack the filter.
    """
    data_path, data_version = _data()
    provenance = {
        **asdict(request),
        "stpsf_version": version("stpsf"),
        "stpsf_data_version": data_version,
        "format": FORMAT,
    }
    path = _cache_directory() / _name(provenance)
    grid = _read(path, request, provenance)
    if grid is None:
        log.info(
            "STPSF computes ePSFs of %s on %s at %d positions, once: they will be cached in %s",
            *(request.band, request.detector, request.n_psfs, path.parent),
        )
        task = f"ePSFs of {request.band} on {request.detector}"
        with Progress(task, request.n_psfs, unit="positions") as progress:
            grid = compute_grid(request, data_path=data_path, advance=progress.advance)
        _write(path, grid, provenance)
    else:
        log.info("ePSFs of %s on %s come from %s", request.band, request.detector, path)
    return grid, provenance


def _data() -> tuple[Path, str]:
    """Directory of STPSF's data, and their version."""
    named = os.environ.get("STPSF_PATH")
    path = Path(named).expanduser() if named else configured_data_path()
    expected = (
        "set the environment variable STPSF_PATH to the directory of the STPSF data (the one with "
        "version.txt; https://stpsf.readthedocs.io describes where to download them)"
    )
    if path is None:
        raise CorrectionUnavailable(f"STPSF_PATH is not set, and STPSF needs its data: {expected}")
    try:
        data_version = (path / "version.txt").read_text().strip()
    except OSError as error:
        reason = error.strerror or error
        raise CorrectionUnavailable(
            f"there are no STPSF data in {path} (version.txt: {reason}): {expected}"
        ) from error
    return path, data_version


def _cache_directory() -> Path:
    """Directory of the cache in the user's cache directory."""
    return platformdirs.user_cache_path("romancal_forcedphot") / "stpsf"


def _name(provenance: dict[str, Any]) -> str:
    """File name of a grid: main parameters, and a digest of all."""
    digest = hashlib.sha256(json.dumps(provenance, sort_keys=True).encode()).hexdigest()[:16]
    return f"{provenance['detector']}_{provenance['band']}_{provenance['n_psfs']}_{digest}.npz"


def _read(path: Path, request: GridRequest, provenance: dict[str, Any]) -> OpticalGrid | None:
    """Return a cached grid, None if there is none or it is damaged."""
    if not os.path.lexists(path):
        return None
    try:
        with open_for_reading(path) as file, np.load(file, allow_pickle=False) as content:
            if json.loads(content["made_from"].item()) != provenance:
                raise ValueError("it was made for another request")
            arrays = {name: content[name] for name in _ARRAYS}
            numbers = {name: content[name].item() for name in _NUMBERS}
        grid = OpticalGrid(**arrays, **numbers)
        _check(grid, request)
    except Exception as error:  # a damaged archive raises errors of ten kinds
        log.warning("%s cannot be read (%s) and is made again", path, " ".join(str(error).split()))
        return None
    return grid


def _check(grid: OpticalGrid, request: GridRequest) -> None:
    """Raise a ValueError for a grid that is not a valid result of the request."""
    k, side = request.n_psfs, grid.samples.shape[-1]
    if grid.samples.shape != (k, side, side):
        raise ValueError(f"the shape of its stamps is {grid.samples.shape}")
    if not all(map(np.array_equal, (grid.x, grid.y), request.positions)):
        raise ValueError("its positions are not those that were requested")
    if grid.oversample != request.oversample or side < request.fov_pixels * request.oversample:
        raise ValueError(f"its stamps have {side} samples, {grid.oversample} per pixel")
    numbers = [getattr(grid, name) for name in _NUMBERS]
    for values in (grid.samples, numbers):
        if np.asarray(values).dtype.kind not in "fi" or not np.isfinite(values).all():
            raise ValueError("it holds something that is not a finite number")
    light = grid.samples.sum(axis=(-2, -1), dtype=np.float64)
    if grid.samples.min() < 0 or light.min() < _LIGHT[0] or light.max() > _LIGHT[1]:
        raise ValueError(f"its stamps hold {light.min():g} to {light.max():g} of a star's light")
    if grid.pixel_arcsec <= 0 or min(grid.charge_diffusion_mas, grid.jitter_mas) < 0:
        raise ValueError("its pixel, diffusion or jitter is negative")


def _write(path: Path, grid: OpticalGrid, provenance: dict[str, Any]) -> None:
    """Write a grid to the cache; a failure is only logged, as the grid can be computed again."""
    content = {name: getattr(grid, name) for name in (*_ARRAYS, *_NUMBERS)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent)
        with write_atomically(path) as file:
            np.savez(file, made_from=json.dumps(provenance), **content)
    except OSError as error:
        log.warning("The ePSFs cannot be kept for the next time: %s", error)
