"""Model versions: numbered, written once, never edited. And the models of a binding."""

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
from risk_assets.lake.hashing import sha256
from risk_assets.lake.store import Store

MODEL_NAME = "credit_default"
ARTIFACTS = (layout.SCORECARD, layout.STEPS, layout.METRICS, layout.PROFILE, layout.EXAMPLE, layout.PIPELINE)
T = TypeVar("T")
_LIST_VERSIONS = "List the versions: risk models."


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `metadata.json`. It is written last: a folder without it is not a version."""

    model_name: str
    version: str
    registered_at: str
    run_id: str
    sha256: dict[str, str]
    origin: Origin
    gates: tuple[Gate, ...]

    @property
    def name(self) -> str:
        """The version, `model_vNNN`."""
        return self.version

    @property
    def may_go_live(self) -> bool:
        """Whether every gate is passed."""
        return all(gate.passed for gate in self.gates)


@dataclass(frozen=True)
class ModelVersion:
    """The metadata and the metrics of a registered version."""

    metadata: Metadata
    metrics: Metrics

    @property
    def name(self) -> str:
        """The version, `model_vNNN`."""
        return self.metadata.name


@dataclass(frozen=True)
class Champion:
    """The binding in force, and the models that score by it."""

    binding: Binding
    arms: Arms

    @property
    def version(self) -> str:
        """The champion's version, `model_vNNN`."""
        return self.binding.champion


def write_trained(store: Store, date: str, model: TrainedModel, run_id: str) -> None:
    """Write the model trained for a date, metadata last; replaces an earlier one."""
    folder = layout.training_folder(date)
    _write_artifacts(store, folder, model, folder.rpartition("/")[2], run_id)


