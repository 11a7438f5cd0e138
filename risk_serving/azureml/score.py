"""What Azure ML's inference server calls: the reading, scoring and answers of `POST /predict`, by the files of an export.

`risk azure export` copies it beside a wheel of the project. It is a script of the server's, no module of the service:
only there are the packages of the server and of its data collector, which takes pandas frames and nothing else.
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
from pandas import DataFrame
from werkzeug.exceptions import RequestEntityTooLarge

sys.path.extend(str(wheel) for wheel in Path(__file__).parent.glob("*.whl"))  # the project, which is on no package index

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.arms import CHALLENGER, Arms
from risk_assets.domain.governance.bindings import Binding
from risk_assets.domain.scorecard.scorecard import Example, Scorecard, VersionedScorecard
from risk_assets.domain.scorecard.self_check import require_reproduced
from risk_assets.errors import ModelError
from risk_serving.http.problems import MEDIA_TYPE, Problem
from risk_serving.scoring.records import Records
from risk_serving.scoring.scorer import Scorer
from risk_serving.scoring.wire import Answer, Result, Wire

JSON = "application/json"

logger = logging.getLogger("azmlinfsrv.score")
serving: "Serving"


def init() -> None:
    """Load what the deployment serves; the server calls it once in each worker."""
    global serving  # noqa: PLW0603 - the server hands nothing from init() to run()
    serving = load(Path(os.environ["AZUREML_MODEL_DIR"]), Path(__file__).parent, int(os.environ["RISK_SERVE_MAX_RECORDS"]))


@rawhttp  # type: ignore[untyped-decorator]
def run(request: AMLRequest) -> AMLResponse:
    """Answer one request to `POST /score`; one that can't be answered gets the problem document that `POST /predict` gives."""
    try:
        content = serving.answer(_body(request), g.request_id)
    except Problem as problem:
        headers = {name.decode(): value.decode() for name, value in problem.headers}
        return AMLResponse(problem.content(g.request_id), int(problem.status), {**headers, "Content-Type": MEDIA_TYPE.decode()})
    return AMLResponse(content, int(HTTPStatus.OK), {"Content-Type": JSON})


class Collecting:
    """Hands what was asked and answered to Azure ML's data collector, where the deployment has it on."""

    def __init__(self) -> None:
        self._inputs, self._outputs = (Collector(name=name, on_error=_tell) for name in ("model_inputs", "model_outputs"))
        self.on: bool = is_sdk_ready()

    def collect(self, request_id: str, inputs: DataFrame, outputs: DataFrame) -> None:
        """Offer a request's records and results to the collector's queue, which a thread of its own empties."""
        context = BasicCorrelationContext(id=request_id)
        self._inputs.collect(inputs, context)
        self._outputs.collect(outputs, context)


@dataclass(frozen=True)
class Serving:
    """What a deployment serves: the live binding, or one of its two versions, whose `arm` is then told in each result."""

    version: str
    arm: str | None
    wire: Wire
    scorer: Scorer
    shadow: str | None
    collecting: Collecting

    def answer(self, body: bytes, request_id: str) -> bytes:
        """Return the answer to a request's body; raises `Problem` when any record does not fit."""
        records = self.wire.decode(body)
        scored = self.scorer.score(records)
        results = scored.results
        if self.arm:
            results = [msgspec.structs.replace(result, arm=self.arm) for result in results]
        if self.collecting.on:
            self.collecting.collect(request_id, _inputs(records), _outputs(results, scored.shadow, self.shadow))
        return msgspec.json.encode(Answer(self.version, results))


def load(models: Path, code: Path, max_records: int) -> Serving:
    """Return what is served of the binding in `code` by the versions beneath `models`: both of its versions, or one.

    Raises
    ------
    ModelError
        When a version is not the one that was exported, or scores its own example otherwise than where it was registered.
    """
    binding = msgspec.json.decode((code / "binding.json").read_bytes(), type=Binding)
    digests = msgspec.json.decode((code / "scorecards.json").read_bytes(), type=dict[str, str])
    contract = Contract.parse((code / "contract.yml").read_text(encoding="utf-8"), "contract.yml")
    policy = Policy.parse((code / "policy.yml").read_text(encoding="utf-8"), "policy.yml")
    found = {path.parent.name: _registered(path, digests) for path in models.rglob("scorecard.json")}
    arms = _arms(binding, found)
    wire = Wire(contract, arms.models, max_records)
    arm = None if arms.champion.version == binding.champion else CHALLENGER
    shadow = arms.shadow.version if arms.shadow else None
    return Serving(binding.champion, arm, wire, Scorer(arms, policy, contract), shadow, Collecting())


def _body(request: AMLRequest) -> bytes:
    if request.method != "POST":
        detail = "Send the records with POST."
        raise Problem(HTTPStatus.METHOD_NOT_ALLOWED, "method-not-allowed", detail, headers=((b"Allow", b"POST"),))
    if request.mimetype != JSON or request.content_encoding:
        detail = "The body must be JSON, uncompressed, with the header Content-Type: application/json."
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail)
    most = request.max_content_length = int(os.environ["RISK_SERVE_MAX_BODY_BYTES"])
    try:
        body: bytes = request.get_data(cache=False)
    except RequestEntityTooLarge:
        detail = f"The body is larger than {most} bytes. Send fewer records at a time."
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body-too-large", detail, closes=True) from None
    return body


def _registered(path: Path, digests: dict[str, str]) -> VersionedScorecard:
    content, version = path.read_bytes(), path.parent.name
    if hashlib.sha256(content).hexdigest() != digests.get(version):
        raise ModelError(
            f"{version} is not the version that was exported with this code. Register the export's own models, and deploy again."
        )
    model = VersionedScorecard(version, msgspec.json.decode(content, type=Scorecard))
    require_reproduced(model, msgspec.json.decode(path.with_name("example.json").read_bytes(), type=Example))
    return model


def _arms(binding: Binding, found: dict[str, VersionedScorecard]) -> Arms:
    challenger = found.get(binding.challenger or "")
    if binding.champion in found:
        return Arms(found[binding.champion], challenger, binding.challenger_share, binding.salt)
    if challenger is None:
        raise ModelError("the deployment's model holds none of the versions that are live by this code. Export and deploy again.")
    return Arms(challenger)


def _inputs(records: Records) -> DataFrame:
    """Return the records as they were sent, a column for each feature of the contract."""
    return DataFrame(msgspec.to_builtins(list(records.sent)))


def _outputs(results: Sequence[Result], shadow: Sequence[float] | None, version: str | None) -> DataFrame:
    """Return the columns of the service's own prediction log."""
    told = [(found.id, found.probability, found.prediction, found.model_version, found.arm) for found in results]
    frame = DataFrame(told, columns=["id", "probability", "prediction", "model_version", "arm"])
    return frame.assign(challenger_probability=shadow, challenger_version=version)


def _tell(error: Exception) -> None:
    """Log why something is not collected; the collector says what, and never a value."""
    logger.warning("not collected: %s", error)
