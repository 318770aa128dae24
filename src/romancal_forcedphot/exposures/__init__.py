"""One exposure: a Roman model becomes a `photometry.Exposure`, and is measured.

`opening` opens files, `level2` reads an image; what settings ask for beside the pixels is put
together in `ingredients` (gain, pixel areas) and `corrections`; `measuring` has `measure_exposure`,
the whole of one exposure as one function. Nothing behind the readers looks at ``model.meta``.
"""

from __future__ import annotations

from .associations import read_association
from .dq import dq_bits
from .errors import ExposureError, InputError
from .level2 import read_level2
from .measuring import Measurement, check_settings, measure_exposure
from .opening import check_is_input, open_image, opened_for_metadata

__all__ = [
    "ExposureError",
    "InputError",
    "Measurement",
    "check_is_input",
    "check_settings",
    "dq_bits",
    "measure_exposure",
    "open_image",
    "opened_for_metadata",
    "read_association",
    "read_level2",
]
