"""Entry script for Azure ML's inference server: `POST /score` decodes, scores and answers like the service's `POST /predict`.

`risk azure export` copies it beside a wheel of the project. Only the server's environment has the packages of the server and of
its data collector, which requires pandas frames.
"""

import hashlib
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import msgspec
from azureml.ai.monitoring import Collector  # type: ignore[import-not-found]
from azureml.ai.monitoring.context import BasicCorrelationContext  # type: ignore[import-not-found]
from azureml.ai.monitoring.init import is_sdk_ready  # type: ignore[import-not-found]
from azureml_inference_server_http.api.aml_request import AMLRequest, rawhttp  # type: ignore[import-not-found]
from azureml_inference_server_http.api.aml_response import AMLResponse  # type: ignore[import-not-found]
from flask import g  # type: ignore[import-not-found]
from msgspec.structs import astuple
from pandas import DataFrame, Series
from werkzeug.exceptions import RequestEntityTooLarge

sys.path.extend(str(wheel) for wheel in Path(__file__).parent.glob("*.whl"))  # the project, which is on no package index

from risk_assets.domain.contract.field_rules import SEPARATOR
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import ISSUE, NOT_ELIGIBLE, SCORED, Contract
from risk_assets.domain.governance.arms import CHALLENGER, Arms
from risk_assets.domain.governance.bindings import Binding
from risk_assets.domain.scorecard.scorecard import Example, Scorecard, VersionedScorecard
from risk_assets.domain.scorecard.self_check import require_reproduced
from risk_assets.errors import ModelError
from risk_serving.http.problems import MEDIA_TYPE, Problem
from risk_serving.scoring.answers import Answer, NotEligible, RecordResult, WithIssues
from risk_serving.scoring.records import Records
from risk_serving.scoring.scorer import Scorer
from risk_serving.scoring.wire import RequestDecoder

JSON = "application/json"

logger = logging.getLogger("azmlinfsrv.score")
deployment: "Deployment"


def init() -> None:
    """Load the deployment; the server calls this once in each worker."""
    global deployment  # noqa: PLW0603 - the server passes nothing from init() to run()
    deployment = load(Path(os.environ["AZUREML_MODEL_DIR"]), Path(__file__).parent, int(os.environ["RISK_SERVE_MAX_RECORDS"]))


@rawhttp  # type: ignore[untyped-decorator]
def run(request: AMLRequest) -> AMLResponse:
    """Answer `POST /score`, with the same problem documents as `POST /predict` if the request is rejected."""
    try:
        content = deployment.answer(_read_body(request), g.request_id)
    except Problem as problem:
        headers = {name.decode(): value.decode() for name, value in problem.headers}
        return AMLResponse(problem.content(g.request_id), int(problem.status), {**headers, "Content-Type": MEDIA_TYPE.decode()})
    return AMLResponse(content, int(HTTPStatus.OK), {"Content-Type": JSON})


class DataCollector:
    """Passes inputs and outputs to Azure ML's data collector; `enabled` if the deployment has it on."""

    def __init__(self) -> None:
        self._inputs, self._outputs = (Collector(name=name, on_error=_log_error) for name in ("model_inputs", "model_outputs"))
        self.enabled: bool = is_sdk_ready()

    def collect(self, request_id: str, inputs: DataFrame, outputs: DataFrame) -> None:
        """Add a request's records and results to the collector's queue; the collector's thread sends them."""
        context = BasicCorrelationContext(id=request_id)
        self._inputs.collect(inputs, context)
        self._outputs.collect(outputs, context)


@dataclass(frozen=True)
class Deployment:
    """What a deployment serves: the live binding, or one of its two versions.

    `version` is the champion's. `arm` replaces the arm in each result, if it is set. `shadow` is the version of a challenger
    in shadow.
    """

    version: str
    arm: str | None
    decoder: RequestDecoder
    scorer: Scorer
    shadow: str | None
    collector: DataCollector

    def answer(self, body: bytes, request_id: str) -> bytes:
        """Return the answer to a request's body as JSON; raises `Problem` if any record is not valid."""
        records = self.decoder.decode(body)
        scored = self.scorer.score(records)
        results = scored.results
        if self.arm:
            results = [msgspec.structs.replace(result, arm=self.arm) for result in results]
        if self.collector.enabled:
            self.collector.collect(request_id, _inputs(records), _outputs(results, scored.shadow, self.shadow))
        return msgspec.json.encode(Answer(self.version, results))


