"""A program on the generated client, as a user writes it. mypy checks it, and the test runs it: `user.py URL ID`."""

import datetime
import json
import sys

from risk_client import Client
from risk_client.api.operations import model
from risk_client.api.outcomes import outcomes
from risk_client.api.scoring import predict
from risk_client.models import (
    AccountOutcome,
    Answer,
    ColumnsRequest,
    DataframeSplitRequest,
    InputDataRequest,
    LiveDescription,
    NotEligible,
    OnError,
    OutcomesAnswer,
    OutcomesRequest,
    Problem,
    Record,
    RecordColumns,
    RecordsRequest,
    Result,
    SplitTable,
    SplitTableColumnsItem,
    WithIssues,
)
from risk_client.types import Unset

Request = RecordsRequest | ColumnsRequest | DataframeSplitRequest | InputDataRequest

client = Client(sys.argv[1])
values = json.loads(sys.argv[2])


def answered(
    request: RecordsRequest | ColumnsRequest | DataframeSplitRequest | InputDataRequest,
) -> list[Result | NotEligible | WithIssues]:
    """Return the results of a request, which must be answered."""
    answer = predict.sync(client=client, body=request)
    assert isinstance(answer, Answer), answer
    return answer.results


def scored(request: Request) -> Result:
    """Return the only result of a request, which must be scored."""
    (result,) = answered(request)
    assert isinstance(result, Result)
    return result


record = Record.from_dict(values)
split = SplitTable(columns=[SplitTableColumnsItem(name) for name in values], data=[list(values.values())])
columns = RecordColumns.from_dict({name: [value] for name, value in values.items()})
first = scored(RecordsRequest(records=[record], explain=True))
others = [scored(request) for request in (DataframeSplitRequest(split), ColumnsRequest(columns), InputDataRequest(split))]
assert not isinstance(first.explanation, Unset) and len(first.explanation.features) > 1
assert {(other.probability, other.points, other.band) for other in others} == {(first.probability, first.points, first.band)}

record.credit_limit = 1.0
(skipped,) = answered(RecordsRequest(records=[record], on_error=OnError.SKIP))
assert isinstance(skipped, WithIssues) and skipped.issues == ["credit_limit: below 100"]
problem = predict.sync(client=client, body=RecordsRequest(records=[record]))
assert isinstance(problem, Problem) and not isinstance(problem.errors, Unset) and problem.errors[0].field == "credit_limit"

sent = OutcomesRequest([AccountOutcome(str(first.id), datetime.date(2026, 1, 9), "1")])
for status in ("stored", "already stored"):
    received = outcomes.sync(client=client, body=sent)
    assert isinstance(received, OutcomesAnswer)
    assert [(each.date, each.outcomes, each.status.value) for each in received.stored] == [("2026-01-09", 1, status)]

live = model.sync(client=client)
assert isinstance(live, LiveDescription)
assert live.binding.champion == live.model_version == first.model_version
assert live.metrics.other_accounts.roc_auc_interval[0] < live.metrics.roc_auc
sys.stdout.write(first.model_version)
