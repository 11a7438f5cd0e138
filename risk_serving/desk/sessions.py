"""Sessions of the desk: signed cookies that name the caller, and tokens that prove that a form is from a page of the session.

A session is not stored: the cookie has it, signed with HS256. It has a proof of what admitted the caller, so that it ends when the token is
removed from the settings or loses the role, or when the settings of Entra ID change.
"""

import hashlib
import hmac
import secrets
import time
from typing import Any

import jwt
import msgspec
from starlette.requests import cookie_parser
from starlette.types import Scope

from risk_serving.auth.bearer import Caller
from risk_serving.settings import DESK_PATH, REVIEW, ServingSettings

ALGORITHM = "HS256"
SESSION, FLOW = "session", "sign-in"  # kinds of signed texts
LOCAL = "local"
PROOF_DIGITS = 16
HOUR_SECONDS = 3600


class Session(msgspec.Struct, frozen=True):
    """A browser's session.

    Attributes
    ----------
    id
        Random; form tokens are made from it.
    name
        The caller; empty before the sign-in.
    proof
        What admitted the caller.
    """

    id: str
    name: str = ""
    proof: str = ""


def new_session(name: str = "", proof: str = "") -> Session:
    """Return a session with an id of its own."""
    return Session(secrets.token_urlsafe(18), name, proof)


class Sessions:
    """Reads and writes the cookies of sessions."""

    def __init__(self, settings: ServingSettings) -> None:
        key = settings.serve_session_key
        self._key = hashlib.sha256(key.get_secret_value().encode() if key else secrets.token_bytes(32)).digest()
        self._seconds = int(settings.serve_session_hours * HOUR_SECONDS)
        self._proofs = {proof_of_token(token.sha256): token.name for token in settings.tokens if REVIEW in token.roles}
        self._entra_proof = proof_of_entra(settings)
        self._https = (settings.serve_desk_url or "").startswith("https:")

    def find(self, scope: Scope) -> Session | None:
        """Return the session of a request, or None if it has none that is valid."""
        claims = self.unsigned(SESSION, cookie(scope, self._name(scope)))
        return None if claims is None else Session(str(claims["sid"]), str(claims["sub"]), str(claims["proof"]))

    def caller(self, session: Session | None) -> Caller | None:
        """Return the caller of a session; None before the sign-in, or if what admitted the caller has been removed."""
        if session is None or not session.name:
            return None
        named = self._proofs.get(session.proof) == session.name
        if named or (self._entra_proof is not None and session.proof == self._entra_proof):
            return Caller(session.name, frozenset({REVIEW}))
        return None

    def entra_session(self, name: str) -> Session:
        """Return a new session of a person who has signed in at Entra ID."""
        return new_session(name, self._entra_proof or "")

    def cookie_of(self, session: Session, scope: Scope) -> bytes:
        """Return the value of the header that sets the cookie of a session."""
        claims = {"sid": session.id, "sub": session.name, "proof": session.proof}
        return self.set_cookie(scope, self._name(scope), self.signed(SESSION, claims, self._seconds), DESK_PATH, self._seconds)

    def end(self, scope: Scope) -> bytes:
        """Return the value of the header that removes the cookie."""
        return self.set_cookie(scope, self._name(scope), "", DESK_PATH, 0)

    def form_token(self, session: Session) -> str:
        """Return the token of the forms of a session."""
        return hmac.new(self._key, f"form {session.id}".encode(), hashlib.sha256).hexdigest()

    def has_form_token(self, session: Session, sent: str) -> bool:
        """Return whether a form has the token of a session."""
        return hmac.compare_digest(self.form_token(session).encode(), sent.encode())

    def signed(self, kind: str, claims: dict[str, str], seconds: int) -> str:
        """Return claims as a signed text of a kind, which is valid for some seconds."""
        now = int(time.time())
        return jwt.encode({**claims, "aud": kind, "iat": now, "exp": now + seconds}, self._key, ALGORITHM)

    def unsigned(self, kind: str, text: str) -> dict[str, Any] | None:
        """Return the claims of a signed text; None if it is not of the kind, was changed or has expired."""
        try:
            return jwt.decode(text, self._key, algorithms=[ALGORITHM], audience=kind, options={"require": ["exp", "iat"]})
        except jwt.PyJWTError:
            return None

    def set_cookie(self, scope: Scope, name: str, value: str, path: str, seconds: int) -> bytes:
        """Return the value of a header that sets a cookie for some seconds, or removes it if they are 0."""
        secure = "; Secure" if self.is_secure(scope) else ""
        return f"{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}".encode("latin-1")

    def is_secure(self, scope: Scope) -> bool:
        """Return whether the browser uses https, also if a proxy ends it."""
        return self._https or scope["scheme"] == "https"

    def _name(self, scope: Scope) -> str:
        return f"{'__Secure-' if self.is_secure(scope) else ''}risk-desk"


def proof_of_token(digest: bytes) -> str:
    """Return the proof of a named token, from its SHA-256; the token's digest cannot be told from it."""
    return hashlib.sha256(b"desk token " + digest).hexdigest()[:PROOF_DIGITS]


def proof_of_entra(settings: ServingSettings) -> str | None:
    """Return the proof of a sign-in at Entra ID, or None if nobody can sign in there."""
    entra = settings.entra
    if entra is None or settings.sign_in is None:
        return None
    return hashlib.sha256(f"desk entra {entra.issuer} {entra.audience}".encode()).hexdigest()[:PROOF_DIGITS]


def cookie(scope: Scope, name: str) -> str:
    """Return the value of a cookie of a request; empty if it is not sent."""
    sent = (cookie_parser(value.decode("latin-1")) for header, value in scope["headers"] if header == b"cookie")
    return next((found[name] for found in sent if name in found), "")
