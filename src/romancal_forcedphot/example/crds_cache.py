"""A local CRDS cache, usable without a server, with the reference files of simulated exposures.

CRDS selects a reference file through three levels of mappings (pipeline context, instrument,
reference type), text files that include their own checksum. The selection rules of each reference
type are those of the templates that crds installs. The reference files are made from the optics of
the simulated exposures:

- `area`: relative pixel area, 1 at the centre of the detector;
- `apcorr`: encircled energy of the optical PSF, radii in arcsec as in current files;
- `epsf`: pixel-integrated PSF on a grid of positions.
"""

from __future__ import annotations

import os
import pprint
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .files import Record, Renamed, plain_directory
from .optics import CURVE_RADII_ARCSEC, Optics, encircled_energy, epsf_stamp
from .scene import Scene
from .simulation import MICRONS, Report, optics_of

RECIPE = 1  # count up whenever the same scenes give other references
CONTEXT = "roman_0001.pmap"
SERVERLESS_URL = (
    "https://crds-serverless-mode.stsci.edu"  # recognised by crds: no server is contacted
)
USEAFTER = "2020-01-01T00:00:00"
REFERENCE_TYPES = ("area", "apcorr", "epsf")
EPSF_OVERSAMPLE = 4
EPSF_HALF_SIZE = 45  # pixels
EPSF_GRID = 3  # positions along one axis
SKY_ANNULUS_ARCSEC = (2.4, 2.8)


def make_crds_cache(
    directory: str | Path,
    scenes: Sequence[Scene],
    *,
    reference_types: Iterable[str] = REFERENCE_TYPES,
    report: Report = lambda stage: None,
) -> Path:
    """Make a CRDS cache for one or several scenes, unless it exists already.

    Parameters
    ----------
    directory : str or path-like
        The cache; it is replaced if it was made from other scenes.
    scenes : sequence of Scene
        The exposures. `area` and `apcorr` are selected by detector (`area` is that of the first
        scene of the detector), `epsf` by detector and filter.
    reference_types : iterable of str
        Some of ``'area'``, ``'apcorr'``, ``'epsf'``.
    report : callable
        Called with the name of each stage as it begins.

    Returns
    -------
    pathlib.Path
        Directory of the cache; see `crds_environment` for its use.
    """
    directory = plain_directory(directory)
    kinds = tuple(reference_types)
    record = Record(
        directory / "recipe.json",
        {"recipe": RECIPE, "scenes": [repr(scene.recipe) for scene in scenes], "references": kinds},
    )
    if record.matches(directory / "config"):
        return directory
    with Renamed(directory) as partial:
        _fill_cache(partial, scenes, kinds, report)
        Record(partial / "recipe.json", {}).path.write_text(record.text)
    return directory


def crds_environment(cache: str | Path) -> dict[str, str]:
    """Return the environment variables with which a process uses the cache.

    crds reads and caches some of them when it is imported: set them before the process starts, or
    before the first import of crds.

    Parameters
    ----------
    cache : str or path-like
        Directory of the cache.

    Returns
    -------
    dict of str to str
    """
    return {
        "CRDS_SERVER_URL": SERVERLESS_URL,
        "CRDS_PATH": os.fspath(cache),
        "CRDS_CONTEXT": CONTEXT,
    }


def _fill_cache(
    cache: Path, scenes: Sequence[Scene], kinds: tuple[str, ...], report: Report
) -> None:
    """Write the reference files of scenes, and the mappings that select them."""
    references = cache / "references" / "roman"
    references.mkdir(parents=True)
    rules: dict[str, dict[tuple[str, ...], str]] = {kind: {} for kind in kinds}
    curves: dict[str, dict[str, np.ndarray]] = {}
    for scene in scenes:
        detector, band = scene.recipe.detector, scene.recipe.band
        report(f"references of {detector} {band}")
        optics = optics_of(detector, band, scene.recipe.n_pixels)
        curves.setdefault(detector, {})[band] = encircled_energy(optics)
        models = {
            "area": ((detector,), area_reference, (optics, detector, band)),
            "apcorr": ((detector,), apcorr_reference, (curves[detector], detector)),
            "epsf": ((detector, band), epsf_reference, (optics, detector, band)),
        }
        for kind in kinds:
            key, make, arguments = models[kind]
            if kind == "area" and key in rules[kind]:
                continue
            name = f"roman_wfi_{kind}_{detector[3:]}{band[1:] if len(key) > 1 else ''}.asdf"
            make(*arguments).save(references / name)
            rules[kind][key] = name
    optics_of.cache_clear()
    write_context(cache, rules)


