"""Model versions: numbered, written once, never edited. And the models of a binding."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from risk_assets.clock import utc_now
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.governance.artifacts import Metrics, Origin, Profile, TrainedModel
from risk_assets.domain.governance.bindings import Binding, Change
from risk_assets.domain.scorecard.scorecard import Example, Scorecard, Step, VersionedScorecard
from risk_assets.errors import LakeError, MissingModelError, ModelError
from risk_assets.lake import binding_log, document_archive, layout, model_files
from risk_assets.lake.hashing import sha256
from risk_assets.lake.model_files import Metadata
from risk_assets.lake.objects import Guard, no_guard
from risk_assets.lake.seals import has_seal, sealed
from risk_assets.lake.store import Store

T = TypeVar("T")
_LIST_VERSIONS = "List the versions: risk models."


class Claim(msgspec.Struct, frozen=True):
    """The content of `claim.json`: the run that took the number, or the first run of its retries, and when; with its seal."""

    run_id: str
    claimed_at: str
    seal: str | None = None


class Current(msgspec.Struct, frozen=True):
    """The content of `current.json`: the run whose model is the one of a training date."""

    run_id: str


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


def write_trained(store: Store, date: str, model: TrainedModel, run_id: str, guard: Guard = no_guard) -> None:
    """Write the model that a run trained for a date; it becomes the model of the date when it is complete.

    Parameters
    ----------
    guard
        Keeps other runs out while the model becomes the one of the date; raises if one has taken over the training.
    """
    model_files.write(store, layout.training_run(date, run_id), model, layout.training_folder(date).rpartition("/")[2], run_id)
    store.put(layout.training_current(date), msgspec.json.encode(Current(run_id)), guard)


def read_trained(store: Store, date: str) -> TrainedModel:
    """Return the model trained for a date; raises `ModelError` if it is missing or incomplete."""
    next_step = f"Train it: risk train {date}, or materialize its partition in the UI."
    content = store.find(layout.training_current(date))
    if content is None:
        raise MissingModelError(f"{layout.training_folder(date)} is not in the lake or is incomplete. {next_step}")
    current = model_files.decode(content, Current, layout.training_current(date))
    return model_files.read(store, layout.training_run(date, current.run_id), next_step)


def trained_folders(store: Store) -> list[str]:
    """Return the folders of complete trained models."""
    suffix = f"/{layout.METADATA}"
    return [path.removesuffix(suffix) for path in store.list(f"{layout.TRAINING}/") if path.endswith(suffix)]


def register(store: Store, model: TrainedModel, run_id: str, root_run_id: str | None = None) -> ModelVersion:
    """Register a model under the next free number and return the version.

    A create-only write claims the number, so two concurrent trainings get two numbers. A run that repeats one that was killed
    (its root run) completes that run's version, or returns it if it is complete with the same content.
    """
    root = root_run_id or run_id
    claimed = _claimed_by(store, root)
    if claimed and _is_same(store, claimed, model):
        return read_version(store, claimed)
    name = claimed if claimed and not _is_complete(store, claimed) else _claim_next(store, root)
    return ModelVersion(model_files.write(store, layout.version_folder(name), model, name, run_id), model.metrics)


def versions(store: Store) -> tuple[ModelVersion, ...]:
    """Return all complete versions that can be read, oldest first. `damaged` names the others."""
    return tuple(found for name in reversed([*_newest_first(store)]) if (found := _find_readable(store, name)))


def damaged(store: Store) -> list[str]:
    """Return a message for each version whose metadata or metrics are missing or cannot be read."""
    return [problem for name in names(store) if not _find_readable(store, name) for problem in problems(store, name)]


def names(store: Store) -> list[str]:
    """Return the names whose numbers are taken, oldest first."""
    return sorted((name for name in store.names(layout.REGISTRY) if layout.version_number(name) is not None), key=_number)


def problems(store: Store, name: str) -> list[str]:
    """Return a message for each file of a version that is missing or was changed; none for a number that has no version."""
    claim = layout.version_file(name, layout.CLAIM)
    content = store.find(claim)
    try:
        found = [f"{claim} is missing"] if content is None else []
        if content is not None and not has_seal(model_files.decode(content, Claim, claim)):
            found = [f"{claim} was changed since it was written"]
    except LakeError as error:
        found = [str(error)]
    if not _is_complete(store, name) and len(store.list(f"{layout.version_folder(name)}/")) <= 1:
        return found
    return [*found, *model_files.problems(store, layout.version_folder(name))]


def binding_problems(store: Store, binding: Binding) -> list[str]:
    """Return a message for each file of the versions of a binding, and each of its documents, that is missing or was changed."""
    found = [problem for name in filter(None, (binding.champion, binding.challenger)) for problem in problems(store, name)]
    for kind, digest in ((Policy, binding.policy), (Contract, binding.contract)):
        found += document_archive.problems(store, kind, digest)
    return found


def read_version(store: Store, name: str) -> ModelVersion:
    """Return a version; raises `ModelError` if it is missing or incomplete."""
    metadata = _version_metadata(store, name)
    return ModelVersion(metadata, model_files.read_file(store, layout.version_folder(name), layout.METRICS, Metrics, metadata))


def find_origin(store: Store, name: str) -> Origin | None:
    """Return what a version was trained from, or None if its metadata is missing or damaged."""
    metadata = _find_metadata(store, name)
    return metadata.origin if metadata else None


def newest_of(store: Store, date: str) -> ModelVersion:
    """Return the newest version trained for a date; raises `ModelError` if there is none."""
    for name in _newest_first(store):
        metadata = _find_metadata(store, name)
        if metadata and metadata.origin.training_date == date:
            return read_version(store, name)
    raise ModelError(f"no version is trained for {date}. Train one: risk train {date}.")


def read_scorecard(store: Store, name: str) -> VersionedScorecard:
    """Return the scorecard of a version; raises `ModelError` if its hash differs."""
    return VersionedScorecard(name, _read(store, name, layout.SCORECARD, Scorecard))


def read_profile(store: Store, name: str) -> Profile:
    """Return the profile of a version's training rows; raises `ModelError` if its hash differs."""
    return _read(store, name, layout.PROFILE, Profile)


