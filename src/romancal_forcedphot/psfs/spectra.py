"""The ePSF of each source's spectral type: by name, or of the nearest class.

References hold the ePSF of a few spectral types, such as A0V, G2V and M6V. A catalog names the
types of its sources in its own way (``K3``, ``f5iv``); each gets the ePSF whose class is the
nearest on the scale O0 ... M9, where a letter counts ten steps.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .epsf import GriddedEPSF

__all__ = ["BySpectralType", "default_type", "nearest_types"]

log = logging.getLogger(f"romancal.{__name__}")

_CLASSES = "OBAFGKMLT"
_TYPE = re.compile(rf"\s*([{_CLASSES}])(?:\s*(\d(?:\.\d*)?)|(?=[IV\s]|$))", re.IGNORECASE)
PREFERRED = "G2V"


def default_type(available: Sequence[str]) -> str:
    """Return the type for sources of unknown spectrum: G2V, else the first there is."""
    by_name = {name.casefold(): name for name in available}
    return by_name.get(PREFERRED.casefold(), available[0])


def nearest_types(
    names: Sequence[str], available: Sequence[str], default: str
) -> tuple[NDArray[np.intp], int]:
    """Find which of the available types each named one is nearest to.

    Parameters
    ----------
    names : (n,) sequence of str
        Spectral types of sources, empty where unknown.
    available : sequence of str
        The types there are ePSFs for.
    default : str
        One of them, for names that are no spectral types.

    Returns
    -------
    index : (n,) ndarray of intp
        Into `available`.
    n_default : int
        How many names are no spectral types.
    """
    by_name = {name.casefold(): i for i, name in enumerate(available)}
    scale = np.array([np.nan if (s := _step(name)) is None else s for name in available])
    unique, inverse = np.unique(np.asarray(names, dtype=str), return_inverse=True)
    index = np.full(unique.size, list(available).index(default), dtype=np.intp)
    unknown = np.zeros(unique.size, dtype=bool)
    for i, name in enumerate(unique):
        step = _step(name)
        if name.strip().casefold() in by_name:
            index[i] = by_name[name.strip().casefold()]
        elif step is None or np.isnan(scale).all():
            unknown[i] = True
        else:
            index[i] = np.nanargmin(abs(scale - step))
    return index[inverse], int(np.count_nonzero(unknown[inverse]))


def _step(name: str) -> float | None:
    """Place of a spectral type on a scale of ten steps a letter; its middle without a digit."""
    found = _TYPE.match(name)
    if found is None:
        return None
    return 10 * _CLASSES.index(found[1].upper()) + float(found[2] or 5)


@dataclass(frozen=True, eq=False)
class BySpectralType:
    """A correction that uses for each row of a catalog the ePSF of its spectral type.

    Asked about positions rather than rows (see `for_rows`) it is the ePSF of the default type.

    Attributes
    ----------
    epsfs : tuple of GriddedEPSF
        One for each spectral type.
    kind : (n,) ndarray of intp
        Which one belongs to each row.
    default : int
        Which one belongs to sources of unknown type.
    provenance : dict
        More for the description.
    """

    epsfs: tuple[GriddedEPSF, ...]
    kind: NDArray[np.intp]
    default: int
    provenance: dict[str, Any]

    @classmethod
    def of_sources(
        cls,
        epsfs: Sequence[GriddedEPSF],
        available: Sequence[str],
        names: Sequence[str],
        *,
        default: str,
    ) -> BySpectralType:
        """Choose an ePSF for each row of a catalog.

        Parameters
        ----------
        epsfs : (t,) sequence of GriddedEPSF
            One for each spectral type.
        available : (t,) sequence of str
            Their names.
        names : (n,) sequence of str
            Spectral types of the sources.
        default : str
            One of those available, for sources without one.

        Returns
        -------
        BySpectralType
        """
        kind, n_default = nearest_types(names, available, default)
        counts = {name: int(np.count_nonzero(kind == i)) for i, name in enumerate(available)}
        shown = ", ".join(f"{count} by {name}" for name, count in counts.items())
        log.info("ePSFs of sources: %s; %d are %s for want of a type", shown, n_default, default)
        provenance = {
            "spectral_type": "of each source, the nearest there is",
            "n_rows_by_spectral_type": counts,
            "n_rows_without_spectral_type": n_default,
            "spectral_type_of_those_without": default,
        }
        return cls(tuple(epsfs), kind, list(available).index(default), provenance)

    @property
    def description(self) -> dict[str, Any]:
        """What the correction was made from and what it assumes."""
        return {**self.epsfs[self.default].description, **self.provenance}

    def for_rows(self, rows: ArrayLike) -> EachItsOwn:
        """Return the correction of some rows of the catalog, given by index."""
        return EachItsOwn(self.epsfs, self.kind[rows], self.description)

    def in_aperture(self, x: NDArray, y: NDArray, radius: ArrayLike, **weights: Any) -> NDArray:
        """Return the fraction in apertures for the default type; see `GriddedEPSF.in_aperture`."""
        return self.epsfs[self.default].in_aperture(x, y, radius, **weights)

    def in_annulus(self, x: NDArray, y: NDArray, r_in: ArrayLike, r_out: ArrayLike) -> NDArray:
        """Return the light of the default type between two radii in pixels."""
        return self.epsfs[self.default].in_annulus(x, y, r_in, r_out)

    def on_pixels(self, x: NDArray, y: NDArray, side: int) -> NDArray:
        """Return the ePSF of the default type on pixels; see `PSF.on_pixels`."""
        return self.epsfs[self.default].on_pixels(x, y, side)


@dataclass(frozen=True, eq=False)
class EachItsOwn:
    """The correction of n sources, each with its own ePSF; asked about these, in their order.

    Attributes
    ----------
    epsfs : tuple of GriddedEPSF
        The ePSFs.
    kind : (n,) ndarray of intp
        Which one belongs to each source.
    description : dict
        What the correction was made from and what it assumes.
    """

    epsfs: tuple[GriddedEPSF, ...]
    kind: NDArray[np.intp]
    description: dict[str, Any]

    def for_rows(self, rows: ArrayLike) -> EachItsOwn:
        """Return the correction of some of the sources."""
        return replace(self, kind=self.kind[rows])

    def in_aperture(
        self,
        x: NDArray,
        y: NDArray,
        radius: float | NDArray,
        *,
        weights: NDArray | None = None,
        full_weights: NDArray | None = None,
    ) -> NDArray:
        """Return the light that each aperture sum holds; see `GriddedEPSF.in_aperture`."""
        del full_weights
        fraction = np.empty(len(self.kind))
        for kind, chosen in self._groups():
            theirs = None if weights is None else weights[chosen]
            fraction[chosen] = self.epsfs[kind].in_aperture(
                x[chosen], y[chosen], _of(radius, chosen), weights=theirs
            )
        return fraction

    def in_annulus(
        self, x: NDArray, y: NDArray, r_in: float | NDArray, r_out: float | NDArray
    ) -> NDArray:
        """Return the light between two radii in pixels; see `GriddedEPSF.in_annulus`."""
        fraction = np.empty(len(self.kind))
        for kind, chosen in self._groups():
            radii = _of(r_in, chosen), _of(r_out, chosen)
            fraction[chosen] = self.epsfs[kind].in_annulus(x[chosen], y[chosen], *radii)
        return fraction

    def on_pixels(self, x: NDArray, y: NDArray, side: int) -> NDArray:
        """Return the ePSF of each source on pixels; see `PSF.on_pixels`."""
        light = np.empty((len(self.kind), side, side))
        for kind, chosen in self._groups():
            light[chosen] = self.epsfs[kind].on_pixels(x[chosen], y[chosen], side)
        return light

    def _groups(self) -> Iterator[tuple[int, NDArray[np.bool_]]]:
        """Each ePSF in use and the sources that use it."""
        return ((kind, self.kind == kind) for kind in np.unique(self.kind))


def _of(radius: float | NDArray, chosen: NDArray[np.bool_]) -> float | NDArray:
    """Radius of the chosen sources, where each has its own."""
    return radius[chosen] if np.ndim(radius) else radius
