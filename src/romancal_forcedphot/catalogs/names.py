"""The usual names of catalog columns.

Names are compared without regard to case and to blanks around them; see `folded`.
"""

from __future__ import annotations

__all__ = [
    "ID_COLUMNS",
    "MOTION_COLUMNS",
    "PIXEL_PAIRS",
    "SKYCOORD_COLUMNS",
    "SKY_PAIRS",
    "USUAL_COLUMNS",
    "folded",
]

ID_COLUMNS = ("label", "id", "source_id")
"""Columns of ids, the one that comes first winning."""

SKY_PAIRS = (
    ("ra", "dec"),
    ("ra_centroid", "dec_centroid"),
    ("raj2000", "dej2000"),
    ("raj2000", "decj2000"),
    ("alpha_j2000", "delta_j2000"),
    ("ra_icrs", "de_icrs"),
)
"""Pairs of columns of sky positions: those of romancal, photutils, VizieR and SExtractor."""

PIXEL_PAIRS = (("x", "y"), ("x_centroid", "y_centroid"), ("xcentroid", "ycentroid"))
"""Pairs of columns of 0-indexed pixel positions."""

SKYCOORD_COLUMNS = (
    "sky_centroid",
    "skycoord",
    "sky",
    "coord",
    "coords",
    "coordinates",
    "position",
)
"""Columns of coordinate objects, which are preferred where a table has several of them."""

MOTION_COLUMNS = {
    "pm_ra_cosdec": ("pmra", "pm_ra", "pm_ra_cosdec", "pmra_cosdec"),
    "pm_dec": ("pmdec", "pm_dec", "pmde"),
    "parallax": ("parallax", "plx"),
    "radial_velocity": ("radial_velocity", "rv", "rvel", "dr2_radial_velocity"),
    "ref_epoch": ("ref_epoch", "refepoch", "epoch"),
}
"""Columns of each quantity of `photometry.Motion`: those of Gaia and VizieR."""

USUAL_COLUMNS = frozenset(
    sum(
        (*SKY_PAIRS, *PIXEL_PAIRS, *MOTION_COLUMNS.values()),
        (*ID_COLUMNS, *SKYCOORD_COLUMNS),
    )
)
"""All of these names, which are in lower case."""


def folded(name: str) -> str:
    """Return a name in the form in which names are compared.

    Parameters
    ----------
    name : str
        Name of a column.

    Returns
    -------
    str
        The name in lower case, without blanks around it.
    """
    return name.strip().casefold()
