"""yaml-language-server, the one of VS Code, Neovim and others: what an editor shows, asked over its protocol."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

# Where `make editors` installs it, and nothing else does.
FOLDER = Path(__file__).parents[2] / "build" / "editors"
_PROGRAM = FOLDER / "node_modules" / "yaml-language-server" / "bin" / "yaml-language-server"


def is_installed() -> bool:
    return shutil.which("node") is not None and _PROGRAM.is_file()


@dataclass
class LanguageServer:
    """The server with a folder opened in it; `settings` are those of VS Code, by their names there."""

    folder: Path
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._number = 0
        self._version = 0
        self._process = subprocess.Popen(
            ["node", _PROGRAM, "--stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Nothing is to be fetched: a proxy that does not listen takes the place of the network.
            env={**os.environ, "HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"},
        )
        self.request(
            "initialize",
            processId=os.getpid(),
            rootUri=self.folder.as_uri(),
            workspaceFolders=[{"uri": self.folder.as_uri(), "name": self.folder.name}],
            capabilities={
                "workspace": {"configuration": True, "workspaceFolders": True},
                "textDocument": {
                    "completion": {"completionItem": {"snippetSupport": True}},
                    "hover": {"contentFormat": ["markdown"]},
                },
            },
        )
        self._send(method="initialized", params={})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def open(self, name: str, text: str | None = None) -> list[str]:
        """Open a file, with other text than is stored where it is given, and return its diagnostics."""
        file = self.folder / name
        text = file.read_text(encoding="utf-8") if text is None else text
        # The server keeps what it has read of a version.
        self._version += 1
        document = {"uri": file.as_uri(), "languageId": "yaml", "version": self._version, "text": text}
        self._send(method="textDocument/didOpen", params={"textDocument": document})
        found = self._read_until(
            lambda message: (
                message.get("method") == "textDocument/publishDiagnostics"
                and message["params"]["uri"] == file.as_uri()
            )
        )
        return [
            f"{one['range']['start']['line'] + 1}:{one['range']['start']['character'] + 1}: {one['message']}"
            for one in found["params"]["diagnostics"]
        ]

    def close(self, name: str) -> None:
        identifier = {"uri": (self.folder / name).as_uri()}
        self._send(method="textDocument/didClose", params={"textDocument": identifier})

    def completions(self, name: str, line: int, column: int) -> list[str]:
        """Return the labels that are offered at a place of an open file, both counted from one."""
        found = self.request("textDocument/completion", **self._at(name, line, column))
        return [item["label"] for item in found["items"]]

    def hover(self, name: str, line: int, column: int) -> str:
        found = self.request("textDocument/hover", **self._at(name, line, column))
        return str(found["contents"]["value"]) if found else ""

    def _at(self, name: str, line: int, column: int) -> dict[str, Any]:
        return {
            "textDocument": {"uri": (self.folder / name).as_uri()},
            "position": {"line": line - 1, "character": column - 1},
        }

    def request(self, method: str, **params: Any) -> Any:
        self._number += 1
        number = self._number
        self._send(id=number, method=method, params=params)
        answer = self._read_until(lambda message: message.get("id") == number and "method" not in message)
        assert "error" not in answer, answer
        return answer["result"]

    def _send(self, **message: Any) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self._process.stdin.flush()

    def _read_until(self, is_wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while not is_wanted(message := self._read()):
            if "id" in message and "method" in message:
                self._answer(message)
        return message

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        length = 0
        while line := self._process.stdout.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        assert length, "the language server has ended"
        message: dict[str, Any] = json.loads(self._process.stdout.read(length))
        return message

    def _answer(self, message: Mapping[str, Any]) -> None:
        """Answer what the server asks: its settings are in sections, as `yaml.schemas` is in `yaml`."""
        result: Any = None
        if message["method"] == "workspace/configuration":
            result = [self._section(item["section"]) for item in message["params"]["items"]]
        self._send(id=message["id"], result=result)

    def _section(self, section: str) -> dict[str, Any] | None:
        if section != "yaml":
            return None
        return {
            "validate": True,
            "hover": True,
            "completion": True,
            "schemaStore": {"enable": False},
            **{
                name.removeprefix("yaml."): value
                for name, value in self.settings.items()
                if name.startswith("yaml.") and name.count(".") == 1
            },
        }
