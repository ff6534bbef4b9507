"""Credentials: which one is used, how requests are authenticated, and the messages when one is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deployer.cloud.auth import sign_in
from deployer.cloud.credentials import AccessKey, Password, ResolvedCredential, Token, find
from deployer.cloud.transport import Transport
from deployer.emulator import Emulator
from deployer.errors import ApiError, DeployerError, NotSent, RequestFailed, UsageError
from deployer.kinds import KINDS
from deployer.project.target import Target
from testing.client import Time, connected
from testing.faults import Answer, Call, FaultProxy, hangs_up, says
from testing.workspace import SPECS, Workspace, manifest

BATCH = KINDS["SparkBatch"]
PROD = Target("prod", region="cn-north-4")

SDK = {"HUAWEICLOUD_SDK_AK": "sdk-ak", "HUAWEICLOUD_SDK_SK": "sdk-sk"}
HW = {"HW_ACCESS_KEY": "hw-ak", "HW_SECRET_KEY": "hw-sk"}
OS = {"OS_ACCESS_KEY": "os-ak", "OS_SECRET_KEY": "os-sk"}
HW_USER = {"HW_USER_NAME": "ann", "HW_USER_PASSWORD": "pass word", "HW_DOMAIN_NAME": "shop"}
OS_USER = {"OS_USERNAME": "otto", "OS_PASSWORD": "os-password", "OS_USER_DOMAIN_ID": "d-1"}
TOKEN = {"HW_AUTH_TOKEN": "hw-token"}

FILE = """
[basic]
ak = file-ak
sk = file%sk
project_id = file-project
security_token = file-token
iam_endpoint = https://iam.example.com

[global]
ak = other
"""


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment whose home has a credentials file."""
    file = tmp_path / ".huaweicloud" / "credentials"
    file.parent.mkdir()
    file.write_text(FILE)
    return {"HOME": str(tmp_path)}


# --- which credential -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "environment", "source"),
    [
        ("", TOKEN | SDK | HW_USER, "the token in HW_AUTH_TOKEN"),
        ("", {"OS_AUTH_TOKEN": "t"} | SDK, "the token in OS_AUTH_TOKEN"),
        ("", SDK | HW | OS | HW_USER, "the access key in HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK"),
        ("", HW | OS, "the access key in HW_ACCESS_KEY and HW_SECRET_KEY"),
        ("", OS, "the access key in OS_ACCESS_KEY and OS_SECRET_KEY"),
        ("", HW_USER | OS_USER, "the user and password in HW_USER_NAME and HW_USER_PASSWORD"),
        ("", OS_USER, "the user and password in OS_USERNAME and OS_PASSWORD"),
        ("", {"HUAWEICLOUD_SDK_AK": "half"} | HW, "the access key in HW_ACCESS_KEY and HW_SECRET_KEY"),
        ("", {"HW_AUTH_TOKEN": " \n"} | HW, "the access key in HW_ACCESS_KEY and HW_SECRET_KEY"),
        ("token", TOKEN | SDK, "the token in HW_AUTH_TOKEN"),
        ("aksk", TOKEN | OS, "the access key in OS_ACCESS_KEY and OS_SECRET_KEY"),
        ("password", TOKEN | SDK | OS_USER, "the user and password in OS_USERNAME and OS_PASSWORD"),
    ],
)
def test_the_first_that_is_there_counts(method: str, environment: dict[str, str], source: str) -> None:
    assert find(Target("prod", auth=method), environment).credential.source == source


