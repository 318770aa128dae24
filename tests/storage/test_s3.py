"""Reading from S3: against a server process on loopback, through a gate that counts and breaks."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import logging
import os
import re
import socket
import struct
import threading

import asdf
import numpy as np
import pytest
from astropy.table import Table

from romancal_forcedphot import ForcedPhotometryStep
from romancal_forcedphot.catalogs import CatalogError, read_sources
from romancal_forcedphot.exposures import InputError, open_image, read_association
from romancal_forcedphot.storage import RemoteError, StorageError, open_for_reading, open_remote
from romancal_forcedphot.storage.ranges import RangeFile
from servers import Gate, free_port, moto_server, put
from small import CENTER, PLAIN, PLAIN_OPTIONS, PRODUCT, level2_image, run_step
from small import IMAGE as NAME

SHAPE = (1500, 1600)
N_ATTEMPTS = 3
SECRET = "thisIsTheSecretOfTheTest"


@pytest.fixture(scope="module")
def image():
    """An image of 34 MB, a quarter of which nobody needs."""
    model = level2_image(SHAPE)
    for name, value in model.items():
        if "border" in name or name == "amp33":
            model[name] = np.take(value, range(8), axis=int(np.argmax(value.shape)))
    rng = np.random.default_rng(7)
    model.err = rng.uniform(0.05, 0.2, SHAPE).astype(np.float16)
    model.dq = (rng.integers(0, 9, SHAPE) == 0).astype(np.uint32) * 2  # not DO_NOT_USE
    for name in ("var_poisson", "var_rnoise"):
        model[name] = rng.uniform(0.0, 1.0, SHAPE).astype(np.float16)
    return model


@pytest.fixture(scope="module")
def local(tmp_path_factory, image):
    """The files that the bucket holds."""
    directory = tmp_path_factory.mktemp("files")
    image.save(directory / NAME)
    (directory / "plain").mkdir()
    image.save(directory / "plain" / NAME, all_array_compression=None)
    ra = CENTER[0] + np.linspace(-0.015, 0.015, 40)
    dec = CENTER[1] + np.linspace(-0.008, 0.008, 40)
    catalog = Table({"label": np.arange(40) + 7, "ra": ra, "dec": dec, "note": ["x" * 900] * 40})
    for name in ("catalog.ecsv", "catalog.fits", "catalog.parquet"):
        kind = {"format": "parquet"} if name.endswith("parquet") else {}
        catalog.write(directory / name, **kind)
    (directory / "zipped.ecsv").write_bytes(
        gzip.compress((directory / "catalog.ecsv").read_bytes())
    )
    (directory / "empty.ecsv").write_bytes(b"")
    (directory / "notes.asdf").write_text("no ASDF at all")
    (directory / "cut_cal.asdf").write_bytes((directory / NAME).read_bytes()[:3_000_000])
    return directory


@pytest.fixture(scope="module")
def server(local):
    """URL of an S3 server with the files in a bucket."""
    with moto_server() as url:
        put(f"{url}/bucket")
        for path in local.rglob("*.*"):
            put(f"{url}/bucket/deep/{path.relative_to(local)}", path.read_bytes())
        put(f"{url}/bucket/deep/private.ecsv", b"# %ECSV 1.0", acl="private")
        yield url


@pytest.fixture(autouse=True)
def _environment(workplace, monkeypatch):
    """No setting of whoever runs the tests, and no way to the internet."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("STPIPE_DISABLE_CRDS_STEPPARS", "true")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(workplace / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(workplace / "none"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")


@pytest.fixture
def gate(server, monkeypatch):
    """The way to the server."""
    made = Gate(server)
    monkeypatch.setenv("AWS_ENDPOINT_URL", made.url)
    yield made
    made.close()


def uri(name=NAME):
    return f"s3://bucket/deep/{name}"


