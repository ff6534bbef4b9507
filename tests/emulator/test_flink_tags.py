"""Tags of Flink jobs in the emulator."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Api
from .test_flink import create, listed, show

V3 = "/v3/330e068af1334c9782f4226acc00a2e2/dli_flink_job"
FOUR = [{"key": f"k{number}", "value": f"v{number}"} for number in range(4)]


def tags(api: Api, job: int, **query: Any) -> dict[str, str]:
    answer = api.get(f"{V3}/{job}/tags", **query)
    return {tag["key"]: tag["value"] for tag in answer["tags"]}


def change(api: Api, job: int, action: str, *listed: dict[str, str]) -> None:
    response = api.call("POST", f"{V3}/{job}/tags/{action}", json={"tags": listed})
    assert (response.status_code, response.content) == (204, b""), response.text


def test_tags_of_a_job(api: Api) -> None:
    job = create(api, tags=FOUR[:2])
    assert api.get(f"{V3}/{job}/tags") == {"tags": FOUR[:2], "count": 2}
    change(api, job, "create", FOUR[2], {"key": "k0", "value": "other"})
    assert tags(api, job) == {"k0": "other", "k1": "v1", "k2": "v2"}
    change(
        api,
        job,
        "delete",
        {"key": "k0", "value": "whatever"},
        {"key": "not there", "value": ""},
        {"key": "k1"},
    )
    assert tags(api, job) == {"k2": "v2"}
    assert not {"tags"} & set(show(api, job)), "no detail shows them"


def test_the_listing_can_be_filtered_by_tags(api: Api) -> None:
    job = create(api, "a")
    create(api, "b")
    change(api, job, "create", *FOUR)
    assert [entry["name"] for entry in listed(api, tags="k1=v1,k2=v2")] == ["a"]
    change(api, job, "delete", {"key": "k1", "value": "v1"})
    assert listed(api, tags="k1=v1,k2=v2") == []


def test_pages_of_tags(api: Api) -> None:
    job = create(api, tags=FOUR)
    assert tags(api, job, limit=2) == {"k0": "v0", "k1": "v1"}
    assert tags(api, job, limit=2, offset=3) == {"k3": "v3"}


def test_at_most_twenty(api: Api) -> None:
    job = create(api, tags=[{"key": str(number), "value": ""} for number in range(20)])
    change(api, job, "create", {"key": "7", "value": "other"})
    more = {"tags": [{"key": "20", "value": ""}]}
    assert api.refusal("POST", f"{V3}/{job}/tags/create", json=more) == (400, "DLI.0001")
    assert len(tags(api, job)) == 20


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"tags": []},
        {"tags": [{"key": "a"}]},
        {"tags": [{"key": "", "value": "a"}]},
        {"tags": [{"key": "k" * 129, "value": ""}]},
        {"tags": [{"key": "a", "value": "v" * 256}]},
        {"tags": [{"key": "a", "value": "b"}, {"key": "a", "value": "c"}]},
    ],
)
def test_wrong_tags(api: Api, body: Any) -> None:
    job = create(api)
    assert api.refusal("POST", f"{V3}/{job}/tags/create", json=body) == (400, "DLI.0001")
    assert tags(api, job) == {}


def test_tags_of_nothing(api: Api) -> None:
    assert api.refusal("GET", f"{V3}/999/tags") == (400, "DLI.0002")
    assert api.refusal("GET", f"{V3.replace('flink_job', 'queue')}/1/tags") == (400, "DLI.0001")
