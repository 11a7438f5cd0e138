"""Between an asset's value and the lake: thin, one class for each kind of value."""

from collections.abc import Callable, Mapping, Sequence
from typing import get_origin

import dagster as dg
import polars as pl

from risk_assets.defs.resources import Lakehouse
from risk_assets.domain.governance.artifacts import TrainedModel
from risk_assets.domain.governance.bindings import Binding, Change, challenger
from risk_assets.domain.governance.impact import Impact
from risk_assets.lake import binding_log, impact_files, layout, raw, registry, run_log
from risk_assets.lake.raw import LandedFile
from risk_assets.lake.registry import Champion, ModelVersion
from risk_assets.lake.run_log import RunRecord
from risk_assets.lake.store import Store
from risk_assets.lake.tables import Manifest, Table, partitions, read_table, write_table

SHOWN_BINDINGS = 20


class _BlobIOManager(dg.IOManager):
    def __init__(self, lakehouse: Lakehouse) -> None:
        self._lakehouse = lakehouse

    @property
    def _store(self) -> Store:
        return self._lakehouse.store


class BlobTableIOManager(_BlobIOManager):
    """A `Table` is streamed to its place and committed; it comes back as a LazyFrame, or as one for each date there is."""

    def handle_output(self, context: dg.OutputContext, obj: Table) -> None:
        """Write the table and put rows, columns, size and facts onto the materialization."""
        path = layout.PATHS[context.asset_key.to_user_string()](context.partition_key)
        _describe(context, self._store, write_table(self._store, path, obj), obj.descriptions)

    def load_input(self, context: dg.InputContext) -> pl.LazyFrame | dict[str, pl.LazyFrame]:
        """Return one date's table, or a mapping of the dates that are in the lake."""
        return _load(context, self._store, read_table)


class BlobRawIOManager(_BlobIOManager):
    """A `LandedFile` file is kept byte for byte; it comes back as a LazyFrame of text, or as one for each date there is."""

    def handle_output(self, context: dg.OutputContext, obj: LandedFile | None) -> None:
        """Copy what landed; None leaves what is in the lake as it is."""
        path = layout.PATHS[context.asset_key.to_user_string()](context.partition_key)
        if obj is not None:
            raw.ingest(self._store, obj, path, self._lakehouse.made_from(_run_id(context), context.partition_key))
        _describe(context, self._store, self._lakehouse.manifest(context.asset_key.to_user_string(), context.partition_key), {})

    def load_input(self, context: dg.InputContext) -> pl.LazyFrame | dict[str, pl.LazyFrame]:
        """Return one date's text, or a mapping of the dates that are in the lake."""
        return _load(context, self._store, raw.scan)


class BlobTrainedModelIOManager(_BlobIOManager):
    """A trained model lies in a folder of its own, by training date."""

    def handle_output(self, context: dg.OutputContext, obj: TrainedModel) -> None:
        """Write the artifacts, metadata last."""
        registry.write_trained(self._store, context.partition_key, obj, _run_id(context))
        context.add_output_metadata({"path": self._store.uri(layout.training_folder(context.partition_key))})

    def load_input(self, context: dg.InputContext) -> TrainedModel:
        """Return the model, its hashes checked."""
        return registry.read_trained(self._store, context.partition_key)


class BlobModelVersionIOManager(_BlobIOManager):
    """A trained model is registered under the next number; the date's newest version comes back."""

    def handle_output(self, context: dg.OutputContext, obj: TrainedModel) -> None:
        """Register the model and put its number onto the materialization."""
        version = registry.register(self._store, obj, _run_id(context))
        path = self._store.uri(layout.version_folder(version.name))
        context.add_output_metadata({"version": version.name, "path": path, "may_go_live": version.metadata.may_go_live})

    def load_input(self, context: dg.InputContext) -> ModelVersion:
        """Return the newest version that was trained for the date."""
        return registry.newest_of(self._store, context.partition_key)


class BlobImpactIOManager(_BlobIOManager):
    """What a version would change lies beside it; the figures come back."""

    def handle_output(self, context: dg.OutputContext, obj: tuple[Impact, pl.DataFrame]) -> None:
        """Write the figures and the accounts."""
        impact_files.write(self._store, *obj)
        context.add_output_metadata({"path": self._store.uri(layout.version_file(obj[0].candidate, layout.IMPACT))})

    def load_input(self, context: dg.InputContext) -> Impact:
        """Return the figures of the newest version that was trained for the date."""
        return impact_files.read(self._store, registry.newest_of(self._store, context.partition_key).name)


