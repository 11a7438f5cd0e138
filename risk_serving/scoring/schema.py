"""Request and answer as JSON schema, for `/openapi.json`."""

from collections.abc import Mapping
from typing import Any

import msgspec

from risk_assets.domain.contract.schema import ONLINE_ID as ID
from risk_serving.scoring.answers import Answer
from risk_serving.scoring.fields import MAX_ID, TEXT
from risk_serving.scoring.formats import COLUMNS, DATAFRAME_RECORDS, DATAFRAME_SPLIT, FORMATS, INPUT_DATA, INPUTS
from risk_serving.scoring.records import Value
from risk_serving.scoring.request_errors import EXPLAIN, FAIL, ON_ERROR, SKIP
from risk_serving.scoring.wire import RequestDecoder


def request_schema(decoder: RequestDecoder, example: Mapping[str, Value]) -> dict[str, object]:
    """Return the JSON schema of the requests that a decoder accepts, with an example."""
    properties: dict[str, object] = {
        ID: decoder.rules.account.schema(decoder.contract.id),
    }
    properties |= {field.name: field.schema() for field in decoder.fields}
    if decoder.contract.group:
        text = "The customer's id. A challenger decides for all accounts of a customer, or for none; if it is missing, by the account's id."
        properties[decoder.contract.group] = {"type": ["string", "null"], "maxLength": MAX_ID, "pattern": TEXT, "description": text}
    required = [field.name for field in decoder.fields if field.required]
    record = {"type": "object", "additionalProperties": False, "properties": properties, "required": required}
    if decoder.contract.exclude:
        reasons = ", ".join(dict.fromkeys(rule.reason for rule in decoder.contract.exclude))
        text = f"Records of these accounts are not eligible, and their values may be missing or out of range: {reasons}."
        record["description"] = text
    records = {"type": "array", "minItems": 1, "maxItems": decoder.max_records, "items": record}
    text = "What happens if a record is not valid: nothing is scored, or the others are, and its result has the issues. "
    text += f"With {SKIP}, records may break the rules of this schema."
    on_error = {"type": "string", "enum": [FAIL, SKIP], "default": FAIL, "description": text}
    explain = {"type": "boolean", "default": False, "description": "Whether each scored record's result has its explanation."}
    known = {name: value for name, value in example.items() if value is not None}
    return {
        "type": "object",
        "additionalProperties": False,
        "oneOf": [{"required": [name]} for name in ("records", *FORMATS)],
        "properties": {"records": records, **_other_formats(records, decoder.max_records), ON_ERROR: on_error, EXPLAIN: explain},
        "example": {"records": [{ID: "EXAMPLE", **known}]},
    }


def _other_formats(records: Mapping[str, Any], max_records: int) -> dict[str, object]:
    """Return the JSON schemas of the formats besides `records`."""
    record = records["items"]
    size = {"type": "array", "minItems": 1, "maxItems": max_records}
    names = {"type": "array", "uniqueItems": True, "items": {"enum": list(record["properties"])}}
    row = {"type": "array", "items": {"type": ["number", "string", "null"]}}
    split = {
        "type": "object",
        "additionalProperties": False,
        "required": ["columns", "data"],
        "properties": {"columns": names, "index": {"type": "array"}, "data": {**size, "items": row}},
        "description": "Rows of values, one for each name in columns. The index is ignored. The values have the schemas of records.",
    }
    columns = {
        **record,
        "properties": {name: {**size, "items": field} for name, field in record["properties"].items()},
        "description": "Columns of equal length.",
    }
    either = {"anyOf": [split, columns]}
    return {DATAFRAME_RECORDS: records, DATAFRAME_SPLIT: split, INPUTS: columns, INPUT_DATA: either, COLUMNS: columns}


def answer_schema() -> tuple[dict[str, object], dict[str, object]]:
    """Return the JSON schema of an answer, and the component schemas that it refers to, by name."""
    (schema,), components = msgspec.json.schema_components([Answer], ref_template="#/components/schemas/{name}")
    return schema, components
