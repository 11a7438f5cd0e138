"""Answers the requests to the desk: who may ask, what is asked, and the answer or what is shown instead of it."""

import logging
from http import HTTPStatus

from starlette.responses import Response
from starlette.types import Receive, Scope

from risk_assets.pages import addresses
from risk_serving.auth.access import Access
from risk_serving.desk.forms import read_form
from risk_serving.desk.frames import Frames, filled
from risk_serving.desk.last_answers import LastAnswers
from risk_serving.desk.process import AnswerProcess, QuestionFailed, Unanswered
from risk_serving.desk.questions import Answer, NewestDate, Question, WorkListFile
from risk_serving.desk.responses import download, page, redirect
from risk_serving.desk.routes import NoPage, Unclear, address_to_return_to, disposition_of, question_of
from risk_serving.desk.sessions import LOCAL, Sessions, new_session
from risk_serving.desk.sign_in import OLD, SignIn, Visitor
from risk_serving.http.body import BodyReader
from risk_serving.http.caller_limits import CallerLimits
from risk_serving.settings import REVIEW, ServingSettings

RETRY_SECONDS = "5"
READ = ("GET", "HEAD")

logger = logging.getLogger(__name__)


class Site:
    """The desk of one service process."""

    def __init__(
        self, settings: ServingSettings, access: Access, limits: CallerLimits | None, bodies: BodyReader, process: AnswerProcess
    ) -> None:
        self._access, self._limits, self._bodies, self._process = access, limits, bodies, process
        self._calendar = settings.calendar
        self._sessions, self._frames, self._last = Sessions(settings), Frames.of(settings), LastAnswers()
        self._sign_in = SignIn(settings, access, self._sessions, self._frames, bodies)

    async def respond(self, scope: Scope, receive: Receive) -> Response:
        """Return the response to a request; raises `Denied` for a bearer token that is not valid, or `Problem`."""
        visitor = await self._visitor(scope)
        self._limit(scope, visitor)
        if scope["method"] not in (*READ, "POST"):
            response = self._message(
                visitor, "Not possible", ("The pages of the desk are read, and their forms are sent.",), HTTPStatus.METHOD_NOT_ALLOWED
            )
            response.headers["allow"] = "GET, HEAD, POST"
            return response
        response_of_sign_in = await self._sign_in.respond(scope, receive, visitor)
        if response_of_sign_in is not None:
            return response_of_sign_in
        if visitor.caller is None:
            return self._ask_to_sign_in(scope, visitor)
        scope["request_log"].caller = visitor.caller.name
        if scope["method"] in READ:
            return await self._read(scope, visitor)
        return await self._record(scope, receive, visitor)

    async def _visitor(self, scope: Scope) -> Visitor:
        """Return who sends a request; a local caller needs a session only for the tokens of forms."""
        has_bearer = any(name == b"authorization" for name, _ in scope["headers"])
        if has_bearer and not self._access.localhost_only:
            return Visitor(await self._access.admit(scope, REVIEW), None)
        session = self._sessions.find(scope)
        if not self._access.localhost_only:
            return Visitor(self._sessions.caller(session), session)
        caller = await self._access.admit(scope, REVIEW)
        return Visitor(caller, session or new_session(LOCAL), is_new=session is None)

    def _limit(self, scope: Scope, visitor: Visitor) -> None:
        """Count the request; raises `Problem` (429) if there are too many of the caller."""
        if self._limits is None:
            return
        if visitor.caller is None:
            self._limits.admit_address(scope)
        else:
            self._limits.admit_name(visitor.caller.name)

    def _ask_to_sign_in(self, scope: Scope, visitor: Visitor) -> Response:
        if scope["method"] not in READ:
            return self._message(
                visitor, "Your session has ended", ("Nothing was recorded. Sign in again, and send the form again.",), HTTPStatus.FORBIDDEN
            )
        return redirect(addresses.sign_in(address_to_return_to(scope["path"], scope["query_string"].decode("latin-1"))))

    async def _read(self, scope: Scope, visitor: Visitor) -> Response:
        try:
            question = question_of(scope["path"], scope["query_string"].decode("latin-1"))
        except NoPage:
            return self._message(visitor, "No page", ("The desk has no page with this address.",), HTTPStatus.NOT_FOUND)
        except Unclear as unclear:
            return self._message(visitor, "Something is missing", (str(unclear),), HTTPStatus.UNPROCESSABLE_ENTITY)
        if isinstance(question, str):
            return redirect(question)
        try:
            answer = await self._process.ask(question)
        except Unanswered as unanswered:
            return self._instead(scope, question, visitor, unanswered)
        except QuestionFailed as failed:
            return self._failed(scope, question, visitor, failed)
        if answer.status == HTTPStatus.OK or isinstance(question, NewestDate):
            self._last.keep(question, answer)
        return self._response(scope, answer, visitor)

    async def _record(self, scope: Scope, receive: Receive, visitor: Visitor) -> Response:
        if scope["path"] != addresses.DISPOSITIONS:
            return self._message(visitor, "No page", ("Forms are not sent to this address.",), HTTPStatus.NOT_FOUND)
        form = await read_form(scope, receive, self._bodies)
        if not self._sign_in.is_own_form(scope, visitor.session, form):
            return self._message(visitor, "Nothing was recorded", (OLD,), HTTPStatus.FORBIDDEN)
        assert visitor.caller is not None
        try:
            question = disposition_of(form, visitor.caller.name)
        except Unclear as unclear:
            return self._message(visitor, "Nothing was recorded", (str(unclear),), HTTPStatus.UNPROCESSABLE_ENTITY)
        try:
            return self._response(scope, await self._process.ask(question), visitor)
        except Unanswered as unanswered:
            texts = (unanswered.text, "It may not have been recorded. Go back and send the form again: it is recorded once.")
            return self._unavailable(visitor, "Not recorded", texts)
        except QuestionFailed as failed:
            return self._failed(scope, question, visitor, failed)

    def _response(self, scope: Scope, answer: Answer, visitor: Visitor, notice: str = "") -> Response:
        """Return an answer with its places filled in for the caller."""
        cookies = (self._sessions.cookie_of(visitor.session, scope),) if visitor.session and visitor.is_new else ()
        if answer.location is not None:
            return redirect(answer.location, cookies)
        if answer.file_name is not None:
            return download(answer.content, answer.media_type, answer.file_name, cookies)
        return page(filled(answer.content, self._sign_in.filling(visitor), notice), answer.status, cookies)

    def _instead(self, scope: Scope, question: Question, visitor: Visitor, unanswered: Unanswered) -> Response:
        """Return the last good answer with its age, or a page that says why there is none; a file could not say its age."""
        scope["request_log"].problem = "desk-unanswered"
        last = None if isinstance(question, WorkListFile) else self._last.find(question)
        if last is None:
            return self._unavailable(visitor, "The page cannot be shown", (unanswered.text,))
        notice = f"{unanswered.text} Until then this is the page of {last.age(self._calendar)}."
        return self._response(scope, last.answer, visitor, notice)

    def _failed(self, scope: Scope, question: Question, visitor: Visitor, failed: QuestionFailed) -> Response:
        """Log an unexpected error of an answer, and return a page with the id under which the log has it."""
        log = scope["request_log"]
        log.problem = "internal-error"
        logger.error("request %s failed in a %s: %s", log.request_id, type(question).__name__, failed)
        text = f"An unexpected error occurred. The service's log has the details under {log.request_id}."
        return self._message(visitor, "The page failed", (text,), HTTPStatus.INTERNAL_SERVER_ERROR)

    def _unavailable(self, visitor: Visitor, title: str, texts: tuple[str, ...]) -> Response:
        response = self._message(visitor, title, texts, HTTPStatus.SERVICE_UNAVAILABLE)
        response.headers["retry-after"] = RETRY_SECONDS
        return response

    def _message(self, visitor: Visitor, title: str, texts: tuple[str, ...], status: HTTPStatus) -> Response:
        return page(self._frames.message_of(title, texts, self._sign_in.filling(visitor)), status)