@pytest.mark.parametrize(
    ("environment", "credential"),
    [
        (
            {"HW_AUTH_TOKEN": " t0\n"},
            Token("t0", "the token in HW_AUTH_TOKEN"),
        ),
        (
            HW | {"HW_SECURITY_TOKEN": "st", "OS_SECURITY_TOKEN": "other"},
            AccessKey("hw-ak", "hw-sk", "the access key in HW_ACCESS_KEY and HW_SECRET_KEY", "st"),
        ),
        (
            SDK | {"HW_SECURITY_TOKEN": "of another key"},
            AccessKey("sdk-ak", "sdk-sk", "the access key in HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK"),
        ),
        (
            HW_USER | {"HW_DOMAIN_ID": "d-2"},
            Password(
                "pass word",
                "the user and password in HW_USER_NAME and HW_USER_PASSWORD",
                user_name="ann",
                domain_name="shop",
            ),
        ),
        (
            OS_USER,
            Password(
                "os-password",
                "the user and password in OS_USERNAME and OS_PASSWORD",
                user_name="otto",
                domain_id="d-1",
            ),
        ),
        (
            {"HW_USER_ID": "u-1", "HW_USER_PASSWORD": "p"},
            Password("p", "the user and password in HW_USER_ID and HW_USER_PASSWORD", user_id="u-1"),
        ),
    ],
)
def test_what_is_read(environment: dict[str, str], credential: object) -> None:
    assert find(PROD, environment).credential == credential


def test_what_belongs_to_the_credential(home: dict[str, str]) -> None:
    """The IAM of its own tool; a project of any."""
    projects = {"HW_PROJECT_ID": "hw-project", "OS_PROJECT_ID": "os-project", "OS_TENANT_NAME": "os-name"}
    urls = {"HW_AUTH_URL": "https://iam.hw/v3", "HUAWEICLOUD_SDK_IAM_ENDPOINT": "https://iam.sdk"}
    found = find(PROD, HW | projects | urls)
    assert (found.iam, found.project_id, found.project_name) == (
        "https://iam.hw/v3",
        "hw-project",
        "os-name",
    )
    assert find(PROD, SDK | urls).iam == "https://iam.sdk"
    assert find(PROD, SDK | {"OS_TENANT_ID": "tenant"}).project_id == "tenant"
    by_file = find(PROD, home | {"HUAWEICLOUD_SDK_PROJECT_ID": "sdk-project"})
    assert by_file.project_id == "sdk-project"


def test_the_credentials_file_of_the_sdk(home: dict[str, str]) -> None:
    found = find(PROD, home)
    key = AccessKey("file-ak", "file%sk", "the access key in ~/.huaweicloud/credentials", "file-token")
    assert found == ResolvedCredential(key, "https://iam.example.com", "file-project")
    assert find(PROD, home | HW_USER).credential.source.startswith("the user and password")
    assert find(Target("prod", auth="aksk"), home | HW_USER).credential == key


