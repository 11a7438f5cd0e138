"""Writes assets' values to the lake and reads them: one class for each kind of value."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import dagster as dg
import polars as pl

from risk_assets.alerts.outbox import announce
from risk_assets.alerts.receivers import receiver_names
from risk_assets.clock import utc_now
from risk_assets.defs.failures import reported_failures
from risk_assets.defs.liveness import root_run_id
from risk_assets.defs.metadata import shown
from risk_assets.defs.morning_pages import write_pages
from risk_assets.defs.resources import Lakehouse
from risk_assets.domain.governance.artifacts import TrainedModel
from risk_assets.domain.governance.bindings import Binding, Change, challenger_label
from risk_assets.domain.governance.impact import Impact
from risk_assets.domain.ingest.labels import require_outcome_columns
from risk_assets.domain.ingest.validation import raw_descriptions
from risk_assets.domain.markdown import markdown_table
from risk_assets.domain.monitoring.alerts import AlertReport
from risk_assets.domain.monitoring.performance_report import PerformanceReport
from risk_assets.domain.monitoring.report import DriftReport
from risk_assets.domain.morning.facts import MorningReport
from risk_assets.domain.wording import counted
from risk_assets.errors import LakeError
from risk_assets.lake import (
    alert_files,
    binding_log,
    documents,
    drift_files,
    impact_files,
    layout,
    morning_files,
    performance_files,
    raw,
    registry,
    run_log,
    verification,
)
from risk_assets.lake.alert_evidence import Evidence
from risk_assets.lake.landed_parts import LandedFile
from risk_assets.lake.manifests import Manifest, Provenance, find_readable, partitions, require_contract
from risk_assets.lake.morning_facts import CollectedReport
from risk_assets.lake.outcome_tables import OUTCOMES
from risk_assets.lake.posted_outcomes import shard_paths
from risk_assets.lake.registry import Champion, ModelVersion
from risk_assets.lake.run_log import RunRecord
from risk_assets.lake.store import Store
from risk_assets.lake.tables import StoredTables, Writable, read_table

SHOWN_BINDINGS = 20
Value = TypeVar("Value")


class BlobIOManager(dg.IOManager, Generic[Value]):
    """Base of the IO managers."""

    def __init__(self, lakehouse: Lakehouse) -> None:
        """Write to and read from the lake of a lakehouse."""
        self._lakehouse = lakehouse

    @property
    def _store(self) -> Store:
        return self._lakehouse.store

    def handle_output(self, context: dg.OutputContext, obj: Value) -> None:
        """Write an asset's value; a `RiskError` fails the step with its message."""
        with reported_failures():
            self.write(context, obj)

    def load_input(self, context: dg.InputContext) -> Any:
        """Return an asset's value for `load_asset_value`; a `RiskError` fails with its message."""
        with reported_failures():
            return self.read(context.asset_key.to_user_string(), context.partition_key if context.has_partition_key else "")

    @abstractmethod
    def write(self, context: dg.OutputContext, obj: Value) -> None:
        """Write an asset's value."""

    @abstractmethod
    def read(self, key: str, date: str) -> Any:
        """Return an asset's value for a date; the date does not matter for an asset without partitions."""

    def read_dates(self, key: str, dates: Iterable[str]) -> Mapping[str, Any]:
        """Return the tables of those dates that are in the lake."""
        path_of = layout.PATHS[key]
        return {date: self.read(key, date) for date in partitions(self._store, {date: path_of(date) for date in dates})}


class BlobTableIOManager(BlobIOManager[Writable]):
    """Lets a table write itself to the lake; reads it as a LazyFrame."""

    def write(self, context: dg.OutputContext, obj: Writable) -> None:
        """Write the table; rows, columns, size and facts become metadata."""
        path = layout.PATHS[context.asset_key.to_user_string()](context.partition_key)
        guard = self._lakehouse.guard(context.asset_key.to_user_string(), context.partition_key)
        (manifest,) = obj.write(self._store, path, guard)
        _describe(context, self._store, manifest, obj.descriptions)

    def read(self, key: str, date: str) -> pl.LazyFrame:
        """Return a date's table; raises `LakeError` if it was made under another contract."""
        require_contract(self._lakehouse.manifest(key, date), self._lakehouse.values_of(key))
        return read_table(self._store, layout.PATHS[key](date))

    def read_dates(self, key: str, dates: Iterable[str]) -> Mapping[str, Any]:
        """Return the tables of those dates that are in the lake; each is read when it is used.

        Raises `LakeError` with the dates made under another contract.
        Outcomes of another target are left out: those that can be made under this one have been, see `refresh_outcomes`.
        """
        stored = partitions(self._store, {date: layout.PATHS[key](date) for date in dates})
        current = self._lakehouse.values_of(key)
        other = {date for date in stored if self._lakehouse.manifest(key, date).made_from.contract_values != current}
        if other and key != OUTCOMES:
            raise LakeError(f"{key} of {', '.join(sorted(other))} was made under another contract. Refresh and train: risk train DATE.")
        return StoredTables(self._store, {date: path for date, path in stored.items() if date not in other})


