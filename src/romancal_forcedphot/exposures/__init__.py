"""Reading and measuring of one exposure.

`opening` opens files, and `level2` and `level3` read an image or a mosaic as a
`photometry.Exposure`; only such readers use ``model.meta``. `ingredients` (gain, pixel areas) and
`corrections` supply what settings require beside the image, and `measuring` has `measure_exposure`,
the whole measurement of one exposure or mosaic.
"""

from __future__ import annotations

from .associations import read_association
from .dq import dq_bits
from .errors import ExposureError, InputError
from .level2 import read_level2
from .level3 import read_level3
from .measuring import Inspection, Measurement, check_settings, measure_exposure
from .opening import check_is_input, open_image, opened_for_metadata

__all__ = [
    "ExposureError",
    "InputError",
    "Inspection",
    "Measurement",
    "check_is_input",
    "check_settings",
    "dq_bits",
    "measure_exposure",
    "open_image",
    "opened_for_metadata",
    "read_association",
    "read_level2",
    "read_level3",
]
