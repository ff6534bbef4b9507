"""Environment and credentials file -> the credential for a target.

The variables are those of huaweicloudsdkcore (`auth/provider.py`), of the provider huaweicloud for Terraform
(`provider.go`) and of the OpenStack tools. An environment that is set up for one of these needs nothing else.
"""
# ruff: noqa: S105, S106 - the names of variables are not passwords

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from deployer.errors import DeployerError, UsageError
from deployer.project.target import Target
from deployer.secrets.store import PREFIX, Secrets, SecretSource

# Each type of credential describes where it comes from (`source`), and what to check if it is rejected
# (`check`). Its `secrets` are never shown; an access key is one, although requests contain it in plain text.


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was obtained from IAM elsewhere."""

    check: ClassVar[str] = "tokens are valid for 24 hours and one project"

    value: str = field(repr=False)
    source: str

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.value,)


@dataclass(frozen=True, slots=True)
class Password:
    """An IAM user, by id or by name. A name is unique in its domain (the account), also given by id or name."""

    check: ClassVar[str] = (
        "check user, password, account and programmatic access; "
        "not retried, because repeated failed logins lock the user"
    )

    password: str = field(repr=False)
    source: str
    user_id: str = ""
    user_name: str = ""
    domain_id: str = ""
    domain_name: str = ""

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.password,)


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key; a temporary one has a security token."""

    check: ClassVar[str] = (
        "check that both parts match and the key is enabled; temporary keys expire within a day and need a "
        "security token; not retried, because five invalid signatures in a row lock the key"
    )

    ak: str = field(repr=False)
    sk: str = field(repr=False)
    source: str
    security_token: str = field(default="", repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.ak, self.sk, self.security_token)))


Credential = Token | Password | AccessKey


@dataclass(frozen=True, slots=True)
class ResolvedCredential:
    """A credential, with the URL of its IAM and the project if they are configured next to it."""

    credential: Credential
    iam: str = ""
    project_id: str = ""
    project_name: str = ""

    def scrubber(self) -> Callable[[str], str]:
        """Return a function that returns a message without the credential in any encoding."""
        values = {f"VALUE_{number}": value for number, value in enumerate(self.credential.secrets)}
        environment = {f"{PREFIX}{name}": value for name, value in values.items()}
        secrets = Secrets({name: SecretSource(name) for name in values}, environment, Path())
        secrets.missing(values)  # reads them
        return secrets.scrubbed


@dataclass(frozen=True, slots=True)
class _Names:
    """The variables of one tool, empty if it has none; of several, the first that is set is used."""

    iam: str
    project_id: tuple[str, ...]
    project_name: tuple[str, ...] = ()
    token: str = ""
    ak: str = ""
    sk: str = ""
    security_token: str = ""
    user_id: str = ""
    user_name: str = ""
    password: str = ""
    domain_id: tuple[str, ...] = ()
    domain_name: tuple[str, ...] = ()


# SDK, Terraform, OpenStack: the order of preference. A credential is never combined from two of them.
_TOOLS = (
    _Names(
        iam="HUAWEICLOUD_SDK_IAM_ENDPOINT",
        project_id=("HUAWEICLOUD_SDK_PROJECT_ID",),
        ak="HUAWEICLOUD_SDK_AK",
        sk="HUAWEICLOUD_SDK_SK",
        security_token="HUAWEICLOUD_SDK_SECURITY_TOKEN",
    ),
    _Names(
        iam="HW_AUTH_URL",
        project_id=("HW_PROJECT_ID",),
        project_name=("HW_PROJECT_NAME",),
        token="HW_AUTH_TOKEN",
        ak="HW_ACCESS_KEY",
        sk="HW_SECRET_KEY",
        security_token="HW_SECURITY_TOKEN",
        user_id="HW_USER_ID",
        user_name="HW_USER_NAME",
        password="HW_USER_PASSWORD",
        domain_id=("HW_DOMAIN_ID",),
        domain_name=("HW_DOMAIN_NAME",),
    ),
    _Names(
        iam="OS_AUTH_URL",
        project_id=("OS_PROJECT_ID", "OS_TENANT_ID"),
        project_name=("OS_PROJECT_NAME", "OS_TENANT_NAME"),
        token="OS_AUTH_TOKEN",
        ak="OS_ACCESS_KEY",
        sk="OS_SECRET_KEY",
        security_token="OS_SECURITY_TOKEN",
        user_id="OS_USER_ID",
        user_name="OS_USERNAME",
        password="OS_PASSWORD",
        domain_id=("OS_DOMAIN_ID", "OS_USER_DOMAIN_ID"),
        domain_name=("OS_DOMAIN_NAME", "OS_USER_DOMAIN_NAME"),
    ),
)
# The names of other variables with a token, listed outside the repository.
TOKEN_VARIABLES = "DEPLOYER_AUTH_VARIABLES"
_FILE_VARIABLE = "HUAWEICLOUD_SDK_CREDENTIALS_FILE"
_FILE = ".huaweicloud/credentials"
_FILE_SECTION = "basic"  # the SDK keeps credentials for global services in another one


