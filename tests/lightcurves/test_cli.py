"""The command, from the first run to a picture."""

from __future__ import annotations

import re

import pytest
from astropy.timeseries import TimeSeries
from lightcurves.images import PLAIN, Field

from romancal_forcedphot.lightcurves.cli import main
from romancal_forcedphot.lightcurves.dataset import Dataset, Requested


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Three images and a catalog, and the arguments to run them."""
    directory, field = tmp_path_factory.mktemp("cli"), Field()
    for epoch in range(3):
        field.save(directory / f"e{epoch}_cal.asdf", 61000 + epoch, seed=epoch)
    field.catalog.write(directory / "catalog.ecsv")
    parameters = [f"--{name}={value}" for name, value in PLAIN.items()]
    catalog, output = (
        f"--catalog={directory / 'catalog.ecsv'}",
        f"--output_dir={directory / 'series'}",
    )
    arguments = [
        "run",
        str(directory / "e*_cal.asdf"),
        catalog,
        output,
        "--n_workers=1",
        *parameters,
    ]
    assert main(arguments) == 0
    return directory / "series", arguments


def test_run_again_does_nothing(made, capsys):
    assert main(made[1]) == 0
    said = capsys.readouterr().out
    assert "measured    0 exposures" in said
    assert "90 points of 30 sources" in said


def test_status_tells_done_failed_and_missing(made, capsys):
    assert main(["status", str(made[0])]) == 0
    assert "done        3 exposures" in capsys.readouterr().out
    dataset = Dataset.at(made[0])
    extra = [Requested("x0", "/x0"), Requested("x1", "/x1")]
    dataset.request(extra)
    dataset.fail(extra[0], "no WCS")
    assert main(["status", str(made[0])]) == 1
    said = capsys.readouterr().out
    assert "x0: no WCS" in said
    assert "missing     1 exposures\n  x1" in said


def test_collate_alone(made, capsys):
    assert main(["collate", str(made[0]), "--baseline=60999,61001.5"]) == 0
    assert "90 points of 30 sources" in capsys.readouterr().out
    assert main(["collate", str(made[0])]) == 0
    assert main(["collate", str(made[0]), "--rescale_errors"]) == 2
    assert "needs a baseline" in capsys.readouterr().err


def test_show_prints_and_draws(made, capsys, tmp_path):
    plot = tmp_path / "curve.png"
    assert main(["show", str(made[0]), "--label=103", f"--plot={plot}", "--period=2.5"]) == 0
    said = capsys.readouterr().out
    assert "3 good points" in said
    assert "chi2/dof" in said
    names, units, _, *rows = said[said.index("mjd_tai") :].splitlines()
    assert names.split()[:4] == ["mjd_tai", "band", "exposure", "flux"]
    assert units.split()[:3] == ["d", "nJy", "nJy"]
    assert sum(bool(re.match(r" *6100\d\.\d{6} ", row)) for row in rows) == 3
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_export(made, capsys, tmp_path):
    output = f"--output_dir={tmp_path}"
    assert main(["export", str(made[0]), "--format=ecsv", "--label=103,104", output]) == 0
    assert len(TimeSeries.read(tmp_path / "104.ecsv", format="ascii.ecsv")) == 3
    assert main(["export", str(made[0]), "--format=snappl", output]) == 0
    assert "30 files" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["status", "/nowhere"], r"no dataset.json"),
        (["show", "{series}", "--label=7"], "no source 7 in"),
        (["show", "{series}", "--label=star"], "no source 'star' in"),
        (["run", "/nowhere/*.asdf", "--catalog=c", "--output_dir=o"], "cannot be read"),
        (["run", "/x.asdf", "--catalog=c", "--output_dir=o", "--baseline=a,b"], "two MJDs"),
        (["run", "/x.asdf", "--catalog=c", "--output_dir=o", "--foo"], "--foo has no value"),
        (["run", "/x.asdf", "--catalog=c", "--output_dir=o", "--dq_mask=FOO"], "dq_mask 'FOO'"),
        (["run", "/x.asdf", "--catalog=c", "--output_dir=o", "--limit_sigma=0"], "limit_sigma"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(made, capsys, arguments, said):
    arguments = [argument.replace("{series}", str(made[0])) for argument in arguments]
    assert main(arguments) == 2
    [line] = capsys.readouterr().err.splitlines()[-1:]
    assert line.startswith("forced_phot_lightcurves: ")
    assert said in line or said == "cannot be read"


def test_unknown_arguments_of_other_commands_are_refused(made, capsys):
    with pytest.raises(SystemExit):
        main(["status", str(made[0]), "--verbose"])
    assert "--verbose" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["run", "x", "--catalog=c", "--output_dir=o", "--align=maybe"])
