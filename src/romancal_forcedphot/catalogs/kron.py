"""Kron apertures of a reference image, for the sources of a catalog: `kron_from`.

The reference is a product of this package, or another catalog with Kron radii, that has a row for
each of the sources, under the same label. Rows without ids are counted in both.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy.coordinates import angular_separation
from numpy.typing import NDArray

from ..photometry import Settings, Sources
from ..photometry.shapes import Shapes
from .errors import CatalogError

__all__ = ["kron_apertures", "shape_options"]

FARTHEST_ARCSEC = 2.0  # between the two positions of a source


def shape_options(settings: Settings, kron_from: str) -> dict[str, Any]:
    """Return the options of `read_sources` that say which shapes are needed.

    Parameters
    ----------
    settings : Settings
        Parameters of the measurement.
    kron_from : str
        The reference; '' for none.

    Returns
    -------
    dict
        ``shapes`` and ``kron_from``.

    Raises
    ------
    CatalogError
        There is a reference, and Kron apertures are not measured.
    """
    kron_from = kron_from.strip()
    if not kron_from:
        return {"shapes": settings.needs_shapes}
    if settings.aperture_shape != "kron" or "aperture" not in settings.methods:
        raise CatalogError(
            f"kron_from is {kron_from!r} and aperture_shape {settings.aperture_shape}, methods "
            f"{','.join(settings.methods)}: expected Kron apertures to force; add "
            "--aperture_shape=kron --methods=aperture, or leave out --kron_from"
        )
    return {"shapes": settings.needs_profiles, "kron_from": kron_from}


def kron_apertures(sources: Sources, reference: Sources) -> Shapes:
    """Find the Kron apertures of sources in a reference by label.

    Parameters
    ----------
    sources : Sources
        n sources.
    reference : Sources
        Rows of the reference, with their shapes.

    Returns
    -------
    Shapes
        n ellipses with Kron radii, NaN and bad where the reference could measure none.

    Raises
    ------
    CatalogError
        The reference has no Kron radii, no row for a source, several rows of one label, or a
        source in another place.
    """
    if reference.shapes.kron_radius is None:
        raise _refused(
            reference,
            "has no column kron_radius",
            "make it with --aperture_shape=kron on its image",
        )
    rows = _rows_of(sources, reference)
    _check_positions(sources, reference, rows)
    return reference.shapes[rows]


def _rows_of(sources: Sources, reference: Sources) -> NDArray[np.intp]:
    """Row in the reference of each source."""
    ids, theirs = sources.label, reference.label
    if sources.source_name is not None and reference.source_name is not None:
        ids, theirs = sources.source_name, reference.source_name
    order = np.argsort(theirs, kind="stable")
    ordered = theirs[order]
    repeated = np.flatnonzero(ordered[1:] == ordered[:-1])
    if repeated.size:
        raise _refused(
            reference,
            f"has label {ordered[repeated[0]]} in several rows",
            "give one with different labels",
        )
    place = np.minimum(np.searchsorted(ordered, ids), len(ordered) - 1)
    missing = ordered[place] != ids if len(ordered) else np.ones(len(ids), dtype=bool)
    if missing.any():
        n_missing, first = np.count_nonzero(missing), ids[np.argmax(missing)]
        raise _refused(
            reference,
            f"lacks {n_missing} of the {len(ids)} sources of {sources.name}, the first with label "
            f"{first}",
            "measure its image with the same catalog and without --on_image_only, or --select rows",
        )
    return order[place]


def _check_positions(sources: Sources, reference: Sources, rows: NDArray[np.intp]) -> None:
    """Raise a CatalogError where a source and its row are not in the same place."""
    if sources.ra is None or reference.ra is None:
        return
    sky = (sources.ra, sources.dec, reference.ra[rows], reference.dec[rows])
    apart = np.degrees(angular_separation(*map(np.radians, sky))) * 3600
    apart = np.nan_to_num(apart)
    if (far := apart > FARTHEST_ARCSEC).any():
        row = int(np.argmax(far))
        raise _refused(
            reference,
            f"has label {sources.label[row]} {apart[row]:.3g} arcsec from where {sources.name} has "
            f"it ({np.count_nonzero(far)} sources are more than {FARTHEST_ARCSEC:g} arcsec off)",
            "measure its image with the same catalog",
        )


def _refused(reference: Sources, problem: str, remedy: str) -> CatalogError:
    """The error of a reference that cannot be used."""
    return CatalogError(
        f"kron_from {reference.name} {problem}: expected a row with a Kron aperture for each "
        f"source; {remedy}"
    )
