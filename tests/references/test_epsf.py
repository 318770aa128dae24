"""ePSF references: what is read of them, and the jitter that is exchanged."""

from __future__ import annotations

import numpy as np
import pytest

from reference_models import OVERSAMPLE, epsf_model, reference
from romancal_forcedphot.references import ReferenceFileError, read_epsf
from small import level2_image


def read(model, image, **options):
    """Read a model for an image of WFI01 in F106."""
    guide_star = image.meta.guide_star
    return read_epsf(
        reference("epsf", model), detector="WFI01", band="F106", guide_star=guide_star, **options
    )


def test_the_jitter_of_the_image_replaces_that_of_the_reference():
    """Gaussians again: variances add, 0.11 arcsec to the pixel; 30 degrees from +y towards +x."""
    image = level2_image()
    image.meta.guide_star.update(
        {"jitter_major": 30.0, "jitter_minor": 10.0, "jitter_position_angle": 30.0}
    )
    content = read(epsf_model(), image, choose=lambda names: [names.index("G2V")])
    assert content.spectral_types == ("G2V",)
    assert content.stamps.shape == (1, 4, 97, 97)
    assert content.provenance["jitter"] == "30 x 10 mas at 30 deg, instead of 8 x 8 mas at 0 deg"
    offset = np.arange(-48, 49) / OVERSAMPLE
    stamp = content.stamps[0, 0]
    found = np.array(
        [
            [(stamp * a * b).sum() for a in (offset[:, None], offset[None])]
            for b in (offset[:, None], offset[None])
        ]
    )
    along = np.array([np.cos(np.pi / 6), np.sin(np.pi / 6)])  # (y, x) of the major axis
    across = np.array([-along[1], along[0]])
    jitter = (30**2 - 8**2) * np.outer(along, along) + (10**2 - 8**2) * np.outer(across, across)
    expected = np.eye(2) * (0.8**2 + 1 / 12) + jitter / 110**2
    np.testing.assert_allclose(found / stamp.sum(), expected, atol=2e-5)


@pytest.mark.parametrize("jitter", [{}, {"jitter_major": -999999.0, "jitter_minor": 8.0}])
def test_without_jitter_in_the_image_the_reference_stays(jitter):
    image = level2_image()
    for name in ("jitter_major", "jitter_minor", "jitter_position_angle"):
        image.meta.guide_star.pop(name, None)
    image.meta.guide_star.update(jitter)
    model = epsf_model()
    content = read(model, image, defocus=3)
    np.testing.assert_array_equal(content.stamps, model.psf[1])
    assert content.provenance == {"defocus": 3, "jitter": "the reference's (the image has none)"}


def test_a_reference_that_does_not_tell_its_jitter_stays_and_says_so():
    image, model = level2_image(), epsf_model()
    image.meta.guide_star.update(
        {"jitter_major": 30.0, "jitter_minor": 10.0, "jitter_position_angle": 30.0}
    )
    model.meta.jitter_major = None
    content = read(model, image, defocus=3)
    np.testing.assert_array_equal(content.stamps, model.psf[1])
    told = "the reference's, which it does not tell (the image has 30 x 10 mas at 30 deg)"
    assert content.provenance["jitter"] == told


@pytest.mark.parametrize(
    ("name", "value"), [("detector", "WFI02"), ("optical_element", "F158"), ("oversample", None)]
)
def test_a_reference_of_another_detector_or_filter_is_refused(name, value):
    model = epsf_model()
    if name == "oversample":
        del model.meta["oversample"]
    else:
        model.meta.instrument[name] = value
    with pytest.raises(ReferenceFileError, match=f"{name}.*--override_epsf"):
        read(model, level2_image())
