"""The asset graph: every asset with its key, inputs, checks and storage, in one table."""

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from risk_assets.defs.assets import champion, features, model, monitoring, outcomes, predictions, raw, reports, review, run_log
from risk_assets.defs.checks import BLOCKING, CHECKS, Check
from risk_assets.defs.failures import reported_failures
from risk_assets.defs.io_managers import BlobIOManager, io_managers
from risk_assets.defs.liveness import mark_alive, root_run_id
from risk_assets.defs.partitions import Partitions
from risk_assets.defs.releases import released
from risk_assets.defs.resources import Lakehouse
from risk_assets.lake import layout
from risk_assets.lake.dates import newest_date
from risk_assets.lake.tables import translate_polars_errors

OWNERS = ("team:credit-risk",)
OUTPUT = "result"


@dataclass(frozen=True)
class Node:
    """An asset: the function that computes it, and what Dagster needs to know.

    `inputs` map the function's parameters to upstream assets; if the node is `windowed`, they are a mapping of date to table over
    the training window, under the contract of the file. `refresh` brings tables of the window up to date. `after` are upstream
    assets that the step does not read before the function is called. `mapped` names the mapping of `Partitions` to the dates of an
    upstream asset, if they are not the same.
    """

    key: str
    function: Callable[..., Any]
    io: str
    kinds: set[str]
    inputs: Mapping[str, str] = field(default_factory=dict)
    windowed: bool = False
    refresh: Callable[[Lakehouse, Sequence[str], dg.DagsterRun], tuple[tuple[str, str], ...]] | None = None
    mapped: Mapping[str, str] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    daily: bool = True
    version: str = "1"


NODES = (
    Node("raw/accounts", raw.accounts, "raw", {"csv", "azure"}),
    Node("raw/outcomes", raw.outcomes, "raw", {"csv", "azure"}),
    Node("curated/features", features.features, "table", {"polars", "parquet"}, after=("raw/accounts",), version="3"),
    Node(
        "curated/account_states",
        outcomes.account_states,
        "table",
        {"polars", "parquet"},
        after=("curated/features", "curated/account_states"),
        mapped={"curated/account_states": "day_before"},
    ),
    Node(
        "curated/outcomes",
        outcomes.outcomes,
        "table",
        {"polars", "parquet"},
        after=("raw/outcomes", "curated/features", "curated/account_states"),
        mapped={"curated/account_states": "future"},
    ),
    Node(
        "training/model",
        model.model,
        "trained_model",
        {"scikitlearn", "python"},
        {"features": "curated/features", "outcomes": "curated/outcomes"},
        windowed=True,
        mapped={"curated/features": "past", "curated/outcomes": "past"},
        refresh=model.prepare,
        version="2",
    ),
    Node("registry/model_version", model.model_version, "model_version", {"json"}, {"model": "training/model"}),
    Node("registry/impact", champion.impact, "impact", {"json", "csv"}, {"version": "registry/model_version"}),
    Node("registry/champion", champion.champion, "champion", {"json"}, after=("registry/impact",), daily=False, version="2"),
    Node(
        "curated/predictions",
        predictions.predictions,
        "predictions",
        {"polars", "csv"},
        {"champion": "registry/champion"},
        after=("curated/features",),
        version="3",
    ),
    Node(
        "curated/review_list",
        review.review_list,
        "table",
        {"polars", "csv"},
        {"features": "curated/features"},
        after=("curated/predictions",),
    ),
    Node("monitoring/drift", monitoring.drift, "drift", {"polars", "json"}, after=("curated/features", "curated/predictions")),
    Node(
        "monitoring/performance",
        monitoring.performance,
        "performance",
        {"polars", "json"},
        after=("curated/features", "curated/predictions", "curated/outcomes"),
    ),
    Node(
        "monitoring/alerts",
        monitoring.alerts,
        "alerts",
        {"json"},
        after=("monitoring/drift", "monitoring/performance", "monitoring/alerts", "logs/batch_runs", "registry/champion"),
        mapped={"monitoring/performance": "past", "monitoring/alerts": "day_before"},
    ),
    Node(
        "reports/morning",
        reports.morning,
        "morning",
        {"json", "html"},
        after=(
            "raw/accounts",
            "curated/features",
            "curated/predictions",
            "curated/review_list",
            "monitoring/drift",
            "monitoring/performance",
            "monitoring/alerts",
            "registry/champion",
        ),
    ),
    Node(
        "logs/batch_runs",
        run_log.batch_runs,
        "run_log",
        {"csv"},
        after=("raw/accounts", "curated/features", "curated/predictions", "curated/review_list"),
    ),
)
IO_OF = {node.key: node.io for node in NODES}


def assets(partitions: Partitions, lakehouse: Lakehouse) -> list[dg.AssetsDefinition]:
    """Return all assets with their checks."""
    managers = io_managers(lakehouse)
    return [_asset(node, partitions, managers) for node in NODES]