def blocks(path):
    """Sizes of the tree and of each block of an ASDF file, with headers, read byte by byte."""
    content = path.read_bytes()
    place = first = content.index(b"\xd3BLK")
    sizes = []
    while content[place : place + 4] == b"\xd3BLK":
        (header,) = struct.unpack(">H", content[place + 4 : place + 6])
        (allocated,) = struct.unpack(">Q", content[place + 14 : place + 22])
        sizes.append(6 + header + allocated)
        place += sizes[-1]
    return first, sizes


def needed_bytes(path):
    """Bytes of the tree and of data, err and dq."""
    tree, sizes = blocks(path)
    with asdf.open(path, lazy_tree=False) as file:
        planes = [file["roman"][name]._source for name in ("data", "err", "dq")]
    return tree + sum(sizes[number] for number in planes)


def fluxes(result):
    table = result.source_catalog
    return {name: np.array(table[name]) for name in table.colnames}


@pytest.mark.parametrize("folder", ["", "plain/"])
def test_call_gives_the_same_as_locally_and_reads_only_what_it_needs(gate, local, folder):
    there = run_step(uri(folder + NAME), catalog=uri("catalog.ecsv"), save_results=True)
    sent = gate.bytes_sent
    here = run_step(str(local / folder / NAME), catalog=str(local / "catalog.ecsv"))
    for name, values in fluxes(here).items():
        np.testing.assert_array_equal(fluxes(there)[name], values, err_msg=name)
    assert np.isfinite(fluxes(here)["aper3pix_flux"]).all()
    assert os.listdir() == [PRODUCT]
    needed = needed_bytes(local / folder / NAME) + (local / "catalog.ecsv").stat().st_size
    assert needed < 0.8 * (local / folder / NAME).stat().st_size
    assert 1 < sent / needed <= 1.05


