"""The files of a model in its folder: a trained model, or a version. Their hashes are in its metadata, which is written last."""

from typing import TypeVar

import msgspec

from risk_assets.clock import utc_now
from risk_assets.domain.governance.artifacts import MeasuredGates, Metrics, Origin, Profile, TrainedModel
from risk_assets.domain.scorecard.scorecard import Example, Scorecard, Step
from risk_assets.errors import LakeError, MissingModelError, ModelError
from risk_assets.lake import layout
from risk_assets.lake.hashing import sha256
from risk_assets.lake.seals import has_seal, sealed
from risk_assets.lake.store import Store

MODEL_NAME = "credit_default"
ARTIFACTS = (layout.SCORECARD, layout.STEPS, layout.METRICS, layout.PROFILE, layout.EXAMPLE, layout.PIPELINE)
T = TypeVar("T")


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `metadata.json`, with its seal. It is written last: a folder without it is not a version."""

    model_name: str
    version: str
    registered_at: str
    run_id: str
    sha256: dict[str, str]
    origin: Origin
    gates: MeasuredGates
    seal: str | None = None

    @property
    def name(self) -> str:
        """The version, `model_vNNN`."""
        return self.version


def contents(model: TrainedModel) -> dict[str, bytes]:
    """Return the files of a model by name, without the metadata."""
    return {
        layout.SCORECARD: model.scorecard.to_json(),
        layout.STEPS: to_json(model.steps),
        layout.METRICS: to_json(model.metrics),
        layout.PROFILE: to_json(model.profile),
        layout.EXAMPLE: to_json(model.example),
        layout.PIPELINE: model.pipeline,
    }


def write(store: Store, folder: str, model: TrainedModel, name: str, run_id: str) -> Metadata:
    """Write the files of a model, metadata last, and return the metadata."""
    files = contents(model)
    for file, content in files.items():
        store.put(layout.artifact(folder, file), content)
    unsealed = Metadata(
        model_name=MODEL_NAME,
        version=name,
        registered_at=utc_now(),
        run_id=run_id,
        sha256={file: sha256(content) for file, content in files.items()},
        origin=model.origin,
        gates=model.gates,
    )
    metadata = sealed(unsealed)
    store.put(layout.artifact(folder, layout.METADATA), to_json(metadata))
    return metadata


def read(store: Store, folder: str, next_step: str) -> TrainedModel:
    """Return the model in a folder after comparing its hashes; raises `ModelError` if it is missing or incomplete."""
    metadata = read_metadata(store, folder, next_step)
    return TrainedModel(
        scorecard=read_file(store, folder, layout.SCORECARD, Scorecard, metadata),
        steps=read_file(store, folder, layout.STEPS, tuple[Step, ...], metadata),
        metrics=read_file(store, folder, layout.METRICS, Metrics, metadata),
        profile=read_file(store, folder, layout.PROFILE, Profile, metadata),
        example=read_file(store, folder, layout.EXAMPLE, Example, metadata),
        origin=metadata.origin,
        gates=metadata.gates,
        pipeline=read_bytes(store, folder, layout.PIPELINE, metadata),
    )


def read_metadata(store: Store, folder: str, next_step: str) -> Metadata:
    """Return the metadata of a folder.

    Raises
    ------
    MissingModelError
        If there is none.
    LakeError
        If it cannot be read, or was changed since it was written.
    """
    path = layout.artifact(folder, layout.METADATA)
    content = store.find(path)
    if content is None:
        raise MissingModelError(f"{folder} is not in the lake or is incomplete. {next_step}")
    metadata = decode(content, Metadata, path)
    if not has_seal(metadata):
        raise LakeError(f"{path} was changed since it was written. Restore it from a backup, or train again.")
    return metadata


def read_bytes(store: Store, folder: str, file: str, metadata: Metadata) -> bytes:
    """Return a file of a model; raises `ModelError` if it is missing or its hash is not the one in the metadata."""
    path = layout.artifact(folder, file)
    content = store.find(path)
    if content is None or sha256(content) != metadata.sha256.get(file):
        state = "is missing" if content is None else "is not the file that was registered"
        step = "promote another version: risk promote VERSION --reason WHY" if folder.startswith(layout.REGISTRY) else "train again"
        raise ModelError(f"{path} {state}. Restore it from a backup, or {step}.")
    return content


def read_file(store: Store, folder: str, file: str, kind: type[T], metadata: Metadata) -> T:
    """Return the value of a JSON file of a model after comparing its hash."""
    return decode(read_bytes(store, folder, file, metadata), kind, layout.artifact(folder, file))


def problems(store: Store, folder: str) -> list[str]:
    """Return a message for each file of a model that is missing or was changed."""
    path = layout.artifact(folder, layout.METADATA)
    if store.size(path) is None:
        return [f"{path} is missing"]
    try:
        metadata = read_metadata(store, folder, "Restore it from a backup, or train again.")
    except LakeError as error:
        return [str(error)]
    found = []
    for file in dict.fromkeys((*ARTIFACTS, *metadata.sha256)):
        try:
            read_bytes(store, folder, file, metadata)
        except ModelError as error:
            found.append(str(error))
    return found


def decode(content: bytes, kind: type[T], path: str) -> T:
    """Return the value of a JSON file; raises `LakeError` if it is not of this kind."""
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise LakeError(f"{path} cannot be read: {error}. Restore it from a backup, or train again.") from error


def to_json(value: object) -> bytes:
    """Return a value as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(value), indent=1)
