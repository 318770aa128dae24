"""Files that are no reference of their kind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from roman_datamodels import datamodels as rdm

from hostile import at_most
from reference_models import apcorr_file, reference
from romancal_forcedphot.references import ReferenceFileError, read_apcorr, read_area
from romancal_forcedphot.references.files import open_reference
from small_run import measured

pytestmark = pytest.mark.usefixtures("inputs")


def test_files_of_another_kind_are_refused():
    rdm.GainRefModel.create_fake_data(shape=(8, 8)).save("gain.asdf")
    Path("broken.asdf").write_text("#ASDF 1.0.0\n--- broken")
    with pytest.raises(
        ReferenceFileError, match=r"gain.asdf' holds a model of type GainRefModel: expected Apcorr"
    ):
        read_apcorr(reference("apcorr", "gain.asdf"), band="F106")
    with pytest.raises(ReferenceFileError, match=r"broken.asdf' cannot be opened .*override_area"):
        read_area(reference("area", "broken.asdf"), detector="WFI01", shape=(8, 8))
    with pytest.raises(ReferenceFileError, match=r"override_apcorr.*--aperture_correction=none"):
        measured(override_apcorr="lost.asdf", pixel_area="none")


def test_a_pipe_is_refused_instead_of_waited_for():
    os.mkfifo("pipe")
    with at_most(60), pytest.raises(ReferenceFileError, match=r"'.*pipe' .* is not a regular file"):
        measured(override_area="pipe", aperture_correction="none")


def test_a_model_that_is_lent_stays_open():
    model = rdm.ApcorrRefModel.create_fake_data()
    model.save("apcorr.asdf")
    with rdm.open("apcorr.asdf") as opened:
        read_apcorr(reference("apcorr", opened), band="F106")
        assert opened.meta.reftype == model.meta.reftype


@pytest.mark.filterwarnings("ignore::asdf.exceptions.AsdfWarning")  # of the array of texts
def test_damaged_values_are_told_with_the_file():
    """A digit of a tree that became a letter, as one flipped bit does."""
    apcorr_file("whole.asdf", [0.1, 0.25, 0.5], [0.2, 0.5, 0.8])  # short arrays stand in the tree
    whole = read_apcorr(reference("apcorr", "whole.asdf"), band="F106")
    assert whole["ee_radii"].tolist() == [0.1, 0.25, 0.5]
    content = Path("whole.asdf").read_bytes()
    Path("damaged.asdf").write_bytes(content.replace(b" 0.25,", b" 0.2u,"))
    said = r"content that cannot be used \(ValueError: .*0\.2u"
    with pytest.raises(ReferenceFileError, match=said):
        read_apcorr(reference("apcorr", "damaged.asdf"), band="F106")
    gain = rdm.GainRefModel.create_fake_data()
    said = r"gain reference .* \(KeyError: 'lost'\): expected"
    with pytest.raises(ReferenceFileError, match=said):  # noqa: SIM117
        with open_reference(reference("gain", gain), rdm.GainRefModel):
            raise KeyError("lost")
