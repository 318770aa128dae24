"""VOTables: columns by name, coordinate systems as declared, and no other file opened."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import FK4, FK5, SkyCoord

from romancal_forcedphot.catalogs import CatalogError, read_sources

RA, DEC = 150.25, -30.5


def votable(tmp_path, *, ra="", dec="", coosys="", data="", more=""):
    """A table of one row, with attributes of its fields."""
    rows = f"<TABLEDATA><TR><TD>{RA}</TD><TD>{DEC}</TD></TR></TABLEDATA>"
    text = (
        f'<?xml version="1.0"?><VOTABLE version="1.4"><RESOURCE>{coosys}<TABLE>{more}'
        f'<FIELD name="ra" datatype="double" {ra}/><FIELD name="dec" datatype="double" {dec}/>'
        f"<DATA>{data or rows}</DATA></TABLE></RESOURCE></VOTABLE>"
    )
    path = tmp_path / "catalog.vot"
    path.write_text(text)
    return path


def test_columns_are_those_that_have_the_name(tmp_path):
    sources = read_sources(votable(tmp_path, ra='ID="dec"', dec='ID="ra"'))
    assert (sources.ra.tolist(), sources.dec.tolist()) == ([RA], [DEC])


@pytest.mark.parametrize("referred", [True, False])
@pytest.mark.parametrize(
    ("attributes", "frame"),
    [
        ('system="eq_FK5" equinox="J2000"', FK5(equinox="J2000")),
        ('system="eq_FK5"', FK5(equinox="J2000")),
        ('system="FK5" equinox="J1975.0"', FK5(equinox="J1975")),
        ('system="eq_FK4" equinox="B1950"', FK4(equinox="B1950")),
        (
            'system="eq_FK4" equinox="B1950" epoch="J1980.5"',
            FK4(equinox="B1950", obstime="J1980.5"),
        ),
    ],
)
def test_positions_are_transformed_from_their_system(tmp_path, attributes, frame, referred):
    ref = 'ref="sys"' if referred else ""
    path = votable(tmp_path, ra=ref, dec=ref, coosys=f'<COOSYS ID="sys" {attributes}/>')
    sources = read_sources(path)
    expected = SkyCoord(RA * u.deg, DEC * u.deg, frame=frame).icrs
    np.testing.assert_allclose(sources.ra, expected.ra.deg, rtol=0, atol=1e-12)
    np.testing.assert_allclose(sources.dec, expected.dec.deg, rtol=0, atol=1e-12)
    apart = SkyCoord(RA * u.deg, DEC * u.deg).separation(expected)
    assert apart > 10 * u.mas  # so that it was not for nothing


def test_a_group_tells_the_system_of_its_columns(tmp_path):
    group = '<GROUP ref="sys"><FIELDref ref="a"/><FIELDref ref="b"/></GROUP>'
    coosys = '<COOSYS ID="sys" system="eq_FK4"/><COOSYS ID="other" system="galactic"/>'
    path = votable(tmp_path, ra='ID="a"', dec='ID="b"', coosys=coosys, more=group)
    expected = SkyCoord(RA * u.deg, DEC * u.deg, frame="fk4").icrs
    np.testing.assert_allclose(read_sources(path).ra, expected.ra.deg, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("coosys", "said"),
    [
        ('<COOSYS ID="sys" system="galactic"/>', "coordinate system 'galactic'"),
        ('<COOSYS ID="sys" system="ecl_FK5"/>', "coordinate system 'ecl_FK5'"),
        ('<COOSYS ID="sys" system="eq_FK5" equinox="soon"/>', "equinox 'soon'"),
        (
            '<COOSYS ID="sys" system="ICRS"/><COOSYS ID="other" system="eq_FK4"/>',
            "different coordinate systems, ICRS and FK4",
        ),
    ],
)
def test_systems_that_are_not_understood_are_refused(tmp_path, coosys, said):
    dec = 'ref="other"' if "other" in coosys else 'ref="sys"'
    with pytest.raises(CatalogError, match=rf"catalog.vot'.*'ra' and 'dec'.*{said}"):
        read_sources(votable(tmp_path, ra='ref="sys"', dec=dec, coosys=coosys))


def moving(tmp_path, coosys):
    """A star of 1000 mas/yr, its positions in the system of the file."""
    text = votable(tmp_path, coosys=coosys).read_text()
    fields = '<FIELD name="pmra" datatype="double"/><FIELD name="pmdec" datatype="double"/>'
    text = text.replace("<DATA>", f"{fields}<DATA>").replace(
        "</TR>", "<TD>1000</TD><TD>0</TD></TR>"
    )
    path = tmp_path / "moving.vot"
    path.write_text(text)
    return path


def test_the_epoch_of_the_system_is_that_of_the_positions(tmp_path):
    path = moving(tmp_path, '<COOSYS ID="sys" system="ICRS" epoch="J1991.25"/>')
    motion = read_sources(path, proper_motion=True).motion
    assert motion.ref_epoch.tolist() == [1991.25]
    assert read_sources(path, proper_motion=True, ref_epoch_wanted=False).motion.ref_epoch is None


def test_motions_in_another_system_are_refused(tmp_path):
    path = moving(tmp_path, '<COOSYS ID="sys" system="eq_FK4" equinox="B1950"/>')
    with pytest.raises(CatalogError, match=r"FK4 B1950, and so are the proper motions.*False"):
        read_sources(path, proper_motion=True)
    assert len(read_sources(path)) == 1


STREAMS = {
    "binary": '<BINARY><STREAM href="{0}"/></BINARY>',
    "binary2": '<BINARY2><STREAM href="{0}" encoding="gzip"/></BINARY2>',
    "fits": '<FITS extnum="1"><STREAM href="{0}"/></FITS>',
    "parquet": '<PARQUET type="VOTable-remote-file"><STREAM href="{0}"/></PARQUET>',
}


@pytest.mark.parametrize("form", STREAMS)
def test_data_in_another_file_are_not_opened(tmp_path, monkeypatch, form):
    opened = []
    monkeypatch.setattr("urllib.request.urlopen", lambda *a, **k: opened.append(a) or 1 / 0)
    other = tmp_path / "other"
    other.write_bytes(np.array([RA, DEC], ">f8").tobytes())
    path = votable(tmp_path, data=STREAMS[form].format(other.as_uri()))
    with pytest.raises(CatalogError, match=rf"catalog.vot' has its data in another .*{other}"):
        read_sources(path)
    assert opened == []


def test_data_in_another_file_are_not_opened_whatever_the_spelling(tmp_path):
    other = tmp_path / "other"
    other.write_bytes(np.array([RA, DEC], ">f8").tobytes())
    path = votable(tmp_path, data="<BINARY>&s;</BINARY>")
    entity = f"<!DOCTYPE VOTABLE [<!ENTITY s \"&#60;STREAM href='{other.as_uri()}'/>\">]>"
    path.write_text(path.read_text().replace("<VOTABLE", entity + "<VOTABLE"))
    with pytest.raises(CatalogError, match="has its data in another file"):
        read_sources(path)


def test_a_number_of_rows_that_no_memory_holds(tmp_path):
    path = votable(tmp_path)
    path.write_text(path.read_text().replace("<TABLE>", '<TABLE nrows="1000000000000000">'))
    with pytest.raises(CatalogError, match=r"catalog.vot' does not fit into memory as VOTable"):
        read_sources(path)
