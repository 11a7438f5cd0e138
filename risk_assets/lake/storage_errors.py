"""What storage errors mean: a problem and a next step for each error of the disk, of Azure and of the network."""

import errno
import os
import re
from dataclasses import dataclass
from pathlib import Path

from risk_assets.errors import LakeError
from risk_assets.lake.addresses import Blobs, parse_address

_OS_ERROR = re.compile(r"\(os error (\d+)\)")
_STATUS = re.compile(r"non-2xx status code: (\d{3}[A-Za-z ]*)")
_CODE = re.compile(r"<Code>(\w+)</Code>")

_DENIED = "access denied"
_RUN_AGAIN = "then run again"
_CHECK_ACCOUNT = "check the AZURE_STORAGE_ settings (key, SAS and its expiry, role)"


@dataclass(frozen=True)
class _Problem:
    """A storage error: the texts or the numbers that identify it, what it is, the next step, and whether a repeat may succeed."""

    signs: tuple[str, ...]
    what: str
    step: str
    numbers: tuple[int, ...] = ()
    may_recover: bool = False


_MISSING_CONTAINER = _Problem(
    ("ContainerNotFound", "specified container does not exist"),
    "the container {container} does not exist",
    "create it (az storage container create --name {container}), or correct RISK_LAKE or RISK_LANDING",
)
_INVALID_SAS = _Problem(
    ("Signature not valid in the specified time frame",),
    "access denied: the SAS has expired or is not valid yet",
    f"create another one and set AZURE_STORAGE_SAS_TOKEN or AZURE_STORAGE_CONNECTION_STRING, {_RUN_AGAIN}",
)
# The first problem that matches is reported, so that a cause comes before its consequences.
_PROBLEMS = (
    _MISSING_CONTAINER,
    _Problem(
        ("RequestTimeTooSkewed", "Request date header too old", "Date header in the request is incorrect"),
        "the clock of this machine is wrong",
        f"synchronize it (timedatectl set-ntp true), {_RUN_AGAIN}",
    ),
    _INVALID_SAS,
    _Problem(
        ("AuthorizationPermissionMismatch", "AuthorizationServiceMismatch", "AuthorizationResourceTypeMismatch"),
        "access denied: the identity or the SAS lacks a permission",
        "assign it the role Storage Blob Data Contributor, or create a SAS with read, write, delete, list, add and create",
    ),
    _Problem(
        ("KeyBasedAuthenticationNotPermitted",),
        "access denied: the account does not accept keys",
        "unset AZURE_STORAGE_ACCOUNT_KEY to use the default credential (managed identity, az login)",
    ),
    _Problem(
        ("DefaultAzureCredential failed", "CredentialUnavailableError", "ClientAuthenticationError"),
        "access denied: sign-in to Azure failed",
        "sign in (az login, or a managed identity), or set AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN",
    ),
    _Problem(
        ("AuthorizationFailure",),
        "access denied: the account rejects the SAS, or this network",
        f"{_CHECK_ACCOUNT} and the account's firewall",
    ),
    _Problem(
        ("403 Forbidden", "401 Unauthorized", "AuthenticationFailed", "InvalidAuthenticationInfo", "NoAuthenticationInformation"),
        "access denied",
        _CHECK_ACCOUNT,
    ),
    _Problem(
        ("412 Precondition Failed", "ConditionNotMet"),
        "the object changed while it was read",
        "run again when nothing writes it any more",
    ),
    _Problem(
        ("LeaseIdMissing", "BlobImmutableDueToPolicy", "UnauthorizedBlobOverwrite"),
        "the object is protected by a lease, a retention policy or the permissions of the SAS",
        "remove the protection, or set RISK_LAKE or RISK_LANDING to another container",
    ),
    _Problem(
        ("InvalidCertificate", "UnknownIssuer", "invalid peer certificate", "certificate verify failed", "InvalidContentType"),
        "storage cannot be reached: the TLS handshake failed",
        "check the endpoint (http or https) and the server's certificate: its name, its dates, and that its issuer is installed",
    ),
    _Problem(
        ("dns error", "failed to lookup address", "Name or service not known"),
        "storage cannot be reached: the name of its host is not known",
        f"check the account's name in the AZURE_STORAGE_ settings, and the network's DNS, {_RUN_AGAIN}",
        may_recover=True,
    ),
    _Problem(
        ("429 Too Many Requests", "503 Service Unavailable", "ServerBusy", "TooManyRequests"),
        "storage is busy and rejects requests (throttling)",
        f"wait, or raise RISK_STORAGE_RETRY_SECONDS, {_RUN_AGAIN}",
        may_recover=True,
    ),
    _Problem(
        ("500 Internal", "502 Bad Gateway", "504 Gateway", "InternalError", "OperationTimedOut", "408 Request Timeout"),
        "storage has an internal error",
        f"wait, see https://status.azure.com, {_RUN_AGAIN}",
        may_recover=True,
    ),
    _Problem(
        ("Connection refused",),
        "storage cannot be reached: the connection is refused",
        f"check that it is running, the network and the AZURE_STORAGE_ settings, {_RUN_AGAIN}",
        (errno.ECONNREFUSED,),
        may_recover=True,
    ),
    _Problem(
        ("TimedOut", "timed out", "kind: Timeout", "deadline has elapsed"),
        "storage cannot be reached: it did not respond in time",
        f"check the network and the AZURE_STORAGE_ settings, or raise RISK_STORAGE_RETRY_SECONDS, {_RUN_AGAIN}",
        (errno.ETIMEDOUT,),
        may_recover=True,
    ),
    _Problem(
        ("error sending request", "request or response body error", "Connection reset", "kind: Interrupted", "ConnectError", "HTTP error:"),
        "storage cannot be reached: the connection broke",
        f"check that it is running, the network and the AZURE_STORAGE_ settings, {_RUN_AGAIN}",
        (errno.ECONNRESET, errno.EPIPE, errno.EHOSTUNREACH, errno.ENETUNREACH),
        may_recover=True,
    ),
    _Problem((), "the disk is full", f"free some space, {_RUN_AGAIN}", (errno.ENOSPC,)),
    _Problem((), "the disk quota is used up", f"free some space or raise the quota, {_RUN_AGAIN}", (errno.EDQUOT,)),
    _Problem((), "the file is larger than this process may write", f"raise the limit (ulimit -f), {_RUN_AGAIN}", (errno.EFBIG,)),
    _Problem(
        (),
        "the file system is read-only",
        "mount it for writing (after an error, Linux mounts a disk read-only: see dmesg), or set RISK_LAKE or RISK_LANDING to "
        "another folder",
        (errno.EROFS,),
    ),
    _Problem(
        (),
        "access denied: user {user} lacks a permission for {folder}",
        "change the owner or the permissions of the folder (chown, chmod), or set RISK_LAKE or RISK_LANDING to another folder",
        (errno.EACCES, errno.EPERM),
    ),
    _Problem(
        (),
        "a folder is on another file system than the lake or the landing folder that it is in",
        "move the complete folder to one file system, or set RISK_LAKE or RISK_LANDING to a folder on that one",
        (errno.EXDEV,),
    ),
    _Problem((), "a pipe or a device is where a file is expected", "replace it with a file", (errno.ENXIO,)),
    _Problem((), "too many files are open", f"raise the limit (ulimit -n), {_RUN_AGAIN}", (errno.EMFILE, errno.ENFILE)),
    _Problem((), "the disk has a hardware or network error", f"see dmesg, check the disk, {_RUN_AGAIN}", (errno.EIO, errno.ESTALE)),
    _Problem(
        (),
        "a file is where a folder is expected",
        "move the file away, or set RISK_LAKE or RISK_LANDING to another folder",
        (errno.EEXIST, errno.ENOTDIR),
    ),
    _Problem(
        (),
        "the path is too long or not valid",
        "use a shorter path for RISK_LAKE or RISK_LANDING",
        (errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP),
    ),
)


