"""What the folders of past runs know of paid work: every prediction in their manifests, and the bytes beside them."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from blocks.assets import AssetStore
from blocks.ledger import GenerationWork, Ledger, PastResult, RunRow, StoredAsset, WorkInput
from tasks.exports import asset_place
from tasks.identity import generation_key
from tasks.lost_ledger.manifest_reading import MANIFEST, UnreadableManifest, read_manifest
from tasks.paying.restoring import put_back
from tasks.record import AssetRecord, AttemptRecord, Outcome, RunRecord, StageRecord

# Runs' ids are names of folders.
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,120}")


@dataclass(frozen=True)
class PastRun:
    """A run's folder, and its record as the manifest in it has it."""

    folder: Path
    record: RunRecord

    @property
    def predictions(self) -> set[str]:
        return {one.prediction_id for stage in self.record.stages for one in _predictions(stage)}

    @property
    def assets(self) -> set[str]:
        return {asset.sha256 for stage in self.record.stages for asset in stage.assets}


@dataclass(frozen=True)
class _Told:
    prediction_id: str
    attempt: AttemptRecord | None


def past_runs_in(folders: Iterable[Path], service: str) -> list[PastRun]:
    """Every run of the service whose folder lies in one of these folders, the oldest first.

    What cannot be read as a manifest of this program is passed over: the folders are their owners' to change.
    """
    found: dict[str, PastRun] = {}
    for folder in folders:
        for path in _manifests(folder):
            try:
                record = read_manifest(path)
            except (OSError, UnreadableManifest):
                continue
            if record.service == service and _RUN_ID.fullmatch(record.run):
                found.setdefault(record.run, PastRun(path.parent, record))
    return sorted(found.values(), key=lambda run: (run.record.started_at, run.record.run))


def _manifests(folder: Path) -> Iterator[Path]:
    try:
        yield from sorted(folder.glob(f"*/{MANIFEST}"))
    except OSError:
        return  # the folder of a disk that is not there now


def not_in(ledger: Ledger, runs: Iterable[PastRun], service: str) -> list[PastRun]:
    """Those of the runs of which the ledger lacks a prediction that was paid for."""
    runs = list(runs)
    unknown = ledger.unknown_ids(service, set().union(*(run.predictions for run in runs)))
    return [run for run in runs if run.predictions & unknown]


def take_over_folders(ledger: Ledger, store: AssetStore, runs: Iterable[PastRun]) -> int:
    """Enter what the runs had paid for; return of how many predictions the ledger lacked something.

    An asset counts where its bytes are whole, in the store or in the run's folder; from there it is put back.
    """
    taken = 0
    for run in runs:
        record = run.record
        row = RunRow(
            id=record.run,
            campaign=record.campaign,
            csv_path=record.csv_path,
            csv_sha256=record.csv_sha256,
            service=record.service,
            provider=record.provider,
            out=str(run.folder.parent.absolute()),
            budget=record.budget,
            started_at=record.started_at,
            ended_at=record.ended_at,
            exit_status=record.exit_status,
            flow_run_id=record.flow_run_id,
        )
        takes = _takes(record)
        results = [
            result
            for stage in record.stages
            for result in _results(record, stage, takes[stage.brief], run.folder, store)
        ]
        taken += ledger.take_over(row, record.model_dump_json(), results)
    return taken


def _takes(record: RunRecord) -> Mapping[str, int]:
    return {
        brief.brief: int(take) if (take := brief.row.get("take", "").strip()).isdecimal() else 1
        for brief in record.briefs
    }


def _predictions(stage: StageRecord) -> list[_Told]:
    told = {one.prediction_id: _Told(one.prediction_id, one) for one in stage.attempts if one.prediction_id}
    if stage.prediction_id is not None:
        told.setdefault(stage.prediction_id, _Told(stage.prediction_id, None))
    return list(told.values())


def _results(
    record: RunRecord, stage: StageRecord, take: int, folder: Path, store: AssetStore
) -> Iterator[PastResult]:
    shas = [given.sha256 for given in stage.inputs]
    key = generation_key(record.service, stage.model, dict(stage.request), shas, take)
    if stage.generation_key != key:
        return  # another version's, or changed by hand: nothing that could be found by it
    work = GenerationWork(
        key=key,
        service=record.service,
        provider=record.provider,
        model=stage.model,
        stage=stage.stage,
        request=dict(stage.request),
        inputs=tuple(WorkInput(given.role, given.sha256) for given in stage.inputs),
        take=take,
        prompt=stage.prompt,
    )
    for told in _predictions(stage):
        attempt = told.attempt
        assets: tuple[StoredAsset, ...] = ()
        if told.prediction_id == stage.prediction_id and all(
            _is_kept(store, asset, folder) for asset in stage.assets
        ):
            assets = tuple(_stored(asset) for asset in stage.assets)
        failed = attempt is not None and attempt.state == "failed"
        yield PastResult(
            work=work,
            prediction_id=told.prediction_id,
            made_at=(attempt and attempt.submitted_at) or stage.started_at or record.started_at,
            estimated=stage.estimated or (0 if stage.outcome is Outcome.CACHED else stage.charged),
            charged=attempt.charged if attempt is not None else 0 if assets else None,
            refunded=attempt.refunded if attempt is not None else 0,
            assets=assets,
            error_code=attempt.error_code if attempt is not None and failed else None,
            error=(attempt.error or "it failed") if attempt is not None and failed else None,
        )


def _is_kept(store: AssetStore, asset: AssetRecord, folder: Path) -> bool:
    try:
        return store.is_whole(asset.sha256) or put_back(
            store, asset.sha256, [asset_place(folder, asset.path)]
        )
    except ValueError:
        return False  # changed by hand: no hash, or no place below assets/


def _stored(asset: AssetRecord) -> StoredAsset:
    return StoredAsset(**asset.model_dump(exclude={"path"}))
