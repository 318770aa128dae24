"""Damaged images and models: the true fluxes, or an error that names the file; never others.

    python benchmarks/robustness_images.py --seconds 60 --seed 1

The right answer is what the undamaged file gives, which is first compared with aperture sums by
photutils. Blocks carry checksums, so no damage to them may change a flux. The tree carries none: a
digit of it that became another digit is another truth, and is counted as right, if the tree as
YAML does say something else.
"""

from __future__ import annotations

import io
import logging
import re
import struct
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from astropy import coordinates as coord
from astropy import units as u
from astropy.modeling import models
from astropy.table import Table
from astropy.time import Time
from gwcs import coordinate_frames, wcs
from photutils.aperture import ApertureStats, CircularAnnulus, CircularAperture
from photutils.aperture import aperture_photometry as photutils_sums
from robustness_common import Outcome, Trial, defect, judge_error, main, right
from roman_datamodels import datamodels as rdm

from romancal_forcedphot.exposures import measure_exposure
from romancal_forcedphot.photometry import Settings, Sources
from romancal_forcedphot.references import CRDSFinder

__all__ = ["IMAGE", "SETTINGS", "World", "damage_file", "make_world", "parts", "same_table"]

IMAGE = "r0003201001001001004_0001_wfi01_f106_cal.asdf"
SETTINGS = Settings(pixel_area="wcs", aperture_correction="none")
SHAPE = (120, 140)
CENTER = (270.0, 66.0)
SCALE_DEG = 0.11 / 3600
N_SOURCES = 25
_STEPS = ("assign_wcs", "dark", "dark_decay", "dq_init", "flat_field", "flux", "linearity")
_STEPS += ("outlier_detection", "photom", "ramp_fit", "refpix", "saturation", "skymatch")
_STEPS += ("source_catalog", "tweakreg", "wfi18_transient")
_HEADER = struct.Struct(">I4sQQQ16s")
_JUNK = (None, "text", -1, 0, 1e300, [], {}, [1, 2], np.nan, np.zeros(3), True, b"bytes")


@dataclass(frozen=True)
class World:
    """An undamaged image, its file, and what is measured on it.

    Attributes
    ----------
    content : bytes
        The file.
    tree_end : int
        Where the tree ends and the blocks begin.
    blocks : list of int
        Where each block begins.
    sources : Sources
        What is measured.
    truth : astropy.table.Table
        What is measured on the undamaged file.
    """

    content: bytes
    tree_end: int
    blocks: list[int]
    sources: Sources
    truth: Table

    def changes_tree_to(self, content: bytes) -> bool:
        """Whether the tree of a damaged file says something else, as YAML."""
        return _yaml_of(content) != _yaml_of(self.content)


def parts(directory: Path) -> dict[str, Trial]:
    """Trials by name: damage to each part of a file, and to models in memory."""
    world = make_world(directory)
    trials: dict[str, Trial] = {
        f"image-{name}": partial(_damaged_file, world, name) for name in DAMAGES
    }
    return trials | {"image-model": partial(_damaged_model, world)}


def make_world(directory: Path) -> World:
    """Make an image with stars, and measure it undamaged.

    Parameters
    ----------
    directory : pathlib.Path
        Where the file is made; it may be removed afterwards.

    Returns
    -------
    World

    Raises
    ------
    AssertionError
        The fluxes are not those of photutils.
    """
    rng = np.random.default_rng(2027)
    x, y = rng.uniform(-3, SHAPE[1] + 2, N_SOURCES), rng.uniform(-3, SHAPE[0] + 2, N_SOURCES)
    model = _image(rng, x, y)
    path = directory / IMAGE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(path)
    content = path.read_bytes()
    index = re.search(rb"#ASDF BLOCK INDEX\s+%YAML.*?---(.*)\.\.\.", content, re.DOTALL)
    blocks = [int(digits) for digits in re.findall(rb"\d+", index[1])]
    sources = Sources(label=np.arange(1, N_SOURCES + 1), x=x, y=y, name="positions")
    truth = measure_exposure(path, SETTINGS, sources, CRDSFinder(), n_threads=1).table
    _compare_with_photutils(model, x, y, truth)
    return World(content, blocks[0], blocks, sources, truth)