@pytest.mark.slow
def test_strun_reads_from_s3_and_writes_where_it_is_told(gate, local, tmp_path, strun):
    options = PLAIN_OPTIONS
    answer = strun(
        uri(), f"--catalog={uri('catalog.ecsv')}", "--output_dir=out", *options,
        cwd=tmp_path, env=dict(os.environ),
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert os.listdir(tmp_path) == ["out"]
    assert os.listdir(tmp_path / "out") == [PRODUCT]
    with asdf.open(tmp_path / "out" / PRODUCT) as file:
        assert len(file["roman"]["source_catalog"]) == 40
    assert gate.bytes_sent <= 1.05 * needed_bytes(local / NAME)


def test_the_metadata_alone_are_cheap(gate):
    with open_image(uri()) as model:
        assert model.meta.instrument.optical_element == "F106"
    assert gate.bytes_sent < 140_000


def test_the_file_is_closed_with_the_model(gate):
    model = open_image(uri())
    plane = model.data
    model.close()
    with pytest.raises((OSError, ValueError), match="closed"):
        np.asarray(plane)
    assert len(gate.requests) == 2


def test_an_association_and_its_members_may_be_on_s3(gate, server):
    members = [{"expname": NAME, "exptype": "science"}, {"expname": uri("plain/" + NAME)}]
    content = json.dumps({"products": [{"name": "p", "members": members}]})
    put(f"{server}/bucket/deep/asn.json", content.encode())
    assert read_association(uri("asn.json")) == [uri(), uri("plain/" + NAME)]
    products = run_step(
        uri("asn.json"), catalog=uri("catalog.ecsv"), storage_options={"anon": True}
    )
    assert [len(product.source_catalog) for product in products] == [40, 40]


def test_a_directory_of_input_may_be_on_s3(gate, tmp_path):
    step = ForcedPhotometryStep(catalog=uri("catalog.ecsv"), **PLAIN)
    step.input_dir = "s3://bucket/deep"
    assert len(step.run(NAME).source_catalog) == 40


@pytest.mark.parametrize("name", ["catalog.ecsv", "catalog.fits", "catalog.parquet", "zipped.ecsv"])
def test_catalogs_of_every_format(gate, local, name):
    there, here = read_sources(uri(name)), read_sources(local / name)
    for field in ("label", "ra", "dec"):
        np.testing.assert_array_equal(getattr(there, field), getattr(here, field))
    assert there.name == name


def test_storage_options_win_and_are_never_shown(gate, monkeypatch, tmp_path, caplog):
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    gate.needs_key = True
    options = {"key": "AKIATEST", "secret": SECRET, "endpoint_url": gate.url}
    with caplog.at_level(logging.DEBUG, "romancal"):
        result = run_step(
            uri(), catalog=uri("catalog.ecsv"), storage_options=options, save_results=True
        )
    assert len(result.source_catalog) == 40
    assert "storage_options" not in result.meta.forced_phot.parameters
    step = ForcedPhotometryStep(catalog="x", storage_options=options)
    step.export_config(tmp_path / "saved.asdf")
    shown = caplog.text + str(step.get_pars()) + "".join(map(str, result.meta.cal_logs))
    for path in tmp_path.iterdir():
        shown += path.read_bytes().decode("latin-1")
    assert "storage_options" in shown
    assert SECRET not in shown
    assert "AKIATEST" not in shown


def test_storage_options_are_not_taken_as_text():
    with pytest.raises(ValueError, match=r"storage_options is a str.*AWS_ACCESS_KEY_ID") as caught:
        ForcedPhotometryStep(catalog="x", storage_options=SECRET)
    assert SECRET not in str(caught.value)


def test_a_private_file_is_refused_and_read_with_credentials(gate, monkeypatch):
    with pytest.raises(StorageError, match=r"private.ecsv' may not be read anonymously"):
        open_remote(uri("private.ecsv"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with open_remote(uri("private.ecsv")) as file:
        assert file.read() == b"# %ECSV 1.0"


def test_credentials_of_the_environment_are_used_where_anonymous_reading_is_refused(
    gate, monkeypatch
):
    gate.needs_key = True
    with pytest.raises(StorageError, match=r"anonymously.*AWS_ACCESS_KEY_ID.*AWS_PROFILE"):
        open_remote(uri())
    assert len(gate.requests) == 1
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with open_remote(uri()) as file:
        assert file.read(5) == b"#ASDF"


def test_public_files_are_read_without_the_credentials_that_happen_to_be_set(gate, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with open_remote(uri("catalog.ecsv")) as file:
        assert file.read(8) == b"# %ECSV "
    assert len(gate.requests) == 1


def refusing(_):
    raise AssertionError("nothing must be asked")


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("s3://bucket/deep/lost_cal.asdf", "lost_cal.asdf' does not exist.*no such key.*check"),
        ("s3://bucket/deep/", "does not exist.*give a file"),
        ("s3://nobucket/x_cal.asdf", "no bucket 'nobucket' at http://127.0.0.1.*AWS_ENDPOINT_URL"),
        ("s3://bucket", "names no file: expected s3://bucket/key"),
        ("s3://", "names no file: expected s3://bucket/key"),
        ("s3://Not A Bucket/key", "Not A Bucket"),
        ("gs://bucket/x_cal.asdf", "kind that is not supported.*s3://bucket/key"),
        ("s3://bucket/deep/notes.asdf", "notes.asdf' is not an ASDF file"),
        ("s3://bucket/deep/empty.ecsv", "empty.ecsv' is not an ASDF file"),
    ],
)
def test_what_cannot_be_an_image(gate, location, said):
    with pytest.raises(InputError, match=said):
        open_image(location)
    assert os.listdir() == []


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("s3://bucket/deep/lost.ecsv", "catalog 's3://bucket/deep/lost.ecsv' does not exist"),
        ("s3://bucket/deep/empty.ecsv", "is empty"),
    ],
)
def test_what_cannot_be_a_catalog(gate, location, said):
    with pytest.raises(CatalogError, match=said):
        read_sources(location)


def test_a_truncated_upload_is_called_so(gate, local):
    with pytest.raises(ValueError, match="truncated"):
        run_step(uri("cut_cal.asdf"), catalog=str(local / "catalog.ecsv"), save_results=True)
    assert os.listdir() == []


