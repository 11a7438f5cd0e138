"""The request of `POST /outcomes` as JSON schema, for `/openapi.json`."""

from typing import Any

from risk_assets.domain.contract.outcome_tokens import token_meaning
from risk_assets.domain.contract.schema import Contract
from risk_serving.outcomes.requests import (
    DATE,
    ID,
    KNOWN_AT,
    MAX_REQUEST_ID,
    MAX_TEXT,
    OUTCOME,
    OUTCOMES,
    RECORD,
    REFERENCE,
    REQUEST_ID,
)
from risk_serving.scoring.fields import KNOWN_TEXT, TEXT, IdField

OF_ACCOUNT, OF_REQUEST = "AccountOutcome", "RequestOutcome"  # component schemas
EXAMPLE_DATE = "2026-01-01"


def outcomes_schema(contract: Contract, max_outcomes: int) -> tuple[dict[str, object], dict[str, object]]:
    """Return the JSON schema of the requests of a contract, with an example, and the component schemas that it refers to.

    Raises
    ------
    ContractError
        If outcomes are derived, so that none are received.
    """
    target = contract.target.file
    labels = f"{target.bad} is bad, {f'{target.good} is good' if target.good is not None else 'any other value is good'}"
    about = f"The value of {target.column} in the contract: {labels}; null withdraws the account's outcome."
    date: dict[str, Any] = {"type": "string", "format": "date"}
    request_id: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": MAX_REQUEST_ID}
    account = IdField.of(contract).schema(contract.id)
    shared: dict[str, object] = {
        OUTCOME: {"type": ["string", "number", "null"], "maxLength": MAX_TEXT, **_known(contract), "description": about},
    }
    if target.known_at is not None:
        shared[KNOWN_AT] = {"type": ["string", "null"], "format": "date", "description": f"{target.known_at} in the contract."}
    identity = {**account, "type": "string", "description": f"The account's id: {contract.id} in the contract."}
    of_account = {ID: identity, DATE: {**date, "description": "The date of the snapshot, or on which the account was scored."}, **shared}
    of_request = {
        REQUEST_ID: {**request_id, "description": "X-Request-ID of an answer to /predict."},
        RECORD: {"type": "integer", "minimum": 0, "description": "The record's index; not needed if there was only one, or beside id."},
        ID: {**identity, "description": "The id of the record, instead of its index."},
        DATE: {**date, "description": "The date of the request (UTC): makes it quicker to find."},
        **shared,
    }
    components: dict[str, object] = {
        OF_ACCOUNT: _object(of_account, [ID, DATE, OUTCOME]),
        OF_REQUEST: {**_object(of_request, [REQUEST_ID, OUTCOME]), "not": {"required": [RECORD, ID]}},
    }
    either = {"oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in components]}
    reference = "Makes the same outcomes new ones, as for a label that is restated back."
    properties: dict[str, object] = {
        OUTCOMES: {"type": "array", "minItems": 1, "maxItems": max_outcomes, "items": either},
        REFERENCE: {"type": "string", "maxLength": MAX_TEXT, "pattern": TEXT, "description": reference},
    }
    example = {OUTCOMES: [{ID: "EXAMPLE", DATE: EXAMPLE_DATE, OUTCOME: target.bad}]}
    components["OutcomesRequest"] = {**_object(properties, [OUTCOMES]), "example": example}
    return {"$ref": "#/components/schemas/OutcomesRequest"}, components


def _known(contract: Contract) -> dict[str, object]:
    """Return the keywords that leave out the texts for a missing value, as the contract writes them."""
    missing = [token for token in ("", *contract.missing) if token_meaning(token, contract) == "missing"]
    excluded = sorted({token for token in missing if token})
    return {"pattern": KNOWN_TEXT if "" in missing else TEXT, **({"not": {"enum": excluded}} if excluded else {})}


def _object(properties: dict[str, object], required: list[str]) -> dict[str, object]:
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}
