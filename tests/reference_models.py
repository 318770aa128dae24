"""Reference files for the small image, made with RAD's models, and finders that know them.

The star of the ePSF is a Gaussian, of another width in each spectral type.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import asdf
import numpy as np
from roman_datamodels import datamodels as rdm
from scipy.special import ndtr

from romancal_forcedphot.references import Reference
from small import SHAPE

SIGMA = {"A0V": 0.75, "G2V": 0.8, "M6V": 0.9}
OVERSAMPLE = 4
HALF_SIZE = 12
SCALE = 0.11  # arcsec per pixel of the small image
STERADIAN = 2.8e-13  # nominal pixel area of the small image
ARCSECSQ = STERADIAN * np.rad2deg(3600) ** 2
FINE = np.arange(1, 201) * 0.025  # as the files of today, in arcsec; the older ones in pixels


def reference(kind, content):
    """What a finder returns for a path or a model."""
    return Reference(kind, content, f"{kind} of a test")


@dataclasses.dataclass
class Given:
    """A finder that has what it is given and remembers what it was asked for."""

    contents: dict[str, Any]
    asked: list = dataclasses.field(default_factory=list)

    def find(self, kind, parameters):
        self.asked.append((kind, dict(parameters)))
        return reference(kind, self.contents[kind]) if kind in self.contents else None


def gaussian_pixels(dx, dy, sigma):
    """Light of a Gaussian star on pixels whose centres are dx, dy from it."""

    def along(offset):
        return ndtr((offset + 0.5) / sigma) - ndtr((offset - 0.5) / sigma)

    return along(dx) * along(dy)


def epsf_model(**meta):
    """An ePSF reference: three spectral types, in focus and out of it, at four places."""
    offset = np.arange(-HALF_SIZE * OVERSAMPLE, HALF_SIZE * OVERSAMPLE + 1) / OVERSAMPLE
    sharp = [gaussian_pixels(offset, offset[:, None], sigma) for sigma in SIGMA.values()]
    psf = np.array([sharp, np.array(sharp) / 2])[:, :, None]
    model = rdm.EpsfRefModel.create_fake_data()
    model.psf = np.repeat(psf, 4, axis=2).astype(np.float32)
    model.meta.instrument = {"name": "WFI", "detector": "WFI01", "optical_element": "F106"}
    model.meta.update(
        {
            "oversample": OVERSAMPLE,
            "spectral_type": list(SIGMA),
            "defocus": [0, 3],
            "pixel_x": [0.0, 199.0, 0.0, 199.0],
            "pixel_y": [0.0, 0.0, 179.0, 179.0],
            "jitter_major": 8.0,
            "jitter_minor": 8.0,
            "jitter_position_angle": 0.0,
        }
        | meta
    )
    return model


def encircled(radius_pix):
    """Light within a radius: a core and a halo that falls as Roman's does."""
    radius = np.asarray(radius_pix, dtype=float)
    core, halo = 1 - (1 + (radius / 1.1) ** 2) ** -1.5, 1 - np.exp(-((radius / 5) ** 2))
    return 0.85 * core + 0.15 * halo


def apcorr_file(name, radii, fractions, **changes):
    """An apcorr reference with one filter; the elements that take no images are null."""
    fractions = np.asarray(fractions)
    entry = {
        "ap_corrections": 1 / fractions,
        "ee_fractions": fractions,
        "ee_radii": np.asarray(radii),
        "sky_background_rin": 2.4,
        "sky_background_rout": 2.8,
    } | changes
    nothing = dict.fromkeys(entry)
    model = rdm.ApcorrRefModel.create_fake_data()
    model.meta.instrument.detector = "WFI01"
    model.data = {"F106": entry} | dict.fromkeys(("DARK", "GRISM", "PRISM"), nothing)
    model.save(name)


def area_map():
    """Areas around one, rising by 2 % over the image."""
    y, x = np.indices(SHAPE)
    return 0.99 + 0.01 * x / SHAPE[1] + 0.01 * y / SHAPE[0]


def area_file(name, data, **changes):
    """An area reference whose array has any type, which RAD's own models would not write."""
    model = rdm.PixelareaRefModel.create_fake_data(shape=(8, 8))
    model.meta.instrument.detector = "WFI01"
    model.meta.instrument.optical_element = "F106"
    nominal = {"pixelarea_steradians": STERADIAN, "pixelarea_arcsecsq": ARCSECSQ} | changes
    model.meta.photometry = nominal
    model.save(name)
    tag = model._instance.tag
    with asdf.open(name, lazy_load=False, memmap=False) as file:
        meta = file["roman"]["meta"]
    asdf.AsdfFile({"roman": {"meta": meta, "data": data}}).write_to(name, include_block_index=False)
    with open(name, "r+b") as file:
        content = file.read().replace(b"\nroman:\n", f"\nroman: !<{tag}>\n".encode(), 1)
        file.seek(0)
        file.write(content)
