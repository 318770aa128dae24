"""A catalog may have any name that an operating system allows, on the command line or in Python."""

from __future__ import annotations

import os

import pytest
from roman_datamodels import datamodels as rdm
from stpipe import Step

from romancal_forcedphot import ForcedPhotometryStep
from small import CENTER, level2_image

IMAGE = "r0003201001001001004_0001_wfi01_f106_cal.asdf"
PRODUCT = IMAGE.replace("_cal", "_forcedphot")
PLAIN = {"pixel_area": "wcs", "aperture_correction": "none"}
PLAIN_OPTIONS = [f"--{name}={value}" for name, value in PLAIN.items()]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    """An image in the working directory, from which no CRDS is within reach."""
    for name in [name for name in os.environ if name.startswith("CRDS")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    level2_image().save(IMAGE)


def catalog(name, label):
    with open(name, "w") as file:
        file.write(f"id,ra,dec\n{label},{CENTER[0]},{CENTER[1]}\n")


pytestmark = pytest.mark.filterwarnings("ignore:'get_cache_lock':DeprecationWarning")


@pytest.mark.parametrize(
    ("name", "beside"),
    [
        ("c,d.csv", "c"),
        ("c, d.csv", "c,d.csv"),
        ("night#2.csv", "night"),
        ("a,b#c.csv", "a"),
        ("bytes\udcff,1.csv", "bytes"),
    ],
)
def test_names_on_the_command_line(name, beside):
    """A catalog whose name is part of the other's is not touched."""
    catalog(beside, 1)
    catalog(name, 77)
    Step.from_cmdline(["forced_phot", IMAGE, f"--catalog={name}", *PLAIN_OPTIONS])
    with rdm.open(PRODUCT) as product:
        assert product.source_catalog["label"].tolist() == [77]
        shown = product.meta.forced_phot.catalog["name"]
    assert shown == name.encode("utf-8", "backslashreplace").decode()


@pytest.mark.parametrize("name", ["c,d.csv", "night#2.csv"])
def test_names_that_are_not_there_are_refused_whole(name):
    catalog("c", 1)
    catalog("night", 1)
    with pytest.raises(ValueError, match=f"'{name}' does not exist"):
        Step.from_cmdline(["forced_phot", IMAGE, f"--catalog={name}", *PLAIN_OPTIONS])


@pytest.mark.parametrize("name", ["bytes\udcff.csv"])
def test_names_in_python(name):
    catalog(name, 77)
    product = ForcedPhotometryStep.call(IMAGE, catalog=name, **PLAIN)
    product.save("saved.asdf")
    with rdm.open("saved.asdf") as saved:
        assert saved.source_catalog["label"].tolist() == [77]