def same_table(found: Table, expected: Table) -> bool:
    """Whether two tables of photometry have the same columns and values, NaN for NaN."""
    return found.colnames == expected.colnames and all(
        np.array_equal(found[name], expected[name], equal_nan=found[name].dtype.kind == "f")
        for name in expected.colnames
    )


def damage_file(rng: np.random.Generator, world: World, name: str) -> bytes:
    """Return the content of a file with damage of some kind.

    Parameters
    ----------
    rng : numpy.random.Generator
        What is damaged how.
    world : World
        With the undamaged file.
    name : str
        One of `DAMAGES`.

    Returns
    -------
    bytes
    """
    return DAMAGES[name](rng, world)


def _image(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> rdm.ImageModel:
    """Stars on a noisy sky, with some pixels flagged."""
    image = rdm.ImageModel.create_fake_data(shape=SHAPE)
    rows, columns = np.indices(SHAPE)
    data = rng.normal(2.0, 0.1, SHAPE)
    for x0, y0, flux in zip(x, y, 10 ** rng.uniform(0, 3, x.size), strict=True):
        data += flux * np.exp(-((columns - x0) ** 2 + (rows - y0) ** 2) / 2) / (2 * np.pi)
    image.data = data.astype(np.float32)
    image.err = np.sqrt(0.01 + np.abs(data) / 100).astype(np.float16)
    image.dq = (rng.random(SHAPE) < 0.01).astype(np.uint32)
    transform = (
        models.Shift(-(SHAPE[1] - 1) / 2) & models.Shift(-(SHAPE[0] - 1) / 2)
        | models.Scale(-SCALE_DEG) & models.Scale(SCALE_DEG)
        | models.Pix2Sky_TAN()
        | models.RotateNative2Celestial(*CENTER, 180.0)
    )
    pixels = coordinate_frames.Frame2D(name="detector", unit=(u.pix, u.pix))
    sky = coordinate_frames.CelestialFrame(name="world", reference_frame=coord.ICRS())
    image.meta.wcs = wcs.WCS([(pixels, transform), (sky, None)])
    image.meta.photometry.conversion_megajanskys = 0.25
    image.meta.photometry.pixel_area = 2.8e-13
    image.meta.instrument.optical_element = "F106"
    image.meta.exposure.start_time = Time("2027-03-01T00:00:00")
    image.meta.exposure.end_time = Time("2027-03-01T00:02:00")
    image.meta["cal_step"] = dict.fromkeys(_STEPS, "INCOMPLETE")
    image.meta.filename = IMAGE
    return image


def _compare_with_photutils(
    model: rdm.ImageModel, x: np.ndarray, y: np.ndarray, table: Table
) -> None:
    """Compare fluxes in circles of 3 pixels, less the clipped median from 20 to 25."""
    from astropy.stats import SigmaClip

    mask = model.dq != 0
    positions = np.transpose([x, y])
    annuli = CircularAnnulus(positions, 20, 25)
    clip = SigmaClip(3.0, maxiters=5, cenfunc="median")
    stats = ApertureStats(model.data, annuli, mask=mask, sigma_clip=clip, sum_method="center")
    sums = photutils_sums(model.data, CircularAperture(positions, 3), mask=mask)["aperture_sum"]
    areas = photutils_sums(np.ones(SHAPE), CircularAperture(positions, 3), mask=mask)
    expected = 1e15 * 0.25 * 2.8e-13 * (sums - stats.median * areas["aperture_sum"])
    inside = (x > 30) & (x < SHAPE[1] - 30) & (y > 30) & (y < SHAPE[0] - 30)
    errors = np.asarray(table["aper3pix_flux_err"])[inside]
    pulls = (np.asarray(table["aper3pix_flux"]) - np.asarray(expected))[inside] / errors
    assert inside.sum() > 2, "too few sources to compare"
    # The area of a pixel of the WCS changes over the image by 1e-6.
    assert np.abs(pulls).max() < 1e-2, f"not photutils' fluxes: {pulls}"


# --- files -------------------------------------------------------------------------------------


def _damaged_file(world: World, name: str, rng: np.random.Generator, directory: Path) -> Outcome:
    """Measure a file with damage of some kind."""
    content = damage_file(rng, world, name)
    path = directory / IMAGE
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = measure_exposure(path, SETTINGS, world.sources, CRDSFinder(), n_threads=1)
        except Exception as error:
            return judge_error(error, IMAGE)
    if same_table(found.table, world.truth):
        return right()
    if name in ("tree", "bits", "anything") and world.changes_tree_to(content):
        return right("another value stands in the tree, which has no checksum")
    return defect("other fluxes than those of the undamaged file")


def _flip(content: bytes, places: Any, rng: np.random.Generator) -> bytes:
    changed = bytearray(content)
    for place in np.atleast_1d(places):
        changed[int(place)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _bits(rng: np.random.Generator, world: World) -> bytes:
    """One to three bits, anywhere."""
    n = int(rng.integers(1, 4))
    return _flip(world.content, rng.integers(0, len(world.content), n), rng)


def _blocks(rng: np.random.Generator, world: World) -> bytes:
    """One to three bits in the data of blocks."""
    n = int(rng.integers(1, 4))
    return _flip(world.content, rng.integers(world.tree_end, len(world.content), n), rng)


def _headers(rng: np.random.Generator, world: World) -> bytes:
    """A bit, or another number, in the header of a block that is read."""
    start = world.blocks[rng.integers(4)]
    if rng.random() < 0.6:
        return _flip(world.content, start + rng.integers(0, 6 + _HEADER.size), rng)
    values = list(_HEADER.unpack_from(world.content, start + 6))
    which = int(rng.choice([0, 2, 3, 4]))
    size = 32 if which == 0 else 64
    values[which] = int(rng.choice([0, 1, 2**31, 2 ** (size - 1), 2**size - 1, values[which] + 1]))
    values[which] %= 2**size
    header = _HEADER.pack(*values)
    return world.content[: start + 6] + header + world.content[start + 6 + _HEADER.size :]


def _index(rng: np.random.Generator, world: World) -> bytes:
    """A character of the block index, or blocks in another order."""
    start = world.content.rindex(b"#ASDF BLOCK INDEX")
    if rng.random() < 0.5:
        return _flip(world.content, rng.integers(start, len(world.content)), rng)
    offsets = list(rng.permutation(world.blocks)) if rng.random() < 0.5 else list(world.blocks)
    if rng.random() < 0.5:
        offsets[rng.integers(len(offsets))] = int(rng.integers(0, 2 * len(world.content)))
    lines = "".join(f"- {offset}\n" for offset in offsets)
    return world.content[:start] + f"#ASDF BLOCK INDEX\n%YAML 1.1\n---\n{lines}...\n".encode()


def _tree(rng: np.random.Generator, world: World) -> bytes:
    """One to three characters of the tree, or lines of it lost, doubled or in another order."""
    kind = rng.random()
    if kind < 0.6:
        n = int(rng.integers(1, 4))
        return _flip(world.content, rng.integers(0, world.tree_end, n), rng)
    lines = world.content[: world.tree_end].split(b"\n")
    first, second = sorted(rng.integers(5, len(lines) - 3, 2))
    if kind < 0.75:
        del lines[first]
    elif kind < 0.9:
        lines[first], lines[second] = lines[second], lines[first]
    else:
        lines.insert(second, lines[first])
    tree = b"\n".join(lines)
    # The index tells where the blocks were: it is dropped, as by programs that edit trees.
    end = world.content.rindex(b"#ASDF BLOCK INDEX")
    return tree + world.content[world.tree_end : end]


def _cut(rng: np.random.Generator, world: World) -> bytes:
    """The file ends early, or a stretch of it is zero, or missing, or there twice.

    One in five ends where a block begins, or a few bytes behind.
    """
    if rng.random() < 0.2:
        return world.content[: rng.choice(world.blocks) + rng.choice([0, 0, 1, 4, 5, 6, 54, 55])]
    n = len(world.content)
    first, second = sorted(int(place) for place in rng.integers(0, n, 2))
    before, stretch, after = (
        world.content[:first],
        world.content[first:second],
        world.content[second:],
    )
    return (
        before,
        before + bytes(len(stretch)) + after,
        before + after,
        before + stretch + stretch + after,
        before + bytes(rng.permutation(np.frombuffer(stretch, np.uint8))) + after,
    )[rng.integers(5)]


def _anything(rng: np.random.Generator, world: World) -> bytes:
    """Many bits anywhere, or not ASDF at all."""
    kind = rng.random()
    if kind < 0.5:
        n = int(rng.integers(4, 200))
        return _flip(world.content, rng.integers(0, len(world.content), n), rng)
    noise = rng.bytes(int(rng.integers(0, 5000)))
    return noise if kind < 0.7 else b"#ASDF 1.0.0\n" + noise


DAMAGES: dict[str, Callable[[np.random.Generator, World], bytes]] = {
    "bits": _bits,
    "blocks": _blocks,
    "headers": _headers,
    "index": _index,
    "tree": _tree,
    "cut": _cut,
    "anything": _anything,
}


def _yaml_of(content: bytes) -> Any:
    """The tree as PyYAML reads it: nested pairs of tags and texts; None where it is no YAML."""
    end = re.search(rb"\n\.\.\.\r?\n", content)
    text = content[: end.end()] if end else content
    try:
        node = yaml.compose(io.BytesIO(text[text.index(b"%YAML") :]), Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError):
        return None
    return _plain_node(node)


def _plain_node(node: Any) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return node.tag, node.value
    if isinstance(node, yaml.SequenceNode):
        return node.tag, [_plain_node(each) for each in node.value]
    if isinstance(node, yaml.MappingNode):
        return node.tag, [(_plain_node(key), _plain_node(value)) for key, value in node.value]
    return None


# --- models ------------------------------------------------------------------------------------


def _damaged_model(world: World, rng: np.random.Generator, directory: Path) -> Outcome:
    """Measure a model in memory of which something is missing, or is something else."""
    rng_of_image = np.random.default_rng(2027)
    x, y = world.sources.x, world.sources.y
    rng_of_image.uniform(size=2 * N_SOURCES)
    model = _image(rng_of_image, x, y)
    where = "model"
    for _ in range(int(rng.integers(1, 3))):
        where = _spoil(rng, model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = measure_exposure(model, SETTINGS, world.sources, CRDSFinder(), n_threads=1)
        except Exception as error:
            return judge_error(error, IMAGE, "'the model'", "meta.", "'data'")
    if len(found.table) != N_SOURCES:
        return defect(f"{len(found.table)} rows of {N_SOURCES}, with another {where}")
    return right()


def _spoil(rng: np.random.Generator, model: rdm.ImageModel) -> str:
    """Remove or replace an array or an entry of the metadata; return which."""
    if rng.random() < 0.3:
        name = str(rng.choice(["data", "err", "dq"]))
        if rng.random() < 0.3:
            model._instance._data.pop(name, None)
        else:
            model[name] = _other_array(rng)
        return name
    node, path = model.meta, "meta"
    while True:
        keys = sorted(node)
        if not keys:
            return path
        key = str(rng.choice(keys))
        path += f".{key}"
        value = node[key]
        if hasattr(value, "keys") and rng.random() < 0.7:
            node = value
            continue
        if rng.random() < 0.4:
            del node[key]
        else:
            node[key] = _JUNK[rng.integers(len(_JUNK))]
        return path


def _other_array(rng: np.random.Generator) -> Any:
    """An array of another type or shape, or no array."""
    shape = SHAPE if rng.random() < 0.6 else tuple(rng.integers(0, 9, rng.integers(0, 4)))
    kind = str(rng.choice(["f4", "f8", "i8", "u2", "c16", "?", "U1", "M8[s]", "O", ">f4", "f2"]))
    if rng.random() < 0.1:
        return _JUNK[rng.integers(len(_JUNK))]
    return np.zeros(shape, dtype=kind)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    sys.exit(main(parts, __doc__.splitlines()[0], None))
