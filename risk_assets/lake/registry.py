"""Model versions: numbered, written once, never edited; and the models behind a binding."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from risk_assets.clock import utc_now
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.governance.artifacts import Gate, Metrics, Origin, Profile, TrainedModel
from risk_assets.domain.governance.bindings import Binding, Change
from risk_assets.domain.scorecard.scorecard import Example, Scorecard, Step, VersionedScorecard
from risk_assets.errors import LakeError, MissingModelError, ModelError
from risk_assets.lake import binding_log, layout
from risk_assets.lake.store import Store

MODEL_NAME = "credit_default"
ARTIFACTS = (layout.SCORECARD, layout.STEPS, layout.METRICS, layout.PROFILE, layout.EXAMPLE, layout.PIPELINE)
T = TypeVar("T")
_ADVICE = "See what there is: risk models."


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """What `metadata.json` holds. It is written last: a folder without it is no version."""

    model_name: str
    version: str
    registered_at: str
    run_id: str
    sha256: dict[str, str]
    origin: Origin
    gates: tuple[Gate, ...]

    @property
    def name(self) -> str:
        """Return `model_vNNN`."""
        return self.version

    @property
    def may_go_live(self) -> bool:
        """Whether every gate is passed."""
        return all(gate.passed for gate in self.gates)


@dataclass(frozen=True)
class ModelVersion:
    """A registered version: its metadata and its figures."""

    metadata: Metadata
    metrics: Metrics

    @property
    def name(self) -> str:
        """Return `model_vNNN`."""
        return self.metadata.name


@dataclass(frozen=True)
class Champion:
    """What is live: the binding that says so, and the models that score by it."""

    binding: Binding
    arms: Arms

    @property
    def version(self) -> str:
        """Return `model_vNNN`."""
        return self.binding.champion


def write_trained(store: Store, date: str, model: TrainedModel, run_id: str) -> None:
    """Write the model trained for a date, over an earlier one; its metadata comes last."""
    folder = layout.training_folder(date)
    _write_artifacts(store, folder, model, folder.rpartition("/")[2], run_id)


def read_trained(store: Store, date: str) -> TrainedModel:
    """Return the model trained for a date; raises `ModelError` when there is none, or it is not whole."""
    folder = layout.training_folder(date)
    metadata = _metadata(store, folder, f"Materialize training/model for {date}.")
    files = {name: _artifact(store, folder, name, metadata) for name in ARTIFACTS}
    return TrainedModel(
        scorecard=_decode(files[layout.SCORECARD], Scorecard, folder),
        steps=_decode(files[layout.STEPS], tuple[Step, ...], folder),
        metrics=_decode(files[layout.METRICS], Metrics, folder),
        profile=_decode(files[layout.PROFILE], Profile, folder),
        example=_decode(files[layout.EXAMPLE], Example, folder),
        origin=metadata.origin,
        gates=metadata.gates,
        pipeline=files[layout.PIPELINE],
    )


def register(store: Store, model: TrainedModel, run_id: str) -> ModelVersion:
    """Register a model under the next free number and return the version.

    The number is claimed by a create-only write, so two trainers at once get two numbers; a crash leaves a gap.
    """
    number = _next_number(store)
    while not _claim(store, layout.version_name(number), run_id):
        number += 1
    name = layout.version_name(number)
    metadata = _write_artifacts(store, layout.version_folder(name), model, name, run_id)
    return ModelVersion(metadata, model.metrics)


def versions(store: Store) -> tuple[ModelVersion, ...]:
    """Return all finished versions, oldest first; raises `ModelError` that names one whose metrics are damaged."""
    return tuple(_version(store, folder) for folder in reversed([*_newest_first(store)]))


def read_version(store: Store, name: str) -> ModelVersion:
    """Return a version; raises `ModelError` when there is none, or it is not whole."""
    return _version(store, _folder(name))


def newest_of(store: Store, date: str) -> ModelVersion:
    """Return the newest version trained for a date; raises `ModelError` when there is none."""
    for folder in _newest_first(store):
        if _metadata(store, folder, _ADVICE).origin.training_date == date:
            return _version(store, folder)
    raise ModelError(f"no version was trained for {date}. Train one: risk train {date}.")


def read_scorecard(store: Store, name: str) -> VersionedScorecard:
    """Return a version's scorecard after holding it against its hash; raises `ModelError` when it differs."""
    folder = _folder(name)
    metadata = _metadata(store, folder, _ADVICE)
    return VersionedScorecard(name, _decode(_artifact(store, folder, layout.SCORECARD, metadata), Scorecard, folder))


def read_steps(store: Store, name: str) -> tuple[Step, ...]:
    """Return a version's table after holding it against its hash; raises `ModelError` when it differs."""
    folder = _folder(name)
    metadata = _metadata(store, folder, _ADVICE)
    return _decode(_artifact(store, folder, layout.STEPS, metadata), tuple[Step, ...], folder)


def read_example(store: Store, name: str) -> Example:
    """Return a version's example after holding it against its hash; raises `ModelError` when it differs or is not there."""
    folder = _folder(name)
    metadata = _metadata(store, folder, _ADVICE)
    return _decode(_artifact(store, folder, layout.EXAMPLE, metadata), Example, folder)


def bind(store: Store, change: Change) -> Binding:
    """Make a change the live state from now on and return the binding.

    Raises
    ------
    ModelError
        When a file of a version is missing or changed, or another binding was made since the change was decided upon.
    """
    for version in (change.champion, change.challenger):
        if version is not None:
            _require_whole(store, version)
    return binding_log.write(store, change)


