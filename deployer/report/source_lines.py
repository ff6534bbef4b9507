"""The lines of an author's file as they may be shown: text that nothing could parse, without credentials."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import translate

from deployer.schema.rules import LITERAL_SECRET
from deployer.secrets.redact import NAME, OPTION
from deployer.secrets.redact import text as redacted
from deployer.secrets.references import NAME as SECRET_NAME
from deployer.secrets.scrub import MASK


def masked_lines(text: str, sensitive: Sequence[str] = (), *, declares: bool = False) -> list[str]:
    """Returns the lines of an author's file, which may be broken, without what may be a credential in them.

    `sensitive` are patterns of keys, in small letters: their values are secret, as are those of keys with the
    name of a secret. Expressions without literals in them stay, `{{ secret("NAME") }}` too. What stands
    before the first mask of a line keeps its column. When in doubt, a line is masked. With `declares` what
    stands under `secrets` declares them: names, variables and files, and no values.
    """
    file = _File(sensitive)
    shown = _Declaring(file).masked if declares else file.masked
    return [shown(line) for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]


# In a line, an expression is one character while its surroundings are looked at: one from _BARE when it has
# no literal in it, else one from _OTHER.
_BARE, _OTHER, _MOST = 0xF0000, 0x100000, 0xFFFD
_STANDS_FOR = re.compile("[\U000f0000-\U0010ffff]")
_SECRET_CALL = re.compile(rf"secret\(\s*([\"']){SECRET_NAME.pattern}\1\s*\)")
# Also what is no credential, though it looks like one: a secret that is set, and the waiver of a rule.
_EXPRESSION = re.compile(
    rf"\{{\{{[^{{}}]*+\}}\}}|\{{%[-+]?\s*+set\s++\w++\s*+=\s*+{_SECRET_CALL.pattern}\s*+[-+]?%\}}"
    rf"|(?<![\w.-]){LITERAL_SECRET}(?=\s*:\s)"
)
_LITERAL = re.compile(r"[\"']|(?<![\w\[])[0-9]")
_DEFAULT = re.compile(
    rf"({NAME}[\"'\])]*\s*\|\s*d(?:efault)?\s*\(\s*)(?:\"[^\"]+|'[^']+)[\"']?", re.IGNORECASE
)

# In characters; no file that is written by hand comes near it.
_MOST_WORK = 5_000_000

# Whatever a rule looks for, a line has one of these; most lines have none.
_SUSPECT = r"://|pass|pwd|secret|token|credential|key|[as]k"
# Only what stands for one character is repeated possessively here: with groups Python 3.11 gets that wrong
# before 3.11.5, and Debian 12 has 3.11.2.
_IN_DOUBLE = r"[^\"\\]*+(?:\\.[^\"\\]*+)*"
_IN_SINGLE = r"[^']*+(?:''[^']*+)*"
_PLAIN = r"[^\s\"'{}\[\],:\\]"
_KEY = re.compile(rf"(?<!{_PLAIN})({_PLAIN}++)[\\\"']*+\s*+:(?=[\s\"'{{\[|>&!*\\\U000f0000-\U0010ffff]|$)")
_WORD = re.compile(rf"\s*[\\\"']*({_PLAIN}+)")
_LEAD = re.compile(r"\s*+(?:-\s++)*")
_BEGIN = re.compile(
    r"(?=-----BEGIN [A-Z0-9 ]{0,64}PRIVATE KEY)"
    rf"|\{{%[-+]?\s*+set\s+[\w.]{{0,64}}?(?i:{NAME})\s*+[-+]?%\}}"
)
_END = re.compile(r".*?(?:-----END|endset)")
_DOCUMENT = re.compile(r"(?:---|\.\.\.)(?:\s|$)")
# A comment, or nothing but tags: it neither ends a value nor is one.
_ASIDE = re.compile(r"\s*+(?:#.*|(?:\{[%#][^{}]*+\}\s*+)+)$")
# What can stand after a value that has ended.
_NEXT = re.compile(
    rf"[-?](?:\s|$)|[}}\])]|(?:\"{_IN_DOUBLE}\"|'[^']*+')\s*+:"
    r"|(?![:\"'])(?:[^:,{}\[\]]++|:(?!\s|$)|\{\{[^{}]*+\}\})+:(?=\s|$)"
)
_KEPT = re.compile("\\s*(?:[\"']?[\U000f0000-\U000fffff]+)?")
_ENDS = (",", "]", "}")
_BLOCK = re.compile(r"[|>][-+0-9]{0,2}")
_ANNOUNCES = re.compile(rf"{OPTION}[\"']?\s*+,\s*+", re.IGNORECASE)
_ANNOUNCES_NEXT = re.compile(rf"{OPTION}[\"']?\s*+[,\\]?\s*+(?:#.*)?$", re.IGNORECASE)
_ITEM = re.compile(rf"(?:\"{_IN_DOUBLE}\"?|'{_IN_SINGLE}'?)?[^,\]}}]*+")
_QUOTED = re.compile(rf"(?<![^\s\[{{,:])(?:\"{_IN_DOUBLE}\"|'{_IN_SINGLE}'(?!'))")
_BRACKET = re.compile(r"[\[\]{}]")
_OPEN_QUOTE = re.compile(r"(?<![^\s\[{,:])[\"']")
_COLLECTION = re.compile(r"\s*(?:[&!]\S*\s+)*[\[{]")
_UNCLOSED = (
    (re.compile(rf"\s*(?:[&!]\S*\s+)*\"{_IN_DOUBLE}\\?$"), re.compile(rf"{_IN_DOUBLE}\"")),
    (re.compile(rf"\s*(?:[&!]\S*\s+)*'{_IN_SINGLE}$"), re.compile(rf"{_IN_SINGLE}'(?!')")),
)


class _File:
    """A masker of the lines of one file, in order.

    `value_of` is the column of a key whose value may go on, `follows` that of an option whose value comes
    next (-1 where it is not in a block list), `until` matches the line with the end of a quoted text or key
    file, `brackets` counts those of a value that are open, and `is_named` says that an entry `value` belongs
    to an entry `key` or `name` that names a secret. Once there is no work `left`, every line is masked.
    """

    def __init__(self, sensitive: Sequence[str]) -> None:
        pieces = [max(re.split(r"[*?]|\[.*?\]", pattern), key=len) for pattern in sensitive]
        self.suspect = re.compile("|".join([_SUSPECT, *map(re.escape, pieces)]), re.IGNORECASE)
        self.secret_key = re.compile("|".join([rf"(?s:.*{NAME})\Z", *map(translate, sensitive)]))
        self.value_of: int | None = None
        self.follows: int | None = None
        self.until: re.Pattern[str] | None = None
        self.brackets = 0
        self.is_named = False
        self.left = _MOST_WORK

    def masked(self, line: str) -> str:
        begun = self.until or self.brackets or self.value_of is not None or self.follows is not None
        if not begun and not self.is_named and not self.suspect.search(line):
            return line
        self.left -= len(line) + 30
        return self._masked(line) if self.left > 0 else MASK

    def _masked(self, line: str) -> str:
        if _DOCUMENT.match(line):
            self.value_of = self.follows = self.until = None
            self.brackets = 0
        if self.until or self.brackets:
            return self._inside(line)
        if not line.strip():
            return line
        indent = len(line) - len(line.lstrip())
        if _ASIDE.match(line) and (self.value_of is None or indent <= self.value_of):
            return self._shown(line, aside=True)
        if self.value_of is not None:
            is_item = indent == self.value_of and line[indent] == "-"
            goes_on = not _NEXT.match(line, indent)
            if indent > self.value_of or is_item or goes_on:
                if goes_on and indent <= self.value_of:
                    self._note_open(line)
                return self._hidden(line)
            self.value_of = None
        if self.follows is not None and (masked := self._following(line, indent, self.follows)):
            return masked
        return self._shown(line)

    def _inside(self, line: str) -> str:
        """Returns a line that is masked whatever its indentation."""
        start = _lead(line)
        if self.until:
            if not (end := self.until.match(line)):
                return self._value(line)
            self.until = None
            start = max(start, end.end())
        if self.brackets:
            self._note_brackets(line[start:])
        if not self.until and not self.brackets:
            # What stands before the end is no beginning; the column stays that of the line.
            self._shown(line[: _lead(line)].ljust(start, ".") + line[start:])
        return self._value(line)

    def _following(self, line: str, indent: int, option: int) -> str:
        """Returns the line after an option that announces a secret, or nothing where it is not its value."""
        if option >= 0 and indent > option:
            return self._value(line)  # the option itself goes on
        self.follows = None
        dash = _dash(line)
        if dash >= 0 and option in (-1, dash):
            self._note_column(dash + 1)
        elif option >= 0 or _NEXT.match(line, indent):
            return ""
        elif not line.rstrip().endswith(_ENDS):
            self._note_column(_lead(line))
        self._note_open(line[_lead(line) :])
        return self._hidden(line)

    def _hidden(self, line: str) -> str:
        """Returns a line of a secret value, on which another one may begin."""
        self._shown(line)
        return self._value(line)

    def _value(self, line: str) -> str:
        """Returns a line of a secret value."""
        line, expressions = _folded(line)
        start = _lead(line)
        return _unfolded(line[:start] + _shown_value(line[start:]), expressions)

    def _shown(self, line: str, *, aside: bool = False) -> str:
        """Returns a line that begins outside of any secret value."""
        line, expressions = _folded(line)
        begin = _BEGIN.search(line)
        keys = self._secret_keys(line, begin.end() if begin else len(line))
        head, tail = line, ""
        if keys:
            end = keys[0].end()
            head, tail = line[:end], _shown_value(line[end:])
        elif begin:
            head, tail = line[: begin.end()], MASK
        if begin and not _END.match(line, begin.end()):
            self.until = _END
        if not aside:
            for key in keys[:1] + keys[1:][-1:]:
                self._note_value(line, key)
            if _ANNOUNCES_NEXT.search(line):
                self.follows = _dash(line)
        head, unfinished = _items_masked(head)
        if unfinished and not tail:
            self._note_column(_lead(line))
            self._note_open(unfinished)
        return _unfolded(redacted(head) + tail, expressions)

    def _secret_keys(self, line: str, end: int) -> list[re.Match[str]]:
        found: list[re.Match[str]] = []
        for key in _KEY.finditer(line, 0, end):
            name = key[1].casefold()
            if self.secret_key.match(name) or (self.is_named and name == "value"):
                found.append(key)
            elif name in ("key", "name"):
                named = _WORD.match(line, key.end())
                self.is_named = bool(named and self.secret_key.match(named[1].casefold()))
        return found

    def _note_value(self, line: str, key: re.Match[str]) -> None:
        """Notes that the value of a key may go on, unless it ends on its line inside `{}` or `[]`."""
        value = line[key.end() :]
        in_flow = line[: key.start()].rstrip(" \t\"'\\").endswith(("{", "[", ","))
        if in_flow or _COLLECTION.match(value):
            self._note_brackets(value)
        else:
            self._note_open(value)
        if self.until or not (in_flow and line.rstrip().endswith(_ENDS)):
            self._note_column(_lead(line))

    def _note_column(self, column: int) -> None:
        self.value_of = column if self.value_of is None else min(column, self.value_of)

    def _note_open(self, value: str) -> None:
        """Notes that a quoted text begins whose end is not on its line."""
        self.until = next((closed for opened, closed in _UNCLOSED if opened.match(value)), self.until)

    def _note_brackets(self, rest: str) -> None:
        """Counts the brackets that are open after `rest`, and notes a quote that stays open."""
        rest = _QUOTED.sub("", rest)
        if quote := _OPEN_QUOTE.search(rest):
            self.until = next(closed for opened, closed in _UNCLOSED if opened.match(quote[0]))
            rest = rest[: quote.start()]
        for bracket in _BRACKET.findall(rest):
            self.brackets = max(0, self.brackets + (1 if bracket in "[{" else -1))


_SECRETS = re.compile(r"( *)secrets *:(?= *(?:#.*)?$| *\{)")
_DECLARED = re.compile(r"([\w.-]+)([\"']?\s*+:\s++)([^\s{},][^{},]*+)")
_DECLARES = ("variable", "file")


class _Declaring:
    """A masker of deployer.yaml: `indent` is that of the `secrets` being read."""

    def __init__(self, file: _File) -> None:
        self.file = file
        self.indent: int | None = None

    def masked(self, line: str) -> str:
        if begin := _SECRETS.match(line):
            self.indent = len(begin[1])
            return begin[0] + self._declared(line[begin.end() :])
        if self.indent is not None:
            if not line.strip() or len(line) - len(line.lstrip()) > self.indent:
                return self._declared(line)
            self.indent = None
        return self.file.masked(line)

    def _declared(self, line: str) -> str:
        if not line.strip(" {},"):
            return line
        if ":" not in line or re.search(r"[\[\"'|>&*!#]", line):
            return f"{line[: _lead(line)]}{MASK}"
        return _DECLARED.sub(
            lambda match: f"{match[1]}{match[2]}{redacted(match[3]) if match[1] in _DECLARES else MASK}", line
        )


def _lead(line: str) -> int:
    """Returns the column of what stands after the indentation and the dashes of list items."""
    match = _LEAD.match(line)
    return match.end() if match else 0


def _dash(line: str) -> int:
    """Returns the column of the last dash before the content, -1 if there is none."""
    return line.rfind("-", 0, _lead(line))


def _folded(line: str) -> tuple[str, list[str]]:
    """Returns a line with one character for each expression, and the expressions as they can be shown."""
    expressions: list[str] = []

    def fold(match: re.Match[str]) -> str:
        bare = not _LITERAL.search(_SECRET_CALL.sub("", match[0]))
        expressions.append(match[0] if bare else redacted(_DEFAULT.sub(rf"\1{MASK}", match[0])))
        return chr((_BARE if bare else _OTHER) + len(expressions) - 1)

    return _EXPRESSION.sub(fold, _STANDS_FOR.sub("\ufffd", line), count=_MOST), expressions


def _unfolded(line: str, expressions: Sequence[str]) -> str:
    return _STANDS_FOR.sub(lambda match: expressions[ord(match[0]) & 0xFFFF], line)


def _shown_value(value: str) -> str:
    """Returns the visible part of a secret value's line: the expressions that it begins with."""
    kept = _KEPT.match(value)
    end = kept.end() if kept else 0
    rest = value[end:].strip(" \t\"',]})")
    return value if not rest or _BLOCK.fullmatch(rest) else value[:end] + MASK


def _items_masked(line: str) -> tuple[str, str]:
    """Returns a line with the items masked that follow an option on it, as in `["--password", "x"]`.

    Also the last of these items, where nothing on the line ends it.
    """
    pieces: list[str] = []
    position = 0
    unfinished = ""
    for option in _ANNOUNCES.finditer(line):
        item = _ITEM.match(line, option.end())
        if item and item[0] and option.end() >= position:
            pieces += [line[position : option.end()], _shown_value(item[0])]
            position = item.end()
            unfinished = item[0] if position == len(line) else ""
    return "".join([*pieces, line[position:]]), unfinished
