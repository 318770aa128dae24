"""Base class that integrates the step with stpipe and romancal.

It determines the exposures of a run, runs as a hook, names products, records provenance in them,
and requests parameters from CRDS.
"""

from __future__ import annotations

import copy
import logging
from typing import Any

import yaml
from romancal.stpipe import RomanStep

from ..exposures import opened_if_remote
from ..product.model import ForcedPhotometryModel
from ..references import CRDS_OUT_OF_REACH, OBSERVATORY, quiet_crds
from ..storage import check_output_directory
from . import batch, hooks
from .inputs import find_input
from .parameters import wrap_objects
from .step_finder import ReferenceParameters

__all__ = ["FrameworkStep"]

# Below romancal's logger, whose handlers every romancal pipeline sets up: our lines are shown and
# recorded wherever this step runs.
log = logging.getLogger(f"romancal.{__name__}")
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

    # Of a copy that measures one of many exposures: what all share, and where its log begins.
    _shared: Any = None
    _earlier_records: tuple[list[str] | None, int] = (None, 0)

    def _prepare(self) -> Any:
        """Return data common to all exposures, checked before any exposure is opened."""
        raise NotImplementedError("a step of exposures defines _prepare")

    def _parameters(self) -> dict[str, Any]:
        """Parameters of this step, without those inherited, overrides and storage options."""
        inherited = set(RomanStep.load_spec_file())
        return {
            name: value
            for name, value in self.get_pars().items()
            if name not in inherited | {"storage_options"} and not name.startswith("override_")
        }

    @classmethod
    def build_config(cls, input, **kwargs):
        """Build the configuration of `call`; see `stpipe.Step.build_config`.

        An image on S3 is opened for its metadata, which stpipe cannot read.
        """
        wrapped = wrap_objects(kwargs).get("storage_options")
        options = getattr(wrapped, "options", None)
        with opened_if_remote(batch.first(input, options), options) as opened:
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
        if self.output_dir:
            check_output_directory(self.output_dir)
        members = batch.find_members(
            [find_input(each, self.input_dir) for each in datasets], self.storage_options.options
        )
        if members is None:
            return super().run(*datasets)
        shared = self._prepare()
        return batch.run_each(self, members, lambda dataset: self._run_member(dataset, shared))

    def _run_member(self, dataset, shared):
        """Run a copy on one of many exposures, with its own log and the exposure's name."""
        member = copy.copy(self)
        member._shared = shared
        member._earlier_records = (self.log_records, len(self.log_records))
        member.save_results = self.save_results or self.output_file is not None
        member.output_file, member.search_output_file = None, False
        return super(FrameworkStep, member).run(dataset)

    def finalize_result(self, model, reference_files_used):
        """Record software, reference files and the log; see `stpipe.Step.finalize_result`."""
        try:
            with quiet_crds():
                super().finalize_result(model, reference_files_used)
        except CRDS_OUT_OF_REACH:
            log.warning("CRDS is out of reach: its context is not recorded in meta.ref_file")
        if isinstance(model, ForcedPhotometryModel):
            records, count = self._earlier_records
            model.meta.cal_logs = self.log_records[count if self.log_records is records else 0 :]

    def _basepath(self, filename):
        """File name from which that of a product is made: output_file, or that of its exposure."""
        given = self.output_file or (self.search_output_file and self.search_attr("output_file"))
        return given or filename

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
            with opened_if_remote(batch.first(dataset)) as opened:
                return super()._get_crds_parameters(opened)
        except Exception as error:
            raise ValueError(f"{dataset!r} has no CRDS parameters: {error}") from error

    @classmethod
    def _get_config_from_parameters(cls, crds_parameters, crds_observatory):
        """Parameters of this step in CRDS; none if CRDS is unreachable."""
        try:
            with quiet_crds():
                return super()._get_config_from_parameters(crds_parameters, crds_observatory)
        except CRDS_OUT_OF_REACH:
            log.debug("CRDS is out of reach: it was not asked for parameters")
            return cls._empty_config()


def _represent_step(dumper: yaml.Dumper, step: FrameworkStep) -> yaml.Node:
    """Write a step in YAML as its parameters."""
    return dumper.represent_dict({"class": type(step).__name__, **step._parameters()})


# stpipe logs a host's parameters in YAML, and with them its hooks: left alone, PyYAML writes out
# the whole step with the catalog in it.
yaml.add_multi_representer(FrameworkStep, _represent_step)
