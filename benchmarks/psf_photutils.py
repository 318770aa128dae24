"""The joint PSF fit beside photutils and crowdsource at fixed positions, on the same tile.

    python benchmarks/psf_photutils.py EPSF_FILE [--side 512] [--density 0.02]

All have the true sky, the true errors and the ePSF that made the tile. photutils fits each star
alone, and stars in groups (`SourceGrouper`); crowdsource takes part if it is installed (``pip
install --no-deps crowdsourcephoto``). Printed are the time per star and, by the distance of the
nearest neighbour, the pulls.
"""

from __future__ import annotations

import argparse
import time
import warnings
from contextlib import redirect_stdout
from importlib.util import find_spec
from io import StringIO
from pathlib import Path

import numpy as np
from astropy.nddata import NDData
from astropy.table import Table
from photutils.psf import GriddedPSFModel, PSFPhotometry, SourceGrouper
from psf_bulge import GAIN_SECONDS, SKY, read_epsf, simulate
from scipy.spatial import cKDTree

from romancal_forcedphot.photometry.fitting import NoSky, PointSources, fit_fluxes
from romancal_forcedphot.psfs import GriddedEPSF

FIT_SHAPE = (11, 11)
GROUP_PIX = 5.0
BRIGHTER_THAN = 25.0
LARGEST_STAMP = 89  # pixels that the ePSF holds
CLASSES = ((0, 3), (3, 5), (5, 15), (15, np.inf))


def by_photutils(
    epsf: GriddedEPSF, data: np.ndarray, err: np.ndarray, table: Table, grouper: object
) -> tuple[np.ndarray, np.ndarray]:
    """Fluxes and errors of stars at fixed positions."""
    places = list(zip(epsf.x, epsf.y, strict=True))
    meta = {"grid_xypos": places, "oversampling": epsf.oversample}
    model = GriddedPSFModel(NDData(np.array(epsf.stamps), meta=meta))
    model.x_0.fixed = model.y_0.fixed = True
    photometry = PSFPhotometry(model, FIT_SHAPE, grouper=grouper, aperture_radius=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of stars that did not converge, and of large groups
        fitted = photometry(data, error=err, init_params=table)
    fitted.sort("id")
    return np.asarray(fitted["flux_fit"]), np.asarray(fitted["flux_err"])


def by_crowdsource(
    epsf: GriddedEPSF, data: np.ndarray, err: np.ndarray, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fluxes and errors of stars at fixed positions, in electrons as its sizes of stamps expect."""
    from crowdsource.crowdsource_base import fit_im_force

    def psf(row: np.ndarray, column: np.ndarray, stampsz: int, deriv: bool) -> np.ndarray:
        del deriv
        stamps = np.zeros((row.size, stampsz, stampsz), dtype=np.float32)
        inner = min(int(stampsz), LARGEST_STAMP)
        edge = (int(stampsz) - inner) // 2
        middle = slice(edge, edge + inner)
        stamps[:, middle, middle] = epsf.on_pixels(column, row, inner)
        return stamps

    image, weight = (each.astype(np.float32) for each in (GAIN_SECONDS * data, 1 / err))
    with redirect_stdout(StringIO()):
        stars, *_ = fit_im_force(
            *(image, y.copy(), x.copy(), psf),
            **{"weight": weight / GAIN_SECONDS, "psfderiv": False},
            **{"refit_sky": False, "startsky": 0.0},
        )
    return stars["flux"] / GAIN_SECONDS, stars["dflux"] / GAIN_SECONDS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("epsf", type=Path, help="a CRDS epsf reference")
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--density", type=float, default=0.02, help="stars per pixel")
    options = parser.parse_args()
    epsf = read_epsf(options.epsf)
    data, err, x, y, magnitude, truth = simulate(epsf, options.side, options.density)
    light = data.astype(np.float64) - SKY
    table = Table({"x_init": x, "y_init": y, "flux_init": truth})
    distance = cKDTree(np.column_stack([x, y])).query(np.column_stack([x, y]), k=2)[0][:, 1]

    def joint() -> tuple[np.ndarray, np.ndarray]:
        fit = fit_fluxes(light.astype(np.float32), err, PointSources.of(epsf, x, y), sky=NoSky())
        return fit.flux, fit.flux_err

    ways = {
        "joint fit": joint,
        "photutils, each alone": lambda: by_photutils(epsf, light, err, table, None),
        "photutils, groups": lambda: by_photutils(
            epsf, light, err, table, SourceGrouper(GROUP_PIX)
        ),
    }
    if find_spec("crowdsource"):
        ways["crowdsource"] = lambda: by_crowdsource(epsf, light, err, x, y)
    for words, measure in ways.items():
        start = time.process_time()
        flux, flux_err = measure()
        milliseconds = 1e3 * (time.process_time() - start) / x.size
        print(f"{words}: {x.size} stars, {milliseconds:.3f} ms of processor each")
        pull = (flux - truth) / flux_err
        for near, far in CLASSES:
            rows = (distance >= near) & (distance < far) & (magnitude < BRIGHTER_THAN)
            p = pull[rows & np.isfinite(pull)]
            if p.size > 5:
                low, middle, high = np.percentile(p, [15.865, 50, 84.135])
                print(
                    f"  neighbour at {near} to {far} pixels: {p.size:4d} of {rows.sum():4d} stars, "
                    f"median {middle:+.2f}, width {(high - low) / 2:.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