def test_a_broken_connection_is_mended(gate, local, caplog):
    """Every long answer ends after 100 kB, once; each is asked for again."""
    gate.cut_at, gate.n_cuts = 100_000, 1
    with open_image(uri()) as model, caplog.at_level(logging.WARNING, "romancal"):
        data = np.array(model.data)
    with open_image(local / NAME) as model:
        np.testing.assert_array_equal(data, model.data)
    asked = [byte_range for _, byte_range in gate.requests]
    assert caplog.text.count("trying again") == len(asked) - len(set(asked)) >= 3


@pytest.mark.slow
def test_a_connection_that_always_breaks_is_an_error_and_no_product(gate, local):
    gate.cut_at, gate.n_cuts = 100_000, 10**6
    with pytest.raises(
        RemoteError, match=rf"{NAME}.*not be read to its end.*bytes \d+ to \d+ failed 3 times"
    ):
        run_step(uri(), catalog=str(local / "catalog.ecsv"), save_results=True)
    assert os.listdir() == []
    asked = [request for request in gate.requests if NAME in request[0]]
    assert max(asked.count(request) for request in asked) == N_ATTEMPTS


@pytest.mark.slow
def test_a_catalog_that_breaks_off_is_an_error(gate):
    gate.cut_at, gate.n_cuts = 10_000, 10**6
    with pytest.raises(CatalogError, match=r"catalog 's3://.*ecsv' cannot be reached.*3 attempts"):
        read_sources(uri("catalog.ecsv"))
    assert len(gate.requests) == N_ATTEMPTS


@pytest.mark.slow
def test_a_busy_server_is_asked_again(gate):
    gate.busy = 1
    with open_remote(uri()) as file:
        assert file.read(5) == b"#ASDF"
    gate.busy = 100
    with pytest.raises(RemoteError, match="Reduce"):
        open_remote(uri())
    assert gate.busy == 100 - N_ATTEMPTS


@pytest.mark.slow
def test_nobody_at_the_endpoint():
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    with pytest.raises(InputError, match=f"cannot be reached at {endpoint}.*check the network"):
        open_image(uri())


@pytest.mark.slow
def test_a_silent_server_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        options = {
            "endpoint_url": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "config_kwargs": {"read_timeout": 0.2},
        }
        with pytest.raises(InputError, match=r"3 attempts failed.*[Tt]imeout"):
            open_image(uri(), storage_options=options)


def test_an_endpoint_that_is_none():
    with pytest.raises(InputError, match="nonsense"):
        open_image(uri(), storage_options={"endpoint_url": "nonsense"})


def test_an_unknown_option():
    with pytest.raises(InputError, match="storage_options"):
        open_image(uri(), storage_options={"colour": "blue"})


def test_a_server_that_ignores_ranges_is_refused(gate):
    gate.ignores_ranges = True
    with pytest.raises(RemoteError, match="does not serve parts of files"):
        open_remote(uri())


def test_a_file_that_is_replaced_while_it_is_read_is_an_error(gate, server):
    content = os.urandom(300_000)
    put(f"{server}/bucket/moving", content)
    with open_remote("s3://bucket/moving") as file:
        assert file.read(1000) == content[:1000]
        put(f"{server}/bucket/moving", content[::-1])
        with pytest.raises(RemoteError, match="replaced while it was read"):
            file.read()


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 400_000])
def test_a_file_of_any_size_is_read_whole(gate, server, size):
    content = os.urandom(size)
    put(f"{server}/bucket/any", content)
    with open_for_reading("s3://bucket/any") as file:
        assert file.read() == content
        assert file.read() == b""
        assert file.seek(-1 if size else 0, io.SEEK_END) == max(size - 1, 0)
        assert file.read() == content[-1:]


def recorded(content, head=65_536):
    """A RangeFile over bytes, and the list of what it asks for."""
    asked = []

    def fetch(ranges):
        asked.extend(ranges)
        return [content[start:stop] for start, stop in ranges]

    return RangeFile("s3://b/k", content[:head], len(content), fetch), asked


def test_reading_anywhere_gives_what_is_there():
    rng = np.random.default_rng(3)
    content = rng.bytes(50_000_000)
    file, _ = recorded(content)
    for place, n in zip(
        rng.integers(0, 50_000_500, 300), rng.integers(0, 200_000, 300), strict=True
    ):
        file.seek(int(place))
        assert file.read(int(n)) == content[place : place + n]
        assert file.tell() == place + len(content[place : place + n])
    file.seek(0)
    assert file.read() == content


