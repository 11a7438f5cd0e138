"""What schemathesis does not send: the schema cannot express everything that a request may, and must, have.

With `"on_error": "skip"`, records may break every rule; the tables must have as many values as names; outcomes must be past ones with
the values of the contract, of accounts that occur once, or of requests that were answered. `test_skip`, `test_formats` and
`test_outcomes` have the tests of these.
"""

from typing import Any

import schemathesis

PAST = "^2026-0[1-6]-(0[1-9]|1[0-9]|2[0-8])$"


@schemathesis.hook
def before_load_schema(_context: schemathesis.HookContext, document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for path in ("/predict", "/score"):
        document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"] = {
            "$ref": "#/components/schemas/RecordsRequest"
        }
    schemas["OnError"] = {"enum": ["fail"]}
    schemas["OutcomesRequest"]["properties"]["outcomes"] |= {"maxItems": 1, "items": {"$ref": "#/components/schemas/AccountOutcome"}}
    date = {"type": "string", "pattern": PAST}
    schemas["AccountOutcome"]["properties"] |= {"outcome": {"enum": ["0", "1", 0, 1, None]}, "date": date}
