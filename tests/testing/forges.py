"""A stand-in of GitHub, GitLab and Gitee on loopback: their comments and issues in memory.

The tokens `TOKENS` belong to users. What the real services check is checked: who may edit what, the sizes of bodies,
and that the token came where it belongs.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from testing.served import Served

TOKENS = {"bot-token-1234567": "bot", "eve-token-7654321": "eve"}
BOT, EVE = TOKENS


@dataclass
class Entry:
    """A comment, or an issue if it has a title."""

    number: int
    author: str
    body: str
    title: str = ""
    hidden: bool = False
    system: bool = False
    state: str = "open"


@dataclass(frozen=True)
class Sent:
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


Answer = tuple[int, Any, Mapping[str, str]]
Fault = Callable[[Sent], Answer | None]


@dataclass
class ForgeServer(Served):
    """One repository, `team/jobs`, or project 42, with the pull request 7.

    `merged` are the numbers of the merged pull requests of commits. `faults` answer the next requests, one each: None
    lets a request through, and HANGS_UP breaks the connection after it was carried out.
    """

    comments: list[Entry] = field(default_factory=list)
    issues: list[Entry] = field(default_factory=list)
    merged: dict[str, list[int]] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    page: int = 100

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.forge = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def says(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        """Answer the next request in this way instead."""
        self.faults.append(lambda _: (status, body, headers or {}))

    def writes(self) -> list[Sent]:
        """Return the requests that changed something, or tried to."""
        return [
            sent
            for sent in self.sent
            if sent.method != "GET" and not str((sent.body or {}).get("query", "")).startswith("query")
        ]

    def environment(self, forge: str, *, number: int | None = 7, token: str = BOT) -> dict[str, str]:
        """Return the variables of a CI job."""
        if forge == "github":
            return {
                "GITHUB_ACTIONS": "true",
                "GITHUB_API_URL": self.url,
                "GITHUB_REPOSITORY": "team/jobs",
                "GITHUB_TOKEN": token,
                "GITHUB_SHA": "a" * 40,
                **({"GITHUB_REF": f"refs/pull/{number}/merge"} if number else {}),
            }
        if forge == "gitlab":
            return {
                "GITLAB_CI": "true",
                "CI_API_V4_URL": f"{self.url}/api/v4",
                "CI_PROJECT_ID": "42",
                "GITLAB_TOKEN": token,
                "CI_COMMIT_SHA": "a" * 40,
                **({"CI_MERGE_REQUEST_IID": str(number)} if number else {}),
            }
        return {
            "GITEE_API_URL": f"{self.url}/api/v5",
            "GITEE_TOKEN": token,
            "giteeTargetNamespace": "team",
            "giteeTargetRepoName": "jobs",
            **({"giteePullRequestIid": str(number)} if number else {}),
        }

    def answer(self, sent: Sent) -> Answer | None:
        with self._lock:
            self.sent.append(sent)
            fault = self.faults.pop(0) if self.faults else None
            if fault and (found := fault(sent)) is not None:
                return found
            answer = self._answer(sent)
            return None if fault is HANGS_UP else answer

    def _answer(self, sent: Sent) -> Answer:
        headers = {name.lower(): value for name, value in sent.headers.items()}
        token = headers.get("private-token") or headers.get("authorization", "").removeprefix("Bearer ")
        user = TOKENS.get(token)
        if user is None:
            return 401, {"message": "401 Unauthorized"}, {}
        path = urlsplit(sent.path).path
        if path == "/graphql":
            return 200, self._graphql(user, sent.body["query"], sent.body["variables"]), {}
        query = {name: values[0] for name, values in parse_qs(urlsplit(sent.path).query).items()}
        return self._rest(user, sent.method, unquote(path), query, sent.body)

    # --- GitHub ---------------------------------------------------------------------------------------------

    def _graphql(self, user: str, query: str, values: Mapping[str, Any]) -> Any:
        if "owner" in values and (values["owner"], values["name"]) != ("team", "jobs"):
            return {
                "data": {"repository": None},
                "errors": [{"type": "NOT_FOUND", "message": "no repository"}],
            }
        operation = re.findall(
            r"addComment|updateIssueComment|minimizeComment|createIssue|updateIssue\b|closeIssue|comments|issues|object",
            query,
        )[0]
        if operation in {"comments", "issues"}:
            return self._connection(user, operation, values)
        if operation == "object":
            nodes = [{"number": n, "merged": True} for n in self.merged.get(values["commit"], [])]
            return {"data": {"repository": {"object": {"associatedPullRequests": {"nodes": nodes}}}}}
        entries = self.issues if "Issue" in operation and operation != "updateIssueComment" else self.comments
        if operation in {"addComment", "createIssue"}:
            if len(values["body"]) > 65_536:
                return {"errors": [{"type": "UNPROCESSABLE", "message": "Body is too long"}]}
            entry = self._add(entries, user, values["body"], values.get("title", ""))
            node = {"id": f"id-{entry.number}", "url": f"https://github.example/{entry.number}"}
            data = {"commentEdge": {"node": node}} if operation == "addComment" else {"issue": node}
            return {"data": {operation: data}}
        entry = next(entry for entry in entries if f"id-{entry.number}" == values["id"])
        if entry.author != user:
            return {"errors": [{"type": "FORBIDDEN", "message": f"{user} does not have the permission"}]}
        if operation == "minimizeComment":
            entry.hidden = True
        elif operation == "closeIssue":
            entry.state = "closed"
        else:
            entry.body, entry.title = values["body"], values.get("title", entry.title)
        return {"data": {operation: {}}}

    def _connection(self, user: str, operation: str, values: Mapping[str, Any]) -> Any:
        entries = self.comments if operation == "comments" else [e for e in self.issues if e.state == "open"]
        end = int(values["before"] or len(entries))
        start = max(0, end - self.page)
        nodes = [
            {
                "id": f"id-{entry.number}",
                "title": entry.title,
                "body": entry.body,
                "url": f"https://github.example/{entry.number}",
                "isMinimized": entry.hidden,
                "viewerDidAuthor": entry.author == user,
            }
            for entry in entries[start:end]
        ]
        info = {"hasPreviousPage": start > 0, "startCursor": str(start)}
        found = {operation: {"pageInfo": info, "nodes": nodes}, "id": "subject"}
        if operation == "issues":
            return {"data": {"repository": found}}
        return {"data": {"repository": {"pullRequest": found if values["number"] == 7 else None}}}

    # --- GitLab and Gitee -----------------------------------------------------------------------------------

    def _rest(self, user: str, method: str, path: str, query: Mapping[str, str], body: Any) -> Answer:
        if path.endswith("/user"):
            return 200, {"id": user}, {}
        if match := re.search(r"/commits/(\w+)/merge_requests$", path):
            return 200, [{"iid": n, "state": "merged"} for n in self.merged.get(match[1], [])], {}
        is_comment = "/notes" in path or "comments" in path
        entries = self.comments if is_comment else self.issues
        if is_comment and not re.search(r"/(merge_requests|pulls)/(7/|comments/)", path):
            return 404, {"message": "404 Not found"}, {}
        last = path.rpartition("/")[2]
        if method == "GET":
            return 200, self._list(entries, query), {}
        if method == "POST":
            entry = self._add(entries, user, body.get("body") or body["description"], body.get("title", ""))
            return 201, self._shown(entry), {}
        entry = next(entry for entry in entries if str(entry.number) == last)
        if entry.author != user:
            return 403, {"message": "403 Forbidden"}, {}
        if method == "DELETE":
            entries.remove(entry)
            return 204, None, {}
        entry.title = body.get("title", entry.title)
        entry.body = body.get("body") or body.get("description") or entry.body
        if body.get("state_event") == "close" or body.get("state") == "closed":
            entry.state = "closed"
        return 200, self._shown(entry), {}

    def _list(self, entries: list[Entry], query: Mapping[str, str]) -> list[Any]:
        found = [entry for entry in entries if not entry.title or entry.state == "open"]
        found = found[::-1] if query.get("sort") == "desc" else found
        size = int(query["per_page"])
        start = size * (int(query["page"]) - 1)
        return [self._shown(entry) for entry in found[start : start + size]]

    def _shown(self, entry: Entry) -> dict[str, Any]:
        return {
            "id": entry.number,
            "iid": entry.number,
            "number": str(entry.number),
            "body": entry.body,
            "description": entry.body,
            "title": entry.title,
            "system": entry.system,
            "author": {"id": entry.author},
            "user": {"id": entry.author},
            "web_url": f"https://gitlab.example/{entry.number}",
            "html_url": f"https://gitee.example/{entry.number}",
        }

    def _add(self, entries: list[Entry], user: str, body: str, title: str = "") -> Entry:
        entries.append(Entry(100 + len(self.comments) + len(self.issues), user, body, title))
        return entries[-1]


def HANGS_UP(_: Sent) -> Answer | None:  # noqa: N802 - a constant that is a fault
    """Break the connection after the request was carried out."""
    return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    forge: ForgeServer

    def server_bind(self) -> None:
        """Without asking the name service for our own name."""
        TCPServer.server_bind(self)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server: _Server

    def _handle(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.loads(raw) if raw else None
        answer = self.server.forge.answer(Sent(self.command, self.path, dict(self.headers), body))
        if answer is None:
            self.close_connection = True
            return
        status, value, headers = answer
        content = b"" if value is None else json.dumps(value).encode()
        self.send_response_only(status)
        for name, text in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815 - the names are http.server's

    def log_message(self, *_: object) -> None:
        """Say nothing."""
