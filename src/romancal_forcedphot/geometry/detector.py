"""Dimensions of a WFI detector: 4096 x 4096 pixels, of which Level-2 images hold the inner 4088."""

from __future__ import annotations

from numpy.typing import NDArray

__all__ = ["N_SCIENCE_PIXELS", "REFERENCE_BORDER", "trim_border"]

#: Number of pixels along each axis of a Level-2 image.
N_SCIENCE_PIXELS = 4088
#: Width of the border of reference pixels around them: detector position = image position + 4.
REFERENCE_BORDER = 4


def trim_border(frame: NDArray, shape: tuple[int, int], what: str) -> NDArray:
    """Remove the border of reference pixels from a map of a detector, if it has one.

    Parameters
    ----------
    frame : (my, mx) ndarray
        The map, with or without the border on all sides.
    shape : (int, int)
        Shape (ny, nx) of the image.
    what : str
        Name of the map, for the error message.

    Returns
    -------
    (ny, nx) ndarray
        A view.

    Raises
    ------
    ValueError
        The map has another shape.
    """
    border = REFERENCE_BORDER
    if frame.shape == tuple(n + 2 * border for n in shape):
        frame = frame[border:-border, border:-border]
    if frame.shape != tuple(shape):
        raise ValueError(
            f"{what} has shape {frame.shape}, the image has {tuple(shape)}: expected that of the "
            "image, or of the full detector; use the one of this detector"
        )
    return frame
