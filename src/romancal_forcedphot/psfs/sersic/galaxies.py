"""Sérsic galaxies on pixels: their profiles convolved with the ePSF where they stand.

In Fourier space that is a product. The transform of a round profile is a table, an elliptical one
is a linear map of the frequencies, the place within a pixel is a phase, and the transform of the
ePSF already holds the integration over a pixel. What is sampled at whole pixels folds its
frequencies onto those below half a cycle per pixel: they are added there before the one small
transform back.

A discrete transform repeats its image. The period leaves room for the ePSF's stamp around the
pixels that are asked for, but steep profiles reach farther than any period. The repeated images of
a galaxy are smooth across its pixels: they are evaluated at a few nodes, and taken away.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import ArrayLike, NDArray

from ..epsf import GriddedEPSF
from .profiles import SersicProfiles
from .round import light_within
from .spectrum import Spectrum, spectrum_of
from .transform import transform_table

__all__ = ["SersicGalaxies"]

TOLERANCE = 3e-6  # of the total flux, in a pixel, by the frequencies that are left out
OUTSIDE_LIGHT = 1e-5  # less than this beyond the period does not matter
ROOM_IN_RADII = 2.0  # half-light radii of the long axis, beside the ePSF, to the next image
FREQUENCIES_AT_ONCE = 60_000  # few calls, and arrays that stay in the cache

# Nodes per axis for galaxies of axis ratios from the first number on, and how many rings of images
# around them are evaluated: needles are not smooth across, and stay needles far out.
IMAGES = ((0.35, 7, 2), (0.17, 13, 5), (0.0, 21, 5))
FAR_RINGS = 3, 7  # rings from this one on need no more nodes than this


@dataclass(frozen=True, eq=False)
class SersicGalaxies:
    """n Sérsic galaxies as an instrument sees them.

    Attributes
    ----------
    epsf : GriddedEPSF
        The PSF. Its samples stand for a function without frequencies beyond theirs, and it is 0
        beyond its stamps: light of a galaxy that it would throw farther falls on no pixel.
    profiles : SersicProfiles
        The galaxies before the convolution.
    """

    epsf: GriddedEPSF
    profiles: SersicProfiles
    _spectra: dict[int, Spectrum] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.profiles)

    def for_rows(self, rows: Any) -> SersicGalaxies:
        """Return some of the galaxies, given by index, mask or slice."""
        return SersicGalaxies(self.epsf, self.profiles[rows], self._spectra)

    def on_pixels(self, x: ArrayLike, y: ArrayLike, side: int) -> NDArray:
        """Return the galaxies on the pixels around them.

        Parameters
        ----------
        x, y : (n,) array_like
            Pixel positions, of all galaxies.
        side : int
            Odd side s of the stamps, which are centred on pixel (rint(y), rint(x)).

        Returns
        -------
        light : (n, s, s) ndarray of float64, indexed [galaxy, y, x]
            Fraction of the galaxy's light on each pixel, good to 1e-5 or better.
        """
        x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        offset_x, offset_y = (side // 2 + (each - np.rint(each)) for each in (x, y))
        corners = self.epsf.grid.corners(x, y)
        light = np.empty((len(self), side, side))
        periods = self._periods(side)
        for period in np.unique(periods):
            rows = np.flatnonzero(periods == period)
            spectrum = self._spectrum(int(period))
            n_tiles = _n_tiles(self.profiles[rows], spectrum)
            cell = corners[0][0][rows]  # the first of the corners' stamps tells of the others
            for batch, n in _batches(rows, cell, n_tiles, (spectrum.period // 2) ** 2):
                profiles = self.profiles[batch]
                here = [(node[batch[0]], share[batch]) for node, share in corners]
                place = (offset_y[batch], offset_x[batch])
                folded = _folded(profiles, spectrum, n, here, place)
                stamps = _transformed_back(folded, *place, side)
                kept = sum(share * spectrum.values[0][node, 0, 0].real for node, share in here)
                images = _images(profiles, spectrum.period, place, side)
                light[batch] = stamps - kept[:, None, None] * images
        return light

    def _spectrum(self, period: int) -> Spectrum:
        if period not in self._spectra:
            self._spectra[period] = spectrum_of(self.epsf, period)
        return self._spectra[period]

    def _periods(self, side: int) -> NDArray[np.intp]:
        """Return after how many pixels the image of each galaxy may repeat itself."""
        room = self.epsf.stamp_radius + ROOM_IN_RADII * self.profiles.semimajor
        return _next_period(np.maximum(side + 2, side // 2 + room))


def _next_period(least: NDArray) -> NDArray[np.intp]:
    """Return the next of 32, 40, 48, 56, 64, 80, ...: few sizes, and fast ones."""
    least = np.maximum(least, 32)
    step = 2.0 ** np.floor(np.log2(least / 4 - 1e-9))
    return (np.ceil(least / step) * step).astype(np.intp)


# --- the product of the transforms ----------------------------------------------------------------


def _n_tiles(profiles: SersicProfiles, spectrum: Spectrum) -> NDArray[np.intp]:
    """Return how many tiles of a spectrum, from the first on, profiles need (n,)."""
    table = transform_table()
    least = np.array([tile.least_frequency for tile in spectrum.tiles])
    square = (2 * np.pi / table.KNEE * least * profiles.semiminor[:, None]) ** 2
    transform = table.read(table.for_indices(profiles.index), (1 + square).astype(np.float32))
    left_out = np.cumsum((spectrum.content * np.abs(transform))[:, ::-1], axis=1)[:, ::-1]
    needed = np.count_nonzero(left_out > TOLERANCE, axis=1)
    return np.minimum(4 * ((needed + 3) // 4), least.size)  # few kinds, large batches


def _batches(
    rows: NDArray, cell: NDArray, n_tiles: NDArray, n_frequencies: int
) -> Iterator[tuple[NDArray, int]]:
    """Split rows into batches of one cell of the ePSF's grid and one number of tiles."""
    at_once = max(1, FREQUENCIES_AT_ONCE // n_frequencies)
    order = np.lexsort((n_tiles, cell))
    kind = np.stack([cell, n_tiles])[:, order]
    starts = np.flatnonzero(np.any(np.diff(kind, axis=1, prepend=-1), axis=0))
    for start, stop in zip(starts, [*starts[1:], rows.size], strict=True):
        for first in range(start, stop, at_once):
            batch = order[first : min(first + at_once, stop)]
            yield rows[batch], int(n_tiles[batch[0]])


def _folded(
    profiles: SersicProfiles, spectrum: Spectrum, n_tiles: int, corners: list, place: tuple
) -> NDArray:
    """Return the transforms (n, L, L / 2 + 1) at the image's own frequencies.

    They are those of galaxies at the stamp's first pixel, but for the whole cycles per pixel that
    the folded frequencies have more.
    """
    table = transform_table()
    pairs = table.for_indices(profiles.index)
    scaled = profiles.squares * (2 * np.pi / table.KNEE) ** 2
    xx, yy, xy = (each[:, None, None].astype(np.float32) for each in scaled)
    n, half = len(profiles), spectrum.period // 2
    folded = np.zeros((n, 2 * half, half + 1), dtype=np.complex64)
    light = np.empty((n, half, half + 1), dtype=np.complex64)
    part = np.empty_like(light)
    for tile, values in zip(spectrum.tiles[:n_tiles], spectrum.values[:n_tiles], strict=True):
        fy, fx = tile.frequency_y[:, None], tile.frequency_x
        square = (2 * xy * fy) * fx
        square += 1 + yy * fy**2
        square += xx * fx**2
        transform = table.read(pairs, square)
        _blend(values, corners, out=light, part=part)
        light.real *= transform
        light.imag *= transform
        if tile.shift_y or tile.shift_x:
            cycles = tile.shift_y * place[0] + tile.shift_x * place[1]
            light *= np.exp(-2j * np.pi * cycles).astype(np.complex64)[:, None, None]
        folded[:, tile.rows] += light
    return folded


def _blend(values: NDArray, corners: list, *, out: NDArray, part: NDArray) -> None:
    """Put the transform of the ePSF at each galaxy's place on the detector into `out`."""
    out, part = out.view(np.float32), part.view(np.float32)
    for number, (node, share) in enumerate(corners):
        target = part if number else out
        factor = share.astype(np.float32)[:, None, None]
        np.multiply(values[node].view(np.float32), factor, out=target)
        if number:
            out += part


def _transformed_back(folded: NDArray, offset_y: NDArray, offset_x: NDArray, side: int) -> NDArray:
    """Return stamps (n, s, s) of what lies so far from their first pixels."""
    period = folded.shape[1]
    along_y, along_x = np.fft.fftfreq(period), np.arange(period // 2 + 1) / period
    folded *= np.exp(-2j * np.pi * offset_y[:, None] * along_y).astype(np.complex64)[:, :, None]
    folded *= np.exp(-2j * np.pi * offset_x[:, None] * along_x).astype(np.complex64)[:, None, :]
    rows = np.fft.ifft(folded, axis=1)[:, :side]
    return np.fft.irfft(rows, period, axis=2)[:, :, :side].astype(np.float64)


# --- the repeated images --------------------------------------------------------------------------


def _images(profiles: SersicProfiles, period: int, place: tuple, side: int) -> NDArray:
    """Return the light (n, s, s) that repeated images of bare profiles put on the stamps.

    The PSF moves it by far less than its own scale, and only its total matters.
    """
    images = np.zeros((len(profiles), side, side))
    nearest = (period - side / 2) / np.maximum(profiles.semimajor, 1e-9)
    reaches_far = 1 - light_within(profiles.index, nearest) > OUTSIDE_LIGHT
    ratio, roundest = profiles.axis_ratio, np.inf
    for least, n_nodes, n_rings in IMAGES:
        rows = np.flatnonzero(reaches_far & (ratio >= least) & (ratio < roundest))
        roundest = least
        if not rows.size:
            continue
        far, n_far_nodes = FAR_RINGS
        galaxies, there = profiles[rows], [each[rows] for each in place]
        for rings, n in ((range(1, far), n_nodes), (range(far, n_rings + 1), n_far_nodes)):
            nodes, to_pixels = _nodes(side, n)
            from_y, from_x = (nodes - each[:, None] for each in there)
            images[rows] += (
                to_pixels @ _rings(galaxies, from_y, from_x, rings, period) @ to_pixels.T
            )
        outside = galaxies.light_outside(period * (n_rings + 0.5))
        images[rows] += outside[:, None, None] / period**2
    return images


def _rings(
    profiles: SersicProfiles, from_y: NDArray, from_x: NDArray, rings: range, period: int
) -> NDArray:
    """Return the light per pixel of some square rings of images on grids (n, k) x (n, k)."""
    light = np.zeros((*from_y.shape, from_x.shape[1]))
    steps = np.arange(-max(rings, default=0), max(rings, default=0) + 1)
    for step_y in steps:
        for step_x in steps:
            if max(abs(step_y), abs(step_x)) in rings:
                dy, dx = from_y + period * step_y, from_x + period * step_x
                light += profiles.surface_brightness(dx[:, None, :], dy[:, :, None])
    return light


def _nodes(side: int, n_nodes: int) -> tuple[NDArray, NDArray]:
    """Return places (k,) along a stamp and the matrix (s, k) from values there to its pixels."""
    n_nodes = min(n_nodes, side)
    nodes, middle = np.cos(np.pi * (np.arange(n_nodes) + 0.5) / n_nodes), (side - 1) / 2
    pixels = (np.arange(side) - middle) / (side / 2)
    to_nodes = np.linalg.inv(chebyshev.chebvander(nodes, n_nodes - 1))
    return middle + nodes * side / 2, chebyshev.chebvander(pixels, n_nodes - 1) @ to_nodes