class BlobPredictionsIOManager(BlobTableIOManager):
    """Lets predictions write themselves to the lake with the index of their accounts."""

    def write(self, context: dg.OutputContext, obj: Writable) -> None:
        """Write the table and the index; metadata as for other tables, and the size of the index."""
        guard = self._lakehouse.guard(context.asset_key.to_user_string(), context.partition_key)
        predictions, index = obj.write(self._store, layout.predictions(context.partition_key), guard)
        _describe(context, self._store, predictions, obj.descriptions)
        context.add_output_metadata({"account_index": f"{counted(index.rows, 'row')} in {counted(len(index.parts), 'part')}"})


class BlobRawIOManager(BlobIOManager[LandedFile | None]):
    """Stores a `LandedFile` byte for byte; reads it as a LazyFrame of text."""

    def write(self, context: dg.OutputContext, obj: LandedFile | None) -> None:
        """Copy the landed file; None leaves the file in the lake unchanged, or there is none because outcomes were only posted."""
        path = layout.PATHS[context.asset_key.to_user_string()](context.partition_key)
        if obj is not None:
            earlier = find_readable(self._store, path)
            damaged = verification.problems(self._store, earlier) if earlier else []
            work = self._lakehouse.engine.parts(self._store, obj)
            context.add_output_metadata({"engine": work.engine})
            stored = self._lakehouse.store_raw(context.asset_key.path[-1], context.partition_key, _run_id(context), work)
            if damaged and earlier and stored.sha256 == earlier.sha256:
                restored = f"{', '.join(damaged)}: restored from the landing folder; a changed file is kept in {layout.RAW}/superseded/"
                context.log.warning(restored)
                context.add_output_metadata({"restored": restored})
        posted = shard_paths(self._store, context.partition_key) if path == layout.outcomes(context.partition_key) else ()
        if posted:
            context.add_output_metadata({"posted_shards": len(posted)})
        if obj is None and posted and self._store.size(layout.manifest(path)) is None:
            return
        _describe(
            context,
            self._store,
            self._lakehouse.manifest(context.asset_key.to_user_string(), context.partition_key),
            raw_descriptions(self._lakehouse.contract),
        )

    def read(self, key: str, date: str) -> pl.LazyFrame:
        """Return a date's columns as text; raises `ContractError` with the path of outcomes that lack or repeat a column."""
        if key == "raw/outcomes":
            manifest = self._lakehouse.manifest(key, date)
            require_outcome_columns(manifest.columns, self._lakehouse.contract, manifest.path)
        return raw.scan(self._store, layout.PATHS[key](date))


class BlobTrainedModelIOManager(BlobIOManager[TrainedModel]):
    """Stores a trained model in a folder by training date and run."""

    def write(self, context: dg.OutputContext, obj: TrainedModel) -> None:
        """Write the artifacts, metadata last."""
        date, run_id = context.partition_key, _run_id(context)
        registry.write_trained(self._store, date, obj, run_id, self._lakehouse.guard("training/model", date))
        context.add_output_metadata({"path": self._store.uri(layout.training_run(date, run_id))})

    def read(self, key: str, date: str) -> TrainedModel:
        """Return the model after verifying its hashes."""
        return registry.read_trained(self._store, date)


class BlobModelVersionIOManager(BlobIOManager[TrainedModel]):
    """Registers a trained model under the next number; reads the newest version of a date."""

    def write(self, context: dg.OutputContext, obj: TrainedModel) -> None:
        """Register the model; its number becomes metadata."""
        version = registry.register(self._store, obj, _run_id(context), _root_run_id(context))
        path = self._store.uri(layout.version_folder(version.name))
        context.add_output_metadata({"version": version.name, "path": path, "gates_passed": version.metadata.gates.passed})

    def read(self, key: str, date: str) -> ModelVersion:
        """Return the newest version trained for the date."""
        return registry.newest_of(self._store, date)


