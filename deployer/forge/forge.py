"""What the three forges have in common: comments and issues of the user whom the token belongs to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from deployer.cloud.forge_api import ForgeApi
from deployer.errors import DeployerError

PAGE = 100
MAX_PAGES = 20


@dataclass(frozen=True, slots=True)
class Post:
    """A comment or an issue. `id` is what the API knows it by."""

    id: str
    body: str
    url: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where comments go: `api` is the address of the API, `number` that of the pull request, if there is one."""

    forge: str
    api: str
    repository: str
    number: int | None = None
    commit: str = ""


class Forge(ABC):
    """A repository on a forge. Nothing that somebody else wrote is returned, whatever it contains.

    `limit` is how many characters a comment may have; `counts_bytes` if it is bytes of UTF-8.
    """

    title: ClassVar[str]
    request: ClassVar[str] = "pull request"
    limit: ClassVar[int]
    counts_bytes: ClassVar[bool] = False
    hints: ClassVar[Mapping[int, str]]

    def __init__(self, place: Place, token: str, note: Callable[[str], object] = str) -> None:
        """Open no connection yet. Raises UsageError."""
        self.place = place
        self._note = note
        self._api = ForgeApi(place.api, token, self._headers(token), hints=self.hints, note=note)

    def close(self) -> None:
        self._api.close()

    @abstractmethod
    def _headers(self, token: str) -> Mapping[str, str]:
        """Return the headers that authenticate a request."""

    @abstractmethod
    def comments(self, number: int) -> list[Post]:
        """Return our comments on a pull request that are not hidden, oldest first."""

    @abstractmethod
    def add_comment(self, number: int, body: str) -> Post: ...

    @abstractmethod
    def edit_comment(self, number: int, comment: Post, body: str) -> None: ...

    @abstractmethod
    def hide_comment(self, number: int, comment: Post) -> None: ...

    @abstractmethod
    def open_issues(self) -> list[Post]:
        """Return our open issues, oldest first."""

    @abstractmethod
    def open_issue(self, title: str, body: str) -> Post: ...

    @abstractmethod
    def edit_issue(self, issue: Post, title: str, body: str) -> None: ...

    @abstractmethod
    def close_issue(self, issue: Post) -> None: ...

    @abstractmethod
    def merged_as(self, commit: str) -> list[int]:
        """Return the numbers of the merged pull requests that a commit of the deployed branch came with."""

    def _user(self) -> str:
        """Return the ID of the user whom the token belongs to, in a REST API. Raises ApiError."""
        value = self._api.send("GET", "/user").value
        if isinstance(value, dict) and (user := text_of(value, "id")):
            return user
        raise self._unreadable("/user")

    def _numbered_pages(
        self, path: str, query: Mapping[str, str] | None = None
    ) -> Iterator[Mapping[str, Any]]:
        """Yield the items of a list, whose pages are numbered from 1. Raises ApiError."""
        for page in range(1, MAX_PAGES + 1):
            reply = self._api.send(
                "GET", path, query={**(query or {}), "per_page": str(PAGE), "page": str(page)}
            )
            if not isinstance(reply.value, list):
                raise self._unreadable(path)
            yield from (item for item in reply.value if isinstance(item, dict))
            if len(reply.value) < PAGE:
                return
        self._too_many()

    def _too_many(self) -> None:
        """Report that a list was not read to its end."""
        self._note(f"only the first {MAX_PAGES * PAGE} comments or issues were searched")

    def _unreadable(self, what: str) -> DeployerError:
        return DeployerError(f"{self.title}: unexpected response to {what}")


def text_of(item: Mapping[str, Any], *keys: str) -> str:
    """Return a text in a response; empty if there is none."""
    value: Any = item
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return str(value) if isinstance(value, str | int) else ""
