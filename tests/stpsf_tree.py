"""A data tree for STPSF, made from the Roman files that come with GalSim.

STPSF's own data are a download of gigabytes. GalSim holds what matters of an earlier delivery of
the same optics (Cycle 9): the pupil and the Zernike coefficients of each detector, the effective
area of each filter. This module writes them down in the layout that STPSF reads, so that the real
STPSF runs in tests, with fewer wavelengths and a coarser pupil than is its own.

What GalSim counts in waves at one wavelength is an optical path: it is the same length at all
others. Where it and STPSF differ in their frame (STPSF mirrors a file's x), the file is written
so that both put an aberration on the same pixel of the detector.
"""

from __future__ import annotations

import contextlib
import shutil
import uuid
import warnings
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table

#: At least what STPSF asks for; what follows the three numbers is ours.
DATA_VERSION = "2.1.0.galsim2"
GALSIM_BANDS = {"F106": "Y106", "F158": "H158", "F184": "F184"}
ALL_DETECTORS = range(1, 19)
PUPIL_BIN = 8  # romanisim's choice for GalSim


def make_tree(
    directory: Path, *, detectors=("WFI01",), bands=("F106",), n_wavelengths: int = 3
) -> Path:
    """Make the tree, or find it made, and return its path (the value for STPSF_PATH)."""
    name = "-".join(["stpsf", *detectors, *bands, str(n_wavelengths), DATA_VERSION])
    tree = directory / name
    if tree.exists():
        return tree
    partial = directory / f"partial-{uuid.uuid4().hex}"
    wfi = partial / "WFI"
    (wfi / "pupils").mkdir(parents=True)
    (partial / "version.txt").write_text(f"{DATA_VERSION}\n")
    lines = ["filter\tnlambda", *(f"{band}\t{n_wavelengths}" for band in bands)]
    (wfi / "filters.tsv").write_text("\n".join(lines) + "\n")
    for band in bands:
        _write_zernikes(wfi / f"WIM_{band}_zernikes_cycle10.csv", band)
        for detector in detectors:
            _write_throughput(wfi / "filters" / detector / f"{band}_throughput.fits", band)
            pupil = wfi / "pupils" / f"RST_WIM_Filter_{band}_{detector}.fits.gz"
            shape = _write_pupil(pupil, band, detector)
    fits.PrimaryHDU(np.zeros(shape), fits.Header({"BUNIT": "micron"})).writeto(
        partial / "upscaled_HST_OPD.fits"
    )
    try:
        partial.rename(tree)
    except OSError:  # another process was faster
        shutil.rmtree(partial)
    return tree


@contextlib.contextmanager
def stpsf_with(data: Path):
    """STPSF itself, with its data in a tree; what it says of itself is no concern of a test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import stpsf

        with stpsf.conf.set_temp("STPSF_PATH", str(data)):
            yield stpsf


def _write_pupil(path: Path, band: str, detector: str) -> tuple[int, int]:
    kind = "F184" if band == "F184" else "skinny"
    source = _galsim_file(f"RST_WIM_Filter_{kind}_SCA_{int(detector[3:])}.fits.gz")
    with fits.open(source) as file:
        open_part, header = file[0].data > 0, file[0].header
    side = len(open_part) // PUPIL_BIN
    # As GalSim bins it: a coarse pixel is open where any part of it is.
    pupil = open_part.reshape(side, PUPIL_BIN, side, PUPIL_BIN).any(axis=(1, 3))
    scale = fits.Header({"PIXELSCL": header["PIXELSCL"] * PUPIL_BIN})
    fits.PrimaryHDU(pupil.astype(float), scale).writeto(path)
    return pupil.shape


def _write_throughput(path: Path, band: str) -> None:
    with open(_galsim_file("Roman_effarea_20210614.txt")) as file:
        table = np.genfromtxt(file, names=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    throughput = Table(
        {
            "WAVELENGTH": table["Wave"] * 1e4,
            "THROUGHPUT": table[GALSIM_BANDS[band]] / 4.4,  # m2 of the mirror's geometric area
        }
    )
    hdu = fits.table_to_hdu(throughput)
    hdu.header["WAVEUNIT"] = "angstrom"
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)


def _write_zernikes(path: Path, band: str) -> None:
    from galsim import roman

    limits = roman.getBandpasses()[GALSIM_BANDS[band]]
    wavelengths = np.linspace(limits.blue_limit, limits.red_limit, 9)
    names = ["sca", "wavelength", "field_point", "local_x", "local_y"]
    names += [f"Z{i}" for i in range(1, 23)]
    rows = []
    for sca in ALL_DETECTORS:
        points = np.loadtxt(_galsim_file(f"Roman_Cycle-9_WFI_zim_zernikes_082623_{sca:02d}.txt"))
        turned = 1 if sca % 3 else -1
        for wavelength in wavelengths:
            for number, x, y, *rest in points:
                zernikes = np.array(rest[2:]) * roman.roman_psfs.zemax_wavelength / wavelength
                place = (sca, wavelength / 1000, int(number), turned * x, -turned * y)
                rows.append((*place, *zernikes))
    Table(rows=rows, names=names).write(path, format="ascii.csv")


def _galsim_file(name: str) -> Path:
    import galsim

    return Path(galsim.meta_data.share_dir) / "roman" / name
