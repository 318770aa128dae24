"""What a run finds of earlier runs in its directory, and what is left to measure.

A directory belongs to one catalog and one choice of settings: others are refused by name of what
differs. An exposure is done where its file holds the digests of the same settings, catalog and
image (`fingerprints`); all others are measured, be they new, failed or changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from ...photometry import Sources
from ..dataset import Dataset, DatasetError, Requested
from ..fingerprints import Identity, exposure_digest
from ..measuring.exposure_files import read_record

__all__ = ["claim", "is_done", "not_done"]


def claim(dataset: Dataset, identity: Identity, sources: Sources, version: str) -> None:
    """Make a directory a data set of this identity, or check that it is one.

    Parameters
    ----------
    dataset : Dataset
        The directory, which need not exist.
    identity : Identity
        Settings and catalog of the run.
    sources : Sources
        The catalog.
    version : str
        Of this package.

    Raises
    ------
    DatasetError
        It is a data set of other settings or another catalog, or holds something else; or the
        catalog has no sky positions.
    StorageError, OSError
        It cannot be written.
    """
    if sources.ra is None:
        raise DatasetError(
            f"catalog {sources.name!r} has pixel positions only: light curves need sky "
            "positions; name them with --ra_column and --dec_column"
        )
    if dataset.exists:
        if differences := dataset.identity().differences(identity):
            raise DatasetError(
                f"'{dataset.directory}' holds light curves made otherwise: "
                f"{'; '.join(differences)}; use the same, or another --output_dir"
            )
    elif dataset.directory.is_dir() and any(map(_is_visible, dataset.directory.iterdir())):
        raise DatasetError(
            f"'{dataset.directory}' is not empty and holds no light curves: choose a new or an "
            "empty --output_dir"
        )
    dataset.create(identity, sources, version)


def not_done(
    dataset: Dataset, exposures: Iterable[Requested], digests: Mapping[str, str]
) -> list[Requested]:
    """Return the exposures that have to be measured, in their order.

    Parameters
    ----------
    dataset : Dataset
        The data set.
    exposures : iterable of Requested
        Exposures of the run.
    digests : mapping of str to str
        Of settings and catalog, `Identity.digests`.

    Returns
    -------
    list of Requested
    """
    return [exposure for exposure in exposures if not is_done(dataset, exposure, digests)]


def is_done(dataset: Dataset, exposure: Requested, digests: Mapping[str, str]) -> bool:
    """Whether an exposure was measured from the same settings, catalog and image.

    An image that is no longer there, or is remote, is taken to be the same.
    """
    path = dataset.exposure_file(exposure.name)
    if not path.is_file():
        return False
    try:
        _, made_from = read_record(path)
    except ValueError:
        return False
    image = exposure_digest(exposure.location)
    same = all(made_from.get(name) == digest for name, digest in digests.items())
    return same and (not image or made_from.get("image") == image)


def _is_visible(path: Path) -> bool:
    """Whether a file is more than what a killed run left."""
    return not path.name.startswith(".")
