"""Morning reports for the tests of pages."""

import math
import random
from collections.abc import Sequence
from datetime import date as Date
from datetime import timedelta

import msgspec

from risk_assets.domain.morning.facts import (
    AccountList,
    Calibration,
    Category,
    Causes,
    Changes,
    ColumnIssues,
    DataFacts,
    Day,
    Decision,
    Decisions,
    Expectation,
    FeatureChange,
    Figure,
    Figures,
    Holdout,
    Incident,
    ListedAccount,
    Measured,
    ModelFacts,
    MorningReport,
    MovedFeature,
    PendingVersion,
    Range,
    Scores,
    Severity,
    State,
    Verdict,
    WorkItem,
    WorkList,
)

DATE, BEFORE, WEEK = "2026-01-28", "2026-01-27", "2026-01-21"
BANDS = ("A", "B", "C", "D", "E", "F")
CHANGES = (
    (FeatureChange("utilisation", "utilisation", 0.78, 0.97, -11),),
    (FeatureChange("missed_payments", "missed payments", 0.0, 1.0, -12), FeatureChange("utilisation", "utilisation", 0.81, 0.97, -6)),
    (FeatureChange("days_past_due", "days past due", 0.0, 12.0, -14), FeatureChange("bureau_score", "bureau score", 580.0, 561.0, -4)),
    (FeatureChange("payment_ratio", "payment ratio", 0.4, 0.05, -13), FeatureChange("tenure", "months employed", 14.0, None, -2)),
    (FeatureChange("cash_advances", "cash advances", 1.0, 4.0, -10), FeatureChange("home", "home ownership", "owner", "tenant", -3)),
)
LONG_ID = "A" * 10_000
SHARES = (0.38, 0.24, 0.14, 0.1, 0.08, 0.06)
REASONS = (
    "Payments were missed in the last 12 months",
    "Balance is close to the limit",
    "Time at the present address is short",
    "Many cash advances were taken recently",
)


def ordinary() -> MorningReport:
    """A date on which everything is as usual: 50 listed accounts, 14 of them new or worse."""
    return MorningReport(
        date=DATE,
        made_at="2026-01-29T06:00+01:00",
        time_zone="Europe/Vienna",
        verdict=verdict(
            "on time",
            "good",
            "28 Jan: 3,196 of 3,200 accounts scored at 02:01 by model_v002 (live for 22 days). "
            "212 flagged (1 fewer than on 27 Jan, 3 fewer than on 21 Jan). Nothing unusual.",
        ),
        data=_data(),
        model=_model(),
        decisions=_decisions(),
        series=series(),
        shown_date=DATE,
        run_id="5d2c8a52-6d3f-4e3e-9f43-9b1f4d7f0a11",
        figures=_figures(),
        changes=_changes(),
        work_list=WorkList(tuple(_item(rank) for rank in range(1, 51)), flagged=212),
        scores=_scores(),
    )


def first_date() -> MorningReport:
    """The first date that was ever scored: nothing to compare with."""
    shown = msgspec.structs.replace(
        _figures(), shown=tuple(Figure(each.name, each.value) for each in _figures().shown), previous=None, week_before=None
    )
    items = tuple(
        msgspec.structs.replace(item, last_snapshot=None, points_before=None, band_before=None, days_listed=1, categories=(), changes=())
        for item in ordinary().work_list.items
    )
    return msgspec.structs.replace(
        ordinary(),
        verdict=verdict("on time", "good", "28 Jan: 3,196 of 3,200 accounts scored at 02:01 by model_v001 (live for 1 day). 212 flagged."),
        figures=shown,
        changes=None,
        work_list=WorkList(items, flagged=212),
        data=DataFacts(deadline="2026-01-29T06:00+01:00", arrived_at="2026-01-29T01:42+01:00", rows=3200, with_issues=0, not_eligible=0),
        model=ModelFacts(
            version="model_v001",
            live_since="2026-01-28T09:00+01:00",
            live_days=1,
            scored_by="model_v001",
            outcomes_on="2026-07-27",
            holdouts=(Holdout("other accounts", 0.79, (0.75, 0.83)), Holdout("later dates", 0.80, (0.77, 0.83))),
            expected=Expectation(DATE, "model_v001", 3196, 211.6, (184.3, 238.9), 0.81),
        ),
        decisions=Decisions(),
        series=series()[-1:],
        scores=Scores(_scores().counts),
    )