def write_context(cache: Path, rules: dict[str, dict[tuple[str, ...], str]]) -> None:
    """Write the configuration and the mappings of a cache.

    Parameters
    ----------
    cache : pathlib.Path
        Directory of the cache.
    rules : dict
        For each reference type, the file name for each key of the type's rmap, such as
        ``{"area": {("WFI01",): "roman_wfi_area_01.asdf"}}``. Other types are unknown to the
        context.
    """
    _write_config(cache / "config" / "roman")
    _write_mappings(cache / "mappings" / "roman", rules)


def _common(model: type, kind: str, detector: str, **more: Any) -> dict[str, Any]:
    """Return the metadata that all reference files have in common, and more of ``instrument``."""
    from astropy.time import Time

    instrument = {"name": "WFI", "detector": detector, **more}
    return {
        "reftype": kind.upper(),
        "author": "romancal_forcedphot",
        "description": f"{model.__name__} of a simulated exposure, from the simulation itself",
        "pedigree": "DUMMY",
        "useafter": Time(USEAFTER),
        "telescope": "ROMAN",
        "origin": "STSCI/SOC",
        "instrument": instrument,
    }


def area_reference(optics: Optics, detector: str, band: str) -> Any:
    """Return the pixel-area reference: a relative map, with the nominal area in its metadata.

    Parameters
    ----------
    optics : Optics
        Optics of the scene.
    detector, band : str
        Detector and filter.

    Returns
    -------
    roman_datamodels.datamodels.PixelareaRefModel
    """
    from roman_datamodels.datamodels import PixelareaRefModel

    nominal = optics.central_area_steradian
    meta = _common(PixelareaRefModel, "area", detector, optical_element=band)
    meta["photometry"] = {
        "pixelarea_steradians": nominal,
        "pixelarea_arcsecsq": nominal * np.rad2deg(3600) ** 2,
    }
    data = optics.relative_area.astype(np.float32)
    return PixelareaRefModel.create_fake_data({"meta": meta, "data": data})


def apcorr_reference(curves: dict[str, np.ndarray], detector: str) -> Any:
    """Return the aperture-correction reference of one detector.

    Parameters
    ----------
    curves : dict of str to (n,) ndarray
        Encircled-energy fractions at `optics.CURVE_RADII_ARCSEC` by filter. All entries of other
        optical elements are null.
    detector : str
        Detector.

    Returns
    -------
    roman_datamodels.datamodels.ApcorrRefModel
    """
    from roman_datamodels.datamodels import ApcorrRefModel

    names = ("ap_corrections", "ee_fractions", "ee_radii")
    names += ("sky_background_rin", "sky_background_rout")
    data = {band: dict.fromkeys(names) for band in (*MICRONS, "GRISM", "PRISM", "DARK")}
    for band, curve in curves.items():
        values = (1 / curve, curve, CURVE_RADII_ARCSEC.copy(), *SKY_ANNULUS_ARCSEC)
        data[band] = dict(zip(names, values, strict=True))
    meta = _common(ApcorrRefModel, "apcorr", detector)
    return ApcorrRefModel.create_fake_data({"meta": meta, "data": data})