def find(target: Target, environment: Mapping[str, str]) -> ResolvedCredential:
    """Return the credential of a target, by its `auth` or the first one that is set. Raises DeployerError.

    Without a method the order is that of the Terraform provider: a token, an access key, a password, a file.
    Raises UsageError for a variable that deployer.yaml alone names.
    """
    variable, listed = target.variable, environment.get(TOKEN_VARIABLES, "").split(",")
    if variable and variable not in {*map(str.strip, listed), *(names.token for names in _TOOLS)}:
        raise UsageError(
            f"target '{target.name}': auth.variable {variable} is not allowed; "
            f"to allow it, set {TOKEN_VARIABLES}={variable} outside the repository"
        )
    method = target.auth or ("token" if target.variable else "")
    read = _Reader(environment, target)
    found = next((candidate for look in _METHODS[method] if (candidate := look(read))), None)
    if found is None:
        raise DeployerError(f"target '{target.name}': {read.missing(method)}")
    return read.with_project(found)


class _Reader:
    """A reader of credentials from an environment, which notes incomplete ones."""

    def __init__(self, environment: Mapping[str, str], target: Target) -> None:
        self._environment = environment
        self._variable = target.variable
        self._incomplete: list[str] = []

    def token(self) -> ResolvedCredential | None:
        for names in _TOOLS:
            variable = names.token
            if variable and self._variable:
                variable = self._variable if self._variable.startswith(variable) else ""
            if value := self._header(variable, "a token"):
                return ResolvedCredential(Token(value, f"the token in {variable}"), self._value(names.iam))
        return None

    def access_key(self) -> ResolvedCredential | None:
        for names in _TOOLS:
            if self._complete(names.ak, names.sk):
                key = AccessKey(
                    self._header(names.ak, "an access key"),
                    self._header(names.sk, "a secret key"),
                    f"the access key in {names.ak} and {names.sk}",
                    self._header(names.security_token, "a security token"),
                )
                return ResolvedCredential(key, self._value(names.iam))
        return None

    def password(self) -> ResolvedCredential | None:
        for names in _TOOLS:
            user = names.user_name if self._value(names.user_name) else names.user_id
            if not self._complete(user, names.password, either=names.user_name):
                continue
            by_name = user == names.user_name
            domain_id, domain_name = self._first(names.domain_id), self._first(names.domain_name)
            if by_name and not (domain_id or domain_name):
                self._incomplete.append(
                    f"{user} and {names.password} are set, but {names.domain_name[0]} "
                    "(the user's account) is not"
                )
                continue
            password = Password(
                self._environment[names.password],  # unchanged: blanks may belong to it
                f"the user and password in {user} and {names.password}",
                user_id="" if by_name else self._value(user),
                user_name=self._value(user) if by_name else "",
                domain_id="" if domain_name else domain_id,
                domain_name=domain_name,
            )
            return ResolvedCredential(password, self._value(names.iam))
        return None

    def file(self) -> ResolvedCredential | None:
        path = self._value(_FILE_VARIABLE)
        home = self._value("HOME") or self._value("USERPROFILE")
        file = Path(path) if path else Path(home, _FILE) if home else None
        if file is None or not (path or _is_file(file)):
            return None
        shown = path or f"~/{_FILE}"
        section = _section(file, shown)
        ak, sk = section.get("ak", ""), section.get("sk", "")
        if not (ak and sk):
            self._incomplete.append(f"[{_FILE_SECTION}] of {shown} must contain both ak and sk")
            return None
        for name in ("ak", "sk", "security_token"):
            _check_header_value(section.get(name, ""), f"{name} in {shown}")
        key = AccessKey(ak, sk, f"the access key in {shown}", section.get("security_token", ""))
        return ResolvedCredential(key, section.get("iam_endpoint", ""), section.get("project_id", ""))

    def with_project(self, found: ResolvedCredential) -> ResolvedCredential:
        """Return `found` with the project of the variables, which override the file."""
        ids = (self._first(names.project_id) for names in _TOOLS)
        project_names = (self._first(names.project_name) for names in _TOOLS)
        return ResolvedCredential(
            found.credential,
            found.iam,
            next(filter(None, ids), found.project_id),
            next(filter(None, project_names), found.project_name),
        )

    def missing(self, method: str) -> str:
        """Describe which variables are incomplete or missing."""
        if self._incomplete:
            return "; ".join(self._incomplete)
        if method == "token" and self._variable:
            return f"the environment variable {self._variable} does not contain a token"
        wanted = "; or ".join(_WANTED[candidate] for candidate in ([method] if method else _WANTED))
        return f"no credentials found; set {wanted}"

    def _complete(self, first: str, other: str, *, either: str = "") -> bool:
        """Return whether two variables are set that are only valid together."""
        present = [name for name in (first, other) if self._value(name)]
        if len(present) == 1:
            lacking = other if present == [first] else either or first
            self._incomplete.append(f"{present[0]} is set, but {lacking} is not")
        return len(present) == 2

    def _first(self, names: Sequence[str]) -> str:
        return next(filter(None, map(self._value, names)), "")

    def _value(self, name: str) -> str:
        return self._environment.get(name, "").strip()

    def _header(self, name: str, what: str) -> str:
        value = self._value(name)
        _check_header_value(value, name, what)
        return value


