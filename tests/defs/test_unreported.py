"""A command killed after its run and before it has printed the result: the same command again changes nothing."""

import shutil
from contextlib import nullcontext
from pathlib import Path

import msgspec
import pytest

from risk_assets.cli.jobs import REGISTERING
from risk_assets.defs.liveness import PROCESS_TAG, RunProcess
from risk_assets.domain.governance.bindings import promote
from risk_assets.lake import binding_log, registry
from risk_assets.processes import this_process
from risk_assets.runner import open_runner
from tests.defs.conftest import LABELLED, Book, on_disk

SECOND = "model_v002"
PROMOTION, ROLLBACK = {"version": SECOND, "reason": "better"}, {"action": "rollback", "reason": "too many flagged"}
PROMOTION_BACK = {"version": "model_v001", "reason": "back"}
TWO_ROLLBACKS = ["promote", "promote", "promote", "rollback", "rollback"]


def end_process(book: Book) -> None:
    """Let the newest run be of a process that has ended."""
    (last,) = book.runner.instance.get_runs(limit=1)
    process = msgspec.structs.replace(this_process(), started="1")
    book.runner.instance.add_run_tags(last.run_id, {PROCESS_TAG: msgspec.json.encode(RunProcess(last.run_id, process)).decode()})


def promote_twice(book: Book) -> None:
    for change in (PROMOTION, PROMOTION_BACK):
        assert book.runner.govern(**change) is None
        end_process(book)


def changes(book: Book) -> list[str]:
    return [binding.action for binding in binding_log.read(book.lake)]


def test_a_killed_promotion_and_rollback_are_not_repeated(two_versions: Book) -> None:
    for change in (PROMOTION, ROLLBACK):
        for _ in range(3):  # the second one is killed too
            assert two_versions.runner.govern(**change) is None
            end_process(two_versions)
    assert changes(two_versions) == ["promote", "promote", "rollback"]


@pytest.mark.parametrize("change", [{"reason": "another reason"}, {"actor": "ann"}])
def test_another_change_is_not_a_repeated_one(two_versions: Book, change: dict[str, str]) -> None:
    promote_twice(two_versions)
    assert "already live" in str(two_versions.runner.govern(**PROMOTION_BACK | change))
    for also in ({}, change):
        assert two_versions.runner.govern(**ROLLBACK | also) is None
        end_process(two_versions)
    assert changes(two_versions) == TWO_ROLLBACKS


def test_a_killed_adoption_is_not_repeated_and_another_file_is_another(two_versions: Book, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yml"
    for threshold in ("0.2", "0.2", "0.15"):
        policy.write_text(f"threshold: {threshold}\n", encoding="utf-8")
        edited = two_versions.with_documents(policy=policy)
        adoption = {"action": "adopt_policy", "reason": "lower", "document": edited.settings.read_policy().digest}
        assert edited.runner.govern(**adoption) is None
        end_process(edited)
    assert changes(two_versions) == ["promote", "adopt_policy", "adopt_policy"]
    policy.write_text("threshold: 0.1\n", encoding="utf-8")
    assert "was changed since its impact was shown" in str(edited.runner.govern(**adoption | {"reason": "lower again"}))


def test_a_rollback_after_one_that_was_reported_is_another(two_versions: Book) -> None:
    promote_twice(two_versions)
    for _ in range(2):
        assert two_versions.runner.govern(**ROLLBACK) is None
        two_versions.runner.report()
        end_process(two_versions)
    assert changes(two_versions) == TWO_ROLLBACKS


def test_a_change_of_a_process_that_lives_is_not_repeated_by_another(two_versions: Book) -> None:
    assert two_versions.runner.govern(**PROMOTION) is None
    assert "already live" in str(two_versions.runner.govern(**PROMOTION))


def test_a_killed_change_is_not_repeated_after_a_training(two_versions: Book) -> None:
    assert two_versions.runner.govern(**PROMOTION) is None
    end_process(two_versions)
    history = binding_log.read(two_versions.lake)
    bound = {"policy": history[-1].policy, "contract": history[-1].contract}
    registry.bind(two_versions.lake, promote(history, "model_v001", "dagster", "gates", **bound), "a training")
    assert two_versions.runner.govern(**PROMOTION) is None
    assert changes(two_versions) == ["promote", "promote", "promote"]


def test_a_change_of_the_ui_is_not_a_command(two_versions: Book) -> None:
    job = two_versions.runner.definitions.resolve_job_def("governance")
    config = {"ops": {"registry__champion": {"config": ROLLBACK}}}
    promote_twice(two_versions)
    (command,) = two_versions.runner.instance.get_runs(limit=1)
    assert job.execute_in_process(instance=two_versions.runner.instance, run_config=config, tags=command.tags).success
    end_process(two_versions)
    assert two_versions.runner.govern(**ROLLBACK) is None
    assert changes(two_versions) == TWO_ROLLBACKS


@pytest.mark.long
def test_a_killed_training_registers_one_version(two_versions: Book) -> None:
    for only, count in ((REGISTERING, 3), (REGISTERING, 3), ((), 4)):  # without selected assets it is another command
        assert two_versions.runner.run("training", LABELLED[-1], *only).error is None
        end_process(two_versions)
        assert len(registry.versions(two_versions.lake)) == count


def test_a_block_that_ends_has_reported_its_runs(registered: Path, tmp_path: Path) -> None:
    settings = on_disk(Path(shutil.copytree(registered, tmp_path / "book")))
    steps = ((PROMOTION, None, 2), (PROMOTION_BACK, None, 3), (ROLLBACK, BrokenPipeError, 4), (ROLLBACK, None, 4), (ROLLBACK, None, 5))
    for change, error, count in steps:
        with pytest.raises(error) if error else nullcontext(), open_runner(settings) as runner:
            assert runner.govern(**change) is None
            end_process(Book(settings, runner))
            if error:
                raise error
        assert len(binding_log.read(settings.open_lake())) == count