def storage_error(error: BaseException, url: str, path: str, sas_is_valid: bool = True) -> LakeError:
    """Return the error for the user: what, where and the next step. It contains neither data nor secrets.

    Azure does not always report why it denies access, so it helps to know that the SAS has expired.
    """
    problem = _find(error)
    if problem and problem.what.startswith(_DENIED) and not sas_is_valid:
        problem = _INVALID_SAS
    if problem is None:
        return LakeError(
            f"storage failed with {_name(error)} (at {url}, {path}): run again. If it fails again, check the storage account or the disk."
        )
    return LakeError(f"{_text(problem, error, url)} (at {url}, {path}): {_step(problem, url)}.")


def explain(error: BaseException, what: str) -> str | None:
    """Return the message for an error of a library that reads and writes storage itself; None if storage is not its cause."""
    problem = _find(error)
    return f"{_text(problem, error, '')} ({what}): {_step(problem, '')}." if problem else None


def is_missing_container(error: BaseException) -> bool:
    """Return whether not only an object is missing but its container."""
    return _find(error) is _MISSING_CONTAINER


def may_recover(error: BaseException) -> bool:
    """Return whether the same request may succeed a little later."""
    problem = _find(error)
    return problem is not None and problem.may_recover


def _find(error: BaseException) -> _Problem | None:
    text, number = str(error), _number(error)
    by_number = next((problem for problem in _PROBLEMS if number in problem.numbers), None)
    return by_number or next((problem for problem in _PROBLEMS if any(sign in text for sign in problem.signs)), None)


def _number(error: BaseException) -> int | None:
    """Return the number of an error of the operating system, from the error or from its text."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = _OS_ERROR.search(str(error))
    return int(found[1]) if found else None


def _text(problem: _Problem, error: BaseException, url: str) -> str:
    file = isinstance(error, OSError) and (error.filename2 or error.filename)
    return problem.what.format(container=_container(url), folder=Path(str(file)).parent if file else "the folder", user=_user())


def _step(problem: _Problem, url: str) -> str:
    return problem.step.format(container=_container(url))


def _container(url: str) -> str:
    address = parse_address(url) if url else None
    return address.container if isinstance(address, Blobs) else ""


def _name(error: BaseException) -> str:
    """Return what identifies an unknown error: Azure's code, the status, the system's message, or the error's kind."""
    text = str(error)
    found = _CODE.search(text) or _STATUS.search(text)
    if found:
        return found[1].strip()
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__


def _user() -> str:
    return str(os.geteuid()) if hasattr(os, "geteuid") else "this"
