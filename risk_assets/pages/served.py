"""What served pages have and stored ones do not: links between each other, and places that are filled in for each caller.

The names of the places are random, so that no text of a bank or of a reader is one. The processes of a service share them by a variable
of the environment, `SALT_VARIABLE`.
"""

import os
import secrets
from dataclasses import dataclass

SALT_VARIABLE = "DESK_PLACES"
SALT = os.environ.get(SALT_VARIABLE) or secrets.token_hex(16)


def place(name: str) -> str:
    """Return the text of a place of this service; nobody outside of it knows the text."""
    return f"place-{SALT}-{name}"


CALLER_PLACE = place("caller")  # the name of the caller
FORM_TOKEN_PLACE = place("form-token")  # what is put there proves that a form is from a page of the session
FORM_ID_PLACE = place("form-id")  # differs each time a form is shown
SIGN_OUT_PLACE = f"<!-- {place('sign-out')} -->"  # the form with which callers end their session, if they have one
NEXT_PLACE = place("next")  # on the page to sign in: the address to go to afterwards
SINGLE_SIGN_ON_PLACE = place("single-sign-on")  # on the page to sign in: where it begins
NOTICE_PLACE = f"<!-- {place('notice')} -->"  # something that the caller should know, such as the age of the page
TITLE_PLACE, TEXT_PLACE = place("title"), place("text")  # of a page with a message


@dataclass(frozen=True)
class Served:
    """Marks a page that is served: its addresses are those of `addresses`.

    Attributes
    ----------
    previous, following
        The dates with a report next to the page's date.
    dates
        All dates with a report, oldest first.
    run_url
        The address of the Dagster run; None if `RISK_DAGSTER_URL` is not set.
    """

    previous: str | None = None
    following: str | None = None
    dates: tuple[str, ...] = ()
    run_url: str | None = None
