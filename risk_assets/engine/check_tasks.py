"""What executors do for the checks of predictions: they compare a piece of the predictions with the same piece of the raw file."""

from risk_assets.domain.batch.review_list import candidates
from risk_assets.domain.contract.policy import Review
from risk_assets.domain.ingest.row_ids import with_ids
from risk_assets.engine.jobs import CheckedPiece, CheckJob
from risk_assets.engine.tasks import lake_at, parsed_contract, raw_at, stored_manifest
from risk_assets.lake.prediction_checks import count_held_out, rows_out_of_place
from risk_assets.lake.prediction_tables import read_predicted_piece
from risk_assets.lake.raw_pieces import PieceCells, piece_text, read_piece
from risk_assets.lake.tables import translate_polars_errors


def check(job: CheckJob, number: int) -> CheckedPiece:
    """Return what the checks need of a piece."""
    store, contract, review = lake_at(job.lake), parsed_contract(job.contract), Review.model_validate_json(job.review)
    raw, predictions = raw_at(job.lake, job.raw, job.raw_seal), stored_manifest(job.lake, job.predictions, job.seal)
    piece = raw.pieces[number]
    content = read_piece(store, piece)
    with translate_polars_errors(job.predictions):
        predicted = read_predicted_piece(store, predictions, number)
        rows = with_ids(piece_text(raw, piece, content), contract, PieceCells(raw, piece, content).numbers)
        moved = rows_out_of_place(rows, predicted.lazy(), contract)
        return CheckedPiece(number, moved, candidates(predicted, review), count_held_out(predicted.lazy(), review))
