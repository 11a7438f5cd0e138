"""Tables of predictions: scored from features in batches, and written with the index of their accounts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Any, ClassVar

import polars as pl
from msgspec.structs import replace

from risk_assets.domain.batch.predictions import constant_texts, needed_columns, predict, prediction_descriptions, prediction_facts
from risk_assets.domain.batch.review_list import candidates, pieces_with_riskiest, riskiest, riskiest_of
from risk_assets.domain.contract.policy import Policy, Review
from risk_assets.domain.contract.schema import ACCOUNT_ID, EXCLUDED, ISSUES
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.morning.account_index import ROW, indexed_columns
from risk_assets.lake import layout
from risk_assets.lake.account_index_tables import write_index
from risk_assets.lake.facts import Candidates, PieceFacts, PredictionFacts, facts_from_row, joined_predictions
from risk_assets.lake.manifests import Manifest, Provenance
from risk_assets.lake.objects import Guard, TableTarget, no_guard
from risk_assets.lake.parallel import in_order
from risk_assets.lake.store import Store
from risk_assets.lake.tables import Summary, csv_schema, read_csv_range, read_table, write_file

BATCH_ROWS = 100_000
_QUOTED = ',"\n\r'


@dataclass(frozen=True)
class PredictionBatch:
    """Consecutive rows of predictions as they are written: CSV in chunks, the columns of the index, and the facts of the piece."""

    columns: tuple[str, ...]
    csv: Sequence[bytes]
    index: pl.DataFrame
    piece: PieceFacts


@dataclass(frozen=True)
class PredictionTable:
    """The predictions of a date, from its features by the models that decide."""

    date: str
    features: pl.LazyFrame
    arms: Arms
    policy: Policy
    made_from: Provenance
    engine: ClassVar[str] = "local"

    @property
    def descriptions(self) -> Mapping[str, str]:
        """A description of each column."""
        return prediction_descriptions(self.policy)

    def write(self, store: Store, path: str, guard: Guard = no_guard) -> tuple[Manifest, ...]:
        """Write the predictions, then the index of their accounts; return both manifests.

        Memory for the index grows by 25 bytes with each row.
        """
        return write_predictions(store, self.date, self._batches(), self.policy.review, self.made_from, guard)

    def _batches(self) -> Iterator[PredictionBatch]:
        rows = self.features.select(pl.len()).collect().item()
        needed, constants = self.features.select(needed_columns(self.arms)), constant_texts(self.arms, self.policy)

        def batch(start: int) -> PredictionBatch:
            features = needed.slice(start, BATCH_ROWS).collect()
            return prediction_batch(predict(features, self.arms, self.policy), constants, self.policy.review, header=start == 0)

        return in_order(batch, range(0, max(rows, 1), BATCH_ROWS), pl.thread_pool_size())


class _Chunks:
    """A file that keeps what is written to it in chunks; a `BytesIO` copies all of it three times."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []

    def write(self, content: bytes) -> int:
        self.chunks.append(content)
        return len(content)


def prediction_batch(predictions: pl.DataFrame, constants: Sequence[str], review: Review, *, header: bool) -> PredictionBatch:
    """Return rows of predictions as they are written; the CSV begins with the column names if `header` is true.

    `constants` are the texts that do not come from the features. If no text needs quotes, polars is spared to look at each of them.
    """
    csv: Any = _Chunks()
    texts = (pl.Series(constants, dtype=pl.String), *(predictions[name].drop_nulls() for name in (ACCOUNT_ID, EXCLUDED, ISSUES)))
    predictions.write_csv(csv, include_header=header, quote_style="necessary" if any(map(_needs_quotes, texts)) else "never")
    row = predictions.select(prediction_facts()).row(0, named=True)
    facts = facts_from_row({name: value for name, value in row.items() if name != "rows"}, PredictionFacts)
    piece = PieceFacts(sum(map(len, csv.chunks)), predictions.height, facts, candidates(predictions, review))
    return PredictionBatch(tuple(predictions.columns), csv.chunks, predictions.select(indexed_columns()), piece)


def _needs_quotes(texts: pl.Series) -> bool:
    joined = texts.str.join("").item() or ""
    return bool((texts == "").any()) or any(mark in joined for mark in _QUOTED)


def read_riskiest(store: Store, predictions: Manifest, review: Review) -> pl.DataFrame:
    """Return the predictions of the accounts for the review list, as `riskiest`.

    Only the pieces with candidates are read and verified. All of the table is read if it was written by an earlier release or under other
    review settings.
    """
    found = predictions.facts_as(PredictionFacts).candidates
    if found is None or (found.size, found.hold_out) != (review.size, review.hold_out):
        return riskiest(read_table(store, predictions.path), review)
    none = pl.LazyFrame(schema=csv_schema(predictions))
    return riskiest_of(chain([none], (read_csv_range(store, predictions, *piece) for piece in found.ranges)), review)


def read_predicted_piece(store: Store, predictions: Manifest, number: int) -> pl.DataFrame:
    """Return the rows of a piece of predictions, by its number in their facts; raises `LakeError` as `read_csv_range`."""
    pieces = predictions.facts_as(PredictionFacts).pieces
    size, rows = pieces[number]
    if not rows:
        return pl.DataFrame(schema=csv_schema(predictions))
    return read_csv_range(store, predictions, sum(before for before, _ in pieces[:number]), size).collect()


def joined_pieces(pieces: Sequence[PieceFacts], review: Review) -> PredictionFacts:
    """Return the facts of a table of predictions from its pieces, in order."""
    sizes = [piece.bytes for piece in pieces]
    ranges = [*zip(accumulate(sizes, initial=0), sizes, strict=False)]
    numbers = pieces_with_riskiest([piece.candidates for piece in pieces], review)
    candidates = Candidates(review.size, review.hold_out, tuple(ranges[number] for number in numbers))
    own = tuple((piece.bytes, piece.rows) for piece in pieces)
    return replace(joined_predictions(piece.facts for piece in pieces), candidates=candidates, pieces=own)


def write_predictions(
    store: Store, date: str, batches: Iterable[PredictionBatch], review: Review, made_from: Provenance, guard: Guard = no_guard
) -> tuple[Manifest, Manifest]:
    """Write the predictions of a date and the index of their accounts, and return their manifests.

    Each batch is a segment of the file, so that it can be read by itself.

    Parameters
    ----------
    batches
        All rows in order; the first batch has the header.
    guard
        Keeps other writers out while the predictions and the index are replaced and committed.
    """
    columns: list[pl.DataFrame] = []

    def fill(target: TableTarget) -> Summary:
        pieces: list[PieceFacts] = []
        rows = 0
        names: tuple[str, ...] = ()
        for batch in batches:
            target.lengths.append(batch.piece.bytes)
            for chunk in batch.csv:
                target.file.write(chunk)
            pieces.append(batch.piece)
            columns.append(batch.index.with_row_index(ROW, offset=rows))
            rows, names = rows + batch.piece.rows, batch.columns
        return Summary(rows, names, joined_pieces(pieces, review))

    manifest = write_file(store, layout.predictions(date), fill, made_from, guard, keep=True)
    return manifest, write_index(store, date, pl.concat(columns, rechunk=False), manifest, guard)
