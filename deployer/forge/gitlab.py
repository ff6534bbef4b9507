"""GitLab, by its REST API. The job token of a pipeline may not write comments: it takes a project access token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from deployer.forge.forge import Forge, Post, text_of


class GitLab(Forge):
    title = "GitLab"
    request = "merge request"
    limit = 990_000  # of 1,000,000
    hints: ClassVar[Mapping[int, str]] = {
        401: "the token is invalid or has expired; the job token CI_JOB_TOKEN may not write comments",
        403: "the token needs the scope api, and its user the role Reporter in the project",
        404: "check the project and the number; or the token may not read it (scope api, role Reporter)",
    }

    def _headers(self, token: str) -> Mapping[str, str]:
        return {"PRIVATE-TOKEN": token}

    @property
    def _project(self) -> str:
        return f"/projects/{quote(self.place.repository, safe='')}"

    def _notes(self, number: int) -> str:
        return f"{self._project}/merge_requests/{number}/notes"

    def comments(self, number: int) -> list[Post]:
        user = self._user()
        order = {"sort": "desc", "order_by": "created_at"}
        notes = [
            Post(text_of(note, "id"), text_of(note, "body"))
            for note in self._numbered_pages(self._notes(number), order)
            if note.get("system") is not True and text_of(note, "author", "id") == user
        ]
        return notes[::-1]

    def add_comment(self, number: int, body: str) -> Post:
        note = self._api.send("POST", self._notes(number), body={"body": body}, creates=True).value
        return Post(_id(self, note), body)

    def edit_comment(self, number: int, comment: Post, body: str) -> None:
        self._api.send("PUT", f"{self._notes(number)}/{comment.id}", body={"body": body})

    def hide_comment(self, number: int, comment: Post) -> None:
        self._api.send("DELETE", f"{self._notes(number)}/{comment.id}")

    def open_issues(self) -> list[Post]:
        query = {"state": "opened", "author_id": self._user(), "order_by": "created_at", "sort": "asc"}
        issues = self._numbered_pages(f"{self._project}/issues", query)
        user = query["author_id"]
        return [
            Post(
                text_of(issue, "iid"),
                text_of(issue, "description"),
                text_of(issue, "web_url"),
                text_of(issue, "title"),
            )
            for issue in issues
            if text_of(issue, "author", "id") == user
        ]

    def open_issue(self, title: str, body: str) -> Post:
        values = {"title": title, "description": body}
        issue = self._api.send("POST", f"{self._project}/issues", body=values, creates=True).value
        url = text_of(issue, "web_url") if isinstance(issue, dict) else ""
        return Post(_id(self, issue, "iid"), body, url, title)

    def edit_issue(self, issue: Post, title: str, body: str) -> None:
        values = {"title": title, "description": body}
        self._api.send("PUT", f"{self._project}/issues/{issue.id}", body=values)

    def close_issue(self, issue: Post) -> None:
        self._api.send("PUT", f"{self._project}/issues/{issue.id}", body={"state_event": "close"})

    def merged_as(self, commit: str) -> list[int]:
        requests = self._numbered_pages(
            f"{self._project}/repository/commits/{quote(commit, safe='')}/merge_requests"
        )
        return [
            request["iid"]
            for request in requests
            if request.get("state") == "merged" and isinstance(request.get("iid"), int)
        ]


def _id(forge: GitLab, item: Any, key: str = "id") -> str:
    found = text_of(item, key) if isinstance(item, dict) else ""
    if not found.isdecimal():
        raise forge._unreadable("a new comment or issue")
    return found