def load(models: Path, code: Path, max_records: int) -> Deployment:
    """Return the deployment of the binding in `code`, with those of its versions that are below `models`: both, or one.

    Raises
    ------
    ModelError
        If a version is not the exported one, or does not reproduce the probability stored with its example record.
    """
    binding = msgspec.json.decode((code / "binding.json").read_bytes(), type=Binding)
    digests = msgspec.json.decode((code / "scorecards.json").read_bytes(), type=dict[str, str])
    contract = Contract.parse((code / "contract.yml").read_text(encoding="utf-8"), "contract.yml")
    policy = Policy.parse((code / "policy.yml").read_text(encoding="utf-8"), "policy.yml")
    versions = {path.parent.name: _read_version(path, digests) for path in models.rglob("scorecard.json")}
    arms = _arms(binding, versions)
    decoder = RequestDecoder(contract, arms, max_records)
    arm = None if arms.champion.version == binding.champion else CHALLENGER
    shadow = arms.shadow.version if arms.shadow else None
    return Deployment(binding.champion, arm, decoder, Scorer(arms, policy, contract), shadow, DataCollector())


def _read_body(request: AMLRequest) -> bytes:
    if request.method != "POST":
        detail = "Send the records with POST."
        raise Problem(HTTPStatus.METHOD_NOT_ALLOWED, "method-not-allowed", detail, headers=((b"Allow", b"POST"),))
    if request.mimetype != JSON or request.content_encoding:
        detail = "The body must be uncompressed JSON, with the header Content-Type: application/json."
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail)
    max_bytes = request.max_content_length = int(os.environ["RISK_SERVE_MAX_BODY_BYTES"])
    try:
        body: bytes = request.get_data(cache=False)
    except RequestEntityTooLarge:
        detail = f"The body is larger than {max_bytes} bytes. Send fewer records in one request."
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body-too-large", detail, close_connection=True) from None
    return body


def _read_version(path: Path, digests: dict[str, str]) -> VersionedScorecard:
    content, version = path.read_bytes(), path.parent.name
    if hashlib.sha256(content).hexdigest() != digests.get(version):
        raise ModelError(
            f"{version} is not the version that was exported with this code. Register the models of this export, and deploy again."
        )
    model = VersionedScorecard(version, msgspec.json.decode(content, type=Scorecard))
    require_reproduced(model, msgspec.json.decode(path.with_name("example.json").read_bytes(), type=Example))
    return model


def _arms(binding: Binding, versions: dict[str, VersionedScorecard]) -> Arms:
    challenger = versions.get(binding.challenger or "")
    if binding.champion in versions:
        return Arms(versions[binding.champion], challenger, binding.challenger_share, binding.salt)
    if challenger is None:
        raise ModelError("the deployment's model has neither version of the exported binding. Export and deploy again.")
    return Arms(challenger)


def _inputs(records: Records) -> DataFrame:
    """Return the records as they were sent, one column for each feature of the contract."""
    names = records.sent[0].__struct_encode_fields__
    return DataFrame([[None if value is msgspec.UNSET else value for value in astuple(record)] for record in records.sent], columns=names)


def _outputs(results: Sequence[RecordResult], shadow: Sequence[float | None] | None, shadow_version: str | None) -> DataFrame:
    """Return the results with the columns of the service's prediction log."""
    columns = ["id", "status", "probability", "prediction", "excluded", "issues", "model_version", "arm"]
    frame = DataFrame(map(_output, results), columns=columns)
    return frame.assign(
        challenger_probability=None if shadow is None else Series(shadow, dtype="float64"), challenger_version=shadow_version
    )


def _output(result: RecordResult) -> tuple[object, ...]:
    if isinstance(result, NotEligible):
        return (result.id, NOT_ELIGIBLE, None, None, result.excluded, None, result.model_version, result.arm)
    if isinstance(result, WithIssues):
        return (result.id, ISSUE, None, None, None, SEPARATOR.join(result.issues), result.model_version, result.arm)
    return (result.id, SCORED, result.probability, result.prediction, None, None, result.model_version, result.arm)


def _log_error(error: Exception) -> None:
    """Log why a request was not collected; the collector's messages contain no values."""
    logger.warning("request not collected: %s", error)
