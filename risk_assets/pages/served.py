"""What served pages have and stored ones do not: links between each other, and places that are filled in for each caller."""

from dataclasses import dataclass

CALLER_PLACE = "caller-4f1d0c"  # the name of the caller
FORM_TOKEN_PLACE = "form-token-8a53e7"  # noqa: S105 - a place; what is put there proves that a form is from a page of the session
FORM_ID_PLACE = "form-id-20b96c"  # differs each time a form is shown
SIGN_OUT_PLACE = "<!-- sign out -->"  # the form with which callers end their session, if they have one
NEXT_PLACE = "next-5be210"  # on the page to sign in: the address to go to afterwards
SINGLE_SIGN_ON_PLACE = "single-sign-on-7c03d9"  # on the page to sign in: where it begins
NOTICE_PLACE = "<!-- notice -->"  # something that the caller should know, such as the age of the page


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
