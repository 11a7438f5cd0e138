"""Pages of accounts and of compared dates, for the tests in a browser."""

from collections.abc import Callable

from risk_assets.domain.morning.date_comparison import compare_dates
from risk_assets.pages.account import render_account, render_no_account
from risk_assets.pages.comparison import render_comparison, render_no_comparison
from tests.pages import account_samples, samples
from tests.pages.account_samples import DATE, SERVED
from tests.pages.test_comparison import earlier, hostile

DESK_PAGES: dict[str, Callable[[], str]] = {
    "scored account": lambda: render_account(account_samples.scored(), SERVED),
    "safe account": lambda: render_account(account_samples.safe(), SERVED),
    "account with issues": lambda: render_account(account_samples.with_issues(), SERVED),
    "account not eligible": lambda: render_account(account_samples.not_eligible(), SERVED),
    "replaced features": lambda: render_account(account_samples.replaced(), SERVED),
    "two rows": lambda: render_account(account_samples.two_rows(), SERVED),
    "hostile account": lambda: render_account(account_samples.hostile(), SERVED),
    "no account": lambda: render_no_account(DATE, SERVED, account_samples.HOSTILE[0]),
    "two dates": lambda: render_comparison(compare_dates(samples.ordinary(), earlier()), SERVED),
    "hostile dates": lambda: render_comparison(compare_dates(hostile(), samples.never_scored()), SERVED),
    "no report": lambda: render_no_comparison(DATE, "2024-02-29", "2024-02-29", SERVED),
}
