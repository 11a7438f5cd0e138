"""The asset graph: every asset with its key, inputs, partitions and storage, in one table."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import dagster as dg

from risk_assets.defs.assets import champion, features, model, predictions, raw, review, run_log
from risk_assets.defs.failures import reported_failures
from risk_assets.defs.partitions import Partitions

OWNERS = ("team:credit-risk",)


def assets(partitions: Partitions) -> list[dg.AssetsDefinition]:
    """Return all assets; `ins` name the upstream asset of each input."""
    daily, window = partitions.daily, partitions.training_window
    return [
        _asset(raw.accounts, "raw/accounts", io="raw", kinds={"csv", "azureblob"}, partitions_def=daily),
        _asset(raw.outcomes, "raw/outcomes", io="raw", kinds={"csv", "azureblob"}, partitions_def=daily),
        _asset(
            features.features,
            "curated/features",
            io="table",
            kinds={"polars", "parquet"},
            ins={"accounts": _input("raw/accounts")},
            partitions_def=daily,
        ),
        _asset(
            model.model,
            "training/model",
            io="trained_model",
            kinds={"scikitlearn", "python"},
            ins={"features": _input("curated/features", window), "outcomes": _input("raw/outcomes", window)},
            partitions_def=daily,
        ),
        _asset(
            model.model_version,
            "registry/model_version",
            io="model_version",
            kinds={"json"},
            ins={"model": _input("training/model")},
            partitions_def=daily,
        ),
        _asset(
            champion.impact,
            "registry/impact",
            io="impact",
            kinds={"json", "csv"},
            ins={"version": _input("registry/model_version")},
            partitions_def=daily,
        ),
        _asset(champion.champion, "registry/champion", io="champion", kinds={"json"}, deps=[_key("registry/impact")], version="2"),
        _asset(
            predictions.predictions,
            "curated/predictions",
            io="table",
            kinds={"polars", "csv"},
            ins={"features": _input("curated/features"), "champion": _input("registry/champion")},
            partitions_def=daily,
            version="2",
        ),
        _asset(
            review.review_list,
            "curated/review_list",
            io="table",
            kinds={"polars", "csv"},
            ins={"predictions": _input("curated/predictions"), "features": _input("curated/features")},
            partitions_def=daily,
        ),
        _asset(
            run_log.batch_runs,
            "logs/batch_runs",
            io="run_log",
            kinds={"csv"},
            deps=[_key("curated/predictions"), _key("curated/review_list")],
            partitions_def=daily,
        ),
    ]


def _asset(function: Callable[..., Any], key: str, *, io: str, kinds: set[str], version: str = "1", **options: Any) -> dg.AssetsDefinition:
    """Return the asset that a function computes; the first part of its key is its group. `options` are those of `dg.asset`."""
    asset: dg.AssetsDefinition = dg.asset(
        key=_key(key),
        io_manager_key=io,
        group_name=key.partition("/")[0],
        kinds=kinds,
        owners=OWNERS,
        code_version=version,
        **options,
    )(_reporting(function))
    return asset


def _key(key: str) -> dg.AssetKey:
    return dg.AssetKey.from_user_string(key)


def _input(key: str, mapping: dg.PartitionMapping | None = None) -> dg.AssetIn:
    return dg.AssetIn(_key(key), partition_mapping=mapping)


def _reporting(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def compute(*args: Any, **kwargs: Any) -> Any:
        with reported_failures():
            return function(*args, **kwargs)

    return compute