def trained_on() -> MorningReport:
    """The newest date with outcomes is one that trained the live version."""
    report = ordinary()
    measured = _measured()
    bands = tuple(msgspec.structs.replace(band, lowest=None, highest=None) for band in measured.bands)
    overall = msgspec.structs.replace(measured.overall, lowest=None, highest=None)
    trained = msgspec.structs.replace(measured, bands=bands, overall=overall, auc_lowest=None, used_in_training=True)
    notes = (f"{measured.date} was used to train model_v002: its figures have no limits",)
    model = msgspec.structs.replace(report.model, measured=(trained,), measured_notes=notes, holdouts=measured.holdouts)
    return msgspec.structs.replace(report, model=model)


def without_drift() -> MorningReport:
    """A date without a drift report, so that features and causes are not known."""
    report = ordinary()
    return msgspec.structs.replace(
        report,
        changes=msgspec.structs.replace(_changes(), causes=None),
        data=msgspec.structs.replace(report.data, moved=(), moved_on=None),
    )


def never_scored() -> MorningReport:
    """No file arrived, and no date was ever scored."""
    return MorningReport(
        date=DATE,
        made_at="2026-01-29T06:00+01:00",
        time_zone="UTC",
        verdict=verdict("no file", "bad", "NOT SCORED: no file of 28 Jan arrived by 06:00 on 29 Jan."),
        data=DataFacts(deadline="2026-01-29T06:00+01:00"),
        model=ModelFacts(),
        decisions=Decisions(),
        series=(Day(DATE, incident="no file"),),
    )


def not_scored(state: State = "no file") -> MorningReport:
    """A date without scores, which shows the figures of the date before it."""
    sentences = {
        "no file": "NOT SCORED: no file of 28 Jan arrived by 06:00 on 29 Jan. Showing the list of 27 Jan.",
        "failed": "NOT SCORED: the run of 28 Jan failed: storage did not answer. Showing the list of 27 Jan.",
        "blocked": "NOT SCORED: issue_share stopped the run of 28 Jan. Showing the list of 27 Jan.",
    }
    incidents: dict[str, Incident] = {"no file": "no file", "failed": "failed", "blocked": "blocked"}
    days = (*series()[:-1], Day(DATE, incident=incidents[state]))
    return msgspec.structs.replace(
        ordinary(),
        verdict=verdict(state, "bad", sentences[state]),
        shown_date=BEFORE,
        figures=msgspec.structs.replace(_figures(), previous="2026-01-26", week_before="2026-01-20"),
        changes=msgspec.structs.replace(_changes(), since="2026-01-26"),
        data=DataFacts(deadline="2026-01-29T06:00+01:00", moved=_data().moved, moved_on=BEFORE),
        series=days,
        notes=("The drift report of 28 Jan is missing: the date was not scored.",),
    )


def late() -> MorningReport:
    """Scored after the deadline."""
    said = verdict("late", "attention", "28 Jan: 3,196 of 3,200 accounts scored at 09:14, 3 hours after the deadline. 212 flagged.")
    data = msgspec.structs.replace(_data(), arrived_at="2026-01-29T09:02+01:00")
    return msgspec.structs.replace(ordinary(), verdict=said, data=data)


