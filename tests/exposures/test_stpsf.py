"""The step with ePSFs of the real STPSF, on stars that GalSim draws with the same optics."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table

from romancal_forcedphot import ForcedPhotometryStep, WarningFlag
from small import level2_image

MICRONS = 1.06
PIXEL_ARCSEC = 0.10785774  # STPSF's, the mean of the two sides in pysiaf
X = np.array([40.3, 90.0, 140.8, 60.45, 0.2])
Y = np.array([50.6, 120.0, 60.2, 150.5, 90.7])
COUNTS = 5e4
ZERO_POINT = 1e15 * 0.25 * 2.8e-13  # of tests/small.py

pytestmark = pytest.mark.usefixtures("workplace")


@pytest.fixture(scope="module")
def star():
    """What GalSim draws: the light of a star at a place, on the pixels of the small image."""
    import galsim
    from galsim import roman

    centre = galsim.PositionD(2044, 2044)
    optics = roman.getPSF(1, "Y106", SCA_pos=centre, pupil_bin=8, wavelength=1000 * MICRONS)

    def draw(x, y, *, jitter_mas, diffusion_mas):
        blurs = [galsim.Gaussian(sigma=mas / 1000) for mas in (jitter_mas, diffusion_mas) if mas]
        image = galsim.ImageD(200, 180, xmin=0, ymin=0, scale=PIXEL_ARCSEC)
        galsim.Convolve(optics, *blurs).drawImage(image, center=galsim.PositionD(x, y))
        return image.array

    return draw


@pytest.fixture(scope="module")
def measure_stars(star):
    """Measure five stars, one of them cut by the edge, two with a dead pixel."""

    def run(*, jitter_mas=6.0, diffusion_mas=33.0, guide_star=None, **parameters):
        image = level2_image()
        image.meta.instrument.detector = "WFI01"
        image.meta.guide_star.update(guide_star or {})
        image.data = np.full((180, 200), 2.0, dtype=np.float32)
        for x, y in zip(X, Y, strict=True):
            drawn = star(x, y, jitter_mas=jitter_mas, diffusion_mas=diffusion_mas)
            image.data += np.float32(COUNTS) * drawn.astype(np.float32)
        image.dq[120, 90] = image.dq[61, 141] = 1
        plain = {"pixel_area": "none", "override_apcorr": "N/A", "bkg_estimator": "mean"}
        plain |= {"aperture_correction": "stpsf", "stpsf_n_psfs": 1, "stpsf_sed": f"{MICRONS}um"}
        catalog = Table({"x": X, "y": Y})
        return ForcedPhotometryStep.call(image, catalog=catalog, **plain | parameters)

    return run


def fluxes(product, radius=3):
    """Total fluxes over the truth."""
    return np.array(product.source_catalog[f"aper{radius}pix_total_flux"]) / ZERO_POINT / COUNTS


@pytest.mark.slow
def test_stars_have_their_flux(stpsf_cache, measure_stars):
    product = measure_stars(aperture_radii="2,3,5", annulus_radii="60,70")
    for radius, tolerance in ((2, 0.006), (3, 0.003), (5, 0.003)):
        np.testing.assert_allclose(fluxes(product, radius)[[0, 2, 3]], 1, atol=tolerance)
    # without its central pixel a star shows more of what GalSim and STPSF differ in
    np.testing.assert_allclose(fluxes(product, 5), 1, atol=0.01)
    flags = product.source_catalog["warning_flags"]
    assert flags[1] & WarningFlag.MASKED
    assert flags[4] & WarningFlag.EDGE


def test_charge_diffusion_and_jitter_can_be_told(stpsf_cache, measure_stars):
    """Half of the light within a pixel is easily blurred out of it."""
    guide_star = {"jitter_major": 60.0, "jitter_minor": 60.0, "jitter_position_angle": 0.0}
    common = {"aperture_radii": "2", "annulus_radii": "60,70"}
    plain = measure_stars(**common)
    sharp = measure_stars(diffusion_mas=0, stpsf_charge_diffusion=0, **common)
    shaky = measure_stars(jitter_mas=60, guide_star=guide_star, **common)
    rows = [0, 2, 3]
    for product in (plain, sharp, shaky):
        np.testing.assert_allclose(fluxes(product, 2)[rows], 1, atol=0.006)
    fractions = [
        np.median(product.source_catalog["aper2pix_ee_fraction"])
        for product in (shaky, plain, sharp)
    ]
    assert (np.diff(fractions) > 0.01).all()
    corrections = [
        product.meta.forced_phot.aperture_correction for product in (plain, sharp, shaky)
    ]
    assert [each["charge_diffusion"] for each in corrections] == [
        *("33 mas, of STPSF", "0 mas", "33 mas, of STPSF")
    ]
    assert corrections[2]["jitter"] == "60 x 60 mas at 0 deg, of the image"
    assert len(list(stpsf_cache.iterdir())) == 1  # one grid serves all


def test_the_product_tells_what_corrected_it(stpsf_cache, stpsf_data, measure_stars):
    import stpsf

    product = measure_stars()
    provenance = product.meta.forced_phot.aperture_correction
    assert provenance["source"] == "stpsf"
    assert provenance["sed"] == f"{MICRONS}um"
    assert provenance["n_positions"] == 1
    assert provenance["stpsf_version"] == stpsf.__version__
    assert provenance["stpsf_data_version"] == (stpsf_data / "version.txt").read_text().strip()
    assert provenance["normalized_by"] == "the stamps themselves"
    assert product.meta.forced_phot.parameters["stpsf_n_psfs"] == 1


def test_wide_apertures_get_wider_stamps(stpsf_cache, measure_stars):
    product = measure_stars(aperture_radii="3,50", bkg_estimator="none")
    narrow, wide = (np.array(product.source_catalog[f"aper{r}pix_ee_fraction"]) for r in (3, 50))
    assert (wide[:1] > 0.98).all()
    assert narrow[0] < wide[0] < 1


def test_radii_may_be_on_the_sky(stpsf_cache, measure_stars):
    """The small image has 0.11 arcsec per pixel."""
    product = measure_stars(radius_unit="arcsec", aperture_radii="0.33,5.5", bkg_estimator="none")
    in_pixels = measure_stars(aperture_radii="3,50", bkg_estimator="none")
    np.testing.assert_allclose(
        product.source_catalog["aper0p33arcsec_ee_fraction"],
        in_pixels.source_catalog["aper3pix_ee_fraction"],
        rtol=1e-4,
    )


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"stpsf_n_psfs": 8}, "stpsf_n_psfs is 8: expected a square number"),
        ({"stpsf_sed": "sun"}, "stpsf_sed is 'sun': expected a temperature"),
    ],
)
def test_parameters_that_cannot_be_are_refused(stpsf_cache, measure_stars, parameters, said):
    with pytest.raises(ValueError, match=said):
        measure_stars(**parameters)


def test_without_data_the_variable_is_named(stpsf_cache, measure_stars, monkeypatch, tmp_path):
    monkeypatch.delenv("STPSF_PATH")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ValueError, match=r"STPSF_PATH is not set.*--aperture_correction=apcorr"):
        measure_stars()


@pytest.mark.parametrize(
    ("data_version", "said"),
    [(None, "no STPSF data in .*nowhere"), ("2.1.0", "cannot work with the data")],
)
def test_incomplete_data_offer_both_ways_out(
    stpsf_cache, measure_stars, monkeypatch, tmp_path, data_version, said
):
    data = tmp_path / "nowhere"
    if data_version:
        data.mkdir()
        (data / "version.txt").write_text(data_version)
    monkeypatch.setenv("STPSF_PATH", str(data))
    with pytest.raises(ValueError, match=rf"{said}.*STPSF_PATH.*--aperture_correction=apcorr"):
        measure_stars()
    assert not stpsf_cache.exists()


def test_a_spectrum_without_library_offers_both_ways_out(stpsf_cache, measure_stars, monkeypatch):
    monkeypatch.delenv("PYSYN_CDBS", raising=False)
    with pytest.raises(ValueError, match=r"'G2V'.*such as 5700K.*--aperture_correction=apcorr"):
        measure_stars(stpsf_sed="G2V")


@pytest.mark.slow
def test_stpsf_and_epsf_agree_on_the_same_optics(stpsf_cache, scene, crds_cache):
    """Both know the scene's optics: one computes them, the other was drawn with them."""
    from galsim import roman

    microns = roman.getBandpasses(AB_zeropoint=True)["Y106"].effective_wavelength / 1000
    (reference,) = (crds_cache / "references" / "roman").glob("*_epsf_*106.asdf")
    parameters = {"pixel_area": "wcs", "override_apcorr": "N/A", "override_epsf": str(reference)}
    parameters |= {"stpsf_n_psfs": 4, "stpsf_sed": f"{microns:.5f}um", "stpsf_charge_diffusion": 0}
    tables = [
        ForcedPhotometryStep.call(
            scene.image, catalog=str(scene.catalog), aperture_correction=name, **parameters
        ).source_catalog
        for name in ("stpsf", "epsf")
    ]
    good = (tables[0]["warning_flags"] == 0) & (tables[1]["warning_flags"] == 0)
    assert good.sum() > 1000
    ours, theirs = (np.array(table["aper3pix_ee_fraction"])[good] for table in tables)
    assert np.median(ours / theirs) == pytest.approx(1, abs=0.003)
    np.testing.assert_allclose(ours / theirs, 1, atol=0.006)
