"""The step as a hook of another step.

stpipe replaces its host's result by whatever a hook returns, and ends the host where a hook fails.
Both would lose a product that is worth more than ours. So a run as a hook returns nothing, saves
its own product beside the host's, and turns a failure into an error line in the host's log.

A hook is made from a class, an instance or an import path, and only some of these know their
host. What all have in common is the caller: the `run` method of a step that has them in its lists.
"""

from __future__ import annotations

import copy
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roman_datamodels.datamodels import ImageModel
from stpipe import Step

__all__ = ["Host", "find_host", "run_beside"]

log = logging.getLogger(f"romancal.{__name__}")


@dataclass(frozen=True)
class Host:
    """A step that runs ours as a hook.

    Attributes
    ----------
    step : stpipe.Step
        The host.
    arguments : tuple
        What the host itself was run on.
    """

    step: Step
    arguments: tuple


def find_host(hook: Step) -> Host | None:
    """Find the step that is calling another one as its hook.

    Parameters
    ----------
    hook : stpipe.Step
        The step whose `run` is being called.

    Returns
    -------
    Host or None
        None where it runs by itself or as a step of a pipeline.
    """
    frame = sys._getframe(1)
    while frame is not None and frame.f_code is not Step.run.__code__:
        frame = frame.f_back
    if frame is None:
        return None
    caller, arguments = frame.f_locals["self"], frame.f_locals["args"]
    hooks = [*caller._pre_hooks, *caller._post_hooks]
    return Host(caller, arguments) if any(each is hook for each in hooks) else None


def run_beside(host: Host, hook: Step, datasets: Sequence[Any]) -> None:
    """Run a step as a hook: save its product, leave the host's result alone.

    Parameters
    ----------
    host : Host
        The step that calls.
    hook : ForcedPhotometryStep
        The step to be run. A copy of it, with the host as its parent, runs, so that its product
        goes where the host's goes.
    datasets : sequence
        What the host hands over: its own input before it ran, its result afterwards. Where a
        result holds no image (that of ``SourceCatalogStep``) the host's input is measured.
    """
    name = type(host.step).__name__
    guest = copy.copy(hook)
    guest.parent, guest.save_results = hook.parent or host.step, True
    try:
        images = list(_images(datasets)) or list(_images(host.arguments)) or list(datasets)
        guest._run_on(*images)
    except Exception as error:
        log.error("No forced photometry, but the result of %s is unharmed: %s", name, error)
        log.debug("It failed here:", exc_info=True)


def _images(datasets: Sequence[Any]) -> Iterator[Any]:
    """Level-2 images, paths and libraries of images among what steps hand on."""
    for dataset in datasets:
        if isinstance(dataset, list | tuple):
            yield from _images(dataset)
        elif hasattr(dataset, "borrow"):
            if _holds_images(dataset):
                yield dataset
        elif isinstance(dataset, str | Path | ImageModel):
            yield dataset


def _holds_images(library: Any) -> bool:
    """Whether the first member of a library is a Level-2 image."""
    if not len(library):
        return False
    with library:
        model = library.borrow(0)
        library.shelve(model, 0, modify=False)
    return isinstance(model, ImageModel)
