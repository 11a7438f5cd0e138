"""Request and answer as JSON schema, for `/openapi.json`."""

from collections.abc import Mapping
from typing import Any

from risk_assets.domain.contract.schema import ONLINE_ID as ID
from risk_serving.scoring.fields import MAX_ID, TEXT
from risk_serving.scoring.formats import COLUMNS, DATAFRAME_RECORDS, DATAFRAME_SPLIT, INPUT_DATA, INPUTS, RECORDS
from risk_serving.scoring.options import ANSWER, ON_ERROR
from risk_serving.scoring.options import schemas as option_schemas
from risk_serving.scoring.records import Value
from risk_serving.scoring.wire import RequestDecoder

# component schemas
RECORD, COLUMN_LISTS, SPLIT, ON_ERROR_CHOICE, ANSWER_FORM = "Record", "RecordColumns", "SplitTable", "OnError", "AnswerForm"


def request_schema(decoder: RequestDecoder, example: Mapping[str, Value]) -> tuple[dict[str, object], dict[str, object]]:
    """Return the JSON schema of the requests that a decoder accepts, with an example, and the component schemas that it refers to.

    There is one schema for each format, so that generators of clients make a type of each.
    """
    record = _record(decoder)
    size = {"type": "array", "minItems": 1, "maxItems": decoder.max_records}
    columns = {
        **record,
        "properties": {name: {**size, "items": field} for name, field in record["properties"].items()},
        "description": "Columns of equal length.",
    }
    records = {**size, "items": _reference(RECORD)}
    either = {"anyOf": [_reference(SPLIT), _reference(COLUMN_LISTS)]}
    formats = {
        RECORDS: ("RecordsRequest", records),
        DATAFRAME_RECORDS: ("DataframeRecordsRequest", records),
        DATAFRAME_SPLIT: ("DataframeSplitRequest", _reference(SPLIT)),
        INPUTS: ("InputsRequest", _reference(COLUMN_LISTS)),
        INPUT_DATA: ("InputDataRequest", either),
        COLUMNS: ("ColumnsRequest", _reference(COLUMN_LISTS)),
    }
    choices = option_schemas()
    options = {**choices, ON_ERROR: _reference(ON_ERROR_CHOICE), ANSWER: _reference(ANSWER_FORM)}
    tables: dict[str, object] = {
        component: {"type": "object", "additionalProperties": False, "required": [name], "properties": {name: table, **options}}
        for name, (component, table) in formats.items()
    }
    components: dict[str, object] = {
        RECORD: record,
        COLUMN_LISTS: columns,
        SPLIT: _split(record, size),
        ON_ERROR_CHOICE: choices[ON_ERROR],
        ANSWER_FORM: choices[ANSWER],
        **tables,
    }
    known = {name: value for name, value in example.items() if value is not None}
    either_format = [_reference(component) for component, _ in formats.values()]
    return {"oneOf": either_format, "example": {RECORDS: [{ID: "EXAMPLE", **known}]}}, components


def _record(decoder: RequestDecoder) -> dict[str, Any]:
    """Return the JSON schema of a record."""
    properties: dict[str, object] = {ID: decoder.rules.account.schema(decoder.contract.id)}
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
    return record


def _split(record: Mapping[str, Any], size: Mapping[str, object]) -> dict[str, object]:
    """Return the JSON schema of a table with its names beside its rows."""
    names = {"type": "array", "uniqueItems": True, "items": {"type": "string", "enum": list(record["properties"])}}
    row = {"type": "array", "items": {"type": ["number", "string", "null"]}}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["columns", "data"],
        "properties": {"columns": names, "index": {"type": "array", "items": {}}, "data": {**size, "items": row}},
        "description": "Rows of values, one for each name in columns. The index is ignored. The values have the schemas of records.",
    }


def _reference(component: str) -> dict[str, object]:
    return {"$ref": f"#/components/schemas/{component}"}
