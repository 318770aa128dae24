"""Matching of a product's rows with a reference catalog, and their differences."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table

from ..product.model import ForcedPhotometryModel
from ..table import apertures_in, convert_flux
from .reference import Reference, ValidationError, read_reference

__all__ = ["Comparison", "compare", "read_product"]

MATCH_RADIUS_ARCSEC = 0.1


@dataclass(frozen=True, eq=False)
class Comparison:
    """Differences between a product and a reference, for the n matched rows of the product.

    Attributes
    ----------
    label : (n,) ndarray of int
        Ids of the product.
    x, y : (n,) ndarray of float64
        0-indexed pixel positions.
    magnitude : (n,) ndarray of float64
        Reference AB magnitude; NaN where the reference flux is not positive.
    offset : (n,) ndarray of float64
        Measured minus reference magnitude; +inf where the measured flux is not positive, NaN where
        one of the two is missing.
    pull : (n,) ndarray of float64
        (Measured flux - reference flux) / error of the measured flux.
    flags : (n,) ndarray of int
        ``warning_flags``.
    row : (n,) ndarray of int
        Matched rows of the reference.
    n_rows : int
        Number of rows of the product.
    aperture, band, detector : str
        Aperture, filter and detector of the measured fluxes.
    reference : Reference
        The reference.
    """

    label: np.ndarray
    x: np.ndarray
    y: np.ndarray
    magnitude: np.ndarray
    offset: np.ndarray
    pull: np.ndarray
    flags: np.ndarray
    row: np.ndarray
    n_rows: int
    aperture: str
    band: str
    detector: str
    reference: Reference

    def good(self, magnitudes: tuple[float, float] = (-np.inf, np.inf)) -> np.ndarray:
        """Return which rows have no flags, a finite pull and a magnitude in a range.

        Parameters
        ----------
        magnitudes : (float, float)
            Bright limit (included) and faint limit (excluded) of the reference magnitude.

        Returns
        -------
        (n,) ndarray of bool
        """
        inside = (self.magnitude >= magnitudes[0]) & (self.magnitude < magnitudes[1])
        return inside & (self.flags == 0) & np.isfinite(self.pull)


def compare(
    product: str | os.PathLike | ForcedPhotometryModel,
    reference: str | os.PathLike | Table,
    *,
    reference_column: str = "",
    reference_unit: str = "",
    aperture: str = "",
    match: str = "position",
    match_radius: float = MATCH_RADIUS_ARCSEC,
    label_column: str = "",
    ra_column: str = "",
    dec_column: str = "",
    select: str = "",
) -> Comparison:
    """Compare total fluxes of a product with those of a reference catalog.

    Parameters
    ----------
    product : str, path-like or ForcedPhotometryModel
        A product of the step.
    reference : str, path-like or astropy.table.Table
        The reference catalog.
    reference_column : str
        Its column of fluxes or magnitudes; named like the product's filter, such as ``F106``, if
        empty.
    reference_unit : str
        Unit of that column, one of `reference.UNITS`; its own unit if empty.
    aperture : str
        Name of the aperture, such as ``aper3pix``; the product's first if empty.
    match : {'position', 'label'}
        Whether rows are matched by the nearest sky position, or by ids.
    match_radius : float
        Maximum separation in arcsec.
    label_column, ra_column, dec_column : str
        Columns of the reference; recognised by their usual names if empty.
    select : str
        Condition on the columns of the reference, such as ``type == 'PSF'``; all rows if empty.

    Returns
    -------
    Comparison

    Raises
    ------
    CatalogError
        The reference cannot be read.
    ValidationError
        The product cannot be read, or the two cannot be compared.
    """
    if match not in ("position", "label"):
        raise ValidationError(f"match is {match!r}: use position or label")
    table, properties = read_product(product)
    names = properties["apertures"]
    aperture = aperture or names[0]
    if aperture not in names:
        raise ValidationError(
            f"the product has no aperture {aperture!r}: it has {', '.join(names)}; choose one "
            "with --aperture"
        )
    found = read_reference(
        reference,
        column=reference_column or properties["band"],
        unit=reference_unit,
        match=match,
        label_column=label_column,
        ra_column=ra_column,
        dec_column=dec_column,
        select=select,
    )
    if match == "label":
        row = _match_labels(table, found)
    else:
        row = _match_positions(table, found, match_radius)
    matched = row >= 0
    return _differences(table[matched], found, row[matched], aperture, len(table), properties)


def read_product(
    product: str | os.PathLike | ForcedPhotometryModel,
) -> tuple[Table, dict[str, Any]]:
    """Read the table of a product, its filter, detector and apertures.

    Parameters
    ----------
    product : str, path-like or ForcedPhotometryModel
        A product of the step.

    Returns
    -------
    table : astropy.table.Table
        Copy of its ``source_catalog``.
    properties : dict
        ``band`` and ``detector``, and ``apertures``, the list of their names.

    Raises
    ------
    ValidationError
        There is no such file, or it is not a product of the step.
    """
    if not isinstance(product, ForcedPhotometryModel):
        product = _read_product_file(product)
    instrument, apertures = product.meta.instrument, apertures_in(product.source_catalog.colnames)
    properties = {"band": str(instrument.optical_element), "detector": str(instrument.detector)}
    return Table(product.source_catalog, copy=True), properties | {"apertures": apertures}


def _read_product_file(product: str | os.PathLike) -> ForcedPhotometryModel:
    """Read a product from a file."""
    advice = "give the path of a *_forcedphot.asdf file that strun forced_phot wrote"
    try:
        return ForcedPhotometryModel.read(product)
    except TypeError as error:
        raise ValidationError(f"product {error}; {advice}") from error
    except Exception as error:  # of many kinds: missing, truncated, no ASDF file
        reason = " ".join(str(error).split())[:200]
        raise ValidationError(
            f"product '{product}' cannot be opened ({reason}): {advice}"
        ) from error


def _match_positions(table: Table, reference: Reference, radius_arcsec: float) -> np.ndarray:
    """Return the nearest reference row within a radius (arcsec) for each row, or -1."""
    row = np.full(len(table), -1)
    positions, known = _coordinates(table["ra"], table["dec"])
    reference_positions, usable = _coordinates(reference.ra, reference.dec)
    if not known.size or not usable.size:
        return row
    nearest, separation, _ = positions.match_to_catalog_sky(reference_positions)
    row[known] = np.where(separation.arcsec <= radius_arcsec, usable[nearest], -1)
    return row


def _coordinates(ra, dec) -> tuple[SkyCoord, np.ndarray]:
    """Return the coordinates (m,) of finite positions, and their rows (m,)."""
    ra, dec = np.asarray(ra, float), np.asarray(dec, float)
    rows = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec))
    return SkyCoord(ra[rows], dec[rows], unit="deg"), rows


def _match_labels(table: Table, reference: Reference) -> np.ndarray:
    """Return the reference row with the same id for each row of the table, or -1."""
    has_integers = reference.label.dtype.kind == "i"
    column = "label" if has_integers else "source_name"
    if column not in table.colnames:
        raise ValidationError(
            f"the ids of reference {reference.name} are text and the product has no source_name: "
            "expected both to have it; name another with --label_column, or use --match=position"
        )
    row_of = {identity: row for row, identity in enumerate(reference.label.tolist())}
    return np.array([row_of.get(identity, -1) for identity in table[column].tolist()], dtype=int)


def _differences(
    table: Table,
    reference: Reference,
    row: np.ndarray,
    aperture: str,
    n_rows: int,
    properties: dict,
) -> Comparison:
    """Return the comparison of the matched rows of a table with those of the reference."""
    flux, flux_err = (
        convert_flux(column, column.unit, "nJy")
        for column in (table[f"{aperture}_total_flux"], table[f"{aperture}_total_flux_err"])
    )
    expected = reference.flux[row]
    positive = np.where(expected > 0, expected, np.nan)
    ratio = np.maximum(flux / positive, 0.0)
    with np.errstate(divide="ignore"):  # a flux that is not positive has magnitude +inf
        offset = -2.5 * np.log10(ratio)
    return Comparison(
        label=np.asarray(table["label"]),
        x=np.asarray(table["x"], dtype=float),
        y=np.asarray(table["y"], dtype=float),
        magnitude=convert_flux(positive, "nJy", "ABmag"),
        offset=offset,
        pull=(flux - expected) / np.where(flux_err > 0, flux_err, np.nan),
        flags=np.asarray(table["warning_flags"]),
        row=row,
        n_rows=n_rows,
        aperture=aperture,
        band=properties["band"],
        detector=properties["detector"],
        reference=reference,
    )
