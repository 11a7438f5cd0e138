"""How an endpoint serves a binding: the model of each deployment and its share of the requests."""

from collections.abc import Mapping
from dataclasses import dataclass

from risk_assets.azure_ml.options import MAX_MIRROR_PERCENT, Options
from risk_assets.domain.governance.bindings import SHADOW, Binding
from risk_assets.lake import layout
from risk_assets.lake.model_files import MODEL_NAME

BLUE, GREEN = "blue", "green"
NOT_STICKY = (
    "Azure ML assigns requests to deployments at random, not by account: the champion may score an account today and the challenger "
    "tomorrow. With --sticky, blue serves both versions and assigns accounts to them as batch does."
)


@dataclass(frozen=True)
class Routing:
    """Requests and copied requests in percent by deployment, and notes on the differences from the binding."""

    traffic: Mapping[str, int]
    mirror: Mapping[str, int]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ModelAsset:
    """A model asset of Azure ML: the folder of an export that it uploads, its name and version, and the model versions in it."""

    folder: str
    name: str
    version: int
    model_versions: tuple[str, ...]

    @property
    def reference(self) -> str:
        """The reference in a deployment."""
        return f"azureml:{self.name}:{self.version}"

    @property
    def file(self) -> str:
        """The file name of its document."""
        return f"{self.folder}.yml"

    def path(self, version: str) -> str:
        """Return the folder of a model version in the export."""
        return f"models/{self.folder}" if self.model_versions == (version,) else f"models/{self.folder}/{version}"


def route(binding: Binding, options: Options) -> Routing:
    """Return the percentages of the deployments. Azure ML accepts only whole numbers."""
    if options.sticky or binding.challenger is None:
        return Routing({BLUE: 100}, {}, ())
    if binding.mode == SHADOW:
        note = (
            f"The challenger is in shadow: Azure ML copies {options.mirror} % of the requests to it, at most {MAX_MIRROR_PERCENT} %. "
            "With --sticky, blue serves both versions, and both score every record."
        )
        return Routing({BLUE: 100}, {GREEN: options.mirror}, (note,))
    assert binding.challenger_share is not None
    exact = round(100 * binding.challenger_share, 9)
    whole = min(max(int(exact + 0.5), 1), 99)
    rounded = f"The challenger's share of {exact:g} % is rounded to {whole} %: Azure ML accepts only whole percentages."
    return Routing({BLUE: 100 - whole, GREEN: whole}, {}, (NOT_STICKY,) if exact == whole else (NOT_STICKY, rounded))


def model_assets(binding: Binding, options: Options) -> dict[str, ModelAsset]:
    """Return the model of each deployment."""
    live = tuple(name for name in (binding.champion, binding.challenger) if name)
    if options.sticky and len(live) > 1:
        return {BLUE: ModelAsset(f"binding_{binding.seq:06d}", f"{MODEL_NAME}_binding", binding.seq, live)}
    assets = (ModelAsset(name, MODEL_NAME, _number(name), (name,)) for name in live)
    return dict(zip((BLUE, GREEN), assets, strict=False))


def _number(version: str) -> int:
    number = layout.version_number(version)
    assert number is not None, version
    return number
