"""The pages that are shown when a disposition was not recorded: another one was recorded meanwhile, or the form has to be changed."""

from collections.abc import Sequence
from dataclasses import dataclass

from risk_assets.domain.morning.dispositions import Disposition, Problems
from risk_assets.domain.wording import counted
from risk_assets.pages.environment import environment
from risk_assets.pages.formats import date_text
from risk_assets.pages.served import Served


@dataclass(frozen=True)
class Filled:
    """A form as it was sent: the page's date, the key of the account, and the fields."""

    date: str
    key: str
    kind: str
    promised_on: str | None
    note: str


def render_conflict(account: str, filled: Filled, entries: Sequence[Disposition], known: int, back: str, served: Served) -> str:
    """Return the page with what was recorded meanwhile, perhaps by the same person, and the form filled in to record it in addition.

    Parameters
    ----------
    entries
        All dispositions of the account, of which the form knew the first `known`; their instants in the team's time zone.
    back
        The address of the page from which the form was sent.
    """
    new = counted(max(len(entries) - known, 1), "entry", "entries")
    return _render(
        title="Not recorded: something was recorded meanwhile",
        message=f"The account has {new} that your page did not show. Record yours in addition if it is still needed.",
        heading="Your entry",
        button="Record in addition",
        account=account,
        filled=filled,
        entries=entries,
        back=back,
        problems={},
        served=served,
    )


def render_problems(account: str, filled: Filled, entries: Sequence[Disposition], problems: Problems, back: str, served: Served) -> str:
    """Return the page that says what to change in a form, filled in."""
    return _render(
        title="Not recorded yet",
        message="Change the marked fields, and send the form again.",
        heading="Your entry",
        button="Record",
        account=account,
        filled=filled,
        entries=entries,
        back=back,
        problems=problems,
        served=served,
    )


def render_not_recorded(date: str, back: str, served: Served) -> str:
    """Return the page that says that a form is not of an account of its date."""
    message = (
        f"No account of {date_text(date)} belongs to this form. Open the account from the work list or by its id, and record it there."
    )
    return _render(title="Not recorded", message=message, account=None, back=back, served=served)


def _render(**facts: object) -> str:
    return environment().get_template("desk/disposition.html").render(facts)