def test_a_credentials_file_that_a_variable_names(home: dict[str, str], tmp_path: Path) -> None:
    other = tmp_path / "other.ini"
    other.write_text("[basic]\nak=a\nsk=b\n")
    found = find(PROD, home | {"HUAWEICLOUD_SDK_CREDENTIALS_FILE": str(other)})
    assert found.credential == AccessKey("a", "b", f"the access key in {other}")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[global]\nak=1\n", "has no section [basic]"),
        ("[basic]\nak = sentinel\n", "must contain both ak and sk"),
        ("ak = sentinel\n", "is not a valid INI file"),
        ("[basic]\nsentinel\n", "is not a valid INI file"),
        ("[basic]\nak = 1\nak = sentinel\n", "is not a valid INI file"),
        ("[basic]\nak = sentinel\ufffd\nsk = 1\n", "characters not allowed in a header"),
        (b"[basic]\nak = sentinel\xff\n", "is not a valid INI file"),
        (None, "is not readable: No such file"),
    ],
)
def test_a_credentials_file_that_is_none(tmp_path: Path, content: str | bytes | None, problem: str) -> None:
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DeployerError, match="keys") as raised:
        find(PROD, {"HUAWEICLOUD_SDK_CREDENTIALS_FILE": str(file)})
    assert problem in str(raised.value)
    assert "sentinel" not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    ("method", "environment", "words"),
    [
        ("", {}, "no credentials found; set HW_AUTH_TOKEN (a token); or HUAWEICLOUD_SDK_AK and"),
        ("token", SDK, "no credentials found; set HW_AUTH_TOKEN (a token)"),
        ("aksk", HW_USER, "set HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK (an access key)"),
        ("password", HW, "set HW_USER_NAME, HW_USER_PASSWORD and HW_DOMAIN_NAME"),
        ("", {"HW_ACCESS_KEY": "secret"}, "HW_ACCESS_KEY is set, but HW_SECRET_KEY is not"),
        ("", {"OS_SECRET_KEY": "secret"}, "OS_SECRET_KEY is set, but OS_ACCESS_KEY is not"),
        ("", {"HW_USER_NAME": "ann"}, "HW_USER_NAME is set, but HW_USER_PASSWORD is not"),
        ("", {"HW_USER_PASSWORD": "secret"}, "HW_USER_PASSWORD is set, but HW_USER_NAME is not"),
        ("", {**HW_USER, "HW_DOMAIN_NAME": ""}, "are set, but HW_DOMAIN_NAME (the user's account) is not"),
        ("aksk", {"HW_ACCESS_KEY": "clé", "HW_SECRET_KEY": "secret"}, "HW_ACCESS_KEY is not valid as an acc"),
        ("aksk", {"HW_ACCESS_KEY": "a", "HW_SECRET_KEY": "secret\nx"}, "HW_SECRET_KEY is not valid as a sec"),
    ],
)
def test_what_is_missing_is_named(method: str, environment: dict[str, str], words: str) -> None:
    with pytest.raises(DeployerError) as raised:
        find(Target("prod", auth=method), environment)
    assert str(raised.value).startswith(("target 'prod': ", "HW_"))
    assert words in str(raised.value)
    assert "secret" not in str(raised.value).replace("a secret key", "")


def test_no_secret_in_any_repr(home: dict[str, str]) -> None:
    for environment in (TOKEN, SDK, HW_USER, home):
        found = find(PROD, environment)
        assert found.credential.secrets
        assert not any(secret in repr(found) for secret in found.credential.secrets)


def test_a_credential_is_hidden_however_it_is_written() -> None:
    found = find(PROD, {**HW_USER, "HW_USER_PASSWORD": 'pa"ss wörd'})
    for written in ('pa"ss wörd', json.dumps('pa"ss wörd'), "pa%22ss%20w%C3%B6rd"):
        assert found.scrubber()(f"wrong: {written} of ann").strip('"') in {
            "wrong: *** of ann",
            'wrong: "***" of ann',
        }


# --- signing in -------------------------------------------------------------------------------------------


EMPTY = {"sessions": [], "total": 0}


@dataclass
class Tokens:
    """IAM: each token that it gives is another one, and is good for `hours`."""

    time: Time
    hours: float = 24
    given: int = 0

    def __call__(self, call: Call) -> Answer:
        self.given += 1
        end = datetime.fromtimestamp(self.time.now, UTC) + timedelta(hours=self.hours)
        body = {"token": {"expires_at": f"{end:%Y-%m-%dT%H:%M:%S.%fZ}", "project": {"id": "pid-of-iam"}}}
        return says(201, body, self.time.date() | {"X-Subject-Token": f"token-{self.given}"})(call)


def sent_tokens(service: FaultProxy) -> list[str | None]:
    return [call.headers.get("X-Auth-Token") for call in service.calls if "/v3/" not in call.path]


def test_a_password_is_changed_for_a_token(service: FaultProxy, time: Time) -> None:
    service.rule("POST", "/v3/auth/tokens", tokens := Tokens(time))
    service.rule("GET", "batches", says(200, EMPTY))
    client = connected(service, time, HW_USER)
    assert (tokens.given, client.project_id) == (0, "pid")
    client.entries(BATCH, {})
    client.entries(BATCH, {})
    [sign_in] = [call for call in service.calls if "/v3/" in call.path]
    assert json.loads(sign_in.body) == {
        "auth": {
            "identity": {
                "methods": ["password"],
                "password": {"user": {"name": "ann", "domain": {"name": "shop"}, "password": "pass word"}},
            },
            "scope": {"project": {"id": "pid"}},
        }
    }
    assert sign_in.headers["Content-Type"] == "application/json"
    assert {"X-Auth-Token", "Authorization"}.isdisjoint(sign_in.headers)
    assert sent_tokens(service) == ["token-1", "token-1"]