def epsf_reference(optics: Optics, detector: str, band: str) -> Any:
    """Return the ePSF reference: a grid of positions, one spectral type, in focus.

    Parameters
    ----------
    optics : Optics
        Optics of the scene.
    detector, band : str
        Detector and filter.

    Returns
    -------
    roman_datamodels.datamodels.EpsfRefModel
    """
    from roman_datamodels.datamodels import EpsfRefModel

    nodes = np.linspace(0, len(optics.area_steradian) - 1, EPSF_GRID).round()
    pixel_y, pixel_x = (axis.ravel().tolist() for axis in np.meshgrid(nodes, nodes, indexing="ij"))
    size = {"oversample": EPSF_OVERSAMPLE, "half_size": EPSF_HALF_SIZE}
    stamps = [epsf_stamp(optics, x, y, **size) for x, y in zip(pixel_x, pixel_y, strict=True)]
    meta = _common(EpsfRefModel, "epsf", detector, optical_element=band)
    meta |= {
        "oversample": EPSF_OVERSAMPLE,
        "spectral_type": ["flat"],
        "defocus": [0],
        "pixel_x": pixel_x,
        "pixel_y": pixel_y,
        "jitter_major": 0.0,
        "jitter_minor": 0.0,
        "jitter_position_angle": 0.0,
    }
    psf = np.array(stamps, dtype=np.float32)[np.newaxis, np.newaxis]
    return EpsfRefModel.create_fake_data({"meta": meta, "psf": psf})


def _write_config(directory: Path) -> None:
    """Write the configuration that crds otherwise gets from its server."""
    import crds

    directory.mkdir(parents=True)
    server = {
        "observatory": "roman",
        "operational_context": CONTEXT,
        "edit_context": CONTEXT,
        "bad_files": "",
        "bad_files_list": [],
        "mappings": [],
        "crds_version": {"str": crds.__version__},
        "reference_url": {"roman": SERVERLESS_URL},
        "mapping_url": {"roman": SERVERLESS_URL},
        "last_synced": USEAFTER,
        "effective_mode": "local",
        "status": "cache",
        "connected": False,
        "max_mappings": 1,
    }
    (directory / "server_config").write_text(pprint.pformat(server))
    (directory / "ref_cache_subdir_mode").write_text("flat\n")


def _write_mappings(directory: Path, rules: dict[str, dict[tuple[str, ...], str]]) -> None:
    """Write the rmaps, imap and pmap, each with its checksum."""
    directory.mkdir(parents=True)
    rmaps = {kind: f"roman_wfi_{kind}_0001.rmap" for kind in rules}
    for kind, references in rules.items():
        selected = {key: {USEAFTER.replace("T", " "): name} for key, name in references.items()}
        _write_mapping(directory / rmaps[kind], _rmap_header(kind, rmaps[kind]), selected)
    instrument = {
        "derived_from": "romancal_forcedphot",
        "description": "References of simulated exposures",
        "instrument": "WFI",
        "mapping": "INSTRUMENT",
        "name": "roman_wfi_0001.imap",
        "observatory": "ROMAN",
        "parkey": ("REFTYPE",),
        "sha1sum": "",
    }
    pipeline = {**instrument, "mapping": "PIPELINE", "name": CONTEXT}
    pipeline["parkey"] = ("ROMAN.META.INSTRUMENT.NAME",)
    del pipeline["instrument"]
    _write_mapping(directory / instrument["name"], instrument, rmaps)
    _write_mapping(directory / CONTEXT, pipeline, {"WFI": instrument["name"]})


def _rmap_header(kind: str, name: str) -> dict[str, Any]:
    """Return the header of crds' own template for a reference type, under another name."""
    from crds.core import rmap
    from crds.roman import locate

    template = Path(locate.HERE) / "specs" / f"wfi_{kind}.rmap"
    header = rmap.Mapping.from_file(os.fspath(template), ignore_checksum=True).header
    header = {key: value for key, value in dict(header).items() if key != "sha1sum"}
    own = {"name": name, "instrument": "WFI", "observatory": "ROMAN", "filekind": kind.upper()}
    return {**header, **own, "derived_from": f"wfi_{kind}.rmap of crds", "sha1sum": ""}


def _write_mapping(path: Path, header: dict[str, Any], selector: dict) -> None:
    """Write one mapping in crds' syntax, with its checksum."""
    from crds.refactoring import checksum

    if header["mapping"] == "REFERENCE":
        lines = [
            f"    {key} : UseAfter({pprint.pformat(after)})," for key, after in selector.items()
        ]
        body = "Match({\n" + "\n".join(lines) + "\n})"
    else:
        body = pprint.pformat(selector)
    path.write_text(f"header = {pprint.pformat(header)}\n\nselector = {body}\n")
    checksum.update_checksum(os.fspath(path))