def read_trained(store: Store, date: str) -> TrainedModel:
    """Return the model trained for a date; raises `ModelError` if it is missing or incomplete."""
    folder = layout.training_folder(date)
    metadata = _metadata(store, folder, f"Train it: risk train {date}, or materialize its partition in the UI.")
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

    A create-only write claims the number, so two concurrent trainings get two numbers. A crash leaves a gap.
    """
    number = _last_number(store) + 1
    while not _claim(store, layout.version_name(number), run_id):
        number += 1
    name = layout.version_name(number)
    return ModelVersion(_write_artifacts(store, layout.version_folder(name), model, name, run_id), model.metrics)


def versions(store: Store) -> tuple[ModelVersion, ...]:
    """Return all complete versions, oldest first; raises `ModelError` that names one with damaged metrics."""
    return tuple(read_version(store, name) for name in reversed([*_newest_first(store)]))


def read_version(store: Store, name: str) -> ModelVersion:
    """Return a version; raises `ModelError` if it is missing or incomplete."""
    metadata, folder = _version_metadata(store, name), layout.version_folder(name)
    return ModelVersion(metadata, _decode(_artifact(store, folder, layout.METRICS, metadata), Metrics, folder))


def newest_of(store: Store, date: str) -> ModelVersion:
    """Return the newest version trained for a date; raises `ModelError` if there is none."""
    for name in _newest_first(store):
        if _version_metadata(store, name).origin.training_date == date:
            return read_version(store, name)
    raise ModelError(f"no version is trained for {date}. Train one: risk train {date}.")


def read_scorecard(store: Store, name: str) -> VersionedScorecard:
    """Return the scorecard of a version; raises `ModelError` if its hash differs."""
    return VersionedScorecard(name, _read(store, name, layout.SCORECARD, Scorecard))


def read_steps(store: Store, name: str) -> tuple[Step, ...]:
    """Return the points table of a version; raises `ModelError` if its hash differs."""
    return _read(store, name, layout.STEPS, tuple[Step, ...])


def read_example(store: Store, name: str) -> Example:
    """Return the example of a version; raises `ModelError` if it is missing or its hash differs."""
    return _read(store, name, layout.EXAMPLE, Example)


def bind(store: Store, change: Change) -> Binding:
    """Write the binding of a change, in force from now on, and return it.

    Raises
    ------
    ModelError
        If a file of a version is missing or changed, or another binding was made after the change was decided.
    """
    for version in (change.champion, change.challenger):
        if version is not None:
            _require_complete(store, version)
    return binding_log.write(store, change)


def champion(store: Store, at: str | None = None) -> Champion:
    """Return the live models now, or at an instant; raises `ModelError` if no version was live or one is damaged."""
    binding = binding_log.live(store, at)
    if binding is not None:
        return Champion(binding, arms(store, binding))
    if at is None:
        raise ModelError("no model is live yet: train one on dates with outcomes (risk train DATE), then run this date again.")
    raise ModelError(f"no version was live at {at}, before the first binding. See which version was live when: risk history.")


def arms(store: Store, binding: Binding) -> Arms:
    """Return the models that score by a binding."""
    challenger = read_scorecard(store, binding.challenger) if binding.challenger else None
    return Arms(read_scorecard(store, binding.champion), challenger, binding.challenger_share, binding.salt)


def find_live(store: Store) -> VersionedScorecard | None:
    """Return the scorecard of the live version, or None if no version is live."""
    binding = binding_log.live(store)
    return read_scorecard(store, binding.champion) if binding else None


def live_arms(store: Store) -> Arms | None:
    """Return the models that score now, or None if no version is live."""
    binding = binding_log.live(store)
    return arms(store, binding) if binding else None


def live_profile(store: Store) -> Profile | None:
    """Return the reference profile of the live version, or None if no version is live."""
    binding = binding_log.live(store)
    return _read(store, binding.champion, layout.PROFILE, Profile) if binding else None


def candidate(store: Store) -> Metadata | None:
    """Return the newest version that passed its gates and is newer than every version that was bound, or None."""
    bound = {name for found in binding_log.read(store) for name in (found.champion, found.challenger) if name}
    last = max(map(_number, bound), default=0)
    found = (_version_metadata(store, name) for name in _newest_first(store) if _number(name) > last)
    return next((metadata for metadata in found if metadata.may_go_live), None)


def _claim(store: Store, name: str, run_id: str) -> bool:
    return store.create(layout.version_file(name, layout.CLAIM), msgspec.json.encode({"run_id": run_id, "claimed_at": utc_now()}))


def _write_artifacts(store: Store, folder: str, model: TrainedModel, name: str, run_id: str) -> Metadata:
    files = {
        layout.SCORECARD: model.scorecard.to_json(),
        layout.STEPS: _json(model.steps),
        layout.METRICS: _json(model.metrics),
        layout.PROFILE: _json(model.profile),
        layout.EXAMPLE: _json(model.example),
        layout.PIPELINE: model.pipeline,
    }
    for file, content in files.items():
        store.put(layout.artifact(folder, file), content)
    metadata = Metadata(
        model_name=MODEL_NAME,
        version=name,
        registered_at=utc_now(),
        run_id=run_id,
        sha256={file: sha256(content) for file, content in files.items()},
        origin=model.origin,
        gates=model.gates,
    )
    store.put(layout.artifact(folder, layout.METADATA), _json(metadata))
    return metadata


def _json(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1)


def _names(store: Store) -> list[str]:
    """Return the names whose numbers are taken, oldest first."""
    return sorted((name for name in store.names(layout.REGISTRY) if layout.version_number(name) is not None), key=_number)


def _newest_first(store: Store) -> Iterator[str]:
    """Yield the names of complete versions."""
    return (name for name in reversed(_names(store)) if store.size(layout.version_file(name, layout.METADATA)) is not None)


def _last_number(store: Store) -> int:
    return max(map(_number, _names(store)), default=0)


def _number(name: str) -> int:
    number = layout.version_number(name)
    if number is None:
        raise MissingModelError(f"{name} is not a version: versions are named model_v001, model_v002 and so on. {_LIST_VERSIONS}")
    return number


def _require_complete(store: Store, name: str) -> None:
    """Compare every file of a version with its hash."""
    metadata = _version_metadata(store, name)
    for file in dict.fromkeys((*ARTIFACTS, *metadata.sha256)):
        _artifact(store, layout.version_folder(name), file, metadata)


def _read(store: Store, name: str, file: str, kind: type[T]) -> T:
    """Return a file of a version after comparing its hash."""
    folder = layout.version_folder(name)
    return _decode(_artifact(store, folder, file, _version_metadata(store, name)), kind, folder)


def _version_metadata(store: Store, name: str) -> Metadata:
    _number(name)
    return _metadata(store, layout.version_folder(name), _LIST_VERSIONS)


def _metadata(store: Store, folder: str, next_step: str) -> Metadata:
    content = store.find(layout.artifact(folder, layout.METADATA))
    if content is None:
        raise MissingModelError(f"{folder} is not in the lake or is incomplete. {next_step}")
    return _decode(content, Metadata, folder)


def _artifact(store: Store, folder: str, file: str, metadata: Metadata) -> bytes:
    """Return a file of a model after comparing its hash."""
    path = layout.artifact(folder, file)
    content = store.find(path)
    if content is None or sha256(content) != metadata.sha256.get(file):
        state = "is missing" if content is None else "is not the file that was registered"
        raise ModelError(f"{path} {state}. Restore it from a backup, or promote another version: risk promote VERSION --reason WHY.")
    return content


def _decode(content: bytes, kind: type[T], folder: str) -> T:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise LakeError(f"{folder} has a file that cannot be read as {kind.__name__}: {error}. Restore it, or train again.") from error
