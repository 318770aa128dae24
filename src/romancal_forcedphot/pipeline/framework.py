"""Base class that integrates the step with stpipe and romancal.

It determines the exposures of a run, runs as a hook, names products, records provenance in them,
and requests parameters from CRDS.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import gc
import logging
import os
from collections.abc import Iterator
from typing import Any

import yaml
from romancal.stpipe import RomanStep
from stpipe.config_parser import ValidationError

from ..exposures import InputError, check_is_input, opened_for_metadata
from ..product.model import ForcedPhotometryModel
from ..references import CRDS_OUT_OF_REACH, OBSERVATORY, Finder, KeepingFinder, quiet_crds
from ..storage import (
    StorageError,
    check_output_directory,
    refuse_credentials,
    shown,
    write_atomically,
)
from . import batch, command_line, hooks, recording
from .descriptors import wrap_objects
from .inputs import find_input
from .step_finder import ReferenceParameters, StepFinder

__all__ = ["FrameworkStep"]

# Below romancal's logger, whose handlers every romancal pipeline sets up: our lines are shown and
# recorded wherever this step runs.
log = logging.getLogger(f"romancal.{__name__}")

_NO_NAME = "?"  # what RAD has for the name of a model without one
# As romancal does for its own: stpipe sets no level where an instance is run rather than called.
logging.getLogger("romancal.romancal_forcedphot").setLevel(logging.DEBUG)


class FrameworkStep(RomanStep):
    """A step that measures exposures one by one, and does not change them.

    A subclass defines `process` for one exposure, and `_prepare` for data common to all exposures.
    Each of many exposures is measured by a copy of the step, so that the step itself is not
    changed.
    """

    spec = """
    """

    # Of a copy that measures one of many exposures: what all share.
    _shared: Any = None
    _kept: KeepingFinder | None = None

    def __init__(self, *args, **kwargs):
        with _choices_explained(type(self)):
            super().__init__(*args, **kwargs)
        self._refuse_credentials()

    def _prepare(self) -> Any:
        """Return data common to all exposures, checked before any exposure is opened."""
        raise NotImplementedError("a step of exposures defines _prepare")

    def _finder(self) -> Finder:
        """Finder of reference files by this step; many exposures keep the files open."""
        finder = StepFinder(self)
        return finder if self._kept is None else dataclasses.replace(self._kept, finder=finder)

    def _parameters(self) -> dict[str, Any]:
        """Parameters of this step, without those inherited, overrides and storage options."""
        inherited = set(RomanStep.load_spec_file())
        return {
            name: value
            for name, value in self.get_pars().items()
            if name not in inherited | {"storage_options"} and not name.startswith("override_")
        }

    @classmethod
    def load_spec_file(cls, *args, **kwargs):
        """Return the parameters' kinds; the first thing that ``strun`` asks a step for."""
        spec = super().load_spec_file(*args, **kwargs)
        command_line.check_unread_arguments(spec)
        return spec

    @classmethod
    def from_config_section(cls, config, parent=None, name=None, config_file=None):
        """Make a step of a configuration. See `stpipe.Step.from_config_section`."""
        if parent is None:
            command_line.restore_texts(config, cls.load_spec_file())
            command_line.end_quickly()
        with _choices_explained(cls):
            return super().from_config_section(
                config, parent=parent, name=name, config_file=config_file
            )

    @classmethod
    def call(cls, *args, **kwargs):
        """Make a step and run it. See `stpipe.Step.call`."""
        names = cls.get_stpipe_loggers()
        with contextlib.ExitStack() as stack:
            if kwargs.get("configure_log", True) and "logcfg" not in kwargs:
                stack.enter_context(recording.log_config_kept(cls._console, names))
            stack.enter_context(recording.own_lines(names, cls._log_records_formatter))
            return super().call(*args, **kwargs)

    @classmethod
    def _console(cls):
        """The log configuration that `stpipe.Step.call` makes, to standard error."""
        return recording.console_config(cls._log_records_formatter)

    @classmethod
    def build_config(cls, input, **kwargs):
        """Build the configuration of `call`; see `stpipe.Step.build_config`.

        The image is opened for its metadata, which stpipe cannot read from S3.
        """
        wrapped = wrap_objects(kwargs).get("storage_options")
        options = getattr(wrapped, "options", None)
        first = None
        if input is not None:
            check_is_input(input)
            first = batch.first(input, options)
            check_is_input(first)
        with contextlib.ExitStack() as stack:
            try:
                opened = stack.enter_context(opened_for_metadata(first, options))
            except InputError:
                if first is input:
                    raise
                opened = None  # one of many exposures: the others are measured
            return super().build_config(opened, **kwargs)

    def run(self, *datasets):
        """Run on one exposure or more, or as the hook of another step. See `stpipe.Step.run`.

        Parameters
        ----------
        *datasets : str, pathlib.Path, ImageModel, ModelLibrary or list
            Images, associations, libraries, or lists of them.

        Returns
        -------
        ForcedPhotometryModel or sequence of ForcedPhotometryModel or None
            The product; a sequence of products, in order, where there may be several exposures
            (saved products are opened when they are accessed); None for a hook, whose host keeps
            its own result.
        """
        host = hooks.find_host(self)
        if self.skip and (host or self.parent):
            log.info("Step %s skipped.", self.name)
            return None if host else datasets[0]
        if host:
            return hooks.run_beside(host, self, datasets)
        return self._run_on(*datasets)

    def _run_on(self, *datasets):
        """Run on one exposure as stpipe does, or on each of many."""
        self._refuse_credentials()
        self._check_output_directory()
        datasets = [find_input(each, self.input_dir) for each in datasets]
        members = batch.find_members(datasets, self.storage_options.options)
        if members is None:
            with self._recorded():
                return self._run_one(*datasets)
        shared, kept = self._prepare(), KeepingFinder(StepFinder(self))
        return batch.run_each(
            self, members, lambda dataset: self._run_member(dataset, shared, kept)
        )

    def _run_one(self, *datasets):
        """Run on one exposure, with nothing in the way of stpipe's that a log must not show."""
        for dataset in datasets:
            check_is_input(dataset)
            refuse_credentials(dataset, "input")
        with _imports_uncollected():
            return super().run(*datasets)

    def _run_member(self, dataset, shared, kept):
        """Run a copy on one of many exposures: its log starts here, its product has its name."""
        member = copy.copy(self)
        member._shared, member._kept = shared, kept
        member.save_results = self.save_results or self.output_file is not None
        member.output_file, member.search_output_file = None, False
        with member._recorded(anew=True):
            return member._run_one(dataset)

    @contextlib.contextmanager
    def _recorded(self, *, anew: bool = False) -> Iterator[None]:
        """Record the lines of this run, whatever runs in other threads."""
        names = self.get_stpipe_loggers()
        with (
            recording.log_config_kept(self._silent, [n for n in names if n != "py.warnings"]),
            recording.own_lines(names, self._log_records_formatter, anew=anew),
        ):
            yield

    @classmethod
    def _silent(cls):
        """The log configuration that `stpipe.Step.run` makes: nothing is shown."""
        return recording.silent_config(cls._log_records_formatter)

    def _check_output_directory(self) -> None:
        """Raise where the products cannot be written, before anything is measured."""
        saves = self.save_results or self.output_file is not None
        directory = self.search_attr("output_dir", default="") if saves else self.output_dir
        if saves or directory:
            expanded = os.path.expandvars(os.path.expanduser(directory or "."))
            if directory and expanded != directory and os.path.exists(directory):
                raise StorageError(
                    f"cannot write to {shown(directory)}: stpipe takes it for {shown(expanded)}; "
                    "rename the directory, or choose another one (--output_dir)"
                )
            check_output_directory(expanded)

    def _refuse_credentials(self) -> None:
        """Raise where a parameter is a URI with credentials in it, which stpipe would log."""
        parameters = {**vars(self), "input_dir": self.input_dir}
        for name, value in parameters.items():
            if not name.startswith("_"):
                refuse_credentials(value, name)

    def export_config(self, filename, include_metadata=False):
        """Write the parameters to a file. See `stpipe.Step.export_config`."""
        with write_atomically(filename) as file:
            super().export_config(file, include_metadata)

    def finalize_result(self, model, reference_files_used):
        """Record software, reference files and the log; see `stpipe.Step.finalize_result`."""
        try:
            with quiet_crds():
                super().finalize_result(model, reference_files_used)
        except CRDS_OUT_OF_REACH:
            log.warning("CRDS is out of reach: its context is not recorded in meta.ref_file")
        if isinstance(model, ForcedPhotometryModel):
            model.meta.cal_logs = recording.lines_so_far()

    def _basepath(self, filename):
        """File name from which that of a product is made: output_file, or that of its exposure."""
        given = self.output_file or (self.search_output_file and self.search_attr("output_file"))
        has_name = filename not in ("", _NO_NAME)
        return given or (filename if has_name else None)

    def save_model(self, model, *args, output_file=None, **kwargs):
        """Save a product under the name of its exposure; see `stpipe.Step.save_model`."""
        if self.save_results or kwargs.get("force"):
            output_file = output_file or self._basepath(model.meta.filename)
        return super().save_model(model, *args, output_file=output_file, **kwargs)

    def remove_suffix(self, name):
        """Remove the suffix of this or a romancal step; see `stpipe.Step.remove_suffix`."""
        for ours in (f"_{self.suffix}", "_forcedphot"):
            if name.endswith(ours):
                return name.removesuffix(ours), "_"
        return super().remove_suffix(name)

    @classmethod
    def _get_crds_parameters(cls, dataset):
        """CRDS parameters of the first image; ValueError, which stpipe expects, for the rest."""
        if isinstance(dataset, ReferenceParameters):
            return dict(dataset.values), OBSERVATORY
        try:
            with opened_for_metadata(batch.first(dataset)) as opened:
                return super()._get_crds_parameters(opened)
        except Exception as error:
            name = shown(dataset) if isinstance(dataset, str | os.PathLike) else repr(dataset)
            raise ValueError(f"{name} has no CRDS parameters: {error}") from error

    @classmethod
    def _get_config_from_parameters(cls, crds_parameters, crds_observatory):
        """Parameters of this step in CRDS; none if CRDS is unreachable."""
        try:
            with quiet_crds():
                return super()._get_config_from_parameters(crds_parameters, crds_observatory)
        except CRDS_OUT_OF_REACH:
            log.debug("CRDS is out of reach: it was not asked for parameters")
            return cls._empty_config()


@contextlib.contextmanager
def _imports_uncollected() -> Iterator[None]:
    """Exclude the million objects of imports from collections, of which stpipe makes one a run."""
    if gc.get_freeze_count():  # somebody else's, who may rely on it
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextlib.contextmanager
def _choices_explained(cls: type[FrameworkStep]) -> Iterator[None]:
    """Let an error of a parameter say in its last line which values are possible."""
    try:
        yield
    except ValidationError as error:
        spec = cls.load_spec_file()
        raise ValidationError(command_line.explain_choices(str(error), spec)) from error


def _represent_step(dumper: yaml.Dumper, step: FrameworkStep) -> yaml.Node:
    """Write a step in YAML as its parameters."""
    return dumper.represent_dict({"class": type(step).__name__, **step._parameters()})


# stpipe logs a host's parameters in YAML, and with them its hooks: left alone, PyYAML writes out
# the whole step with the catalog in it.
yaml.add_multi_representer(FrameworkStep, _represent_step)
