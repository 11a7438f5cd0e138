"""The addresses of the served pages, below `/desk`. Ids of accounts are not part of them: accounts have keys."""

import re
from urllib.parse import urlencode

ROOT = "/desk"
ALL_DATES = f"{ROOT}/dates"
FIND = f"{ROOT}/find"
DISPOSITIONS = f"{ROOT}/dispositions"
SIGN_IN = f"{ROOT}/sign-in"
SIGN_IN_ENTRA = f"{SIGN_IN}/entra"
SIGN_IN_CALLBACK = f"{SIGN_IN}/callback"
SIGN_OUT = f"{ROOT}/sign-out"

_OF_ACCOUNTS = re.compile(rf"{ROOT}/[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}/(?:list|account/[0-9a-f]{{16}})(?:\?[A-Za-z0-9%+&=_.~-]*)?")


def date_page(date: str) -> str:
    """Return the address of the morning report of a date."""
    return f"{ROOT}/{date}"


def work_list(date: str, query: dict[str, str] | None = None) -> str:
    """Return the address of the work list of a date, with the fields of a selection that are not the default ones."""
    return _with_query(f"{ROOT}/{date}/list", query or {})


def work_list_file(date: str, query: dict[str, str] | None = None) -> str:
    """Return the address of the work list of a date as CSV."""
    return _with_query(f"{ROOT}/{date}/list.csv", query or {})


def account(date: str, key: str, other: str | None = None) -> str:
    """Return the address of an account on a date, compared with another date if one is given."""
    return _with_query(f"{ROOT}/{date}/account/{key}", {"with": other} if other else {})


def comparison(date: str, other: str | None = None) -> str:
    """Return the address of the comparison of two dates."""
    return _with_query(f"{ROOT}/{date}/compare", {"with": other} if other else {})


def row(key: str) -> str:
    """Return the name of the row of an account on a page."""
    return f"account-{key}"


def is_of_accounts(address: str) -> bool:
    """Return whether an address is that of a work list or an account, as this module writes them: going there is safe."""
    return _OF_ACCOUNTS.fullmatch(address) is not None


def sign_in(following: str = ROOT, address: str = SIGN_IN) -> str:
    """Return the address at which callers sign in, with the address to go to afterwards."""
    return _with_query(address, {} if following == ROOT else {"next": following})


def _with_query(path: str, query: dict[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path