class BlobImpactIOManager(BlobIOManager[tuple[Impact, pl.DataFrame]]):
    """Stores a version's impact next to it; reads the figures."""

    def write(self, context: dg.OutputContext, obj: tuple[Impact, pl.DataFrame]) -> None:
        """Write the figures and the accounts."""
        impact_files.write(self._store, *obj)
        context.add_output_metadata({"path": self._store.uri(layout.version_file(obj[0].candidate, layout.IMPACT))})

    def read(self, key: str, date: str) -> Impact:
        """Return the impact of the newest version trained for the date."""
        return impact_files.read(self._store, registry.newest_of(self._store, date).name)


class BlobChampionIOManager(BlobIOManager[Change | None]):
    """Writes a change as a binding; reads what is live from the lake, not from the run history."""

    def write(self, context: dg.OutputContext, obj: Change | None) -> None:
        """Write the binding; None changes nothing."""
        if obj is not None:
            registry.bind(self._store, obj, _root_run_id(context))
        history = binding_log.read(self._store)
        if not history:
            context.add_output_metadata({"version": "none is live", "changed": False})
            return
        now = history[-1]
        fields = {
            "version": now.champion,
            "challenger": now.challenger,
            "challenger_share": now.challenger_share,
            "mode": now.mode,
            "action": now.action,
            "binding": now.seq,
            "since": now.effective_from,
            "actor": now.actor,
            "reason": now.reason,
            "overrides": ", ".join(now.overrides) or None,
            "approved_by": now.approved_by,
            "policy": now.policy,
            "contract": now.contract,
            **_unused_files(self._lakehouse, now),
            "sha256": binding_log.head(self._store),
        }
        context.add_output_metadata({name: value for name, value in fields.items() if value is not None})
        context.add_output_metadata({"changed": obj is not None, "history": dg.MetadataValue.md(_history(self._store, history))})

    def read(self, key: str, date: str) -> Champion:
        """Return what is in force in this run and its models, after verifying their hashes."""
        return registry.bound(self._store, self._lakehouse.documents.binding)


class BlobDriftIOManager(BlobIOManager[DriftReport]):
    """Stores the drift report of a date as JSON."""

    def write(self, context: dg.OutputContext, obj: DriftReport) -> None:
        """Write the report, and what it was made from."""
        made_from = self._lakehouse.made_from(
            _run_id(context),
            obj.date,
            "curated/predictions",
            "curated/features",
            policy=self._lakehouse.policy.digest,
            model_version=obj.version,
        )
        drift_files.write(self._store, obj, made_from)
        context.add_output_metadata({"path": self._store.uri(layout.drift(obj.date))})

    def read(self, key: str, date: str) -> DriftReport:
        """Return the report of a date."""
        return drift_files.read(self._store, date).report


class BlobPerformanceIOManager(BlobIOManager[PerformanceReport]):
    """Stores the performance report of a date as JSON, and keeps its earlier revisions."""

    def write(self, context: dg.OutputContext, obj: PerformanceReport) -> None:
        """Write the report, and what it was made from: the outcomes too if they are known."""
        known = obj.matured and performance_files.outcomes_identity(self._store, obj.date) is not None
        made_from = self._lakehouse.made_from(
            _run_id(context),
            obj.date,
            "curated/predictions",
            "curated/features",
            *(["curated/outcomes"] if known else []),
            policy=self._lakehouse.policy.digest,
            model_version=obj.models[0].version,
        )
        number = performance_files.write(self._store, obj, made_from, self._lakehouse.guard(layout.PERFORMANCE, obj.date))
        context.add_output_metadata({"path": self._store.uri(layout.performance(obj.date)), "revision": number})

    def read(self, key: str, date: str) -> PerformanceReport:
        """Return the report of a date."""
        return performance_files.read(self._store, date).report


class BlobAlertsIOManager(BlobIOManager[tuple[AlertReport, Evidence]]):
    """Queues messages about the alerts of a date, and stores them as JSON."""

    def write(self, context: dg.OutputContext, obj: tuple[AlertReport, Evidence]) -> None:
        """Write the report, and what it was made from; messages first, so that a report that is written has been announced."""
        report, evidence = obj
        settings = self._lakehouse.settings
        if receiver_names(settings):
            queued = announce(self._store, report, settings.calendar.day(utc_now()))
            context.add_output_metadata({"messages": queued})
        documents = self._lakehouse.documents
        made_from = Provenance(
            run_id=_run_id(context),
            contract=documents.contract.digest,
            policy=documents.policy.digest,
            binding=documents.binding.seq if documents.binding else None,
        )
        guard = self._lakehouse.guard(layout.ALERTS, report.date)
        alert_files.write(self._store, report, evidence.digest, made_from, guard)
        context.add_output_metadata({"path": self._store.uri(layout.alerts(report.date))})

    def read(self, key: str, date: str) -> AlertReport:
        """Return the report of a date."""
        return alert_files.read(self._store, date).report


