"""``export/``: copies of a run's pictures and clips that say, for machines to read, that a model made them.

The mark is XMP with IPTC's digital source type. ``assets/`` stays what the service delivered, byte for byte.
A mark says nothing of the run or the day, so the copies of a repeated run are the same.
"""

import re
from collections.abc import Iterator
from html import escape
from pathlib import Path

from blocks.errors import MediaError
from blocks.xmp import write_with_xmp
from tasks.exports import asset_place
from tasks.record import AssetRecord, RunRecord, StageRecord

FOLDER = "export"
_SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
CREATED = f"{_SOURCE_TYPES}trainedAlgorithmicMedia"
EDITED = f"{_SOURCE_TYPES}compositeWithTrainedAlgorithmicMedia"
# An edit changes a picture or clip that somebody gave; a composition is a new picture after several references.
SOURCE_TYPE = {"edit": EDITED, "compose": CREATED, "video": EDITED}

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">
{properties}  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>"""


def export_path(path: str) -> str:
    """The marked copy's place of an asset's: ``export/mug/edit-1.png`` of ``assets/mug/edit-1.png``."""
    return f"{FOLDER}/{path.removeprefix('assets/')}"


def write_marked_copies(record: RunRecord, folder: Path) -> None:
    """Write a marked copy of every asset that lies in the run's folder. Raises OSError.

    A file that is too odd to take a mark has no copy; ``campaign verify`` says so.
    """
    for stage, asset in _assets(record):
        write_marked_copy(record, stage, asset, folder, folder / export_path(asset.path))


def write_marked_copy(
    record: RunRecord, stage: StageRecord, asset: AssetRecord, folder: Path, destination: Path
) -> bool:
    """Write one; False where its asset is not there or cannot be marked. Raises OSError."""
    source = asset_place(folder, asset.path)
    if not source.is_file():
        return False
    try:
        write_with_xmp(source, destination, asset.media_type, mark(record, stage, asset))
    except MediaError:
        # A copy without a mark would be taken for one that has it.
        destination.unlink(missing_ok=True)
        return False
    return True


def _assets(record: RunRecord) -> Iterator[tuple[StageRecord, AssetRecord]]:
    for stage in record.stages:
        for asset in stage.assets:
            yield stage, asset


def mark(record: RunRecord, stage: StageRecord, asset: AssetRecord) -> bytes:
    """The XMP packet: what kind of thing this is, what made it, and which original and prediction it is of."""
    version = record.versions.get("kling-campaigns", "")
    system, tool = stage.model, f"kling-campaigns {version}".strip()
    words, subjects = f"Made with the generative model {stage.model}.", ["AI-generated"]
    if record.simulated:
        system = f"simulator in place of {stage.model}"
        tool += " (simulated)"
        words = (
            f"SIMULATED: drawn by the rules of a simulator in place of the generative model {stage.model}; "
            "no model took part and nothing was paid."
        )
        subjects = ["simulated"]
    properties = [
        f"<Iptc4xmpExt:DigitalSourceType>{_text(SOURCE_TYPE[stage.stage])}</Iptc4xmpExt:DigitalSourceType>",
        f"<Iptc4xmpExt:AISystemUsed>{_text(system)}</Iptc4xmpExt:AISystemUsed>",
        f"<xmp:CreatorTool>{_text(tool)}</xmp:CreatorTool>",
        f'<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{_text(words)}</rdf:li></rdf:Alt></dc:description>',
        f"<dc:subject><rdf:Bag>{''.join(f'<rdf:li>{_text(one)}</rdf:li>' for one in subjects)}</rdf:Bag></dc:subject>",
        f"<dc:source>sha256:{_text(asset.sha256)}</dc:source>",
    ]
    if stage.prediction_id is not None:
        properties.append(f"<dc:identifier>{_text(stage.prediction_id)}</dc:identifier>")
    lines = "".join(f"   {line}\n" for line in properties)
    return _PACKET.format(properties=lines).encode("utf-8")


def _text(text: str) -> str:
    """As it may stand in XML, whatever a service called its prediction."""
    return escape(_NOT_XML.sub("\ufffd", text), quote=False)
