"""The step as a hook of another step, its host.

stpipe replaces the result of the host by that of a hook, and stops the host where a hook fails.
Both would lose the host's product. A run as a hook therefore returns None, saves its own product
beside the host's, and reports a failure as an error in the host's log.

stpipe makes hooks from a class, an instance or an import path, and only some of them have a
reference to their host. All are called by the `run` method of the host, in whose lists of hooks
they are: `find_host` finds it on the call stack.
"""

from __future__ import annotations

import copy
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roman_datamodels.datamodels import ImageModel, MosaicModel
from stpipe import Step

__all__ = ["Host", "find_host", "run_beside"]

log = logging.getLogger(f"romancal.{__name__}")


@dataclass(frozen=True)
class Host:
    """A step that runs another one as its hook.

    Attributes
    ----------
    step : stpipe.Step
        The host.
    arguments : tuple
        Arguments that the host itself was run with.
    """

    step: Step
    arguments: tuple


def find_host(hook: Step) -> Host | None:
    """Find the step that calls another one as its hook.

    Parameters
    ----------
    hook : stpipe.Step
        The step whose `run` is being called.

    Returns
    -------
    Host or None
        None if the step runs by itself or as a step of a pipeline.
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
    """Run a step as a hook: save its product, and do not change the host's result.

    Parameters
    ----------
    host : Host
        The calling step.
    hook : ForcedPhotometryStep
        The step to be run. A copy of it runs with the host as its parent, so that its product is
        saved in the directory of the host's.
    datasets : sequence
        Arguments from the host: its own input for a pre-hook, its result for a post-hook. If the
        result holds no image (that of ``SourceCatalogStep``) the host's input is measured.
    """
    name = type(host.step).__name__
    step = copy.copy(hook)
    step.parent, step.save_results = hook.parent or host.step, True
    try:
        images = list(_images(datasets)) or list(_images(host.arguments)) or list(datasets)
        step._run_on(*images)
    except Exception as error:
        log.error("No forced photometry, but the result of %s is unharmed: %s", name, error)
        log.debug("It failed here:", exc_info=True)


def _images(datasets: Sequence[Any]) -> Iterator[Any]:
    """Yield the images, mosaics, paths and libraries of images among datasets."""
    for dataset in datasets:
        if isinstance(dataset, list | tuple):
            yield from _images(dataset)
        elif hasattr(dataset, "borrow"):
            if _holds_images(dataset):
                yield dataset
        elif isinstance(dataset, str | Path | ImageModel | MosaicModel):
            yield dataset


def _holds_images(library: Any) -> bool:
    """Whether the first member of a library is a Level-2 image."""
    if not len(library):
        return False
    with library:
        model = library.borrow(0)
        library.shelve(model, 0, modify=False)
    return isinstance(model, ImageModel)