class BlobChampionIOManager(_BlobIOManager):
    """A change becomes a binding; what is live comes back, from the lake and not from the run history."""

    def handle_output(self, context: dg.OutputContext, obj: Change | None) -> None:
        """Write the binding; None leaves all as it is."""
        if obj is not None:
            registry.bind(self._store, obj)
        history = binding_log.read(self._store)
        now = history[-1]
        shown = {
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
            "sha256": binding_log.head(self._store),
        }
        context.add_output_metadata({name: value for name, value in shown.items() if value is not None})
        context.add_output_metadata({"changed": obj is not None, "history": dg.MetadataValue.md(_history(history))})

    def load_input(self, context: dg.InputContext) -> Champion:
        """Return what is live and the models that score by it, their hashes checked."""
        return registry.champion(self._store)


class BlobRunLogIOManager(_BlobIOManager):
    """A run's record is kept by itself and added to the CSV of all runs."""

    def handle_output(self, context: dg.OutputContext, obj: RunRecord) -> None:
        """Add the record to the log."""
        run_log.add(self._store, obj)
        context.add_output_metadata({"path": self._store.uri(layout.RUN_LOG)})

    def load_input(self, context: dg.InputContext) -> None:
        """Nothing stands on the log."""
        raise NotImplementedError(f"no asset reads {context.asset_key.to_user_string()}: open {layout.RUN_LOG}")


def io_managers(lakehouse: Lakehouse) -> dict[str, dg.IOManager]:
    """Return the IO managers by the key that assets name."""
    return {
        "raw": BlobRawIOManager(lakehouse),
        "table": BlobTableIOManager(lakehouse),
        "trained_model": BlobTrainedModelIOManager(lakehouse),
        "model_version": BlobModelVersionIOManager(lakehouse),
        "impact": BlobImpactIOManager(lakehouse),
        "champion": BlobChampionIOManager(lakehouse),
        "run_log": BlobRunLogIOManager(lakehouse),
    }


def _load(context: dg.InputContext, store: Store, read: Callable[[Store, str], pl.LazyFrame]) -> pl.LazyFrame | dict[str, pl.LazyFrame]:
    path_of = layout.PATHS[context.asset_key.to_user_string()]
    if get_origin(context.dagster_type.typing_type) is not dict:
        return read(store, path_of(context.partition_key))
    wanted = {date: path_of(date) for date in context.asset_partition_keys}
    return {date: read(store, path) for date, path in partitions(store, wanted).items()}


def _history(history: Sequence[Binding]) -> str:
    """Return the newest bindings as a table in Markdown."""
    lines = ["| binding | since (UTC) | action | live | challenger | by | because |", "|---:|---|---|---|---|---|---|"]
    for found in reversed(history[-SHOWN_BINDINGS:]):
        cells = (
            str(found.seq),
            found.effective_from[:16].replace("T", " "),
            found.action,
            found.champion,
            challenger(found),
            found.actor,
            found.reason,
        )
        lines.append("| " + " | ".join(cell.replace("|", r"\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines)


def _run_id(context: dg.OutputContext) -> str:
    return context.step_context.run_id


def _describe(context: dg.OutputContext, store: Store, manifest: Manifest, descriptions: Mapping[str, str]) -> None:
    types = _types(store, manifest).items()
    schema = dg.TableSchema([dg.TableColumn(name, kind, descriptions.get(name)) for name, kind in types])
    context.add_output_metadata(
        {
            "dagster/row_count": manifest.rows,
            "dagster/column_schema": schema,
            "path": dg.MetadataValue.path(store.uri(manifest.path)),
            "megabytes": round(manifest.bytes / 1e6, 3),
            **manifest.numbers,
        }
    )


def _types(store: Store, manifest: Manifest) -> dict[str, str]:
    if manifest.path.startswith(f"{layout.RAW}/"):
        return dict.fromkeys(manifest.columns, "text")
    return {name: str(kind) for name, kind in read_table(store, manifest.path).collect_schema().items()}