_METHODS: Mapping[str, Sequence[Callable[[_Reader], ResolvedCredential | None]]] = {
    "": (_Reader.token, _Reader.access_key, _Reader.password, _Reader.file),
    "token": (_Reader.token,),
    "aksk": (_Reader.access_key, _Reader.file),
    "password": (_Reader.password,),
}
_WANTED: Mapping[str, str] = {
    "token": "HW_AUTH_TOKEN (a token)",
    "aksk": "HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK (an access key)",
    "password": "HW_USER_NAME, HW_USER_PASSWORD and HW_DOMAIN_NAME (an IAM user)",
}


def _check_header_value(value: str, name: str, what: str = "a credential") -> None:
    if not value.isascii() or not (value or "x").isprintable():
        raise DeployerError(f"{name} is not valid as {what}: contains characters not allowed in a header")


def _is_file(file: Path) -> bool:
    try:
        return file.is_file()
    except OSError:  # another user's home
        return False


def _section(file: Path, shown: str) -> Mapping[str, str]:
    """Return the section of the credentials file, without interpolation. Raises DeployerError."""
    import configparser  # on use: most credentials are in the environment

    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(file.read_text(encoding="utf-8"))
        problem = "" if parser.has_section(_FILE_SECTION) else f"has no section [{_FILE_SECTION}]"
    except OSError as error:
        problem = f"is not readable: {error.strerror}"
    except (configparser.Error, ValueError):
        # Their messages repeat the line, which may contain a key.
        problem = "is not a valid INI file with ak and sk"
    if problem:
        raise DeployerError(f"the credentials file {shown} {problem}")
    return {name: value.strip() for name, value in parser.items(_FILE_SECTION)}
