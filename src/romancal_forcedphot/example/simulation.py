"""Level-2 exposures of known sources, simulated by romanisim without CRDS.

Sky, ramps, noise, cosmic rays and data quality are romanisim's; the optics (see `optics`) and a
short read pattern are defined here. Level-2 images are in units of surface brightness: as after
romancal's flat-fielding, the simulated sensitivity of a pixel is proportional to the inverse of its
solid angle (1 at the centre of the detector). Fluxes of stars are correct only after
multiplication by the pixel-area map.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.table import Table

from ..geometry import N_SCIENCE_PIXELS
from .optics import Optics, make_optics, quiet_romanisim, ready_to_draw

MICRONS = {
    "F062": 0.62,
    "F087": 0.87,
    "F106": 1.06,
    "F129": 1.29,
    "F146": 1.46,
    "F158": 1.58,
    "F184": 1.84,
    "F213": 2.13,
}
GAIN = 2.0  # electron/DN
READ_NOISE = 5.0  # DN
DARK_CURRENT = 0.01  # electron/s
SATURATION = 55000.0  # DN
READ_PATTERN = [[1], [2], [12], [23], [24]]  # five reads in 76 s: quick to simulate
RENDERED_MARGIN = 10  # pixels around the image; sources farther off are not simulated
SIMULATED_STEPS = {
    *("dq_init", "saturation", "refpix", "linearity", "dark", "ramp_fit"),
    *("assign_wcs", "flat_field", "photom"),
}
STAGES = ("optics", "sources", "ramps", "slopes", "writing")

#: Function that is called with the name of each stage as it begins.
Report = Callable[[str], None]


@dataclass(frozen=True)
class Recipe:
    """Parameters of a scene, see `make_scene`; equal recipes give equal files."""

    detector: str = "WFI01"
    band: str = "F106"
    n_stars: int = 2600
    n_galaxies: int = 180
    magnitudes: tuple[float, float] = (17.0, 24.0)
    seed: int = 1937
    n_pixels: int = N_SCIENCE_PIXELS
    name: str = "r0003201001001001004_0001"


def scene_metadata(detector: str, band: str) -> dict:
    """Return romanisim's metadata of an exposure.

    Parameters
    ----------
    detector, band : str
        Detector and filter.

    Returns
    -------
    dict
        By section of the metadata.
    """
    with quiet_romanisim():
        from romanisim import ris_make_utils

        metadata = ris_make_utils.set_metadata(
            date="2026-10-31T00:00:00", bandpass=band, sca=int(detector[3:])
        )
    metadata["exposure"]["read_pattern"] = READ_PATTERN
    metadata["exposure"]["nresultants"] = len(READ_PATTERN)
    return metadata


@functools.lru_cache(maxsize=1)
def optics_of(detector: str, band: str, n_pixels: int) -> Optics:
    """Return the optics of a scene.

    The last result is cached for the reference files, which are made after the exposure;
    ``optics_of.cache_clear()`` frees its 400 MB.

    Parameters
    ----------
    detector, band : str
        Detector and filter.
    n_pixels : int
        Side of the image.

    Returns
    -------
    Optics
    """
    return make_optics(scene_metadata(detector, band), n_pixels=n_pixels)


def expose(
    recipe: Recipe,
    optics: Optics,
    sources: Table,
    *,
    name: str,
    report: Report = lambda stage: None,
) -> Any:
    """Simulate an exposure of some sources.

    Parameters
    ----------
    recipe : Recipe
        Detector, filter, seed of the noise, and side of the image.
    optics : Optics
        Where the sky lies on the pixels, and the PSF.
    sources : astropy.table.Table
        As `make_catalog` returns them.
    name : str
        File name of the image.
    report : callable
        Called with the name of each of `STAGES` as it begins.

    Returns
    -------
    roman_datamodels.datamodels.ImageModel
    """
    metadata = scene_metadata(recipe.detector, recipe.band)
    with quiet_romanisim():
        import galsim

        rng = galsim.UniformDeviate(recipe.seed)
        report("sources")
        counts = _count_electrons(recipe, optics, metadata, sources, rng)
        report("ramps")
        resultants, dq = _read_out(counts, rng)
        del counts
        report("slopes")
        model = _level_2(resultants, dq, optics, metadata)
    _complete_metadata(model, recipe, name, optics)
    return model


def _count_electrons(
    recipe: Recipe, optics: Optics, metadata: dict, sources: Table, rng: Any
) -> Any:
    """Return a galsim image of the electrons per pixel from sky, sources and dark current."""
    import galsim
    import romanisim.image
    from romanisim.models import backgrounds, bandpass, parameters
    from romanisim.models.wcs import GWCS

    side, band, sca = recipe.n_pixels, recipe.band, int(recipe.detector[3:])
    galsim_band = bandpass.roman2galsim_bandpass[band]
    image = galsim.ImageF(side, side, wcs=GWCS(optics.wcs), xmin=0, ymin=0)
    start = metadata["exposure"]["start_time"]
    sky_arcsec2 = backgrounds.getSkyLevel(
        bandpass.getBandpasses(AB_zeropoint=True)[galsim_band],
        world_pos=image.wcs.toWorld(image.true_center),
        date=start.datetime,
        exptime=1,
    ) * (1 + parameters.stray_light_fraction)
    area_arcsec2 = optics.area_steradian * np.rad2deg(3600) ** 2
    sky = sky_arcsec2 * area_arcsec2 + backgrounds.thermal_backgrounds[galsim_band]
    romanisim.image.simulate_counts_generic(
        image,
        parameters.read_time * READ_PATTERN[-1][-1],
        objlist=sources,
        psf=ready_to_draw(optics),
        zpflux=bandpass.get_abflux(band, sca),
        sky=galsim.ImageF(sky.astype(np.float32), xmin=0, ymin=0),
        dark=DARK_CURRENT,
        qe=1 / optics.relative_area,
        ignore_distant_sources=RENDERED_MARGIN,
        filter_name=band,
        rng=rng,
    )
    return image


def _read_out(counts: Any, rng: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the resultants (n_resultants, ny, nx) in DN and their data-quality flags."""
    import romanisim.l1

    return romanisim.l1.make_l1(
        counts,
        READ_PATTERN,
        read_noise=READ_NOISE,
        gain=GAIN,
        saturation=SATURATION,
        crparam={},
        rng=rng,
    )


