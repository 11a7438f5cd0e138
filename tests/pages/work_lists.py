"""Served work lists, and pages about dispositions, for the tests of pages."""

from collections.abc import Callable

import msgspec

from risk_assets.domain.morning.account_key import account_key, key_text
from risk_assets.domain.morning.dispositions import Disposition, by_account, problems
from risk_assets.domain.morning.facts import MorningReport, WorkList
from risk_assets.domain.morning.selection import Selection, select
from risk_assets.pages.dispositions import Filled, render_conflict, render_not_recorded, render_problems
from risk_assets.pages.served import Served
from risk_assets.pages.work_list import render_work_list
from tests.pages import samples

ALL = Selection(shown="all")
SERVED = Served(previous=samples.BEFORE, following="2026-01-29", dates=(samples.WEEK, "2026-01-29"))
BACK = "/desk/2026-01-28/list?shown=all"
FIRST = samples.ordinary().work_list.new_and_worse[0].account
RECORDED = (
    Disposition("f1", "2026-01-29T09:12+01:00", samples.DATE, FIRST, "called", None, "no answer", "ann"),
    Disposition("f2", "2026-01-29T11:40+01:00", samples.DATE, FIRST, "promise to pay", "2026-02-03", "after pay day", "bob"),
)
FILLED = Filled(samples.DATE, key_text(account_key(FIRST)), "promise to pay", "2026-01-01", "said yes\x1b")


def page(report: MorningReport, selection: Selection = ALL, entries: tuple[Disposition, ...] = RECORDED) -> str:
    """Return the page of a selection."""
    return render_work_list(report, select(report.work_list.items, selection), selection, by_account(entries), SERVED)


def many(accounts: int) -> MorningReport:
    """A report with a long work list."""
    usual = samples.ordinary().work_list.items
    items = tuple(msgspec.structs.replace(usual[at % 50], rank=at + 1, account=f"AC{at:06d}") for at in range(accounts))
    return msgspec.structs.replace(samples.ordinary(), work_list=WorkList(items, flagged=accounts))


def hostile() -> MorningReport:
    """Hostile texts as a lake can have them: in UTF-8."""
    report = samples.hostile()
    items = tuple(msgspec.structs.replace(item, account=item.account.replace("\ud800", "x")) for item in report.work_list.items)
    return msgspec.structs.replace(report, work_list=WorkList(items, flagged=400))


def hostile_entries() -> tuple[Disposition, ...]:
    """Dispositions of each hostile account, with its text as the note and the name."""
    accounts = [item.account for item in hostile().work_list.items]
    entry = RECORDED[0]
    return tuple(
        msgspec.structs.replace(entry, id=f"{number}-{at}", account=text, note=text[:500], by=text[:500])
        for at, text in enumerate(accounts)
        for number in range(2)
    )


def conflict() -> str:
    """The page after two people recorded at once."""
    return render_conflict(FIRST, FILLED, RECORDED, 1, BACK, SERVED)


def to_change() -> str:
    """The page of a form that has to be changed in each field."""
    return render_problems(FIRST, FILLED, RECORDED, problems("promise to pay", "2026-01-01", "\x1b", samples.DATE), BACK, SERVED)


PAGES: dict[str, Callable[[], str]] = {
    "new and worse": lambda: page(samples.ordinary(), Selection()),
    "all": lambda: page(samples.ordinary(), Selection(shown="all", sort="change")),
    "page of many": lambda: page(many(500), Selection(shown="all", sort="probability", descending=True, page=5)),
    "nothing found": lambda: page(samples.ordinary(), Selection(search="zz", reason="gone")),
    "first date": lambda: page(samples.first_date()),
    "never scored": lambda: page(samples.never_scored()),
    "not scored": lambda: page(samples.not_scored()),
    "empty list": lambda: page(samples.empty_list(), Selection()),
    "hostile": lambda: page(hostile(), ALL, hostile_entries()),
    "hostile selection": lambda: page(hostile(), Selection(search="<script>", reason='"><script>', band="\u202e'"), hostile_entries()),
    "conflict": conflict,
    "to change": to_change,
    "hostile conflict": lambda: render_conflict(samples.LONG_ID, FILLED, hostile_entries(), 0, BACK, SERVED),
    "not recorded": lambda: render_not_recorded(samples.DATE, BACK, SERVED),
}
