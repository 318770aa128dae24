"""The ePSF of each source's spectral type: that of the same name, or of the nearest class.

References hold the ePSF of a few spectral types, such as A0V, G2V and M6V. Catalogs name the types
of their sources in various ways (``K3``, ``f5iv``). Each source is assigned the ePSF whose class is
nearest on the sequence O0 ... T9, in which a class has ten subclasses.
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

__all__ = ["EPSFBySpectralType", "default_type", "nearest_types"]

log = logging.getLogger(f"romancal.{__name__}")

_CLASSES = "OBAFGKMLT"
_TYPE = re.compile(rf"\s*([{_CLASSES}])(?:\s*(\d(?:\.\d*)?)|(?=[IV\s]|$))", re.IGNORECASE)
PREFERRED_TYPE = "G2V"


def default_type(available: Sequence[str]) -> str:
    """Return the type for sources of unknown spectrum: G2V if available, else the first.

    Parameters
    ----------
    available : sequence of str
        Names of the spectral types that there are ePSFs for; at least one.

    Returns
    -------
    str
        One of them.
    """
    by_name = {name.casefold(): name for name in available}
    return by_name.get(PREFERRED_TYPE.casefold(), available[0])


def nearest_types(
    names: Sequence[str], available: Sequence[str], default: str
) -> tuple[NDArray[np.intp], int]:
    """Find the available spectral type that is nearest to each of many.

    Parameters
    ----------
    names : (n,) sequence of str
        Spectral types of sources, empty where unknown.
    available : sequence of str
        The types that there are ePSFs for.
    default : str
        One of them, for names that are not spectral types.

    Returns
    -------
    index : (n,) ndarray of intp
        Indices into `available`.
    n_default : int
        Number of names that are not spectral types.
    """
    by_name = {name.casefold(): i for i, name in enumerate(available)}
    subclasses = map(_spectral_subclass, available)
    scale = np.array([np.nan if subclass is None else subclass for subclass in subclasses])
    unique, inverse = np.unique(np.asarray(names, dtype=str), return_inverse=True)
    index = np.full(unique.size, list(available).index(default), dtype=np.intp)
    unknown = np.zeros(unique.size, dtype=bool)
    for i, name in enumerate(unique):
        subclass = _spectral_subclass(name)
        if name.strip().casefold() in by_name:
            index[i] = by_name[name.strip().casefold()]
        elif subclass is None or np.isnan(scale).all():
            unknown[i] = True
        else:
            index[i] = np.nanargmin(abs(scale - subclass))
    return index[inverse], int(np.count_nonzero(unknown[inverse]))


def _spectral_subclass(name: str) -> float | None:
    """Number of a spectral type in the sequence, O0 = 0 to T9 = 89; subclass 5 if it has none."""
    found = _TYPE.match(name)
    if found is None:
        return None
    return 10 * _CLASSES.index(found[1].upper()) + float(found[2] or 5)


@dataclass(frozen=True, eq=False)
class EPSFBySpectralType:
    """ePSFs by spectral type, with the type of each row of a catalog: a `PSF` and a `Correction`.

    `for_rows` returns the ePSFs of rows; evaluated at positions itself, it is the ePSF of the
    default type.

    Attributes
    ----------
    epsfs : tuple of GriddedEPSF
        One per spectral type.
    index : (n,) ndarray of intp
        Index of each row's ePSF.
    default : int
        Index of the ePSF of sources of unknown type.
    provenance : dict
        Further entries of the description.
    """

    epsfs: tuple[GriddedEPSF, ...]
    index: NDArray[np.intp]
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
    ) -> EPSFBySpectralType:
        """Choose an ePSF for each row of a catalog.

        Parameters
        ----------
        epsfs : (t,) sequence of GriddedEPSF
            One per spectral type.
        available : (t,) sequence of str
            Names of these types.
        names : (n,) sequence of str
            Spectral types of the sources, empty where unknown.
        default : str
            One of those available, for sources of unknown type.

        Returns
        -------
        EPSFBySpectralType
        """
        index, n_default = nearest_types(names, available, default)
        counts = {name: int(np.count_nonzero(index == i)) for i, name in enumerate(available)}
        shown = ", ".join(f"{count} by {name}" for name, count in counts.items())
        log.info("ePSFs of sources: %s; %d are %s without a known type", shown, n_default, default)
        provenance = {
            "spectral_type": "of each source, the nearest there is",
            "n_rows_by_spectral_type": counts,
            "n_rows_without_spectral_type": n_default,
            "spectral_type_of_those_without": default,
        }
        return cls(tuple(epsfs), index, list(available).index(default), provenance)

    @property
    def description(self) -> dict[str, Any]:
        """Provenance and assumptions of the ePSFs, for the product's metadata."""
        return {**self.epsfs[self.default].description, **self.provenance}

    def for_rows(self, rows: ArrayLike) -> EPSFPerSource:
        """Return the ePSFs of some rows of the catalog.

        Parameters
        ----------
        rows : (m,) array_like of int
            Indices of rows.

        Returns
        -------
        EPSFPerSource
        """
        return EPSFPerSource(self.epsfs, self.index[np.asarray(rows)], self.description)

    def in_aperture(self, x: NDArray, y: NDArray, radius: ArrayLike, **weights: Any) -> NDArray:
        """Return encircled-energy fractions of the default type; see `Correction.in_aperture`."""
        return self.epsfs[self.default].in_aperture(x, y, radius, **weights)

    def in_annulus(self, x: NDArray, y: NDArray, r_in: ArrayLike, r_out: ArrayLike) -> NDArray:
        """Return flux fractions of the default type; see `Correction.in_annulus`."""
        return self.epsfs[self.default].in_annulus(x, y, r_in, r_out)

    def on_pixels(self, x: NDArray, y: NDArray, side: int) -> NDArray:
        """Return the ePSF of the default type on pixels; see `PSF.on_pixels`."""
        return self.epsfs[self.default].on_pixels(x, y, side)


