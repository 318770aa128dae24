"""Files that are no reference of their kind."""

from __future__ import annotations

from pathlib import Path

import pytest
from roman_datamodels import datamodels as rdm

from reference_models import reference
from romancal_forcedphot.references import ReferenceFileError, read_apcorr, read_area
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


def test_a_model_that_is_lent_stays_open():
    model = rdm.ApcorrRefModel.create_fake_data()
    model.save("apcorr.asdf")
    with rdm.open("apcorr.asdf") as opened:
        read_apcorr(reference("apcorr", opened), band="F106")
        assert opened.meta.reftype == model.meta.reftype
