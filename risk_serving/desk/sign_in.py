"""Signs callers in to the desk by a token, and out."""

from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.types import Receive, Scope

from risk_assets.domain.wording import counted
from risk_assets.pages import addresses
from risk_serving.auth.access import Access
from risk_serving.auth.bearer import MAX_TOKEN_BYTES, Caller
from risk_serving.desk.forms import fields_of, is_same_site, read_form
from risk_serving.desk.frames import FORM_TOKEN, Filling, Frames
from risk_serving.desk.responses import page, redirect
from risk_serving.desk.routes import safe_address
from risk_serving.desk.sessions import Session, Sessions, new_session, proof_of_token
from risk_serving.http.body import BodyReader
from risk_serving.http.caller_limits import CallerLimits
from risk_serving.http.problems import Problem
from risk_serving.settings import REVIEW, ServingSettings

if TYPE_CHECKING:
    from risk_serving.desk.entra_sign_in import EntraSignIn

TRIES_PER_SECOND, TRIES_AT_ONCE = 0.5, 30  # of each address; forms of other sites do not count
WRONG = "This token does not open the desk. Check it, or ask an operator for one with the role review."
OLD = "The form was too old. Send it again."


@dataclass(frozen=True)
class Visitor:
    """Who sends a request: the caller, None before the sign-in, and the session, None for a caller with a bearer token.

    `is_new` tells whether the browser does not have the cookie of the session yet.
    """

    caller: Caller | None
    session: Session | None
    is_new: bool = False


class SignIn:
    """Answers `/desk/sign-in` and `/desk/sign-out`."""

    def __init__(self, settings: ServingSettings, access: Access, sessions: Sessions, frames: Frames, bodies: BodyReader) -> None:
        self._access, self._sessions, self._frames, self._bodies = access, sessions, frames, bodies
        self._desk_url = settings.serve_desk_url
        self._limits = CallerLimits(TRIES_PER_SECOND, TRIES_AT_ONCE)
        self._entra = _entra_sign_in(settings, access, sessions)

    async def respond(self, scope: Scope, receive: Receive, visitor: Visitor) -> Response | None:
        """Return the response to a request about signing in or out; None if it is about something else."""
        match scope["method"], scope["path"]:
            case "GET" | "HEAD", addresses.SIGN_IN:
                return self._show(scope, visitor)
            case "POST", addresses.SIGN_IN:
                return await self._sign_in(scope, receive, visitor)
            case "POST", addresses.SIGN_OUT:
                return await self._sign_out(scope, receive, visitor)
            case "GET", addresses.SIGN_IN_ENTRA if self._entra is not None:
                return self._entra.begin(scope, _following(scope))
            case "GET", addresses.SIGN_IN_CALLBACK if self._entra is not None:
                return await self._finish_entra(self._entra, scope, visitor)
            case _:
                return None

    def _show(self, scope: Scope, visitor: Visitor) -> Response:
        following = _following(scope)
        return redirect(following) if visitor.caller else self._page(scope, visitor, following)

    def _page(self, scope: Scope, visitor: Visitor, following: str, status: int = HTTPStatus.OK, wrong: str = "") -> Response:
        session = visitor.session or new_session()
        content = self._frames.sign_in_of(
            self._sessions.form_token(session), following, addresses.sign_in(following, addresses.SIGN_IN_ENTRA), wrong
        )
        return page(content, status, cookies=(self._sessions.cookie_of(session, scope),))

    async def _sign_in(self, scope: Scope, receive: Receive, visitor: Visitor) -> Response:
        """Return the way to the desk with a new session, or the page with what was wrong: the same text for each wrong token."""
        form = await read_form(scope, receive, self._bodies)
        following = safe_address(form.get("next", ""))
        if not self.is_own_form(scope, visitor.session, form):
            return self._refused(scope, visitor, following, OLD)
        try:
            self._limits.admit_address(scope)
        except Problem as problem:
            return self._too_many(scope, visitor, following, dict(problem.headers)[b"retry-after"].decode())
        token = form.get("token", "").strip().encode()[:MAX_TOKEN_BYTES]
        caller = self._access.find_named(token)
        if caller is None or REVIEW not in caller.roles:
            return self._refused(scope, visitor, following, WRONG)
        scope["request_log"].caller = caller.name
        session = new_session(caller.name, proof_of_token(sha256(token).digest()))
        return redirect(following, cookies=(self._sessions.cookie_of(session, scope),))

    def _refused(self, scope: Scope, visitor: Visitor, following: str, wrong: str, status: int = HTTPStatus.FORBIDDEN) -> Response:
        scope["request_log"].problem = "sign-in-refused"
        return self._page(scope, visitor, following, status, wrong)

    def _too_many(self, scope: Scope, visitor: Visitor, following: str, seconds: str) -> Response:
        wrong = f"Too many attempts. Try again in {counted(int(seconds), 'second')}."
        response = self._refused(scope, visitor, following, wrong, HTTPStatus.TOO_MANY_REQUESTS)
        response.headers["retry-after"] = seconds
        return response

    async def _sign_out(self, scope: Scope, receive: Receive, visitor: Visitor) -> Response:
        form = await read_form(scope, receive, self._bodies)
        if not self.is_own_form(scope, visitor.session, form):
            return page(self._frames.message_of("Not signed out", (OLD,), self.filling(visitor)), HTTPStatus.FORBIDDEN)
        return redirect(addresses.SIGN_IN, cookies=(self._sessions.end(scope),))

    async def _finish_entra(self, entra: "EntraSignIn", scope: Scope, visitor: Visitor) -> Response:
        finished = await entra.finish(scope)
        if finished.session is None:
            return self._refused(scope, visitor, finished.following, finished.wrong)
        scope["request_log"].caller = finished.session.name
        return redirect(finished.following, cookies=(self._sessions.cookie_of(finished.session, scope), finished.cookie))

    def filling(self, visitor: Visitor) -> Filling:
        """Return what is filled in on pages for a visitor."""
        name = visitor.caller.name if visitor.caller else ""
        token = self._sessions.form_token(visitor.session) if visitor.session else ""
        return Filling(name, token, signs_out=bool(name) and visitor.session is not None and not self._access.localhost_only)

    def is_own_form(self, scope: Scope, session: Session | None, form: dict[str, str]) -> bool:
        """Return whether a form was sent from a page of the session."""
        known = session is not None and self._sessions.has_form_token(session, form.get(FORM_TOKEN, ""))
        return known and is_same_site(scope, self._desk_url)


def _following(scope: Scope) -> str:
    """Return the address of the desk to go to after the sign-in."""
    try:
        return safe_address(fields_of(scope["query_string"].decode("latin-1")).get("next", ""))
    except ValueError:
        return addresses.ROOT


def _entra_sign_in(settings: ServingSettings, access: Access, sessions: Sessions) -> "EntraSignIn | None":
    if settings.sign_in is None:
        return None
    from risk_serving.desk.entra_sign_in import EntraSignIn

    return EntraSignIn(settings.sign_in, access, sessions)