@pytest.mark.parametrize(
    ("environment", "user"),
    [
        (OS_USER, {"name": "otto", "domain": {"id": "d-1"}}),
        ({"HW_USER_ID": "u-1", "HW_USER_PASSWORD": "p"}, {"id": "u-1"}),
    ],
)
def test_the_ways_to_name_a_user(
    service: FaultProxy, time: Time, environment: dict[str, str], user: dict[str, Any]
) -> None:
    service.rule("POST", "/v3/auth/tokens", Tokens(time))
    client = connected(service, time, environment, project_id="")
    auth = json.loads(service.calls[0].body)["auth"]
    auth["identity"]["password"]["user"].pop("password")
    assert auth["identity"]["password"]["user"] == user
    assert auth["scope"] == {"project": {"name": "cn-north-4"}}
    assert client.project_id == "pid-of-iam"


@pytest.mark.parametrize(("hours", "tokens_given"), [(24, 1), (2, 1), (1.1, 2), (0.01, 2)])
def test_a_token_is_kept_until_shortly_before_its_end(
    service: FaultProxy, time: Time, hours: float, tokens_given: int
) -> None:
    service.rule("POST", "/v3/auth/tokens", tokens := Tokens(time, hours))
    service.rule("GET", "batches", says(200, EMPTY))
    client = connected(service, time, HW_USER)
    client.entries(BATCH, {})
    time.now += 3600
    client.entries(BATCH, {})
    assert tokens.given == tokens_given


def test_the_life_of_a_token_is_measured_by_the_clock_of_iam(service: FaultProxy, time: Time) -> None:
    """Ours may be wrong by days."""
    service.rule("POST", "/v3/auth/tokens", tokens := Tokens(Time(time.now - 7 * 86400)))
    service.rule("GET", "batches", says(200, EMPTY))
    client = connected(service, time, HW_USER)
    client.entries(BATCH, {})
    client.entries(BATCH, {})
    assert tokens.given == 1


EXPIRED = says(401, {"error_code": "APIGW.0307", "error_msg": "The token must be updated."})


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_refused_token_is_renewed_once(service: FaultProxy, time: Time, method: str) -> None:
    service.rule("POST", "/v3/auth/tokens", tokens := Tokens(time))
    service.rule(method, "batches", EXPIRED, nth=1)
    service.rule(method, "batches", says(200, EMPTY | {"id": "b-1"}))
    client = connected(service, time, HW_USER)
    if method == "GET":
        client.entries(BATCH, {})
    else:
        assert client.create(BATCH, "alpha", SPECS["SparkBatch"]) == "b-1"
        first, second = (call.body for call in service.calls if "batches" in call.path)
        assert first == second
    assert sent_tokens(service) == ["token-1", "token-2"]
    assert (tokens.given, time.slept) == (2, [])


def test_the_lock_is_checked_after_a_login_and_before_each_repetition(
    service: FaultProxy, time: Time
) -> None:
    """A login can take minutes; the lock must be held when the write itself is sent."""
    seen: list[list[str]] = []

    def check() -> None:
        seen.append([f"{call.method} {call.path.rpartition('/')[2]}" for call in service.calls])

    service.rule("POST", "/v3/auth/tokens", Tokens(time))
    service.rule("POST", "batches", EXPIRED, nth=1)
    service.rule("POST", "batches", says(200, EMPTY | {"id": "b-1"}))
    client = connected(service, time, HW_USER, before_write=check)
    assert client.create(BATCH, "alpha", SPECS["SparkBatch"]) == "b-1"
    assert seen == [["POST tokens"], ["POST tokens", "POST batches", "POST tokens"]]


