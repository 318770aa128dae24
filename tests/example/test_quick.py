"""The command `forced_phot_example --quick`, on an even smaller part of a detector."""

from __future__ import annotations

import re
import shlex

import pytest

from romancal_forcedphot.example import cli


@pytest.mark.slow
def test_it_ends_with_a_summary_and_what_to_do_next(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(cli, "QUARTER", {"n_pixels": 256, "n_stars": 30, "n_galaxies": 3})
    assert cli.main([str(tmp_path), "--quick"]) in (0, 1)  # 1: so few stars scatter
    told, _ = capfd.readouterr()
    (product,) = re.findall(r"^product +(.*)$", told, re.MULTILINE)
    assert product.startswith(str(tmp_path / "quick"))
    assert "33 in the catalog" in told
    _, next_steps = told.split("What next?\n")
    assert f"forced_phot_example {shlex.quote(str(tmp_path))} --series" in next_steps
