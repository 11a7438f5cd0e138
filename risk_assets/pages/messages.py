"""Pages with a message, and the page on which callers sign in."""

from collections.abc import Sequence

from risk_assets.pages.environment import environment
from risk_assets.pages.served import Served


def render_message(title: str, texts: Sequence[str]) -> str:
    """Return a served page that says what is wrong, and what to do."""
    return environment().get_template("desk/message.html").render(title=title, texts=texts, served=Served())


def render_sign_in(*, tokens: bool, single_sign_on: bool) -> str:
    """Return the page on which callers sign in: by a token, at Entra ID, or both."""
    shown = {"tokens": tokens, "single_sign_on": single_sign_on, "served": Served(), "signed_in": False}
    return environment().get_template("desk/sign_in.html").render(shown)