def test_a_write_that_must_not_be_sent_is_not_repeated_after_a_login(service: FaultProxy, time: Time) -> None:
    lost = iter([False, True])

    def check() -> None:
        if next(lost):
            raise NotSent("not sent: the lock was taken over")

    service.rule("POST", "/v3/auth/tokens", Tokens(time))
    service.rule("POST", "batches", EXPIRED)
    client = connected(service, time, HW_USER, before_write=check)
    with pytest.raises(NotSent, match="the lock was taken over"):
        client.create(BATCH, "alpha", SPECS["SparkBatch"])
    assert sent_tokens(service) == ["token-1"]


def test_a_token_that_is_refused_when_new_is_an_error(service: FaultProxy, time: Time) -> None:
    service.rule("POST", "/v3/auth/tokens", Tokens(time))
    service.rule("POST", "batches", EXPIRED)
    client = connected(service, time, HW_USER)
    with pytest.raises(
        RequestFailed, match=r"APIGW\.0307 The token must be updated; check the user and password in HW_"
    ):
        client.create(BATCH, "alpha", SPECS["SparkBatch"])
    assert service.count("POST", "batches") == 2


WRONG = says(401, {"error": {"code": 401, "message": "The username or password is wrong.", "title": "Un"}})


def test_a_wrong_password_is_tried_once(service: FaultProxy, time: Time) -> None:
    """Several failed logins lock a user."""
    service.rule("POST", "/v3/auth/tokens", WRONG)
    client = connected(service, time, HW_USER)
    for _ in range(3):
        with pytest.raises(NotSent) as raised:
            client.create(BATCH, "alpha", SPECS["SparkBatch"])
        assert str(raised.value).startswith(
            f"login failed: POST {service.url}/v3/auth/tokens: HTTP 401: The "
        )
        assert "check the user and password in HW_USER_NAME and HW_USER_PASSWORD" in str(raised.value)
        assert "pass word" not in str(raised.value)
    assert len(service.calls) == 1


@pytest.mark.parametrize(
    "fault",
    [
        hangs_up(after=False),
        says(500, ""),
        says(201, {"token": {"project": {"id": "x"}}}),
        says(201, {"token": {}}, {"X-Subject-Token": "t"}),
        says(200, "<html>"),
    ],
)
def test_iam_that_gives_no_token_did_not_send_the_call(service: FaultProxy, time: Time, fault: Any) -> None:
    """Else a create would be looked for in the listing."""
    service.rule("POST", "/v3/auth/tokens", fault)
    client = connected(service, time, HW_USER)
    with pytest.raises(NotSent, match="login failed: "):
        client.create(BATCH, "alpha", SPECS["SparkBatch"])
    assert service.count("POST", "batches") == 0


def test_a_password_that_iam_repeats_is_not_shown(service: FaultProxy, time: Time) -> None:
    def repeats(call: Call) -> Any:
        return says(400, {"error_code": "IAM.0011", "error_msg": f"cannot use {call.body.decode()}"})(call)

    service.rule("POST", "/v3/auth/tokens", repeats)
    environment = {**HW_USER, "HW_USER_PASSWORD": 'sen"ti/nel'}
    with pytest.raises(ApiError, match=r"IAM\.0011 cannot use") as raised:
        connected(service, time, environment, project_id="")
    assert "nel" not in str(raised.value).replace("channel", "")


@pytest.mark.parametrize("url", ["", "/", "/v3", "/v3/"])
def test_the_iam_of_the_environment(service: FaultProxy, time: Time, url: str) -> None:
    service.rule("POST", "/v3/auth/tokens", tokens := Tokens(time))
    to = Target("test", region="cn-north-4")
    found = find(to, HW_USER | {"HW_AUTH_URL": service.url + url})
    sign_in(to, found, Transport(clock=time.clock))
    assert tokens.given == 1