def unusual() -> MorningReport:
    """Figures outside their usual ranges, a check that warned, a column with many issues, and a feature beyond its limit."""
    sentence = (
        "28 Jan: 3,140 of 3,200 accounts scored at 02:01 by model_v002 (live for 22 days). "
        "268 flagged (+55 on yesterday, +53 on last week). 1 warning. Beyond its drift limit: utilisation. "
        "Unusual: 3,140 scored accounts are below their usual range, 3,190 to 3,202; "
        "268 flagged accounts are above their usual range, 199 to 224; "
        "flagged exposure 302,940 is above its usual range, 224,900 to 253,100; and 2 more figures."
    )
    values = {"scored": 3140, "flagged": 268, "flagged exposure": 302_940, "mean probability": 0.0729, "expected bads": 228.9}
    figures = tuple(msgspec.structs.replace(each, value=values.get(each.name, each.value)) for each in _figures().shown)
    changes = msgspec.structs.replace(_changes(), newly_flagged=_accounts(61), flagged_new=5, causes=Causes(213, 268, 52, 0, 0, 5, -2))
    moved = (MovedFeature("utilisation", "utilisation", -4.1, 0.31, 0.25, ("PSI", "points")), *_data().moved[1:])
    issues = (ColumnIssues("annual_income", 56, {"missing": 3, "not a number": 53}, 2.0), *_data().issues)
    days = (*series()[:-1], msgspec.structs.replace(series()[-1], flagged=268))
    return msgspec.structs.replace(
        ordinary(),
        verdict=Verdict(
            "warning",
            ("warning", "unusual", "drift"),
            "attention",
            sentence,
            ("issue_share: 60 rows with issues, most often in annual_income",),
        ),
        figures=msgspec.structs.replace(_figures(), shown=figures),
        changes=changes,
        work_list=msgspec.structs.replace(ordinary().work_list, flagged=268),
        data=msgspec.structs.replace(_data(), moved=moved, issues=issues, with_issues=60),
        series=days,
    )


def policy_changed() -> MorningReport:
    """The policy changed, a version was overridden, and another one waits."""
    days = (*series()[:-1], msgspec.structs.replace(series()[-1], new_policy=True))
    decided = Decision(
        "2026-01-28T10:00+01:00", "adopt_policy", "model_v002", "ann", "Cut-off raised by the committee", changed=("policy",)
    )
    said = verdict(
        "policy changed", "attention", "28 Jan: 3,196 of 3,200 accounts scored at 02:01. 212 flagged. Another policy is in force."
    )
    waiting = PendingVersion("model_v004", "2026-01-25", False, ("calibration_by_band",), ("2026-01-26", BEFORE), 240, 213, 41, 14)
    return msgspec.structs.replace(
        ordinary(),
        verdict=said,
        series=days,
        changes=msgspec.structs.replace(_changes(), causes=Causes(213, 212, 3, 0, -5, 2, -1)),
        decisions=Decisions((decided, *_decisions().decided), (waiting,), "missing_share by bob: the bureau was down"),
    )


def empty_list() -> MorningReport:
    """No account is flagged or listed."""
    nothing = AccountList(0)
    return msgspec.structs.replace(
        ordinary(),
        work_list=WorkList(),
        changes=Changes(BEFORE, *[nothing] * 8, flagged_new=0, flagged_returned=0),
    )


