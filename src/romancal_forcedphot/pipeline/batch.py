"""Runs on many exposures: an association, a list, a library, several arguments.

Each exposure is a separate run, from opening it to saving its product, with its own reference
files, log and name; the memory is that of one exposure, plus the tables. An exposure that fails
does not stop the others; it is reported at the end.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from astropy.table import Table

from ..exposures import InputError, read_association
from ..product.model import ForcedPhotometryModel
from ..storage import file_name, open_for_reading

__all__ = ["ExposuresFailed", "Member", "SavedProducts", "find_members", "first", "run_each"]

log = logging.getLogger(f"romancal.{__name__}")


class ExposuresFailed(RuntimeError):
    """Some of many exposures could not be measured.

    Attributes
    ----------
    products : sequence of ForcedPhotometryModel
        Products of the exposures that were measured.
    reasons : list of (str, str)
        Name of each exposure that failed, and the reason.
    """

    def __init__(self, products: Sequence[Any], reasons: list[tuple[str, str]]):
        self.products = products
        self.reasons = reasons
        failures = "; ".join(f"{name}: {reason}" for name, reason in reasons)
        super().__init__(
            f"{len(reasons)} of {len(reasons) + len(products)} exposures failed, the products of "
            f"the others are complete; {failures}"
        )


#: In the names of files of Level 2 and Level 3.
_LEVELS = ("_cal.", "_coadd.")


@dataclass(frozen=True)
class Member:
    """One of many exposures.

    Attributes
    ----------
    name : str
        File name, for messages and the name of the product.
    borrow : callable
        Function of no arguments that returns a context manager, which yields the path or model of
        the exposure.
    """

    name: str
    borrow: Callable[[], contextlib.AbstractContextManager[Any]]


def find_members(
    datasets: Sequence[Any], storage_options: Mapping[str, Any] | None = None
) -> list[Member] | None:
    """Find the exposures among the arguments of a step.

    Parameters
    ----------
    datasets : sequence
        Paths of images and associations (``.json``), image models, libraries of models, lists of
        any of these.
    storage_options : mapping, optional
        Options of the file system for a remote association, see `storage.open_remote`.

    Returns
    -------
    list of Member or None
        None for a single image.

    Raises
    ------
    InputError
        An association cannot be read, there is no exposure, or exposures stand beside mosaics.
    """
    if len(datasets) == 1 and not _is_collection(datasets[0]):
        return None
    members = [member for dataset in datasets for member in _expand(dataset, storage_options)]
    if not members:
        raise InputError(
            "there is no exposure to measure: expected Level-2 images in a list, a library or the "
            "science members of an association; name at least one"
        )
    _refuse_two_levels(members)
    return members


def _refuse_two_levels(members: Sequence[Member]) -> None:
    """Raise an InputError for names of exposures and of mosaics in one run.

    One catalog seldom suits both, and radii that are not given are others on each.
    """
    by_level = {level: [m.name for m in members if level in m.name] for level in _LEVELS}
    if all(by_level.values()):
        image, mosaic = (names[0] for names in by_level.values())
        raise InputError(
            f"inputs {image} and {mosaic} are an exposure and a mosaic: expected images of one "
            "level in a run; measure exposures and mosaics in two runs"
        )


def first(dataset: Any, storage_options: Mapping[str, Any] | None = None) -> Any:
    """Return the first exposure of a list or an association.

    Parameters
    ----------
    dataset : object
        A list, the path of an association, or a single exposure.
    storage_options : mapping, optional
        Options of the file system for a remote association, see `storage.open_remote`.

    Returns
    -------
    object
        Path or model; `dataset` itself if it is neither a list nor an association.
    """
    if isinstance(dataset, list | tuple) and dataset:
        return first(dataset[0], storage_options)
    if _is_association(dataset):
        return first(read_association(dataset, storage_options=storage_options))
    return dataset


def _is_collection(dataset: Any) -> bool:
    """Whether a dataset may hold several exposures."""
    return isinstance(dataset, list | tuple) or _is_association(dataset) or _is_library(dataset)


def _is_association(dataset: Any) -> bool:
    """Whether a dataset is the path of an association."""
    return isinstance(dataset, str | Path) and Path(dataset).suffix.lower() == ".json"


def _is_library(dataset: Any) -> bool:
    """Whether a dataset is a library of models."""
    return hasattr(dataset, "borrow") and hasattr(dataset, "shelve")


def _expand(dataset: Any, storage_options: Mapping[str, Any] | None) -> Iterator[Member]:
    """Members of a dataset of any kind."""
    if isinstance(dataset, list | tuple):
        for item in dataset:
            yield from _expand(item, storage_options)
    elif _is_association(dataset):
        yield from map(_member, read_association(dataset, storage_options=storage_options))
    elif _is_library(dataset):
        yield from _members_of_library(dataset)
    else:
        yield _member(dataset)


def _member(dataset: Any) -> Member:
    """A member for a path or model, which is not changed."""
    name = dataset
    if not isinstance(dataset, str | Path):
        name = getattr(getattr(dataset, "meta", None), "filename", None) or type(dataset).__name__
    return Member(file_name(name), lambda: contextlib.nullcontext(dataset))


def _members_of_library(library: Any) -> Iterator[Member]:
    """Yield the members of a library, each borrowed only for its measurement and not changed."""

    def lending(index):
        @contextlib.contextmanager
        def borrow():
            with library:
                model = library.borrow(index)
                try:
                    yield model
                finally:
                    library.shelve(model, index, modify=False)

        return borrow

    names = [member["expname"] for member in library.asn["products"][0]["members"]]
    for index, name in enumerate(names):
        yield Member(file_name(name), lending(index))


class SavedProducts(Sequence):
    """Products on disk, each opened when it is accessed.

    Parameters
    ----------
    paths : sequence of str
        Files of the products, in the order of their exposures.
    """

    def __init__(self, paths: Sequence[str]):
        self.paths = list(paths)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index):
        """Return a product, for a slice a list of products; for a Parquet file its table."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        path = self.paths[index]
        if path.endswith(".parquet"):
            with open_for_reading(path) as file:  # pyarrow would take the path for a URI
                return Table.read(file, format="parquet")
        return ForcedPhotometryModel.read(path)


