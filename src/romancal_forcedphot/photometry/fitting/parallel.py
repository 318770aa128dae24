"""Work on threads, with results in a fixed order and few of them waiting."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["by_strips", "in_order"]

_STRIP_PIXELS = 250_000  # 1 MB for each array: what the cache of a processor holds

Item, Result = TypeVar("Item"), TypeVar("Result")


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], n_threads: int
) -> Iterator[Result]:
    """Yield a function's results for some items in the order of the items.

    Parameters
    ----------
    function : callable
        Called on threads, for one item each time.
    items : iterable
        What it is called for.
    n_threads : int
        How many threads; not many more results than this wait to be fetched.

    Yields
    ------
    The results. What is summed from them does not depend on the threads.
    """
    items = iter(items)
    with ThreadPoolExecutor(n_threads) as pool:
        running = deque(pool.submit(function, item) for item in itertools.islice(items, n_threads))
        while running:
            result = running.popleft().result()
            running.extend(pool.submit(function, item) for item in itertools.islice(items, 1))
            yield result


def by_strips(function: Callable[[slice], None], shape: tuple[int, int], n_threads: int) -> None:
    """Call a function for strips of rows of an image, which together are all of it.

    Parameters
    ----------
    function : callable
        Called on threads.
    shape : (int, int)
        Rows and columns of the image.
    n_threads : int
        How many threads.
    """
    at_once = max(_STRIP_PIXELS // max(shape[1], 1), 1)
    strips = (slice(first, min(first + at_once, shape[0])) for first in range(0, shape[0], at_once))
    for _ in in_order(function, strips, n_threads):
        pass