class BlobMorningIOManager(BlobIOManager[CollectedReport]):
    """Stores the morning report of a date as JSON, as a page and as text."""

    def write(self, context: dg.OutputContext, obj: CollectedReport) -> None:
        """Write the facts, the page, the text and the list of all reports."""
        date = obj.report.date
        morning_files.write(self._store, obj.report, obj.inputs, _run_id(context))
        write_pages(self._store, obj.report)
        paths = {"path": layout.morning(date), "page": layout.morning_page(date), "text": layout.morning_text(date)}
        context.add_output_metadata({name: self._store.uri(path) for name, path in paths.items()})

    def read(self, key: str, date: str) -> MorningReport:
        """Return the report of a date."""
        return morning_files.read(self._store, date).report


class BlobRunLogIOManager(BlobIOManager[tuple[RunRecord, ...]]):
    """Adds the records of runs to the run log."""

    def write(self, context: dg.OutputContext, obj: tuple[RunRecord, ...]) -> None:
        """Add the records."""
        for record in obj:
            run_log.add(self._store, record)
        context.add_output_metadata({"path": self._store.uri(layout.RUN_LOG)})

    def read(self, key: str, date: str) -> None:
        """Not supported: no asset depends on the log."""
        raise NotImplementedError(f"no asset reads {key}: open {layout.RUN_LOG}")


def io_managers(lakehouse: Lakehouse) -> dict[str, BlobIOManager[Any]]:
    """Return the IO managers by the key that assets name."""
    return {
        "raw": BlobRawIOManager(lakehouse),
        "table": BlobTableIOManager(lakehouse),
        "predictions": BlobPredictionsIOManager(lakehouse),
        "trained_model": BlobTrainedModelIOManager(lakehouse),
        "model_version": BlobModelVersionIOManager(lakehouse),
        "impact": BlobImpactIOManager(lakehouse),
        "champion": BlobChampionIOManager(lakehouse),
        "drift": BlobDriftIOManager(lakehouse),
        "performance": BlobPerformanceIOManager(lakehouse),
        "alerts": BlobAlertsIOManager(lakehouse),
        "morning": BlobMorningIOManager(lakehouse),
        "run_log": BlobRunLogIOManager(lakehouse),
    }


def _unused_files(lakehouse: Lakehouse, binding: Binding) -> dict[str, str]:
    """Return a note for each file of a policy or a contract that is not the bound one."""
    bound = documents.of_binding(lakehouse.store, binding)
    return {f"unused_{file.kind}_file": file.note for file in documents.unused_files(bound, lakehouse.settings)}


def _history(store: Store, history: Sequence[Binding]) -> str:
    """Return the newest bindings as a Markdown table."""
    header = ("binding", "since (UTC)", "action", "live", "challenger", "changed documents", "by", "because")
    newest = history[-SHOWN_BINDINGS:]
    before = (None, *history)[-len(newest) - 1 : -1]
    rows = (
        (
            str(found.seq),
            found.effective_from[:16].replace("T", " "),
            found.action,
            found.champion,
            challenger_label(found),
            "; ".join(documents.changed_keys(store, earlier, found)),
            found.actor,
            found.reason,
        )
        for earlier, found in reversed([*zip(before, newest, strict=True)])
    )
    return markdown_table(header, rows)


def _run_id(context: dg.OutputContext) -> str:
    return context.step_context.run_id


def _root_run_id(context: dg.OutputContext) -> str:
    """Return the first run of a run and its retries."""
    return root_run_id(context.step_context.dagster_run)


def _describe(context: dg.OutputContext, store: Store, manifest: Manifest, descriptions: Mapping[str, str]) -> None:
    """Add metadata about a table. Of a raw file's columns, only those with a description: other names are text of the source."""
    types = _types(store, manifest, descriptions).items()
    columns = [dg.TableColumn(name, kind, descriptions.get(name)) for name, kind in types]
    context.add_output_metadata(
        {
            "dagster/row_count": manifest.rows,
            "dagster/column_schema": dg.TableSchema(columns),
            "path": dg.MetadataValue.path(store.uri(manifest.path if manifest.path in manifest.parts else layout.shards(manifest.path))),
            "megabytes": round(manifest.bytes / 1e6, 3),
            **shown(manifest.numbers),
        }
    )


def _types(store: Store, manifest: Manifest, descriptions: Mapping[str, str]) -> dict[str, str]:
    if manifest.path.startswith(f"{layout.RAW}/"):
        return dict.fromkeys((name for name in manifest.columns if name in descriptions), "text")
    return {name: str(kind) for name, kind in read_table(store, manifest.path).collect_schema().items()}
