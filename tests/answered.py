"""Answers to requests, made in the test's own process."""

from dataclasses import dataclass

from risk_serving.http.media import JsonMedia
from risk_serving.scoring.live_model import LiveSnapshot
from risk_serving.scoring.scored import Scored


@dataclass(frozen=True)
class ScoredBody:
    """The answer to a request as JSON, and the scores in it."""

    content: bytes
    scored: Scored


def answered(live: LiveSnapshot, body: bytes) -> ScoredBody:
    """Return the service's answer to a body."""
    records = live.decoder.decode(body)
    scored = live.scorer.score(records)
    return ScoredBody(JsonMedia().write(live.version, scored, records.options), scored)
