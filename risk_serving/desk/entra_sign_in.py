"""Signs people in at Entra ID: the authorization code flow with PKCE, and state and nonce in a signed cookie that lasts some minutes."""

import base64
import hashlib
import hmac
import logging
import secrets
from dataclasses import dataclass
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import msgspec
from starlette.responses import Response
from starlette.types import Scope

from risk_assets.pages import addresses
from risk_serving.auth.access import Access
from risk_serving.auth.bearer import Denied
from risk_serving.desk.forms import fields_of
from risk_serving.desk.responses import redirect
from risk_serving.desk.routes import safe_address
from risk_serving.desk.sessions import FLOW, Session, Sessions, cookie
from risk_serving.settings import REVIEW, SignIn
from risk_serving.worker import Worker

FLOW_SECONDS = 600
TOKEN_SECONDS = 10.0
MAX_ANSWER_BYTES = 256 * 1024
AGAIN = "The sign-in at Entra ID was not finished. Begin it again."
UNREACHABLE = "Entra ID does not answer. Try again in a moment, or sign in with a token."
NO_ROLE = "Your account does not have the app role review. Ask the owner of the application to assign it."

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finished:
    """The end of a sign-in: the session, or what was wrong; the address to go to; the header that removes the cookie of the flow."""

    following: str
    cookie: bytes
    session: Session | None = None
    wrong: str = ""


class _Tokens(msgspec.Struct, frozen=True):
    id_token: str


class EntraSignIn:
    """The sign-in at Entra ID."""

    def __init__(self, settings: SignIn, access: Access, sessions: Sessions) -> None:
        self._settings, self._access, self._sessions = settings, access, sessions
        self._worker = Worker("sign-in")

    def begin(self, scope: Scope, following: str) -> Response:
        """Return the way to Entra ID, with a cookie that only this browser has."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "client_id": self._settings.client_id,
            "response_type": "code",
            "response_mode": "query",
            "redirect_uri": self._settings.redirect_url,
            "scope": "openid profile",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        claims = {"state": state, "nonce": nonce, "verifier": verifier, "next": following}
        kept = self._cookie(scope, self._sessions.signed(FLOW, claims, FLOW_SECONDS), FLOW_SECONDS)
        return redirect(f"{self._settings.authorize_url}?{urlencode(query)}", cookies=(kept,))

    async def finish(self, scope: Scope) -> Finished:
        """Return the session of the person who comes back from Entra ID, or what was wrong."""
        claims = self._sessions.unsigned(FLOW, cookie(scope, self._name(scope)))
        removed = self._cookie(scope, "", 0)
        try:
            fields = fields_of(scope["query_string"].decode("latin-1"))
        except ValueError:
            fields = {}
        code, state = fields.get("code"), fields.get("state", "")
        if claims is None or not code or not hmac.compare_digest(state.encode(), str(claims["state"]).encode()):
            return Finished(addresses.ROOT, removed, wrong=AGAIN)
        following = safe_address(str(claims["next"]))
        try:
            id_token = await self._worker.run(self._redeem, code, str(claims["verifier"]))
        except (OSError, HTTPException, msgspec.MsgspecError) as error:
            logger.warning("Entra ID has not issued an ID token: %s", _described(error))
            return Finished(following, removed, wrong=UNREACHABLE)
        try:
            person = await self._access.find_person(id_token, str(claims["nonce"]))
        except Denied as denied:
            return Finished(following, removed, wrong=f"{denied.detail} {AGAIN}")
        if REVIEW not in person.roles:
            return Finished(following, removed, wrong=NO_ROLE)
        return Finished(following, removed, self._sessions.entra_session(person.name))

    def _redeem(self, code: str, verifier: str) -> str:
        """Return the ID token for a code; called in the worker's thread."""
        form = {
            "grant_type": "authorization_code",
            "client_id": self._settings.client_id,
            "client_secret": self._settings.client_secret.get_secret_value(),
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": self._settings.redirect_url,
        }
        request = Request(self._settings.token_url, urlencode(form).encode(), {"accept": "application/json"})  # noqa: S310 - https, or this machine
        with urlopen(request, timeout=TOKEN_SECONDS) as response:  # noqa: S310 - the settings accept only https, and http on this machine
            return msgspec.json.decode(response.read(MAX_ANSWER_BYTES), type=_Tokens).id_token

    def _cookie(self, scope: Scope, value: str, seconds: int) -> bytes:
        return self._sessions.set_cookie(scope, self._name(scope), value, addresses.SIGN_IN, seconds)

    def _name(self, scope: Scope) -> str:
        return f"{'__Secure-' if self._sessions.is_secure(scope) else ''}risk-desk-sign-in"


def _described(error: Exception) -> str:
    """Return an error without what Entra ID has written: its status, or its type."""
    if isinstance(error, HTTPError):
        error.close()
        return f"status {error.code}"
    return type(error).__name__