def test_a_password_goes_to_https_or_this_machine_only(time: Time) -> None:
    to = Target("test", region="cn-north-4")
    found = find(to, HW_USER | {"HW_AUTH_URL": "http://iam.example.com/v3"})
    with pytest.raises(UsageError, match=r"http://iam.example.com must use https"):
        sign_in(to, found, Transport(clock=time.clock))


def test_netrc_is_not_asked_for_the_password_of_iam(
    service: FaultProxy, time: Time, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password something\n")
    monkeypatch.setenv("NETRC", str(netrc))
    service.rule("POST", "/v3/auth/tokens", Tokens(time))
    connected(service, time, HW_USER, project_id="")
    assert "Authorization" not in service.calls[0].headers


# --- the project ------------------------------------------------------------------------------------------


PROJECTS = {"projects": [{"id": "pid-1", "name": "cn-north-4"}]}


@pytest.mark.parametrize("environment", [TOKEN, SDK])
def test_the_project_is_looked_up_by_the_region(
    service: FaultProxy, time: Time, environment: dict[str, str]
) -> None:
    service.rule("GET", "/v3/projects", says(200, PROJECTS, time.date()))
    service.rule("GET", "/v2.0/pid-1/batches", says(200, EMPTY))
    client = connected(service, time, environment, project_id="")
    client.entries(BATCH, {})
    look_up, listing = service.calls
    assert (look_up.path, client.project_id) == ("/v3/projects?name=cn-north-4", "pid-1")
    if environment is SDK:
        assert "X-Project-Id" not in look_up.headers
        assert listing.headers["X-Project-Id"] == "pid-1"
    else:
        assert look_up.headers["X-Auth-Token"] == "hw-token"


@pytest.mark.parametrize(
    ("target", "environment", "project"),
    [
        ({"project_id": "given"}, {"HW_PROJECT_ID": "of-env"}, "given"),
        ({"project_id": ""}, {"HW_PROJECT_ID": "of-env", "HUAWEICLOUD_SDK_PROJECT_ID": "sdk"}, "sdk"),
        ({"project_id": "", "region": ""}, {"OS_PROJECT_ID": "of-os"}, "of-os"),
    ],
)
def test_a_project_that_is_given_is_not_looked_up(
    service: FaultProxy, time: Time, target: dict[str, Any], environment: dict[str, str], project: str
) -> None:
    assert connected(service, time, TOKEN | environment, **target).project_id == project
    assert service.calls == []


def test_a_project_may_be_given_by_name(service: FaultProxy, time: Time) -> None:
    """One inside the region's own."""
    service.rule("GET", "/v3/projects", says(200, {"projects": [{"id": "sub", "name": "cn-north-4_a b"}]}))
    client = connected(service, time, SDK | {"HW_PROJECT_NAME": "cn-north-4_a b"}, project_id="")
    assert (client.project_id, service.calls[0].path) == ("sub", "/v3/projects?name=cn-north-4_a%20b")


def test_the_name_of_a_project_in_another_region_is_not_meant(service: FaultProxy, time: Time) -> None:
    service.rule("GET", "/v3/projects", says(200, PROJECTS))
    connected(service, time, SDK | {"HW_PROJECT_NAME": "eu-west-101_a"}, project_id="")
    assert service.calls[0].path == "/v3/projects?name=cn-north-4"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"projects": []}, "found no project named cn-north-4 for this user"),
        ({"projects": PROJECTS["projects"] * 2}, "found 2 projects named cn-north-4"),
        ({"projects": [{"id": "x", "name": "other"}]}, "found no project named"),
        ({"projects": [{"name": "cn-north-4"}]}, "found 1 project without an id named"),
        ({"projects": None}, "the response has no projects"),
    ],
)
def test_not_just_one_project(service: FaultProxy, time: Time, answer: Any, words: str) -> None:
    service.rule("GET", "/v3/projects", says(200, answer))
    with pytest.raises(DeployerError, match=words):
        connected(service, time, TOKEN, project_id="")


