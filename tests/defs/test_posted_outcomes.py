"""Posted outcomes in the graph: with and without a landed file, noticed by the sensor, refreshed by training."""

import dagster as dg
import polars as pl
import pytest

from risk_assets.cli.jobs import refresh
from risk_assets.clock import utc_now
from risk_assets.defs import checks
from risk_assets.defs.partitions import partitions
from risk_assets.defs.sensors import watch_posted
from risk_assets.lake import layout, registry
from risk_assets.lake.outcome_tables import outdated_outcomes
from risk_assets.lake.posted_outcomes import OutcomeShard, shard_paths, store_shard
from risk_assets.lake.tables import read_table
from risk_assets.lake.verify import lineage, verify_all, verify_date
from tests.defs.conftest import LABELLED, NEXT, Book
from tests.serving.conftest import serving

DATE = LABELLED[0]


def accounts(book: Book, date: str, number: int) -> list[str]:
    """Return accounts of a snapshot."""
    return [line.split(b",")[0].decode() for line in book.landing.get(f"accounts_{date}.csv").splitlines()[1 : number + 1]]


def post(book: Book, date: str, labels: dict[str, str], reference: str | None = None) -> None:
    contract = book.lakehouse.contract
    shard = OutcomeShard(
        date=date,
        columns=contract.outcome_columns,
        rows=tuple(sorted(labels.items())),
        reference=reference,
        received_at=utc_now("milliseconds"),
        request_id="0" * 32,
        caller="collections",
        contract=contract.digest,
    )
    assert store_shard(book.lake, shard)


def curated(book: Book, date: str) -> pl.DataFrame:
    return read_table(book.lake, layout.curated_outcomes(date)).collect()


def tick(book: Book, cursor: str | None) -> dg.SensorResult:
    context = dg.build_sensor_context(instance=book.runner.instance, cursor=cursor)
    return watch_posted(context, book.lakehouse, partitions(book.settings))


def test_posted_outcomes_of_a_date_without_a_file(book: Book) -> None:
    first, second = accounts(book, NEXT, 2)
    post(book, NEXT, {first: "1", second: "0", "UNKNOWN-1": "0"})
    assert book.runner.run("outcomes", NEXT).error is None
    assert curated(book, NEXT).select("account_id", "bad", "source").rows() == sorted(
        [(first, 1, "posted"), (second, 0, "posted"), ("UNKNOWN-1", 0, "posted")]
    )
    rate = checks.bad_rate(book.lakehouse, NEXT)
    assert rate.metadata["bad_rate"].value == pytest.approx(1 / 3, abs=1e-6) and rate.metadata["posted_shards"].value == 1
    assert book.score().error is None
    unknown = checks.known_accounts(book.lakehouse, NEXT)
    assert not unknown.passed and unknown.metadata["unknown_accounts"].value == 1
    coverage = checks.label_coverage(book.lakehouse, NEXT)
    assert coverage.metadata["with_outcome"].value == 2


def test_verify_finds_a_damaged_shard_of_any_date(book: Book) -> None:
    later = "2026-02-01"  # the lake has nothing else of it
    post(book, later, {"A": "1"})
    assert {found.what: found.problems for found in verify_all(book.lake)}[later] == ()
    (path,) = shard_paths(book.lake, later)
    book.lake.put(path, book.lake.get(path)[:-3])
    (problem,) = {found.what: found.problems for found in verify_all(book.lake)}[later]
    assert problem.startswith(f"{path} was changed since it was written. Restore it from a backup")


def test_the_checks_count_labels_as_posted_outcomes_left_them(book: Book) -> None:
    before = checks.bad_rate(book.lakehouse, DATE)
    bad = curated(book, DATE).filter(bad=1)["account_id"].to_list()
    post(book, DATE, dict.fromkeys(bad, "0"))
    assert book.runner.run("outcomes", DATE).error is None
    after = checks.bad_rate(book.lakehouse, DATE)
    assert before.passed and not after.passed
    assert (after.metadata["bad_rate"].value, after.metadata["known"].value) == (0.0, before.metadata["known"].value)


def test_the_sensor_starts_one_run_for_the_same_shards(book: Book) -> None:
    (account,) = accounts(book, DATE, 1)
    assert tick(book, None).run_requests == []
    post(book, DATE, {account: "1"})
    post(book, "2020-01-01", {account: "1"})  # before the first date
    first = tick(book, None)
    assert [(request.job_name, request.partition_key) for request in first.run_requests or ()] == [("outcomes", DATE)]
    again = tick(book, first.cursor)
    assert again.run_requests == []
    assert book.runner.run("outcomes", DATE).error is None
    assert tick(book, None).run_requests == []  # they are in the table
    post(book, DATE, {account: "1"}, reference="case 17")
    second = tick(book, again.cursor)
    assert [request.partition_key for request in second.run_requests or ()] == [DATE]
    assert {request.run_key for request in second.run_requests or ()}.isdisjoint(request.run_key for request in first.run_requests or ())


def test_training_refreshes_dates_with_posted_outcomes(book: Book) -> None:
    (account,) = accounts(book, NEXT, 1)
    assert book.score().error is None
    post(book, NEXT, {account: "0"})
    assert [result.date for result in refresh(book.runner, DATE, NEXT)] == [NEXT]
    assert outdated_outcomes(book.lake, book.lakehouse.contract, [NEXT]) == ()
    assert refresh(book.runner, DATE, NEXT) == []


def test_outcomes_sent_to_the_service_label_the_training(book: Book) -> None:
    """A date without a landed file: its only outcomes are those sent over HTTP, and training uses them."""
    assert book.score().error is None
    ids = accounts(book, NEXT, 300)
    with serving(book.lake) as service:
        sent = [{"id": account, "date": NEXT, "outcome": int(position % 10 == 0)} for position, account in enumerate(ids)]
        for _ in range(2):
            assert service.client.post("/outcomes", json={"outcomes": sent}).status_code == 200
    assert len(curated_after(book, NEXT)) == len(ids)
    known_by = utc_now()[:10]
    trained = book.runner.run("training", NEXT, "training/model", training__model={"known_by": known_by})
    assert trained.error is None
    origin = registry.read_trained(book.lake, NEXT).origin
    assert NEXT in (*origin.train_dates, *origin.holdout_dates)
    assert layout.curated_outcomes(NEXT) in origin.inputs
    (shard,) = shard_paths(book.lake, NEXT)
    assert shard in lineage(book.lake, layout.curated_outcomes(NEXT))
    assert verify_date(book.lake, NEXT).problems == ()
    # As of the date itself, nothing had been received: training again gives the model of then.
    assert book.runner.run("training", NEXT, "training/model").error is None
    earlier = registry.read_trained(book.lake, NEXT).origin
    assert NEXT not in (*earlier.train_dates, *earlier.holdout_dates) and earlier.left_out == len(ids)


def curated_after(book: Book, date: str) -> pl.DataFrame:
    """Run the job `outcomes`, and return the outcomes of the date."""
    assert book.runner.run("outcomes", date).error is None
    return curated(book, date)
