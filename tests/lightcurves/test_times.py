"""Mid-exposure and barycentric times against astropy, and an ephemeris that may be nonsense."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import EarthLocation, SkyCoord, get_body_barycentric_posvel
from astropy.time import Time

from romancal_forcedphot.lightcurves.measuring.times import (
    barycentric_times,
    mid_exposure,
    observer_position,
)

NOW = Time("2026-03-01T12:00:00", scale="utc")
AWAY_KM, MOVING_KM_S = np.array([1.0e6, -9.0e5, 2.0e5]), np.array([0.1, -0.05, 0.2])


def ephemeris_at(time, /, **changes):
    """What meta.ephemeris holds for a spacecraft that is somewhere near the Earth."""
    position, velocity = get_body_barycentric_posvel("earth", time, ephemeris="builtin")
    position = position.xyz.to_value(u.km) + AWAY_KM
    velocity = velocity.xyz.to_value(u.km / u.s) + MOVING_KM_S
    ephemeris = {"time": time.utc.mjd, "ephemeris_reference_frame": "EME2000", "type": "PREDICTED"}
    for name, vector in (("spatial", position), ("velocity", velocity)):
        for axis, value in zip("xyz", vector, strict=True):
            ephemeris[f"{name}_{axis}"] = float(value)
    return ephemeris | changes


def test_mid_exposure_counts_a_leap_second():
    """The last day of 2016 had 86401 seconds."""
    start, end = Time("2016-12-31T23:59:50"), Time("2017-01-01T00:00:09")
    middle = mid_exposure(start, end)
    assert middle.scale == "tai"
    assert (middle - start).sec == pytest.approx(10.0, abs=1e-6)


def test_an_exposure_that_ends_before_it_starts_is_refused():
    with pytest.raises(ValueError, match="expected an end after the start"):
        mid_exposure(NOW, NOW - 1 * u.s)


def test_barycentric_time_at_the_earth_is_that_of_astropy():
    ra, dec = np.array([10.0, 269.0, 180.0]), np.array([-60.0, -29.0, 85.0])
    time = Time(NOW, location=EarthLocation.from_geocentric(0, 0, 0, unit="m"))
    sky = SkyCoord(ra, dec, unit="deg")
    expected = time.tdb + time.light_travel_time(sky, ephemeris="builtin")
    observer = observer_position(None, NOW)
    assert observer.source.startswith("Earth")
    found = barycentric_times(NOW, observer, ra, dec)
    assert np.abs(found - expected.jd).max() * 86400 < 1e-4


def test_the_spacecraft_is_where_its_ephemeris_says():
    ephemeris = ephemeris_at(NOW)
    observer = observer_position(ephemeris, NOW)
    assert observer.source == "spacecraft"
    expected = [ephemeris[f"spatial_{axis}"] for axis in "xyz"]
    np.testing.assert_allclose(observer.position, expected, rtol=0, atol=1e-3)
    # a source along +x: light meets the telescope x/c before the barycentre
    delay = barycentric_times(NOW, observer, np.zeros(1), np.zeros(1)) - NOW.tdb.jd
    assert delay[0] * 86400 == pytest.approx(expected[0] / 299792.458, abs=1e-4)


def test_the_spacecraft_is_carried_on_along_the_earths_path():
    """Two bodies about the Sun for an hour: gravity integrated in small steps as the oracle."""
    mu_sun = 1.32712440018e11
    position, velocity = (
        np.array([ephemeris_at(NOW)[f"{name}_{axis}"] for axis in "xyz"])
        for name in ("spatial", "velocity")
    )
    sun = get_body_barycentric_posvel("sun", NOW, ephemeris="builtin")
    center, drift = sun[0].xyz.to_value(u.km), sun[1].xyz.to_value(u.km / u.s)
    step = 1.0
    for second in range(3600):
        away = position - (center + drift * (second + 0.5))
        acceleration = -mu_sun * away / np.linalg.norm(away) ** 3
        position = position + velocity * step + 0.5 * acceleration * step**2
        velocity = velocity + acceleration * step
    found = observer_position(ephemeris_at(NOW), NOW + 1 * u.hour).position
    assert np.linalg.norm(position - found) < 5.0  # km: 17 microseconds; a straight line is 38 off


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"spatial_x": -999999.0}, "spatial_x is -999999.0"),
        ({"time": -999999.0}, "time is -999999.0"),
        ({"velocity_z": None}, "velocity_z is None"),
        ({"spatial_y": float("nan")}, "spatial_y is nan"),
        ({f"spatial_{axis}": 0.0 for axis in "xyz"}, "spatial_x, _y, _z are zero"),
        ({f"velocity_{axis}": 0.0 for axis in "xyz"}, "velocity_x, _y, _z are zero"),
        ({"ephemeris_reference_frame": "ECLIPJ2000"}, "'ECLIPJ2000'"),
        ({"spatial_x": 1.0e6}, "km from the Earth"),
        ({"velocity_x": 300.0}, "km/s"),
        ({"time": NOW.utc.mjd - 400}, "400 days"),
    ],
)
def test_an_ephemeris_that_cannot_be_is_refused_and_told(changes, said):
    observer = observer_position(ephemeris_at(NOW, **changes), NOW)
    assert observer.source.startswith("Earth: ")
    assert said in observer.source
    assert observer.position == observer_position(None, NOW).position


def test_an_unnamed_frame_is_taken_for_icrs():
    ephemeris = ephemeris_at(NOW, ephemeris_reference_frame="?")
    assert observer_position(ephemeris, NOW).source == "spacecraft"
