"""Measure many exposures: what happens to one is told of that one and never stops the rest.

Workers may be killed at any time. An exposure whose worker died is measured again, after the
others; the worker of one that kills its worker each time would die for ever, so after some deaths
it has failed.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait

from ..dataset import Requested
from .jobs import Outcome, reason_of
from .pools import Pool, PoolError

__all__ = ["outcomes"]

log = logging.getLogger(f"romancal.{__name__}")

_POLL_S = 2.0
#: Deaths of workers on an exposure, before it has failed.
_MOST_DEATHS = 3
#: Deaths of workers with nothing measured between them, before it is not the exposures' fault.
_MOST_IN_A_ROW = 8


def outcomes(pool: Pool, exposures: Sequence[Requested]) -> Iterator[Outcome]:
    """Measure exposures in a pool.

    Parameters
    ----------
    pool : Pool
        Where to measure.
    exposures : sequence of Requested
        What to measure.

    Yields
    ------
    Outcome
        Of each exposure, as they become known.

    Raises
    ------
    PoolError
        Nothing can be measured any more.
    """
    waiting = deque(exposures)
    pending: dict[Future[Outcome], Requested] = {}
    deaths: Counter[str] = Counter()
    n_in_a_row = 0
    while waiting or pending:
        is_broken = _submit(pool, waiting, pending)
        results, victims = _collect(pending)
        _submit(pool, waiting, pending)  # workers should not wait for what is done with results
        yield from results
        n_in_a_row = 0 if results else n_in_a_row + len(victims)
        pool.check()
        if is_broken or victims:
            pool.replace_worker()
        for exposure in victims:
            deaths[exposure.name] += 1
            if deaths[exposure.name] < _MOST_DEATHS:
                log.warning("The worker of %s died; it is measured again", exposure.name)
                waiting.append(exposure)
            else:
                yield Outcome(
                    exposure,
                    reason=f"the worker that measures it dies ({_MOST_DEATHS} "
                    "times): it may need more memory than there is",
                )
        if n_in_a_row >= _MOST_IN_A_ROW:
            raise PoolError(
                f"workers die one after the other, the last at {victims[-1].name}: give them more "
                "memory, or take fewer with --n_workers; what is done stays done"
            )


def _submit(
    pool: Pool, waiting: deque[Requested], pending: dict[Future[Outcome], Requested]
) -> bool:
    """Hand over as much as the pool should hold; whether the pool is broken."""
    try:
        while waiting and len(pending) < pool.n_in_flight:
            future = pool.submit(waiting[0])
            pending[future] = waiting.popleft()
    except (BrokenExecutor, CancelledError):
        return True
    return False


def _collect(
    pending: dict[Future[Outcome], Requested],
) -> tuple[list[Outcome], list[Requested]]:
    """Wait for some exposures; return what became of them, and those whose worker died."""
    done, _ = wait(pending, timeout=_POLL_S, return_when=FIRST_COMPLETED)
    results, victims = [], []
    for future in done:
        exposure = pending.pop(future)
        try:
            results.append(future.result())
        except (BrokenExecutor, CancelledError):
            victims.append(exposure)
        except Exception as error:  # it could not be sent, or Dask gave it up
            results.append(Outcome(exposure, reason=reason_of(error)))
    return results, victims