def test_without_region_and_project_there_is_nothing_to_look_up(service: FaultProxy, time: Time) -> None:
    with pytest.raises(UsageError, match=r"target 'test' has no projectId in deployer\.yaml"):
        connected(service, time, TOKEN, project_id="", region="")


# --- refusals ---------------------------------------------------------------------------------------------

GATEWAY = {"error_code": "APIGW.0301", "error_msg": "Incorrect IAM authentication information: no"}


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    ("environment", "source"),
    [
        (TOKEN, "the token in HW_AUTH_TOKEN"),
        (SDK, "the access key in HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK"),
        (HW, "the access key in HW_ACCESS_KEY and HW_SECRET_KEY"),
    ],
)
def test_a_refusal_names_the_credential_and_is_not_repeated(
    service: FaultProxy, time: Time, environment: dict[str, str], source: str, status: int
) -> None:
    service.rule("GET", "", says(status, GATEWAY, time.date()))
    client = connected(service, time, environment)
    with pytest.raises(RequestFailed, match=r"APIGW.0301") as raised:
        client.entries(BATCH, {})
    assert f"; check {source}: " in str(raised.value) or f"; check that {source} has permission" in str(
        raised.value
    )
    assert (len(service.calls), time.slept, raised.value.status) == (1, [], status)
    assert not any(secret in str(raised.value) for secret in environment.values())


@pytest.mark.parametrize("environment", [TOKEN, SDK], ids=["token", "key"])
def test_a_refused_credential_is_not_used_again(
    service: FaultProxy, time: Time, environment: dict[str, str]
) -> None:
    """Five wrong signatures in a row lock a key; a plan has as many listings."""
    service.rule("GET", "", says(401, GATEWAY))
    client = connected(service, time, environment)
    assert not client.is_refused
    with pytest.raises(RequestFailed):
        client.entries(BATCH, {})
    words = r"not sent: the .* in (HW|HUAWEICLOUD)_.* was rejected in an earlier request$"
    for _ in range(9):
        with pytest.raises(NotSent, match=words):
            client.create(BATCH, "alpha", SPECS["SparkBatch"])
    assert (len(service.calls), client.is_refused) == (1, True)


def test_many_requests_at_once_try_a_credential_once(service: FaultProxy, time: Time) -> None:
    service.rule("GET", "", says(401, GATEWAY))
    client = connected(service, time, SDK)

    def listing(_: int) -> str:
        with pytest.raises(ApiError) as raised:
            client.entries(BATCH, {})
        return str(raised.value)

    with ThreadPoolExecutor(12) as pool:
        errors = list(pool.map(listing, range(12)))
    assert sum("APIGW.0301" in error for error in errors) == 1
    assert len(service.calls) == 1


def test_a_renewed_token_that_is_refused_is_not_renewed_again(service: FaultProxy, time: Time) -> None:
    service.rule("POST", "/v3/auth/tokens", tokens := Tokens(time))
    service.rule("GET", "batches", EXPIRED)
    client = connected(service, time, HW_USER)
    for _ in range(5):
        with pytest.raises(
            ApiError, match=r"APIGW\.0307 The token must be updated|was rejected in an earlier"
        ):
            client.entries(BATCH, {})
    assert (tokens.given, service.count("GET")) == (2, 2)


def test_a_key_that_may_not_do_one_thing_can_do_others(service: FaultProxy, time: Time) -> None:
    service.rule("GET", "", says(403, GATEWAY), nth=1)
    service.rule("GET", "", says(200, EMPTY))
    client = connected(service, time, SDK)
    with pytest.raises(RequestFailed):
        client.entries(BATCH, {})
    assert client.entries(BATCH, {}) == []


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        (1200, "the local clock is 20 minutes behind the service"),
        (-3600, "the local clock is 60 minutes ahead of the service"),
        (840, "check the access key"),
    ],
)
def test_a_clock_that_is_wrong_is_said(service: FaultProxy, time: Time, ahead: float, words: str) -> None:
    service.rule("GET", "", says(401, GATEWAY, time.date(ahead)))
    with pytest.raises(RequestFailed, match=words) as raised:
        connected(service, time, SDK).entries(BATCH, {})
    assert ("correct the clock" in str(raised.value)) == (abs(ahead) > 900)