@dataclass(frozen=True, eq=False)
class EPSFPerSource:
    """n sources with one ePSF each: a `PSF` and a `Correction` of these sources, in their order.

    Attributes
    ----------
    epsfs : tuple of GriddedEPSF
        The ePSFs.
    index : (n,) ndarray of intp
        Index of each source's ePSF.
    description : dict
        Provenance and assumptions of the ePSFs, for the product's metadata.
    """

    epsfs: tuple[GriddedEPSF, ...]
    index: NDArray[np.intp]
    description: dict[str, Any]

    def for_rows(self, rows: ArrayLike) -> EPSFPerSource:
        """Return the ePSFs of some of the sources, given by index; see `Correction.for_rows`."""
        return replace(self, index=self.index[np.asarray(rows)])

    def in_aperture(
        self,
        x: NDArray,
        y: NDArray,
        radius: float | NDArray,
        *,
        weights: NDArray | None = None,
        full_weights: NDArray | None = None,
    ) -> NDArray:
        """Return the encircled-energy fraction of each source; see `Correction.in_aperture`."""
        del full_weights
        fraction = np.empty(len(self.index))
        for epsf, chosen in self._groups():
            chosen_weights = None if weights is None else weights[chosen]
            fraction[chosen] = epsf.in_aperture(
                x[chosen], y[chosen], _select(radius, chosen), weights=chosen_weights
            )
        return fraction

    def in_annulus(
        self, x: NDArray, y: NDArray, r_in: float | NDArray, r_out: float | NDArray
    ) -> NDArray:
        """Return the flux fraction of each source in an annulus; see `Correction.in_annulus`."""
        fraction = np.empty(len(self.index))
        for epsf, chosen in self._groups():
            radii = _select(r_in, chosen), _select(r_out, chosen)
            fraction[chosen] = epsf.in_annulus(x[chosen], y[chosen], *radii)
        return fraction

    def on_pixels(self, x: NDArray, y: NDArray, side: int) -> NDArray:
        """Return the ePSF of each source on pixels; see `PSF.on_pixels`."""
        flux = np.empty((len(self.index), side, side))
        for epsf, chosen in self._groups():
            flux[chosen] = epsf.on_pixels(x[chosen], y[chosen], side)
        return flux

    def _groups(self) -> Iterator[tuple[GriddedEPSF, NDArray[np.bool_]]]:
        """Yield each ePSF in use with the (n,) mask of its sources."""
        return ((self.epsfs[index], self.index == index) for index in np.unique(self.index))


def _select(radius: float | NDArray, chosen: NDArray[np.bool_]) -> float | NDArray:
    """Radius of the chosen sources: the common one, or the part of those per source."""
    return np.asarray(radius)[chosen] if np.ndim(radius) else radius
