"""An example is not made where asdf would write somewhere else."""

from __future__ import annotations

import pytest

from romancal_forcedphot.example import make_crds_cache, make_scene


@pytest.mark.parametrize("name", ["night#2", "what?", "a%20b", "two\nlines", "a;b"])
def test_a_directory_that_looks_like_a_uri_is_refused_by_its_whole_name(tmp_path, name):
    (tmp_path / "night").write_text("precious")
    for make in (make_scene, lambda directory: make_crds_cache(directory, [])):
        with pytest.raises(ValueError, match="cannot be the directory of an example") as caught:
            make(tmp_path / name)
        assert repr(str(tmp_path / name)) in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["night"]