def hostile() -> MorningReport:
    """Texts of a contract and ids of accounts that try to break the page."""
    texts = (
        "<script>document.title='run'</script>",
        "</style><img src=x onerror=alert(1)>",
        "\N{RIGHT-TO-LEFT OVERRIDE}txet desrever",
        "\N{HEBREW LETTER ALEF}\N{HEBREW LETTER BET} 12",
        "A" * 500,
        "nul\x00 and \x1b escape \ud800",
    )
    items = tuple(
        msgspec.structs.replace(
            _item(rank),
            account=text if len(text) < 500 else LONG_ID,
            band=text,
            band_before="<b>",
            categories=("newly flagged",),
            changes=(FeatureChange(text, text, text, text, -3),),
            reasons=(text, "<script>alert(2)</script>"),
        )
        for rank, text in enumerate(texts, start=1)
    )
    listed = AccountList(
        6, tuple(ListedAccount(text if len(text) < 500 else LONG_ID, 1.0, 0.5, 400, text, 0.1, 500, "<i>") for text in texts)
    )
    moved = tuple(MovedFeature(text, text, -1.0, 0.1, 0.2, ("PSI",)) for text in texts)
    issues = tuple(ColumnIssues(text, 3, {text: 3}, 1.0) for text in texts)
    decided = tuple(Decision("2026-01-28T10:00+01:00", "promote", text, text, text, text, text, (text,), (text,)) for text in texts)
    waiting = tuple(PendingVersion(text, DATE, False, (text,)) for text in texts)
    bands = dict.fromkeys(texts, 10)
    measured = msgspec.structs.replace(_measured(), version=texts[0], bands=tuple(Calibration(text, 100, 5, 6, (2, 11)) for text in texts))
    return msgspec.structs.replace(
        ordinary(),
        verdict=Verdict("on time", ("on time",), "good", " ".join(texts), texts),
        work_list=WorkList(items, flagged=400),
        changes=msgspec.structs.replace(_changes(), newly_flagged=listed, worse=listed),
        data=msgspec.structs.replace(_data(), moved=moved, issues=issues, not_eligible=6, not_eligible_reasons=dict.fromkeys(texts, 1)),
        model=msgspec.structs.replace(
            _model(), version=texts[0], scored_by=texts[1], challenger=texts[2], measured=(measured,), measured_notes=texts
        ),
        decisions=Decisions(decided, waiting, texts[0]),
        series=tuple(
            msgspec.structs.replace(day, bands=bands, new_version=texts[at] if at < 6 else None) for at, day in enumerate(series())
        ),
        run_id=texts[0],
        notes=texts,
    )


def verdict(state: State, severity: Severity, sentence: str) -> Verdict:
    """A verdict with one state."""
    return Verdict(state, (state,), severity, sentence)


def series(days: int = 60) -> tuple[Day, ...]:
    """The days up to the date, with two promotions and two incidents; the same at each call."""
    draws = random.Random(7)
    last = Date.fromisoformat(DATE)
    found = []
    for at in range(days):
        date = (last - timedelta(days=days - 1 - at)).isoformat()
        flagged = round(210 + 9 * math.sin(at / 8) + draws.gauss(0, 4))
        bands = {name: round(3196 * share * (1 + draws.gauss(0, 0.015))) for name, share in zip(BANDS, SHARES, strict=True)}
        version = "model_v001" if at < 38 else "model_v002"
        day = Day(
            date, f"{at:064x}", 3200, 3196, flagged, flagged * 1130.0, 0.066, bands, version, "policy", "model_v002" if at == 38 else None
        )
        found.append(day)
    found[21] = Day(found[21].date, incident="failed")
    found[50] = msgspec.structs.replace(found[50], incident="late")
    found[-1] = msgspec.structs.replace(found[-1], flagged=212)
    return tuple(found)


def _figures() -> Figures:
    return Figures(
        (
            Figure("received", 3200, 3200, 3201, Range(3196, 3204, 27)),
            Figure("scored", 3196, 3196, 3199, Range(3190, 3202, 27)),
            Figure("flagged", 212, 213, 215, Range(199, 224, 27)),
            Figure("flagged exposure", 239_560, 240_710, 243_000, Range(224_900, 253_100, 27)),
            Figure("mean probability", 0.0662, 0.0660, 0.0671, Range(0.0641, 0.0689, 27)),
            Figure("expected bads", 211.6, 211.0, 214.7, Range(205.0, 220.4, 27)),
        ),
        BEFORE,
        WEEK,
        "balance",
    )


def _changes() -> Changes:
    return Changes(
        since=BEFORE,
        new_on_list=_accounts(5),
        off_list=_accounts(5, gone=True),
        newly_flagged=_accounts(7),
        no_longer_flagged=_accounts(8),
        worse=_accounts(11),
        new_accounts=_accounts(3, new=True),
        gone=_accounts(3, gone=True),
        returned=AccountList(0),
        flagged_new=1,
        flagged_returned=0,
        causes=Causes(213, 212, -1, 0, 0, 1, -1),
    )


