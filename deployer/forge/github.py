"""GitHub, by its GraphQL API: only that says which comments are the token's own, and hides one as outdated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from deployer.errors import DeployerError, RequestFailed, ResponseLost
from deployer.forge.forge import MAX_PAGES, Forge, Post, text_of

_COMMENTS = """query($owner: String!, $name: String!, $number: Int!, $before: String) {
  repository(owner: $owner, name: $name) { pullRequest(number: $number) { id
    comments(last: 100, before: $before) { pageInfo { hasPreviousPage startCursor }
      nodes { id body url isMinimized viewerDidAuthor } } } } }"""
_ISSUES = """query($owner: String!, $name: String!, $before: String) {
  repository(owner: $owner, name: $name) { id
    issues(states: OPEN, last: 100, before: $before) { pageInfo { hasPreviousPage startCursor }
      nodes { id title body url viewerDidAuthor } } } }"""
_REQUESTS = """query($owner: String!, $name: String!, $commit: GitObjectID!) {
  repository(owner: $owner, name: $name) { object(oid: $commit) { ... on Commit {
    associatedPullRequests(first: 10) { nodes { number merged } } } } } }"""
_ADD = """mutation($subject: ID!, $body: String!) {
  addComment(input: {subjectId: $subject, body: $body}) { commentEdge { node { id url } } } }"""
_EDIT = """mutation($id: ID!, $body: String!) {
  updateIssueComment(input: {id: $id, body: $body}) { issueComment { id } } }"""
_HIDE = """mutation($id: ID!) {
  minimizeComment(input: {subjectId: $id, classifier: OUTDATED}) { minimizedComment { isMinimized } } }"""
_OPEN = """mutation($repository: ID!, $title: String!, $body: String!) {
  createIssue(input: {repositoryId: $repository, title: $title, body: $body}) { issue { id url } } }"""
_EDIT_ISSUE = """mutation($id: ID!, $title: String!, $body: String!) {
  updateIssue(input: {id: $id, title: $title, body: $body}) { issue { id } } }"""
_CLOSE = """mutation($id: ID!) { closeIssue(input: {issueId: $id}) { issue { id } } }"""

_FORBIDDEN = (
    "give the job permissions: pull-requests: write for comments, issues: write for issues; the token of a pull "
    "request from a fork may only read"
)


class GitHub(Forge):
    title = "GitHub"
    limit = 65_000  # of 65,536
    hints: ClassVar[Mapping[int, str]] = {
        401: "the token is invalid or has expired",
        403: _FORBIDDEN,
        404: "check the address of the API",
    }

    def _headers(self, token: str) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {token}"}

    def comments(self, number: int) -> list[Post]:
        return [
            _post(node)
            for node in self._nodes(_COMMENTS, ("repository", "pullRequest"), "comments", {"number": number})
            if not node.get("isMinimized")
        ]

    def add_comment(self, number: int, body: str) -> Post:
        page = self._ask(_COMMENTS, {"number": number, "before": None})
        subject = text_of(self._found(page, ("repository", "pullRequest")), "id")
        added = self._ask(_ADD, {"subject": subject, "body": body}, creates=True)
        node = self._found(added, ("addComment", "commentEdge", "node"))
        return Post(text_of(node, "id"), body, text_of(node, "url"))

    def edit_comment(self, number: int, comment: Post, body: str) -> None:  # noqa: ARG002
        self._ask(_EDIT, {"id": comment.id, "body": body})

    def hide_comment(self, number: int, comment: Post) -> None:  # noqa: ARG002
        self._ask(_HIDE, {"id": comment.id})

    def open_issues(self) -> list[Post]:
        return [_post(node) for node in self._nodes(_ISSUES, ("repository",), "issues", {})]

    def open_issue(self, title: str, body: str) -> Post:
        repository = text_of(self._found(self._ask(_ISSUES, {"before": None}), ("repository",)), "id")
        values = {"repository": repository, "title": title, "body": body}
        node = self._found(self._ask(_OPEN, values, creates=True), ("createIssue", "issue"))
        return Post(text_of(node, "id"), body, text_of(node, "url"), title)

    def edit_issue(self, issue: Post, title: str, body: str) -> None:
        self._ask(_EDIT_ISSUE, {"id": issue.id, "title": title, "body": body})

    def close_issue(self, issue: Post) -> None:
        self._ask(_CLOSE, {"id": issue.id})

    def merged_as(self, commit: str) -> list[int]:
        found = self._ask(_REQUESTS, {"commit": commit})
        nodes = self._found(found, ("repository", "object", "associatedPullRequests")).get("nodes")
        return [
            node["number"]
            for node in (nodes if isinstance(nodes, list) else [])
            if isinstance(node, dict) and node.get("merged") is True and isinstance(node.get("number"), int)
        ]

    def _nodes(
        self, query: str, path: tuple[str, ...], name: str, values: Mapping[str, Any]
    ) -> list[Mapping[str, Any]]:
        """Return the nodes of a list that are ours, oldest first, whose pages are read from the last one on."""
        pages: list[list[Mapping[str, Any]]] = []
        before = None
        for _ in range(MAX_PAGES):
            found = self._found(self._ask(query, {**values, "before": before}), (*path, name))
            pages.insert(0, [*_ours(found.get("nodes"))])
            info = found.get("pageInfo")
            before = text_of(found, "pageInfo", "startCursor")
            if not (isinstance(info, dict) and info.get("hasPreviousPage") is True and before):
                break
        else:
            self._too_many()
        return [node for page in pages for node in page]

    def _found(self, data: Mapping[str, Any], path: tuple[str, ...]) -> Mapping[str, Any]:
        """Return a part of a response. Raises DeployerError if it is null: GitHub's way to say not found."""
        value: Any = data
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if not isinstance(value, Mapping):
            raise DeployerError(
                f"GitHub: no {path[-1]} in {self.place.repository}, or the token may not read it"
            )
        return value

    def _ask(self, query: str, values: Mapping[str, Any], *, creates: bool = False) -> Mapping[str, Any]:
        """Send a query and return its data. Raises ApiError."""
        owner, _, name = self.place.repository.partition("/")
        if query.startswith("query"):
            values = {"owner": owner, "name": name, **values}
        reply = self._api.send("POST", "", body={"query": query, "variables": values}, creates=creates)
        value = reply.value if isinstance(reply.value, dict) else {}
        errors, data = value.get("errors"), value.get("data")
        if errors:
            first = errors[0] if isinstance(errors, list) else {}
            words = self._api.safe(text_of(first, "message") or "no reason given")
            kind = text_of(first, "type")
            if kind in {"FORBIDDEN", "INSUFFICIENT_SCOPES"}:
                words = f"{words}; {_FORBIDDEN}"
            if kind == "NOT_FOUND":
                words = f"{words}; or the token may not read it"
            raise RequestFailed(f"GitHub: {words}", status=403 if kind == "FORBIDDEN" else 200)
        if not isinstance(data, dict):
            raise ResponseLost("GitHub: the response has no data")
        return data


def _ours(nodes: Any) -> Iterator[Mapping[str, Any]]:
    for node in nodes if isinstance(nodes, list) else []:
        if isinstance(node, dict) and node.get("viewerDidAuthor") is True:
            yield node


def _post(node: Mapping[str, Any]) -> Post:
    return Post(text_of(node, "id"), text_of(node, "body"), text_of(node, "url"), text_of(node, "title"))
