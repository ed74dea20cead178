"""A manifest read back is the record that it was written from."""

from pathlib import Path

import pytest
from record_samples import Assets, every_outcome

from tasks.lost_ledger.manifest_reading import UnreadableManifest, read_manifest
from tasks.provenance.manifest import manifest_json


def test_a_manifest_reads_back_as_its_record(tmp_path: Path) -> None:
    record = every_outcome(tmp_path, Assets())
    path = tmp_path / "manifest.json"
    path.write_bytes(manifest_json(record))
    assert read_manifest(path) == record


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"campaign": 3}', "[" * 100_000, "\0"])
def test_anything_else_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(text)
    with pytest.raises(UnreadableManifest):
        read_manifest(path)
