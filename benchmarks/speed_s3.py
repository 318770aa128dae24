"""Reading an image's arrays from S3 through a link of 1 Gbit/s and 30 ms, beside the transfer.

The link is in `fetch`, which waits as long as the link would take: the server, s3fs and the network
of this machine cost nothing here, checksums and decompression do.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import asdf
import numpy as np

from romancal_forcedphot.storage import expect_blocks, open_asdf
from romancal_forcedphot.storage.ranges import FIRST_BYTES, RangeFile

BYTES_PER_S, LATENCY_S = 125e6, 0.03
PLANES = ("data", "err", "dq")


def read_over_transfer(image: Path) -> float:
    """Wall time of reading the arrays of an image, over that of their transfer."""
    content = image.read_bytes()

    def fetch(ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        n_bytes = sum(stop - start for start, stop in ranges)
        time.sleep(LATENCY_S + n_bytes / BYTES_PER_S)
        return [content[start:stop] for start, stop in ranges]

    _ = asdf.get_config().extensions  # loaded before, as in a run
    remote = RangeFile("s3://bucket/image", content[:FIRST_BYTES], len(content), fetch)
    with open_asdf(remote, validate=False) as file:
        before, start = remote.bytes_fetched, time.perf_counter()
        planes = [file["roman"][name] for name in PLANES]
        expect_blocks(file, [plane._source for plane in planes])
        for plane in planes:
            np.asarray(plane)
        seconds = time.perf_counter() - start
    return seconds / (LATENCY_S + (remote.bytes_fetched - before) / BYTES_PER_S)