def test_reading_ahead_stops_at_the_next_block(local):
    content = (local / NAME).read_bytes()
    tree, sizes = blocks(local / NAME)
    edges = np.cumsum([tree, *sizes])
    file, asked = recorded(content)
    asked.clear()
    for start, stop in itertools.pairwise(edges[1:4]):
        file.seek(int(start) + 4)
        while file.tell() < stop:
            file.read(min(8192, int(stop) - file.tell()))
    assert {start for start, _ in asked} >= {edges[1] + 4, edges[2] + 4}
    assert max(stop for _, stop in asked) <= edges[3]
    assert sum(stop - start for start, stop in asked) <= edges[3] - edges[1]
    assert file.block_bytes(1) == sizes[1]


BLOCKS = [1_000, 20_001_000, 60_001_000]  # where the blocks of a made-up file begin


class Slow:
    """A server of a file in blocks, which tells what it is asked for, and answers when it is let.

    It answers at once for the beginnings of blocks and the end of the file.
    """

    def __init__(self, fails_from=None):
        index = f"#ASDF BLOCK INDEX\n%YAML 1.1\n---\n{BLOCKS}\n...\n".encode()
        self.content = b"#ASDF" + np.random.default_rng(4).bytes(70_000_000) + index
        self.asked, self.lets, self.news = {}, threading.Event(), threading.Condition()
        self.fails_from = fails_from
        self.end = len(self.content) - 65_536
        self.file = RangeFile("s3://b/k", self.content[:65_536], len(self.content), self.fetch)

    def fetch(self, ranges):
        (first, _), (_, last) = ranges[0], ranges[-1]
        with self.news:
            self.asked[first] = last
            self.news.notify_all()
        assert first in (*BLOCKS, self.end) or self.lets.wait(60)
        if first == self.fails_from:
            raise RemoteError("it broke")
        return [self.content[start:stop] for start, stop in ranges]

    def is_asked_from(self, place):
        with self.news:
            return self.news.wait_for(lambda: place in self.asked, 60)


def test_the_next_window_of_a_block_is_fetched_while_one_is_used():
    server = Slow()
    block = server.content[BLOCKS[1] : BLOCKS[2]]
    server.file.seek(BLOCKS[1])
    begin = server.file.read(10)  # the second answer is held back
    assert server.is_asked_from(server.asked[BLOCKS[1]])
    server.lets.set()
    assert begin + server.file.read(len(block) - 10) == block
    assert set(server.asked.values()) >= {BLOCKS[2]}
    assert BLOCKS[2] not in server.asked
    server.file.close()


def test_the_next_block_is_fetched_where_it_is_expected():
    server = Slow()
    server.lets.set()
    server.file.expect([1, 0])
    server.file.seek(BLOCKS[1])
    server.file.read(BLOCKS[2] - BLOCKS[1])
    assert server.is_asked_from(BLOCKS[0])
    assert BLOCKS[2] not in server.asked
    server.file.close()


def test_an_error_of_what_comes_ahead_is_raised_when_it_is_read():
    server = Slow(fails_from=BLOCKS[1] + 16 * 2**20)
    server.lets.set()
    server.file.seek(BLOCKS[1])
    server.file.read(10)
    assert server.is_asked_from(server.fails_from)
    assert server.file.read(10) == server.content[BLOCKS[1] + 10 : BLOCKS[1] + 20]
    with pytest.raises(RemoteError, match="it broke"):
        server.file.read(20 * 2**20)
    server.file.close()


def test_how_much_was_read_is_logged(gate, caplog):
    with caplog.at_level(logging.INFO, "romancal"), open_remote(uri()) as file:
        file.read(10)
    (line,) = [r.message for r in caplog.records if r.message.startswith("Read ")]
    assert re.fullmatch(rf"Read 0\.1 of \d\d\.\d MB of {uri()} in 2 requests", line)
