"""What stpipe and ASDF are told about the package, and what being told costs them."""

import hashlib
import importlib
import json
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import asdf
import pytest
import yaml
from asdf.schema import check_schema, load_schema
from stpipe import Pipeline, Step

from romancal_forcedphot import _integration
from romancal_forcedphot.product import resources

PACKAGE = "romancal_forcedphot"
YAML_FILES = sorted(Path(resources.__file__).parent.rglob("*.yaml"))
CHECKSUMS = Path(__file__).with_name("schema_checksums.json")


def _run(code):
    """Run Python code in a process of its own; give what it prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("group", "function"),
    [
        ("stpipe.steps", _integration.get_steps),
        ("asdf.extensions", _integration.get_extensions),
        ("asdf.resource_mappings", _integration.get_resource_mappings),
    ],
)
def test_entry_points_lead_here(group, function):
    (point,) = [p for p in entry_points(group=group) if p.value.startswith(f"{PACKAGE}.")]
    assert point.load() is function


def test_step_list_agrees_with_the_classes():
    for class_name, alias, is_pipeline in _integration.get_steps():
        module, _, name = class_name.rpartition(".")
        step = getattr(importlib.import_module(module), name)
        assert issubclass(step, Step)
        assert issubclass(step, Pipeline) == is_pipeline
        assert step.class_alias == alias


def test_listing_the_steps_imports_nothing_heavy():
    loaded = _run(
        f"import sys, {PACKAGE}._integration as i; i.get_steps(); print(*sys.modules)"
    ).split()
    assert f"{PACKAGE}._integration" in loaded
    heavy = {"numpy", "asdf", "astropy", "roman_datamodels", "romancal", "stpipe"}
    assert not heavy & set(loaded)


@pytest.mark.slow
def test_opening_a_foreign_file_does_not_import_the_model(tmp_path):
    asdf.AsdfFile({"number": 1}).write_to(tmp_path / "foreign.asdf")
    loaded = _run(
        f"import sys, asdf; asdf.open({str(tmp_path / 'foreign.asdf')!r}).close();"
        "print(*sys.modules)"
    ).split()
    ours = {name for name in loaded if name.startswith(PACKAGE)}
    assert f"{PACKAGE}.product.converter" in ours
    assert f"{PACKAGE}.product.model" not in ours


def test_resources_do_not_import_roman_datamodels():
    """Otherwise ASDF, which asks both for their resources, would go round in a circle."""
    loaded = _run(
        f"import sys, {PACKAGE}._integration as i; i.get_resource_mappings(); print(*sys.modules)"
    ).split()
    assert "roman_datamodels" not in loaded


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: path.name)
def test_every_resource_is_registered_under_its_id(path):
    content = path.read_bytes()
    uri = yaml.safe_load(content)["id"]
    assert uri.startswith(resources.NAMESPACE)
    assert asdf.get_config().resource_manager[uri] == content


@pytest.mark.parametrize(
    "path", [p for p in YAML_FILES if "schemas" in p.parts], ids=lambda path: path.name
)
def test_every_schema_is_valid_and_finds_what_it_refers_to(path):
    schema = load_schema(yaml.safe_load(path.read_bytes())["id"], resolve_references=True)
    check_schema(schema)
    assert "$ref" not in json.dumps(schema)


def test_manifest_names_schemas_that_exist():
    manager = asdf.get_config().resource_manager
    manifest = yaml.safe_load(manager[resources.MANIFEST_URI])
    tags = {tag["tag_uri"]: tag["schema_uri"] for tag in manifest["tags"]}
    assert tags[resources.TAG_URI] == resources.SCHEMA_URI
    assert all(uri in manager for uri in tags.values())


def test_released_resources_are_never_edited():
    """A change needs a file of a new version; only a new file may be added to the list.

    Schema 1.0.0 is released with version 0.2.0 of the package: until then the list is renewed.
    """
    recorded = json.loads(CHECKSUMS.read_text())
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in YAML_FILES}
    assert found == recorded, f"{CHECKSUMS.name} has other checksums than {json.dumps(found)}"