def _asset(node: Node, partitions: Partitions, managers: Mapping[str, BlobIOManager[Any]]) -> dg.AssetsDefinition:
    """Return an asset and its checks as one step.

    The step can run as a whole or only some checks. A failed blocking check fails the step, so that *Re-execute from failure*
    materializes the asset again before it is checked. Inputs are read here and not by Dagster, which cannot resolve the
    partitions of inputs in a run without a partition: *Execute all* on the Checks tab is such a run.
    """
    key = _key(node.key)
    daily = partitions.daily if node.daily else None
    checks = CHECKS.get(node.key, ())
    asset: dg.AssetsDefinition = dg.multi_asset(
        name=node.key.replace("/", "__"),
        description=inspect.getdoc(node.function),
        outs={
            OUTPUT: dg.AssetOut(
                key=key,
                io_manager_key=node.io,
                is_required=False,
                group_name=node.key.partition("/")[0],
                kinds=node.kinds,
                owners=OWNERS,
                code_version=node.version,
                description=inspect.getdoc(node.function),
            )
        },
        deps=[
            dg.AssetDep(_key(upstream), partition_mapping=_mapping(node, upstream, partitions))
            for upstream in (*node.inputs.values(), *node.after)
        ],
        partitions_def=daily,
        can_subset=True,
        check_specs=[_check_spec(check, key, daily) for check in checks],
    )(_step(node, {check.__name__: check for check in checks}, partitions, managers))
    return asset


def _check_spec(check: Check, key: dg.AssetKey, daily: dg.PartitionsDefinition[str] | None) -> dg.AssetCheckSpec:
    """Return the specification of a check; the one place that uses partitioned checks, which are in preview."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return dg.AssetCheckSpec(
            check.__name__, asset=key, description=inspect.getdoc(check), blocking=check.__name__ in BLOCKING, partitions_def=daily
        )


def _step(
    node: Node, checks: Mapping[str, Check], partitions: Partitions, managers: Mapping[str, BlobIOManager[Any]]
) -> Callable[..., Iterator[Any]]:
    """Return the step: the function's value becomes the asset, then the selected checks are evaluated."""
    parameters = inspect.signature(node.function).parameters

    def step(context: dg.AssetExecutionContext, **given: Any) -> Iterator[Any]:
        lakehouse: Lakehouse = given["lakehouse"]
        with reported_failures():
            mark_alive(context, lakehouse.settings.lake)
            scope = lakehouse.candidate if node.windowed else lakehouse
            date = context.partition_key if context.has_partition_key else newest_date(lakehouse.store, node.key) if node.daily else ""
            if context.selected_asset_keys:
                _take_lease(node.key, date, context, lakehouse)
                _refresh(node, context, scope, partitions)
                inputs = _inputs(node, date, scope, partitions, io_managers(scope) if node.windowed else managers)
                arguments = {"context": context, **given, "lakehouse": scope, **inputs}
                value = node.function(**{name: arguments[name] for name in parameters})
                yield _output(value)
            for name in (key.name for key in context.selected_asset_check_keys):
                with translate_polars_errors(f"{node.key} of {date}"):
                    yield _named(released(checks[name](scope, date), name, context.run.tags), name, node.key)

    return _with_signature(step, {name: kind for name, kind in parameters.items() if name in ("config", "lakehouse")})


def _with_signature(step: Callable[..., Iterator[Any]], kept: dict[str, inspect.Parameter]) -> Callable[..., Iterator[Any]]:
    """Give a step the parameters that Dagster fills: the context, the configuration if there is one, and the lakehouse."""
    annotations = {"context": dg.AssetExecutionContext, "lakehouse": dg.ResourceParam[Lakehouse]}
    annotations |= {name: parameter.annotation for name, parameter in kept.items()}
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    step.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, kind, annotation=annotation) for name, annotation in annotations.items()]
    )
    step.__annotations__ = annotations
    return step


def _take_lease(key: str, date: str, context: dg.AssetExecutionContext, lakehouse: Lakehouse) -> None:
    """Become the only writer of the asset's date until the run ends."""
    path = layout.leased(key, date)
    if path:
        lakehouse.leases.take(path, root_run_id(context.run), context.run.run_id)


def _refresh(node: Node, context: dg.AssetExecutionContext, lakehouse: Lakehouse, partitions: Partitions) -> None:
    """Bring tables of the training window up to date, and report what was written in the curated zone as materializations."""
    if not node.refresh:
        return
    for key, date in node.refresh(lakehouse, _window(context.partition_key, lakehouse, partitions), context.run):
        context.log_event(dg.AssetMaterialization(_key(key), partition=date, description="brought up to date by training"))


def _window(date: str, lakehouse: Lakehouse, partitions: Partitions) -> tuple[str, ...]:
    window = lakehouse.training_window(date)
    return partitions.between(window.first, window.last)


def _inputs(
    node: Node, date: str, lakehouse: Lakehouse, partitions: Partitions, managers: Mapping[str, BlobIOManager[Any]]
) -> dict[str, Any]:
    """Return the values of a node's inputs by parameter."""
    if node.windowed:
        dates = _window(date, lakehouse, partitions)
        return {name: managers[IO_OF[key]].read_dates(key, dates) for name, key in node.inputs.items()}
    return {name: managers[IO_OF[key]].read(key, date) for name, key in node.inputs.items()}


def _output(value: Any) -> dg.Output[Any]:
    if isinstance(value, dg.Output):
        return dg.Output(value.value, output_name=OUTPUT, metadata=value.metadata)
    return dg.Output(value, output_name=OUTPUT)


def _named(result: dg.AssetCheckResult, name: str, key: str) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=result.passed,
        check_name=name,
        asset_key=_key(key),
        severity=result.severity,
        metadata=result.metadata,
        description=result.description,
    )


def _mapping(node: Node, upstream: str, partitions: Partitions) -> dg.PartitionMapping | None:
    return getattr(partitions, node.mapped[upstream]) if upstream in node.mapped else None


def _key(key: str) -> dg.AssetKey:
    return dg.AssetKey.from_user_string(key)
