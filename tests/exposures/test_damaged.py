"""Damaged images: no number of theirs is believed, and each error names the file."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.time import Time
from roman_datamodels import datamodels as rdm

from hostile import at_most, with_flipped_bit, with_header
from romancal_forcedphot.exposures import ExposureError, InputError, open_image, read_level2
from small import level2_image

NAME = "r0001_wfi01_f106_cal.asdf"
PLANES = ("data", "err", "dq")


@pytest.fixture(scope="module")
def content(tmp_path_factory) -> bytes:
    """A whole file."""
    path = tmp_path_factory.mktemp("whole") / NAME
    image = level2_image()
    image.meta.filename = NAME
    image.save(path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def blocks(content, tmp_path_factory) -> dict[str, int]:
    """Which block each plane is in."""
    path = tmp_path_factory.mktemp("whole") / NAME
    path.write_bytes(content)
    with rdm.open(path) as model:
        return {name: model[name]._source for name in PLANES}


@pytest.fixture
def read(tmp_path):
    """Write bytes to a file and read an exposure from it."""

    def read_it(content, **options):
        path = tmp_path / NAME
        path.write_bytes(content)
        with open_image(path, **options) as model:
            return read_level2(model)

    return read_it


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("position", [0.1, 0.9])
def test_a_flipped_bit_in_a_plane_is_told_with_file_and_block(
    read, content, blocks, plane, position
):
    damaged = with_flipped_bit(content, blocks[plane], position)
    said = f"{NAME}.*damaged {plane} array: block {blocks[plane]} of .*{NAME}.*verify_checksums"
    with pytest.raises(ExposureError, match=said):
        read(damaged)


def test_checksums_are_not_looked_at_where_that_is_not_wanted(read, content, blocks):
    """Only damage that leaves the block decompressible can be read at all: another checksum."""
    damaged = with_header(content, blocks["data"], checksum=b"0123456789abcdef")
    exposure = read(damaged, verify_checksums=False)
    np.testing.assert_array_equal(exposure.data, level2_image().data)
    with pytest.raises(ExposureError, match="damaged data array"):
        read(damaged)


@pytest.mark.parametrize("field", ["used_size", "data_size"])
@pytest.mark.parametrize("bit", [4, 34, 46, 63])
@pytest.mark.parametrize("verify_checksums", [True, False])
def test_a_damaged_size_is_told_and_nothing_hangs(
    read, content, blocks, field, bit, verify_checksums
):
    """asdf read on and on behind the end of the file."""
    damaged = with_header(content, blocks["data"], **{field: lambda size: size ^ 1 << bit})
    with at_most(20), pytest.raises((ExposureError, InputError), match=NAME):
        read(damaged, verify_checksums=verify_checksums)


def test_planes_that_share_a_block_are_refused(read, content, blocks):
    """One digit of the tree, and the flags would be measured."""
    ours, theirs = (f"source: {blocks[name]}".encode() for name in ("data", "dq"))
    assert content.count(ours + b"\n") == 1
    with pytest.raises(InputError, match=f"{NAME}.*data, err, dq are in blocks"):
        read(content.replace(ours + b"\n", theirs + b"\n"))


TREE_DAMAGE = {
    "a transform that is none": (b"!transform/concatenate", b"!transform/concatenite"),
    "a list for a number": (b"offset: ", b"offset: []#"),
    "a text for a transform": (b"forward:", b"backward:"),
    "no steps": (b"steps:", b"stepz:"),
}


@pytest.mark.parametrize("what", TREE_DAMAGE)
@pytest.mark.filterwarnings("ignore::asdf.exceptions.AsdfWarning")
def test_a_damaged_wcs_is_told_with_the_name_of_the_file(read, content, what):
    old, new = TREE_DAMAGE[what]
    assert old in content
    with pytest.raises((ExposureError, InputError), match=NAME):
        read(content.replace(old, new, 1))


MODELS = {
    "no exposure": (lambda m: m.meta.__delitem__("exposure"), r"no meta.exposure.start_time"),
    "no instrument": (lambda m: m.meta.__delitem__("instrument"), r"no meta.instrument.detector"),
    "no photometry": (lambda m: m.meta.__delitem__("photometry"), "conversion_megajanskys=None"),
    "a time in words": (
        lambda m: m.meta.exposure.__setitem__("start_time", "yesterday evening"),
        "meta.exposure.start_time='yesterday evening': expected a time",
    ),
    "no time": (
        lambda m: m.meta.exposure.__setitem__("end_time", None),
        "no meta.exposure.end_time",
    ),
    "two times": (
        lambda m: m.meta.exposure.__setitem__("end_time", Time(["2027-01-01", "2027-01-02"])),
        "meta.exposure.end_time=.*expected a time",
    ),
    "flags that are floats": (
        lambda m: m.__setitem__("dq", np.zeros((180, 200), np.float32)),
        "dq array of type float32: expected integers",
    ),
    "complex data": (
        lambda m: m.__setitem__("data", np.zeros((180, 200), complex)),
        "data array of type complex128: expected real numbers",
    ),
    "text for errors": (
        lambda m: m.__setitem__("err", np.full((180, 200), "x")),
        "err array of type <U1: expected real numbers",
    ),
    "no flags": (lambda m: m.__delitem__("dq"), "dq array that cannot be read"),
    "a text for a WCS": (lambda m: m.meta.__setitem__("wcs", "north is up"), r"WCS \(meta.wcs\)"),
    "a WCS of no sky": (
        lambda m: m.meta.__setitem__("wcs", lambda x, y, **_: (x * np.nan, y)),
        "gives no sky position",
    ),
    "a WCS that fails": (
        lambda m: m.meta.__setitem__("wcs", lambda x, y, **_: x[5000, 5000]),
        r"WCS \(meta.wcs\) that cannot be used \(IndexError",
    ),
}


@pytest.mark.parametrize("what", MODELS)
def test_a_model_that_lacks_something_is_told_by_name(what):
    change, said = MODELS[what]
    model = level2_image()
    model.meta.filename = NAME
    change(model)
    with pytest.raises(ExposureError, match=f"{NAME}.*{said}"):
        read_level2(model)


def test_a_model_without_a_name_is_measured():
    model = level2_image()
    del model.meta["filename"]
    exposure = read_level2(model)
    assert exposure.name == ""
    assert "filename" not in exposure.metadata


def test_signed_and_unsigned_numbers_are_read_as_they_are():
    model = level2_image()
    model["data"] = np.full((180, 200), 7, np.uint16)
    model["err"] = np.full((180, 200), 2, np.uint8)
    model["dq"] = np.zeros((180, 200), np.int64)
    exposure = read_level2(model)
    assert np.all(exposure.data == 7)
    assert np.all(exposure.err == 2)


@pytest.mark.parametrize("what", ["directory", "pipe", "missing"])
def test_what_is_no_file_is_refused_at_once(tmp_path, what):
    import os

    path = tmp_path / f"{what}_cal.asdf"
    if what == "directory":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    with at_most(10), pytest.raises(InputError, match=f"{what}_cal.asdf"):
        open_image(path)


def test_the_model_has_the_name_of_its_file(tmp_path, content):
    for name in ("renamed#1_cal.asdf", "re,named?_cal.asdf"):
        (tmp_path / name).write_bytes(content)
        with open_image(tmp_path / name) as model:
            assert model.meta.filename == name
            np.testing.assert_array_equal(read_level2(model).data, level2_image().data)