def read_steps(store: Store, name: str) -> tuple[Step, ...]:
    """Return the points table of a version; raises `ModelError` if its hash differs."""
    return _read(store, name, layout.STEPS, tuple[Step, ...])


def read_example(store: Store, name: str) -> Example:
    """Return the example of a version; raises `ModelError` if it is missing or its hash differs."""
    return _read(store, name, layout.EXAMPLE, Example)


def bind(store: Store, change: Change, run_id: str | None = None) -> Binding:
    """Write the binding of a change that a run decided, in force from now on, and return it.

    Raises
    ------
    ModelError
        If a file of a version is missing or changed, or another binding was made after the change was decided.
    LakeError
        If the policy or the contract is not archived, or was changed.
    """
    document_archive.read(store, Policy, change.policy)
    document_archive.read(store, Contract, change.contract)
    for version in (change.champion, change.challenger):
        if version is not None:
            _require_complete(store, version)
    return binding_log.write(store, change, run_id)


def champion(store: Store) -> Champion:
    """Return the live models; raises `ModelError` if no version is live or one is damaged."""
    return bound(store, binding_log.live(store))


def bound(store: Store, binding: Binding | None) -> Champion:
    """Return a binding with its models; raises `ModelError` if there is none or a version is damaged."""
    if binding is None:
        raise ModelError(
            "no model is live yet: train one on dates with outcomes (risk train DATE), or promote one that is registered (risk models; "
            "risk promote VERSION --reason WHY), then run this date again."
        )
    return Champion(binding, arms(store, binding))


def arms(store: Store, binding: Binding) -> Arms:
    """Return the models that score by a binding."""
    challenger = read_scorecard(store, binding.challenger) if binding.challenger else None
    return Arms(read_scorecard(store, binding.champion), challenger, binding.challenger_share, binding.salt)


def find_live(store: Store) -> VersionedScorecard | None:
    """Return the scorecard of the live version, or None if no version is live."""
    binding = binding_log.live(store)
    return read_scorecard(store, binding.champion) if binding else None


def registered_by(store: Store, root_run_id: str) -> str | None:
    """Return the version that a run or one of its retries registered, or None."""
    name = _claimed_by(store, root_run_id)
    return name if name and _is_complete(store, name) else None


def _claimed_by(store: Store, run_id: str) -> str | None:
    """Return the version whose number a run took, or None."""
    for name in reversed(names(store)):
        content = store.find(layout.version_file(name, layout.CLAIM))
        try:
            if content and msgspec.json.decode(content, type=Claim).run_id == run_id:
                return name
        except msgspec.MsgspecError:  # `problems` reports it
            continue
    return None


def _claim_next(store: Store, run_id: str) -> str:
    number = max(map(_number, names(store)), default=0) + 1
    claim = msgspec.json.encode(sealed(Claim(run_id, utc_now())))
    while not store.create(layout.version_file(layout.version_name(number), layout.CLAIM), claim):
        number += 1
    return layout.version_name(number)


def _is_complete(store: Store, name: str) -> bool:
    return store.size(layout.version_file(name, layout.METADATA)) is not None


def _is_same(store: Store, name: str, model: TrainedModel) -> bool:
    """Return whether a version is complete and scores as a model; metrics may differ, they compare it with the live version."""
    metadata, contents = _find_metadata(store, name), model_files.contents(model)
    same = (layout.SCORECARD, layout.STEPS, layout.EXAMPLE)
    return metadata is not None and all(sha256(contents[file]) == metadata.sha256.get(file) for file in same)


def _find_readable(store: Store, name: str) -> ModelVersion | None:
    """Return a version, or None if its metadata or metrics are missing or damaged."""
    try:
        return read_version(store, name)
    except (LakeError, ModelError):
        return None


def _find_metadata(store: Store, name: str) -> Metadata | None:
    """Return the metadata of a version, or None if it is missing or damaged: `damaged` reports it."""
    try:
        return _version_metadata(store, name)
    except (LakeError, ModelError):
        return None


def _newest_first(store: Store) -> Iterator[str]:
    """Yield the names of complete versions."""
    return (name for name in reversed(names(store)) if _is_complete(store, name))


def _number(name: str) -> int:
    number = layout.version_number(name)
    if number is None:
        raise MissingModelError(f"{name} is not a version: versions are named model_v001, model_v002 and so on. {_LIST_VERSIONS}")
    return number


def _require_complete(store: Store, name: str) -> None:
    """Compare every file of a version with its hash."""
    metadata = _version_metadata(store, name)
    for file in dict.fromkeys((*model_files.ARTIFACTS, *metadata.sha256)):
        model_files.read_bytes(store, layout.version_folder(name), file, metadata)


def _read(store: Store, name: str, file: str, kind: type[T]) -> T:
    """Return a file of a version after comparing its hash."""
    return model_files.read_file(store, layout.version_folder(name), file, kind, _version_metadata(store, name))


def _version_metadata(store: Store, name: str) -> Metadata:
    _number(name)
    return model_files.read_metadata(store, layout.version_folder(name), _LIST_VERSIONS)
