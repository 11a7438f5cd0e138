"""The page of an account on a date, and the page that says that a date does not have an account."""

from collections.abc import Sequence

from risk_assets.domain.morning.account_facts import AccountsOfKey
from risk_assets.domain.morning.dispositions import Disposition
from risk_assets.pages import addresses
from risk_assets.pages.account_plots import account_plots, strongest
from risk_assets.pages.environment import environment
from risk_assets.pages.served import Served


def render_account(found: AccountsOfKey, served: Served, entries: Sequence[Disposition] = ()) -> str:
    """Return the page of the accounts with a key on a date, of which there is at least one.

    Parameters
    ----------
    entries
        The dispositions of the account, for `desk/disposition_form.html`.
    """
    accounts = [(facts, account_plots(facts)) for facts in found.accounts]
    context = {"found": found, "accounts": accounts, "entries": entries, "strongest": strongest}
    return environment().get_template("desk/account.html").render(context | {"served": served, "addresses": addresses})


def render_no_account(date: str, served: Served, account: str | None = None) -> str:
    """Return the page that says that a date does not have an account, with the form to find another one."""
    context = {"date": date, "account": account, "served": served, "addresses": addresses}
    return environment().get_template("desk/no_account.html").render(context)