def champion(store: Store, at: str | None = None) -> Champion:
    """Return what is live, or was at an instant; raises `ModelError` when no version was, or one is not whole."""
    binding = binding_log.live(store, at)
    if binding is not None:
        return Champion(binding, arms(store, binding))
    if at is None:
        raise ModelError("no model is live yet: train one on dates with outcomes (risk train DATE), then run this date again.")
    raise ModelError(f"no version was live at {at}, before the first binding. See what was live when: risk history.")


def arms(store: Store, binding: Binding) -> Arms:
    """Return the models that score by a binding."""
    challenger = read_scorecard(store, binding.challenger) if binding.challenger else None
    return Arms(read_scorecard(store, binding.champion), challenger, binding.challenger_share, binding.salt)


def find_live(store: Store) -> VersionedScorecard | None:
    """Return the live version and its scorecard, or None where no version is live."""
    binding = binding_log.live(store)
    return read_scorecard(store, binding.champion) if binding else None


def candidate(store: Store) -> Metadata | None:
    """Return the newest version that passed its gates and is newer than any that was ever live or a challenger, or None."""
    bound = max((_number(name) for found in binding_log.read(store) for name in (found.champion, found.challenger) if name), default=0)
    newer = (folder for folder in _newest_first(store) if _number(folder) > bound)
    found = (_metadata(store, folder, _ADVICE) for folder in newer)
    return next((metadata for metadata in found if metadata.may_go_live), None)


def _claim(store: Store, name: str, run_id: str) -> bool:
    return store.create(layout.version_file(name, layout.CLAIM), msgspec.json.encode({"run_id": run_id, "claimed_at": utc_now()}))


def _write_artifacts(store: Store, folder: str, model: TrainedModel, name: str, run_id: str) -> Metadata:
    files = {
        layout.SCORECARD: model.scorecard.to_json(),
        layout.STEPS: msgspec.json.format(msgspec.json.encode(model.steps), indent=1),
        layout.METRICS: msgspec.json.format(msgspec.json.encode(model.metrics), indent=1),
        layout.PROFILE: msgspec.json.format(msgspec.json.encode(model.profile), indent=1),
        layout.EXAMPLE: msgspec.json.format(msgspec.json.encode(model.example), indent=1),
        layout.PIPELINE: model.pipeline,
    }
    for file, content in files.items():
        store.put(layout.artifact(folder, file), content)
    metadata = Metadata(
        model_name=MODEL_NAME,
        version=name,
        registered_at=utc_now(),
        run_id=run_id,
        sha256={file: hashlib.sha256(content).hexdigest() for file, content in files.items()},
        origin=model.origin,
        gates=model.gates,
    )
    store.put(layout.artifact(folder, layout.METADATA), msgspec.json.format(msgspec.json.encode(metadata), indent=1))
    return metadata


def _folder(name: str) -> str:
    if layout.version_number(name) is None:
        raise MissingModelError(f"{name} is no version: they are named model_v001, model_v002 and so on. {_ADVICE}")
    return layout.version_folder(name)


def _folders(store: Store) -> list[str]:
    """Return the folders whose numbers are taken, oldest first."""
    names = (name for name in store.names(layout.REGISTRY) if layout.version_number(name) is not None)
    return [layout.version_folder(name) for name in sorted(names, key=_number)]


def _newest_first(store: Store) -> Iterator[str]:
    """Yield the folders of finished versions."""
    return (folder for folder in reversed(_folders(store)) if store.size(layout.artifact(folder, layout.METADATA)) is not None)


def _require_whole(store: Store, name: str) -> None:
    """Hold every file of a version against its hash."""
    folder = _folder(name)
    metadata = _metadata(store, folder, _ADVICE)
    for file in dict.fromkeys((*ARTIFACTS, *metadata.sha256)):
        _artifact(store, folder, file, metadata)


def _version(store: Store, folder: str) -> ModelVersion:
    metadata = _metadata(store, folder, _ADVICE)
    return ModelVersion(metadata, _decode(_artifact(store, folder, layout.METRICS, metadata), Metrics, folder))


def _metadata(store: Store, folder: str, advice: str) -> Metadata:
    content = store.find(layout.artifact(folder, layout.METADATA))
    if content is None:
        raise MissingModelError(f"{folder} is not in the lake, or not whole. {advice}")
    return _decode(content, Metadata, folder)


def _artifact(store: Store, folder: str, file: str, metadata: Metadata) -> bytes:
    """Return an artifact that is, to the byte, what was registered."""
    path = layout.artifact(folder, file)
    content = store.find(path)
    if content is None or hashlib.sha256(content).hexdigest() != metadata.sha256.get(file):
        state = "missing" if content is None else "not the file that was registered"
        raise ModelError(
            f"{path} is {state}, so it is not used. Restore it, or let another version go live: risk promote VERSION --reason WHY."
        )
    return content


def _decode(content: bytes, kind: type[T], where: str) -> T:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise LakeError(f"{where} holds a file that can't be read as {kind.__name__}: {error}. Restore it, or train again.") from error


def _next_number(store: Store) -> int:
    return max(map(_number, _folders(store)), default=0) + 1


def _number(name: str) -> int:
    return layout.version_number(name.rpartition("/")[2]) or 0
