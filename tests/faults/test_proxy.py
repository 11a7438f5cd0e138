"""The fault proxy itself: what a client sees, and which requests meet a fault."""

import http.client
import time
from contextlib import suppress

import pytest

from risk_assets.lake.store import AzureCredential, Store, open_store
from tests.azurite.server import HOST, Azurite
from tests.faults.proxy import Proxy, proxied


def ask(proxy: Proxy, path: str = "/devstoreaccount1/lake?restype=container") -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(HOST, proxy.port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        return response
    finally:
        connection.close()


def azurite_credential(azurite: Azurite) -> AzureCredential:
    return AzureCredential(azurite.account, azurite.endpoint, key=azurite.key)


def single_attempts(azurite: Azurite, proxy: Proxy) -> Store:
    return open_store("az://lake/proxy", AzureCredential(azurite.account, proxy.endpoint, key=azurite.key), 0)


def test_requests_are_forwarded_unchanged(azurite: Azurite) -> None:
    with proxied(azurite) as proxy:
        store = single_attempts(azurite, proxy)
        store.put("a b#%", b"\x00\xff" * 1000)
        assert store.get("a b#%") == b"\x00\xff" * 1000
        assert proxy.requests == [("PUT", "/devstoreaccount1/lake/proxy/a%20b%23%25"), ("GET", "/devstoreaccount1/lake/proxy/a%20b%23%25")]
        assert (proxy.count("PUT"), proxy.count("GET", "nothing"), proxy.faults) == (1, 0, 0)


def test_a_fault_meets_the_matching_requests_only(azurite: Azurite) -> None:
    with proxied(azurite) as proxy:
        proxy.fail(429, times=2, skip=1, method="GET", path="comp=x", headers={"Retry-After": "7"})
        answers = [ask(proxy, f"/devstoreaccount1?comp={comp}") for comp in "xyxxx"]
        assert [answer.status == 429 for answer in answers] == [False, False, True, True, False]
        assert answers[2].getheader("Retry-After") == "7"
        assert proxy.faults == 2


@pytest.mark.parametrize("fault", ["reset", "truncate", "lose_response"])
def test_a_broken_connection_is_seen_by_the_client(azurite: Azurite, fault: str) -> None:
    with proxied(azurite) as proxy:
        getattr(proxy, fault)()
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            ask(proxy)
        assert ask(proxy).status < 500


def test_a_lost_response_is_of_a_request_that_was_carried_out(azurite: Azurite) -> None:
    with proxied(azurite) as proxy:
        proxy.lose_response(method="PUT")
        assert single_attempts(azurite, proxy).create("lost", b"x") is True


def test_a_function_is_called_between_two_requests(azurite: Azurite) -> None:
    with proxied(azurite) as proxy:
        store = single_attempts(azurite, proxy)
        store.put("called", b"1")
        proxy.before(lambda: open_store("az://lake/proxy", azurite_credential(azurite)).put("called", b"2"), method="GET")
        assert store.get("called") == b"2"


def test_a_stall_ends_with_the_proxy(azurite: Azurite) -> None:
    with proxied(azurite) as proxy:
        proxy.stall()
        connection = http.client.HTTPConnection(HOST, proxy.port, timeout=0.2)
        connection.request("GET", "/devstoreaccount1")
        with pytest.raises(TimeoutError):
            connection.getresponse()
        connection.close()


def test_a_proxy_that_is_down_refuses_until_it_is_up(azurite: Azurite) -> None:
    with proxied(azurite) as proxy:
        proxy.down()
        with pytest.raises(ConnectionRefusedError):
            ask(proxy)
        proxy.up()
        assert ask(proxy).status < 500


def test_a_proxy_goes_down_at_a_request_and_comes_back(azurite: Azurite) -> None:
    with proxied(azurite) as proxy:
        proxy.go_down(0.2, path="comp=x")
        assert ask(proxy).status < 500
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            ask(proxy, "/devstoreaccount1?comp=x")
        assert until_up(proxy).status < 500


def until_up(proxy: Proxy) -> http.client.HTTPResponse:
    for _ in range(500):
        with suppress(ConnectionError):
            return ask(proxy)
        time.sleep(0.02)
    pytest.fail("the proxy did not come back")