def _level_2(resultants: np.ndarray, dq: np.ndarray, optics: Optics, metadata: dict) -> Any:
    """Fit the ramps and return an `ImageModel`."""
    import romanisim.image
    from roman_datamodels.datamodels import ImageModel
    from romanisim import util
    from romanisim.models.wcs import GWCS

    meta = ImageModel.create_fake_data().meta
    for key, value in metadata.items():
        meta[key].update(value)
    util.add_more_metadata(meta, usecrds=False)
    util.update_pointing_and_wcsinfo_metadata(meta, GWCS(optics.wcs))
    slopes = romanisim.image.make_l2(
        resultants, READ_PATTERN, read_noise=READ_NOISE, gain=GAIN, darkrate=DARK_CURRENT, dq=dq
    )
    node, _ = romanisim.image.make_asdf(
        *slopes,
        metadata=meta,
        dq=np.bitwise_or.reduce(dq, axis=0),
        imwcs=GWCS(optics.wcs),
        gain=GAIN,
    )
    return ImageModel(node)


def _complete_metadata(model: Any, recipe: Recipe, name: str, optics: Optics) -> None:
    """Add metadata that romanisim lacks, and correct those that are wrong without CRDS."""
    from romanisim import ris_make_utils
    from romanisim.models import bandpass

    meta = model.meta
    meta.observation.update(ris_make_utils.parse_filename(name))
    for step in SIMULATED_STEPS & set(meta.cal_step):
        meta.cal_step[step] = "COMPLETE"
    # A star of 3631 Jy (0 mag AB) gives this many electrons per second at the centre.
    electrons = bandpass.get_abflux(recipe.band, int(recipe.detector[3:]))
    area = optics.central_area_steradian
    meta.photometry.pixel_area = area
    conversion = float(GAIN * 3631e-6 / electrons / area)
    meta.photometry.conversion_megajanskys = conversion
    meta.photometry.conversion_microjanskys = conversion * 1e12 / np.rad2deg(3600) ** 2
