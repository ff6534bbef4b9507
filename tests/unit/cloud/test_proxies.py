"""The proxy of the environment is the one that the package requests would use."""

from __future__ import annotations

from collections.abc import Mapping
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy

from deployer.cloud.exchange import UnfitRequest
from deployer.cloud.hosts import prepared
from deployer.cloud.proxies import proxy_headers, proxy_of

HOSTS = ["dli.example.com", "example.com", "10.1.2.3", "192.168.0.1", "[fd00::1]", "a-b.c"]
EXEMPT = st.sampled_from(
    [
        *(
            "example.com",
            ".example.com",
            "ample.com",
            "dli.example.com:8443",
            "example.com:443",
            "*",
            " ",
            "com",
        ),
        *(
            "10.0.0.0/8",
            "10.1.2.3",
            "10.1.2.3:8443",
            "10.1.2.0/24",
            "192.168.0.0/33",
            "10.0.0.0/0",
            "0/8",
            "/",
        ),
        *("192.168.0.1/32", "10.0.0.0/255.0.0.0", "fd00::1", "[fd00::1]", "-b.c", "c", "..c"),
    ]
)
PROXY = st.sampled_from(["", "http://one:3128", "https://two", "http://ann:pw@three:80"])
NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
ENVIRONMENTS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(NAMES[:3], PROXY),
        **{name.upper(): PROXY for name in NAMES[:3]},
        "no_proxy": st.lists(EXEMPT, max_size=3).map(",".join),
        "NO_PROXY": st.lists(EXEMPT, max_size=3).map(", ".join),
    },
)


@settings(deadline=None, max_examples=400)
@given(
    ENVIRONMENTS, st.sampled_from(["http", "https"]), st.sampled_from(HOSTS), st.sampled_from(["", ":8443"])
)
@example({"https_proxy": "http://one:3128", "NO_PROXY": "10.0.0.0/8"}, "https", "10.1.2.3", ":8443")
def test_the_proxy_of_an_address(environment: Mapping[str, str], scheme: str, host: str, port: str) -> None:
    url = f"{scheme}://{host}{port}/v1"
    if not port and "example.com:443" in str(environment):
        return  # which for us is an entry for the default port too
    with mock.patch.dict("os.environ", environment, clear=True):
        assert proxy_of(prepared(url).address) == (select_proxy(url, get_environ_proxies(url)) or "")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1", "https://localhost:8443", "https://[::1]", "http://127.0.0.2"]
)
def test_this_machine_has_none(url: str) -> None:
    with mock.patch.dict("os.environ", {"all_proxy": "http://one:3128"}, clear=True):
        assert proxy_of(prepared(url).address) == ""


def test_a_proxy_needs_no_scheme() -> None:
    with mock.patch.dict("os.environ", {"https_proxy": "one:3128"}, clear=True):
        assert proxy_of(prepared("https://dli.example.com").address) == "http://one:3128"


@pytest.mark.parametrize("user", ["", "ann@", "ann:pw@", "ann:p%40%3ass@", "%C3%BC:pw@", ":pw@", "a:b:c@"])
def test_the_user_and_password_of_a_proxy(user: str) -> None:
    url = f"http://{user}one:3128"
    ours = {name.lower(): value for name, value in proxy_headers(url).items()}
    assert ours == {name.lower(): value for name, value in HTTPAdapter().proxy_headers(url).items()}


@pytest.mark.parametrize(
    "url", ["http://ann:%E4%BD%A0@one", "http://ann:pw@one:99999", "http://", "http://ann:pw@"]
)
def test_an_invalid_proxy_is_not_shown(url: str) -> None:
    with pytest.raises(UnfitRequest, match=r"^the URL of the configured proxy is invalid$"):
        proxy_headers(url)


def test_the_default_port_is_exempt_with_and_without_its_number() -> None:
    with mock.patch.dict(
        "os.environ", {"all_proxy": "http://one", "no_proxy": "example.com:443"}, clear=True
    ):
        assert proxy_of(prepared("https://dli.example.com").address) == ""
