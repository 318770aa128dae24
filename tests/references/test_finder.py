"""Finding references: CRDS that lacks some, with and without a step, and files that are named."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from crds.core.exceptions import CrdsLookupError, CrdsUnknownReftypeError

from reference_models import FINE, SCALE, apcorr_file, area_file, area_map, encircled
from romancal_forcedphot.example.crds_cache import crds_environment, write_context
from romancal_forcedphot.references import (
    REFERENCE_KINDS,
    CRDSFinder,
    ReferenceFileError,
    crds_context,
    query_reference,
    remedy_for,
    require,
)
from small_run import write_inputs

CASES = {
    "apcorr unknown": {},
    "area unknown": {"aperture_correction": "none"},
    "both given": {"override_area": "area.asdf", "override_apcorr": "apcorr.asdf"},
}

RUN = """
import json, logging, sys
from astropy.table import Table
from romancal_forcedphot import ForcedPhotometryStep
cases = json.loads(sys.argv[1])
answers = {}
for name, parameters in cases.items():
    try:
        product = ForcedPhotometryStep.call('image_cal.asdf', catalog="catalog.ecsv", **parameters)
        provenance = product.meta.forced_phot
        answers[name] = {
            "area": provenance.pixel_area.source, "context": product.meta.ref_file.crds.context,
            "apcorr": provenance.aperture_correction.source, "log": list(product.meta.cal_logs),
        }
    except Exception as error:
        answers[name] = {"error": f"{type(error).__name__}: {error}"}
json.dump(answers, open("answers.json", "w"))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What the step says where CRDS knows no apcorr at all and an area of another detector."""
    directory = tmp_path_factory.mktemp("contexts")
    cache = directory / "crds"
    write_context(cache, {"area": {("WFI02",): "roman_wfi_area_02.asdf"}})
    inputs = directory / "inputs"
    inputs.mkdir()
    write_inputs(inputs)
    apcorr_file(inputs / "apcorr.asdf", FINE, encircled(FINE / SCALE))
    area_file(inputs / "area.asdf", area_map().astype("float32"))
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(CASES)],
        cwd=inputs,
        env=os.environ | crds_environment(cache),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads((inputs / "answers.json").read_text())


def test_a_context_without_apcorr_is_an_error_that_offers_to_go_without(answers):
    error = answers["apcorr unknown"]["error"]
    assert error.startswith("ReferenceFileError: there is no apcorr reference for F106 on WFI01")
    assert "--override_apcorr=FILE" in error
    assert "--aperture_correction=none" in error


def test_a_context_without_area_leaves_it_to_the_wcs_and_says_so(answers):
    answer = answers["area unknown"]
    assert (answer["area"], answer["apcorr"]) == ("wcs", "none")
    assert any("WARNING" in line and "no area reference" in line for line in answer["log"])


def test_files_stand_in_for_what_the_context_lacks(answers):
    answer = answers["both given"]
    assert (answer["area"], answer["apcorr"]) == ("crds", "apcorr")
    assert answer["context"] == "roman_0001.pmap"


# --- without a step --------------------------------------------------------------------------


def test_files_that_are_named_are_found_without_crds(workplace):
    Path("area.asdf").write_bytes(b"#ASDF")
    finder = CRDSFinder({"area": " area.asdf ", "gain": "N/A"})
    found = pickle.loads(pickle.dumps(finder)).find("area", {})
    assert (found.kind, found.content) == ("area", "area.asdf")
    assert found.name == str(workplace / "area.asdf")
    assert finder.find("gain", {}) is None


def test_a_named_file_that_is_not_there(workplace):
    finder = CRDSFinder({"apcorr": "lost.asdf"})
    with pytest.raises(
        ReferenceFileError, match=r"apcorr reference 'lost.asdf' .*--aperture_correction=none"
    ):
        finder.find("apcorr", {})


@pytest.mark.parametrize("error", [CrdsLookupError, CrdsUnknownReftypeError])
def test_what_crds_does_not_know_is_none(error):
    def ask():
        raise error("no match found")

    assert query_reference("area", ask) is None


@pytest.mark.parametrize("error", [OSError("no\nnetwork"), SystemExit(1)])
def test_crds_out_of_reach_is_an_error_that_offers_the_ways_out(error):
    def ask():
        raise error

    with pytest.raises(ReferenceFileError) as caught:
        query_reference("gain", ask)
    for part in ("CRDS_SERVER_URL", "CRDS_PATH", "--override_gain=FILE", remedy_for("gain")):
        assert part in str(caught.value)
    assert "no network" in str(caught.value) or "reaches no server" in str(caught.value)


@pytest.mark.parametrize("kind", REFERENCE_KINDS)
def test_what_is_required_and_not_there_is_an_error_with_remedies(kind):
    with pytest.raises(ReferenceFileError) as caught:
        require(CRDSFinder({kind: "N/A"}), kind, {}, what="F106 on WFI01")
    said = str(caught.value)
    assert said.startswith(f"there is no {kind} reference for F106 on WFI01")
    assert f"--override_{kind}=FILE" in said
    assert remedy_for(kind) in said


WITHOUT_STEP = """
import json, pickle, sys
import roman_datamodels.datamodels as rdm
from romancal_forcedphot.references import CRDSFinder
with rdm.open("image_cal.asdf") as model:
    parameters = model.get_crds_parameters()
finder = pickle.loads(pickle.dumps(CRDSFinder()))
found = {kind: finder.find(kind, parameters) for kind in ("area", "apcorr", "gain")}
json.dump({k: v and [v.content, v.name] for k, v in found.items()}, sys.stdout)
"""


@pytest.mark.slow
def test_crds_is_asked_without_a_step(tmp_path):
    """An area for the detector, an apcorr for another one, a kind that CRDS has never heard of."""
    write_inputs(tmp_path)
    cache = tmp_path / "crds"
    (cache / "references" / "roman").mkdir(parents=True)
    rules = {"area": {("WFI01",): "roman_wfi_area_01.asdf"}}
    rules |= {"apcorr": {("WFI02",): "roman_wfi_apcorr_02.asdf"}}
    write_context(cache, rules)
    path = cache / "references" / "roman" / "roman_wfi_area_01.asdf"
    area_file(path, area_map().astype("float32"))
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_STEP],
        cwd=tmp_path,
        env=os.environ | crds_environment(cache),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expected = {"area": [str(path), "crds://roman_wfi_area_01.asdf"], "apcorr": None, "gain": None}
    assert json.loads(done.stdout) == expected


def test_the_context_is_the_chosen_one_or_that_of_the_server(monkeypatch):
    monkeypatch.setenv("CRDS_CONTEXT", "roman_0042.pmap")
    assert crds_context() == "roman_0042.pmap"
    monkeypatch.delenv("CRDS_CONTEXT")
    monkeypatch.setattr(
        "stpipe.crds_client.get_context_used", lambda observatory: f"{observatory}_1.pmap"
    )
    assert crds_context() == "roman_1.pmap"

    def out_of_reach(observatory):
        raise SystemExit

    monkeypatch.setattr("stpipe.crds_client.get_context_used", out_of_reach)
    assert crds_context() == ""
