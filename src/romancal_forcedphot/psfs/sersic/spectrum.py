"""The Fourier transform of an ePSF, tile by tile of the frequency plane.

An image sampled at whole pixels has frequencies of up to half a cycle per pixel; what a PSF holds
beyond them folds back onto them. The plane is cut into tiles of half a cycle per pixel, each of
which folds onto a corner of the image's own frequencies as a whole. Most of the outer ones hold
next to nothing (the optics pass nothing beyond a circle, a galaxy smooths more away) and are left
out, as `Spectrum.tiles` is sorted by frequency and comes with bounds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..epsf import GriddedEPSF

__all__ = ["Spectrum", "Tile", "spectrum_of"]


@dataclass(frozen=True)
class Tile:
    """Frequencies (row + i, column + j) in steps of 1 / period cycles per pixel.

    Attributes
    ----------
    rows : slice
        Where the tile folds to among the rows of a real transform: the first or second half.
    shift_y, shift_x : int
        Whole cycles per pixel from there to the tile.
    frequency_y, frequency_x : (r,), (c,) ndarray of float32
        Cycles per pixel.
    """

    rows: slice
    shift_y: int
    shift_x: int
    frequency_y: NDArray
    frequency_x: NDArray

    @property
    def least_frequency(self) -> float:
        """Distance from the tile to frequency 0."""
        return float(np.hypot(np.abs(self.frequency_y).min(), np.abs(self.frequency_x).min()))


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Transforms of the stamps of an ePSF, for images of one period.

    Attributes
    ----------
    period : int
        Even number of pixels after which the images repeat themselves.
    tiles : tuple of Tile
        From frequency 0 outwards.
    values : tuple of (k, r, c) ndarray of complex64
        For each tile the transforms of the k stamps, 1 at frequency 0 if the stamp holds all light.
    content : (t,) ndarray of float64
        Integral of the largest of the k absolute values over each tile and its mirror image. No
        pixel is changed by more than this where a tile is left out.
    """

    period: int
    tiles: tuple[Tile, ...]
    values: tuple[NDArray, ...]
    content: NDArray


def spectrum_of(epsf: GriddedEPSF, period: int) -> Spectrum:
    """Transform the stamps of an ePSF.

    Parameters
    ----------
    epsf : GriddedEPSF
        The samples of its stamps stand for a function without frequencies above half a cycle per
        sample; it is 0 beyond the stamps.
    period : int
        Even number of pixels.

    Returns
    -------
    Spectrum
    """
    tiles = sorted(_tiles(period, epsf.oversample), key=lambda tile: tile.least_frequency)
    n_samples = period * epsf.oversample
    shape = (len(epsf.stamps), period // 2, period // 2 + 1)
    values = [np.empty(shape, dtype=np.complex64) for _ in tiles]
    for node, stamp in enumerate(epsf.stamps):
        transform = np.fft.fft2(_wrapped(stamp, n_samples)) / epsf.oversample**2
        for tile, kept in zip(tiles, values, strict=True):
            row, column = (
                np.rint(frequency * period).astype(int)
                for frequency in (tile.frequency_y, tile.frequency_x)
            )
            kept[node] = transform[np.ix_(row, column)]
    for tile, kept in zip(tiles, values, strict=True):
        kept *= _half_sample(stamp.shape[0], tile.frequency_y, epsf.oversample)[:, None]
        kept *= _half_sample(stamp.shape[1], tile.frequency_x, epsf.oversample)
    content = [2 * np.abs(kept).max(axis=0).sum(dtype=float) / period**2 for kept in values]
    return Spectrum(period, tuple(tiles), tuple(values), np.array(content))


def _tiles(period: int, oversample: int) -> list[Tile]:
    """Return tiles that together hold half of the frequencies that the samples tell of.

    The other half are their mirror images. A tile is half a cycle per pixel high and wide.
    """
    half = period // 2
    column = np.arange(half + 1)
    tiles = []
    halves = (slice(0, half), np.arange(half)), (slice(half, period), np.arange(-half, 0))
    for rows, row in halves:
        for shift_y in range(-oversample, oversample + 1):
            for shift_x in range(-oversample, oversample + 1):
                frequency_y = row / period + shift_y
                frequency_x = column / period + shift_x
                edge = max(np.abs(frequency_y).max(), np.abs(frequency_x).max())
                if edge <= oversample / 2:
                    steps = (frequency_y.astype(np.float32), frequency_x.astype(np.float32))
                    tiles.append(Tile(rows, shift_y, shift_x, *steps))
    return tiles


def _wrapped(stamp: NDArray, n_samples: int) -> NDArray:
    """Return a stamp on a periodic square of samples, its middle at (0, 0) or just beyond."""
    wrapped = np.zeros((n_samples, n_samples))
    ny, nx = stamp.shape
    row, column = np.arange(ny) - (ny - 1) // 2, np.arange(nx) - (nx - 1) // 2
    np.add.at(wrapped, np.ix_(row % n_samples, column % n_samples), stamp)
    return wrapped


def _half_sample(n_samples: int, frequency: NDArray, oversample: int) -> NDArray:
    """Return the phase that moves stamps of an even side by half a sample onto their middle."""
    half = 0.5 * (1 - n_samples % 2)
    return np.exp(2j * np.pi * half / oversample * frequency).astype(np.complex64)
