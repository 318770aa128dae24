"""The frame of a WFI detector: 4096 pixels a side, of which Level-2 images show the inner 4088."""

from __future__ import annotations

from numpy.typing import NDArray

__all__ = ["N_SCIENCE_PIXELS", "REFERENCE_BORDER", "trim_border"]

#: Pixels along one side of a Level-2 image.
N_SCIENCE_PIXELS = 4088
#: Reference pixels on each side around them: detector position = image position + 4.
REFERENCE_BORDER = 4


def trim_border(frame: NDArray, shape: tuple[int, int], what: str) -> NDArray:
    """Return a map of a detector in the shape of an image, without its border if it has one.

    Parameters
    ----------
    frame : (my, mx) ndarray
        The map, with or without the border of reference pixels on all sides.
    shape : (int, int)
        Shape (ny, nx) of the image.
    what : str
        What the map is, for the message.

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
