"""The page of two dates next to each other."""

from risk_assets.domain.morning.date_comparison import DateComparison
from risk_assets.pages import addresses
from risk_assets.pages.environment import environment
from risk_assets.pages.served import Served

MOST_LISTED = 100  # accounts of each list that are shown


def render_comparison(found: DateComparison, served: Served) -> str:
    """Return the page that compares two dates."""
    context = {"found": found, "served": served, "addresses": addresses, "most_listed": MOST_LISTED}
    return environment().get_template("desk/comparison.html").render(context)


def render_no_comparison(date: str, other: str, missing: str, served: Served) -> str:
    """Return the page that says that one of two dates, `missing`, has no report, with the form to choose another one."""
    context = {"date": date, "other": other, "missing": missing, "served": served, "addresses": addresses}
    return environment().get_template("desk/no_comparison.html").render(context)
