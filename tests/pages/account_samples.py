"""Accounts for the tests of pages."""

import math
from datetime import date as Date
from datetime import timedelta

import msgspec

from risk_assets.domain.morning.account_facts import (
    AccountFacts,
    AccountsOfKey,
    BandArea,
    Contributions,
    FeatureDifference,
    FeaturePoints,
    PastScore,
    SnapshotComparison,
)
from risk_assets.domain.morning.account_key import account_key, key_text
from risk_assets.pages.served import Served
from tests.pages import samples

DATE, BEFORE = samples.DATE, samples.BEFORE
KEY = key_text(account_key("AC003653"))
SERVED = Served(BEFORE, "2026-01-29", ("2025-12-01", "2026-01-29"))
EDGES = (620.0, 587.0, 562.0, 527.0, 493.0)
BANDS = tuple(BandArea(name, low, high) for name, low, high in zip(samples.BANDS, (*EDGES, None), (None, *EDGES), strict=True))
HOSTILE = (
    "<script>document.title='run'</script>",
    "</style><img src=x onerror=alert(1)>",
    "\N{RIGHT-TO-LEFT OVERRIDE}txet desrever",
    "\N{HEBREW LETTER ALEF}\N{HEBREW LETTER BET} 12",
    "A" * 10_000,
    "nul\x00 and \x1b escape \ud800",
)
FEATURES = (
    ("days_past_due", "Days past due", 26.0, -162.0, 1),
    ("months_since_missed", "Months since missed", 0.0, -20.5, 2),
    ("region", "Region", "north", -9.3, 3),
    ("product", "Product", None, 4.9, None),
    *((f"other_{at}", f"Other feature {at}", float(at), 1.5 - at / 5, None) for at in range(12)),
)


def scored() -> AccountsOfKey:
    """A flagged account on the review list, with 28 dates of history and a comparison."""
    return _of(_flagged())


def safe() -> AccountsOfKey:
    """An account that is not flagged and not listed, on the first date with scores."""
    facts = msgspec.structs.replace(
        _flagged(),
        account="AC000001",
        flagged=False,
        points=641,
        probability=0.004,
        band="A",
        reasons=(),
        item=None,
        history=(PastScore(DATE, True, 0.004, 641, "A", False, "model_v002"),),
        comparison=None,
        exposure=None,
    )
    return _of(facts)


def with_issues() -> AccountsOfKey:
    """An account with issues in its row, which was scored before."""
    history = (*_history()[:-1], PastScore(DATE, present=True, version="model_v002"))
    compared = msgspec.structs.replace(_comparison(), points=412, features=tuple(_unscored(each) for each in _comparison().features))
    return _of(_without_score("issue", issues=("annual_income: not a number", "region: missing"), history=history, comparison=compared))


def not_eligible() -> AccountsOfKey:
    """An account that a population rule excludes, and that was never scored."""
    history = (PastScore(BEFORE, present=False), PastScore(DATE, present=True, version="model_v002"))
    missing = SnapshotComparison(BEFORE, present=False, note="The file of this date does not have the account.")
    return _of(_without_score("not eligible", excluded="the account is closed", history=history, comparison=missing, item=None))


def replaced() -> AccountsOfKey:
    """An account of a date whose features have been replaced."""
    note = "curated/accounts_2026-01-28_features.parquet is not the one that was scored: it was made again or is gone."
    facts = msgspec.structs.replace(
        _flagged(),
        account=None,
        contributions=None,
        comparison=None,
        reasons=(),
        item=None,
        list_known=False,
        notes=(note,),
        exposure_name=None,
    )
    return _of(facts)


def two_rows() -> AccountsOfKey:
    """Two accounts with one key."""
    return _of(_flagged(), with_issues().accounts[0])


def hostile() -> AccountsOfKey:
    """Texts that try to break the page."""
    facts = _flagged()
    made, compared = facts.contributions, facts.comparison
    assert made
    assert compared
    bands = tuple(BandArea(text, area.low, area.high) for text, area in zip(HOSTILE, facts.bands, strict=True))
    scores = tuple(msgspec.structs.replace(score, band=HOSTILE[0], version=HOSTILE[1]) for score in facts.history)
    return _of(
        *(
            msgspec.structs.replace(
                facts,
                account=text,
                version=text,
                band=text,
                bands=bands,
                history=scores,
                reasons=HOSTILE,
                exposure_name=text,
                notes=(text,),
                contributions=msgspec.structs.replace(made, features=tuple(FeaturePoints(each, each, each, -3.0, 1) for each in HOSTILE)),
                comparison=msgspec.structs.replace(
                    compared, band=text, note=text, features=tuple(FeatureDifference(each, each, each, "<b>", -1.0) for each in HOSTILE)
                ),
            )
            for text in (HOSTILE[0], HOSTILE[4])
        ),
        msgspec.structs.replace(with_issues().accounts[0], issues=HOSTILE, excluded=HOSTILE[0]),
        msgspec.structs.replace(not_eligible().accounts[0], excluded=HOSTILE[4]),
    )


def _of(*accounts: AccountFacts) -> AccountsOfKey:
    return AccountsOfKey(DATE, KEY, len(accounts), accounts)


def _flagged() -> AccountFacts:
    item = msgspec.structs.replace(samples.ordinary().work_list.items[0], account="AC003653", categories=("worse", "newly flagged"))
    newest = _history()[-1]
    features = tuple(FeaturePoints(*each) for each in FEATURES)
    return AccountFacts(
        date=DATE,
        account="AC003653",
        status="scored",
        version="model_v002",
        bands=BANDS,
        history=_history(),
        probability=newest.probability,
        points=newest.points,
        band=newest.band,
        flagged=True,
        exposure=3304.1,
        exposure_name="balance",
        reasons=samples.REASONS,
        item=item,
        list_known=True,
        contributions=Contributions(415.2 - sum(each.points for each in features), 415.2, features),
        comparison=_comparison(),
    )


def _without_score(status: str, **more: object) -> AccountFacts:
    nothing = {"probability": None, "points": None, "band": None, "flagged": None, "reasons": (), "contributions": None}
    return msgspec.structs.replace(_flagged(), status=status, **nothing, **more)


def _history() -> tuple[PastScore, ...]:
    """28 dates: the account gets worse, is missing on one date and not scored on another."""
    last = Date.fromisoformat(DATE)
    found = []
    for at in range(28):
        points = round(560 - at * 5.6 + 6 * math.sin(at))
        band = next((area.name for area in BANDS if area.low is not None and points > area.low), "F")
        date = (last - timedelta(days=27 - at)).isoformat()
        found.append(PastScore(date, True, 1 / (1 + math.exp((points - 487) / 28.9)), points, band, points < 470, "model_v002"))
    found[9] = PastScore(found[9].date, present=False)
    found[11] = PastScore(found[11].date, present=True, version="model_v001")
    return tuple(found)


def _comparison() -> SnapshotComparison:
    features = (
        FeatureDifference("days_past_due", "Days past due", 25.0, 26.0, -6.4),
        FeatureDifference("bureau_score", "Bureau score", None, 679.0, 0.3),
        FeatureDifference("balance", "Balance", 3177.2, 3304.1, 0.0),
        FeatureDifference("region", "Region", "north", "north", 0.0),
    )
    stored = PastScore(BEFORE, True, 0.7, 419, "F", True, "model_v001")
    return SnapshotComparison(BEFORE, True, stored, 415, "E", features)


def _unscored(feature: FeatureDifference) -> FeatureDifference:
    return msgspec.structs.replace(feature, points=None)