def _accounts(count: int, *, new: bool = False, gone: bool = False) -> AccountList:
    now = (None, None, None, None) if gone else (1840.0, 0.41, 438, "F")
    before = (None, None, None) if new else (0.22, 459, "E")
    return AccountList(count, tuple(ListedAccount(f"AC{count:03d}{at:03d}", *now, *before) for at in range(count)))


def _item(rank: int) -> WorkItem:
    categories: Sequence[tuple[Category, ...]] = (("newly flagged",), ("worse",), (), (), ("new on the list", "worse"), (), ())
    category = categories[rank % 7]
    changes = CHANGES[rank % len(CHANGES)]
    points = 380 + rank
    return WorkItem(
        rank=rank,
        account=f"AC{rank * 7919 % 100000:06d}",
        exposure=620.0 + rank * 173.5,
        probability=0.8 - rank * 0.009,
        points=points,
        band="F" if rank < 38 else "E",
        flagged=True,
        last_snapshot=BEFORE,
        points_before=points - (sum(each.points for each in changes) if category else 0),
        band_before="E" if category else "F",
        days_listed=1 if "new on the list" in category else rank,
        categories=category,
        changes=changes if category else (),
        reasons=REASONS[rank % 3 : rank % 3 + 2],
    )


def _data() -> DataFacts:
    return DataFacts(
        deadline="2026-01-29T06:00+01:00",
        arrived_at="2026-01-29T01:42+01:00",
        stored_at="2026-01-29T02:00+01:00",
        rows=3200,
        normal_rows=Range(3196, 3204, 27),
        with_issues=4,
        not_eligible=0,
        issues=(ColumnIssues("postcode", 3, {"missing": 3}, 2.0), ColumnIssues("months_employed", 1, {"below the range": 1}, 1.0)),
        moved=(
            MovedFeature("utilisation", "utilisation", -1.1, 0.021, 0.25),
            MovedFeature("bureau_score", "bureau score", -0.7, 0.012, 0.25),
            MovedFeature("payment_ratio", "payment ratio", 0.6, 0.009, 0.25),
            MovedFeature("days_past_due", "days past due", -0.3, 0.005, 0.25),
            MovedFeature("months_on_book", "months on book", 0.2, 0.004, 0.25),
        ),
        moved_on=DATE,
    )


def _model() -> ModelFacts:
    return ModelFacts(
        version="model_v002",
        live_since="2026-01-06T09:30+01:00",
        live_days=22,
        scored_by="model_v002",
        challenger="model_v003, shadow",
        measured=(_measured(),),
    )


def _measured() -> Measured:
    bands = (
        Calibration("A", 1210, 14.5, 12, (6.9, 20.1), 0.4, 1.75),
        Calibration("B", 770, 39.0, 41, (30.2, 54.0), 0.6, 1.75),
        Calibration("C", 450, 50.1, 55, (42.5, 69.8), 0.6, 1.75),
        Calibration("D", 318, 62.0, 66, (53.0, 80.9), 0.6, 1.75),
        Calibration("E", 250, 83.2, 80, (66.7, 94.4), 0.6, 1.75),
        Calibration("F", 190, 112.0, 118, (104.7, 130.6), 0.6, 1.75),
    )
    return Measured(
        date="2025-10-31",
        as_of=DATE,
        version="model_v002",
        role="champion",
        overall=Calibration("all accounts", 3188, 360.8, 372, (338.7, 407.2), 0.77, 1.3),
        bands=bands,
        holdouts=(Holdout("out of time", 0.80, (0.77, 0.83)), Holdout("other accounts", 0.79, (0.75, 0.83))),
        auc=0.79,
        auc_interval=(0.77, 0.81),
        auc_lowest=0.76,
    )


def _decisions() -> Decisions:
    return Decisions((Decision("2026-01-06T09:30+01:00", "promote", "model_v002", "risk-ops", "all gates passed"),))


def _scores() -> Scores:
    usual = [math.exp(-at / 2.2) for at in range(20)]
    total = sum(usual)
    shares = tuple(each / total for each in usual)
    counts = tuple(round(3196 * share * (1 + 0.08 * math.sin(at))) for at, share in enumerate(shares))
    return Scores(counts, shares, 27)