def run_each(step: Any, members: Sequence[Member], run: Callable[[Any], Any]) -> Sequence[Any]:
    """Measure exposures one after the other.

    Parameters
    ----------
    step : ForcedPhotometryStep
        The step; its ``output_file`` is ignored, with a warning.
    members : sequence of Member
        The exposures.
    run : callable
        Function that runs the step on one path or model, saves the product if requested, and
        returns it.

    Returns
    -------
    sequence of ForcedPhotometryModel
        In the order of the exposures; `SavedProducts` if they were saved.

    Raises
    ------
    ExposuresFailed
        At the end, if any exposure failed.
    """
    if step.output_file is not None:
        log.warning(
            "output_file %r names one product: those of several exposures are named after their "
            "exposures",
            step.output_file,
        )
    saves = step.save_results or step.output_file is not None
    products, reasons = [], []
    outputs: dict[str, str] = {}
    for number, member in enumerate(members, 1):
        log.info("Exposure %d of %d: %s", number, len(members), member.name)
        try:
            output = step.make_output_path(basepath=member.name)
            if saves:
                _refuse_to_replace(output, outputs)
            product = _run(member, run)
            if not saves:
                products.append(product)
            outputs[output] = member.name
            del product
        except Exception as error:
            reasons.append((member.name, str(error) or type(error).__name__))
            log.error("Exposure %s failed: %s", *reasons[-1])
            log.debug("It failed here:", exc_info=True)
    result = SavedProducts(list(outputs)) if saves else products
    if reasons:
        raise ExposuresFailed(result, reasons)
    return result


def _run(member: Member, run: Callable[[Any], Any]) -> Any:
    """Run on one exposure, referenced only here, so that no two are in memory at a time."""
    with member.borrow() as dataset:
        return run(dataset)


def _refuse_to_replace(output: str, outputs: Mapping[str, str]) -> None:
    """Raise an InputError if a product would replace that of another exposure of the run."""
    if output in outputs:
        raise InputError(
            f"its product {output} would replace that of {outputs[output]}: run exposures of one "
            "name apart, with another --output_dir or --suffix"
        )
