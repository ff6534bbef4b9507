"""Gitee, by version 5 of its REST API. The token is sent as a header, not in the address, which logs contain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import quote

from deployer.errors import UsageError
from deployer.forge.forge import Forge, Post, text_of


class Gitee(Forge):
    title = "Gitee"
    # No limit is published. A text column of a database has 65,535 bytes.
    limit = 60_000
    counts_bytes = True
    hints: ClassVar[Mapping[int, str]] = {
        401: "the token is invalid or has expired",
        403: "the token needs the permissions pull_requests, notes and issues, and its user access to the repository",
        404: "check the repository and the number; or the token may not read it",
    }

    def _headers(self, token: str) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {token}"}

    @property
    def _repository(self) -> str:
        owner, _, name = self.place.repository.partition("/")
        return f"/repos/{quote(owner, safe='')}/{quote(name, safe='')}"

    def _of_pull_request(self, number: int) -> str:
        return f"{self._repository}/pulls/{number}/comments"

    def _comment(self, comment: Post) -> str:
        return f"{self._repository}/pulls/comments/{quote(comment.id, safe='')}"

    def comments(self, number: int) -> list[Post]:
        user = self._user()
        found = [
            Post(text_of(item, "id"), text_of(item, "body"), text_of(item, "html_url"))
            for item in self._numbered_pages(self._of_pull_request(number))
            if text_of(item, "user", "id") == user
        ]
        return sorted(found, key=lambda comment: int(comment.id) if comment.id.isdecimal() else 0)

    def add_comment(self, number: int, body: str) -> Post:
        path = self._of_pull_request(number)
        item = self._api.send("POST", path, body={"body": body}, creates=True).value
        if not isinstance(item, dict):
            raise self._unreadable(path)
        return Post(text_of(item, "id"), body, text_of(item, "html_url"))

    def edit_comment(self, number: int, comment: Post, body: str) -> None:  # noqa: ARG002
        self._api.send("PATCH", self._comment(comment), body={"body": body})

    def hide_comment(self, number: int, comment: Post) -> None:  # noqa: ARG002
        self._api.send("DELETE", self._comment(comment))

    def open_issues(self) -> list[Post]:
        user = self._user()
        query = {"state": "open", "sort": "created", "direction": "asc"}
        return [
            Post(
                text_of(item, "number"),
                text_of(item, "body"),
                text_of(item, "html_url"),
                text_of(item, "title"),
            )
            for item in self._numbered_pages(f"{self._repository}/issues", query)
            if text_of(item, "user", "id") == user
        ]

    @property
    def _issues(self) -> str:
        return f"/repos/{quote(self.place.repository.partition('/')[0], safe='')}/issues"

    @property
    def _name(self) -> str:
        return self.place.repository.partition("/")[2]

    def open_issue(self, title: str, body: str) -> Post:
        values = {"repo": self._name, "title": title, "body": body}
        item = self._api.send("POST", self._issues, body=values, creates=True).value
        if not isinstance(item, dict):
            raise self._unreadable(self._issues)
        return Post(text_of(item, "number"), body, text_of(item, "html_url"), title)

    def edit_issue(self, issue: Post, title: str, body: str) -> None:
        values = {"repo": self._name, "title": title, "body": body}
        self._api.send("PATCH", f"{self._issues}/{quote(issue.id, safe='')}", body=values)

    def close_issue(self, issue: Post) -> None:
        values = {"repo": self._name, "state": "closed"}
        self._api.send("PATCH", f"{self._issues}/{quote(issue.id, safe='')}", body=values)

    def merged_as(self, commit: str) -> list[int]:  # noqa: ARG002 - no such request is documented
        raise UsageError("on Gitee, give the number of the merged pull request with --number")