def test_a_token_knows_no_clock(service: FaultProxy, time: Time) -> None:
    service.rule("GET", "", says(401, GATEWAY, time.date(99999)))
    with pytest.raises(
        RequestFailed, match="check the token in HW_AUTH_TOKEN: tokens are valid for 24 hours"
    ):
        connected(service, time, TOKEN).entries(BATCH, {})


def test_a_service_that_repeats_the_signed_request(service: FaultProxy, time: Time) -> None:
    """As the gateway does for a wrong signature."""
    environment = SDK | {"HUAWEICLOUD_SDK_SECURITY_TOKEN": "sentinel-of-the-security-token"}

    def repeats(call: Call) -> Any:
        body = {"error_code": "APIGW.0301", "error_msg": f"verify aksk signature fail, {call.headers} sdk-sk"}
        return says(401, body)(call)

    service.rule("GET", "", repeats)
    with pytest.raises(RequestFailed, match="verify aksk signature fail") as raised:
        connected(service, time, environment).entries(BATCH, {})
    assert not any(secret in str(raised.value) for secret in environment.values())
    assert raised.value.__cause__ is None


# --- the whole command ------------------------------------------------------------------------------------


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[Emulator]:
    """An emulator that takes one access key, and one user and password."""
    with Emulator(
        tmp_path / "keyed.db",
        ak="the-ak",
        sk="the-sk/+%",
        user="ann",
        password="pass word",  # noqa: S106
    ) as server:
        yield server


def project(bare: Workspace, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, **target: Any) -> Workspace:
    """A project with a job of each kind, and no credentials yet."""
    monkeypatch.delenv("HW_AUTH_TOKEN")
    bare.url = emulator.url
    bare.write_project(**target)
    bare.write("all.yaml", [manifest(kind, kind, spec) for kind, spec in SPECS.items()])
    return bare


@pytest.mark.parametrize("target", [{}, {"projectId": "local", "region": "cn-north-4"}])
@pytest.mark.parametrize(
    ("method", "environment"),
    [
        ("aksk", {"HW_ACCESS_KEY": "the-ak", "HW_SECRET_KEY": "the-sk/+%"}),
        ("password", {"HW_USER_NAME": "ann", "HW_USER_PASSWORD": "pass word", "HW_DOMAIN_NAME": "shop"}),
    ],
)
def test_apply_and_plan(
    bare: Workspace,
    keyed: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    environment: dict[str, str],
    target: dict[str, str],
) -> None:
    shop = project(bare, keyed, monkeypatch, auth={"method": method}, **target)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert shop.apply().code == 0
    assert shop.plan()["changes"] == []


def test_a_wrong_key_is_refused_once_for_all_kinds(
    bare: Workspace, keyed: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = project(bare, keyed, monkeypatch, auth={"method": "aksk"})
    monkeypatch.setenv("HW_ACCESS_KEY", "the-ak")
    monkeypatch.setenv("HW_SECRET_KEY", "sentinel")
    ran = shop.run("plan")
    assert ran.code == 1
    assert ran.out.count("HTTP 401") == 1
    assert "check the access key in HW_ACCESS_KEY and HW_SECRET_KEY" in ran.out
    assert "sentinel" not in ran.out + ran.err
    monkeypatch.setenv("HW_SECRET_KEY", "the-sk/+%")
    assert shop.run("plan").code == 0  # it is not locked


def test_the_embedded_emulator_gets_no_credential(bare: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does it need one."""
    monkeypatch.setenv("HW_AUTH_TOKEN", "one\ntwo")
    bare.write_project(emulator=True, endpoints={}, projectId="local", auth={"method": "aksk"})
    bare.write("one.yaml", manifest("SparkBatch", "alpha", SPECS["SparkBatch"]))
    assert bare.apply().code == 0
