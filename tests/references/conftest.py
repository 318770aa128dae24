"""An image and a catalog for runs of the step, without CRDS."""

from __future__ import annotations

import pytest

from small_run import write_inputs


@pytest.fixture
def inputs(workplace):
    """The working directory, with an image and a catalog of seven sources on it."""
    write_inputs(workplace)
    return workplace
