"""Blobs that are written as blocks, with the Azure SDK: obstore does not give access to the blocks of a blob."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import log2
from typing import TYPE_CHECKING, Any

from risk_assets.lake.azure_blobs import CONNECT_SECONDS, stall_seconds
from risk_assets.lake.store import Store

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient, ContainerClient


def container_of(store: Store) -> "ContainerClient":
    """Return a client for the container of a store on Azure, to be closed. Sends no request."""
    from azure.core.credentials import AzureSasCredential
    from azure.storage.blob import ContainerClient, ExponentialRetry

    credential = store.credential
    assert credential is not None
    how: Any = credential.provider
    if credential.key:
        how = {"account_name": credential.account, "account_key": credential.key}
    elif credential.sas:
        how = AzureSasCredential(credential.sas.lstrip("?"))
    account = credential.endpoint or f"https://{credential.account}.blob.core.windows.net"
    retries = ExponentialRetry(initial_backoff=1, increment_base=2, retry_total=_retries(store.retry_seconds))
    stall = stall_seconds(store.retry_seconds)
    limits: dict[str, Any] = {"retry_policy": retries, "connection_timeout": min(stall, CONNECT_SECONDS), "read_timeout": stall}
    return ContainerClient(account, store.url.removeprefix("az://").partition("/")[0], credential=how, **limits)


@contextmanager
def open_blob(store: Store, path: str) -> Iterator["BlobClient"]:
    """Yield a client for an object of a store on Azure."""
    with container_of(store) as container:
        yield container.get_blob_client(blob_name(store, path))


def blob_name(store: Store, path: str) -> str:
    """Return the name of the blob of an object."""
    return store.uri(path).removeprefix("az://").partition("/")[2]


def if_version(version: str | None) -> dict[str, Any]:
    """Return the condition that a blob still has an ETag; without one, that it does not exist."""
    from azure.core import MatchConditions

    if version is None:
        return {"match_condition": MatchConditions.IfMissing}
    return {"etag": version, "match_condition": MatchConditions.IfNotModified}


def error_code(error: Exception) -> str | None:
    """Return the storage service's own code of an error."""
    return getattr(error, "error_code", None)


def lower_names(response: Any) -> Mapping[str, str]:
    """Return the headers of a response, with names in lower case."""
    return {name.lower(): value for name, value in response.http_response.headers.items()}


def _retries(seconds: float) -> int:
    """Return how many retries, after pauses of 1, 2, 4 s and so on, fit into a budget."""
    return int(log2(seconds + 1))
