"""The limits that the prose of a vendor page states, in Chinese and in English.

Unclear statements are ignored: a total over a list, a formula as a default, forbidden characters, or "only
Spark parameters are supported" are not limits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

# Chinese punctuation, and the ASCII characters that the phrases expect.
_PLAIN: Mapping[int, str] = str.maketrans(
    {
        **dict(zip("，、。；：（）【】", ",,.;:()[]", strict=True)),  # noqa: RUF001
        **dict.fromkeys("“”「」", '"'),
        **dict.fromkeys("‘’", "'"),  # noqa: RUF001
        **dict.fromkeys("～–—", "~"),  # noqa: RUF001
        "≥": ">=",
        "≤": "<=",
        "\u00a0": " ",
        "\u3000": " ",
        "\u200b": "",
        "\ufeff": "",
    }
)

_COUNT = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,9})"
_NUMBER = r"-?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,15}(?:\.[0-9]{1,9})?)(?![0-9])"
_TO = r"\s*(?:[-~到至]|to|and)\s*"
_CHARACTERS = r"\s*个?\s*(?:字符|characters?\b)"
_WORD = r"-?[A-Za-z0-9_]+(?:[.:/+-]+[A-Za-z0-9_]+)*"
_END = r"(?=\s*(?:[,;)\n]|\.(?![A-Za-z0-9])|$))"
_IS = r"\s*(?:为|是|:|=|\bis\b)?\s*"

_ITEM = rf"[\"']?{_WORD}[\"']?"
_BETWEEN = r"(?:\s*[,/]\s*(?:or\s+|and\s+)?|\s+or\s+|\s+and\s+|\s*(?:或者|或|和|及)\s*)"
_LIST = rf"(?P<enum>{_ITEM}(?:{_BETWEEN}{_ITEM})+)"

_RANGE = rf"(?:取值范围|数值范围|范围|\b(?:value\s+)?range){_IS}"
_VALUE = (
    r"(?:取值范围|取值|值|\bvalue(?:\s+range)?)\s*(?:必须|需要|应|must\s+be|should\s+be|can\s+be)?"
    rf"{_IS}"
)
_GREATER = r"(?:greater|more|larger)\s+than"
_DEFAULT = r"(?:默认值?|缺省值?|\bdefault(?:s|\s+value)?(?:\s+of\s+[\w.-]{1,99})?)"

# A named group of a phrase is the limit of that name, except these:
#   or, above:  a single allowed value below a range, and the lower bound of the range (exclusive)
#   characters: the kinds of characters that are allowed, in words
_PHRASES = tuple(
    re.compile(phrase, re.IGNORECASE | re.MULTILINE)
    for phrase in (
        # length of a string
        rf"(?P<minLength>{_COUNT}){_TO}(?P<maxLength>{_COUNT}){_CHARACTERS}",
        r"(?:长度|\blength)(?:限制|范围|\s+range|\s+limit)?"
        rf"{_IS}(?P<minLength>{_COUNT}){_TO}(?P<maxLength>{_COUNT})",
        rf"(?:不能超过|不可超过|不超过|不大于|不多于|最多|最长|最大|上限){_IS}(?P<maxLength>{_COUNT}){_CHARACTERS}",
        rf"(?:最大长度|长度不能超过|长度不超过){_IS}(?P<maxLength>{_COUNT})",
        r"\b(?:max(?:imum)?(?:\s+of)?|up\s+to|at\s+most|no\s+(?:more|longer)\s+than|(?:can)?not\s+exceed)"
        rf"\s+(?P<maxLength>{_COUNT}){_CHARACTERS}",
        rf"\bmax(?:imum)?\s+length{_IS}(?P<maxLength>{_COUNT})",
        rf"(?P<maxLength>{_COUNT})\s+characters\s+(?:or\s+(?:less|fewer)|at\s+most)",
        rf"(?:最小长度|\bmin(?:imum)?\s+length){_IS}(?P<minLength>{_COUNT})",
        rf"(?:至少|不能少于|不少于|最少)(?P<minLength>{_COUNT}){_CHARACTERS}",
        rf"\bat\s+least\s+(?P<minLength>{_COUNT}){_CHARACTERS}",
        # range of a number
        rf"{_RANGE}(?P<or>{_NUMBER})\s*(?:或者|或|\bor\b)\s*(?:大于|{_GREATER}|>)\s*(?P<above>{_NUMBER})",
        rf"{_RANGE}[\[(]?\s*(?P<minimum>{_NUMBER})(?:{_TO}|\s*,\s*)(?P<maximum>{_NUMBER})",
        r"\b(?:ranges?\s+from|range\s+of|between|integer\s+from|number\s+from)"
        rf"\s+(?P<minimum>{_NUMBER})\s+(?:to|and)\s+(?P<maximum>{_NUMBER})",
        rf"{_VALUE}(?:大于等于|大于或等于|不小于|>=|{_GREATER}\s+or\s+equal\s+to|at\s+least)\s*(?P<minimum>{_NUMBER})",
        rf"{_VALUE}(?:大于|{_GREATER}|>)\s*(?P<above>{_NUMBER})",
        rf"{_VALUE}(?:小于等于|小于或等于|不大于|<=|less\s+than\s+or\s+equal\s+to|at\s+most)\s*(?P<maximum>{_NUMBER})",
        rf"(?:最小值?|\bminimum(?:\s+value)?){_IS}(?P<minimum>{_NUMBER})",
        rf"(?:最大值?|不能超过|不超过|\bmaximum(?:\s+value)?(?:\s+of)?|\b(?:can)?not\s+exceed){_IS}(?P<maximum>{_NUMBER})",
        # default value
        rf"{_DEFAULT}{_IS}\"(?P<default>[^\"\n]{{1,200}})\"",
        rf"{_DEFAULT}{_IS}'(?P<default>[^'\n]{{1,200}})'",
        rf"{_DEFAULT}\s*(?:为|是|:|=|\bis\b|\bto\b)\s*(?P<default>{_WORD}){_END}",
        rf"\bby\s+default,?\s+the\s+[\w ]{{1,60}}\s+starts?\s+(?:from|at)\s+(?P<default>{_WORD}){_END}",
        rf"不指定,则按[^,.\nA-Za-z0-9]{{0,20}}(?P<default>{_WORD})创建",
        rf"^•\s*(?P<default>{_WORD})\s*\((?:默认值?|default)\)",
        # allowed values
        rf"可接受参数{_IS}{_LIST}",
        rf"(?:枚举值|可选值|取值范围|取值)(?:为|是|有|包括|:)\s*{_LIST}{_END}",
        r"\b(?:values?|options?|enumerations?)\s*(?:can\s+be|may\s+be|must\s+be|are|include|:)"
        rf"\s*(?:one\s+of\s*:?\s*|either\s+)?{_LIST}{_END}",
        rf"\b(?:values|types|only)\s+{_LIST}\s+are\s+(?:available|supported|allowed|accepted)",
        # allowed characters
        r"(?:只能|仅能|只可)(?:由|包含|包括|使用|是|为)(?P<characters>[^.;\n]{1,200}?)(?:组成|构成)?"
        r"(?=,?\s*(?:并且|且)?长度|[.;\n]|$)",
        r"\b(?:contains?|consists?\s+of)\s+only\s+(?P<characters>(?:[^.;\n]|\.(?=\))){1,200})",
        r"\bonly\s+(?P<characters>(?:[^.;\n]|\.(?=\))){1,200}?)\s+(?:are|is)\s+(?:allowed|supported|permitted)",
    )
)

# The JSON types to which a group of a phrase applies.
_APPLIES: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("minLength", "maxLength", "characters"), frozenset({"string"})),
    **dict.fromkeys(("minimum", "maximum", "or", "above"), frozenset({"integer", "number"})),
    "default": frozenset({"string", "integer", "number", "boolean"}),
    "enum": frozenset({"string", "integer"}),
}

# The kinds of characters, in the order in which a pattern names them.
_KINDS: Mapping[str, tuple[str, ...]] = {
    "A-Za-z": ("字母", "英文字母", "大小写字母", "letters", "english letters"),
    "A-Z": ("大写字母", "uppercase letters"),
    "a-z": ("小写字母", "lowercase letters"),
    "0-9": ("数字", "digits", "numbers"),
    "_": ("下划线", "underscores", "_"),
    ".": ("点", "点号", "英文句号", "periods", "dots", "."),
    "-": ("中划线", "连字符", "短划线", "hyphens", "dashes", "-"),
}
_KIND_OF = {word: kind for kind, words in _KINDS.items() for word in words}
_SEPARATOR = re.compile(r",|\band\b|\bor\b|以及|和|及|与|或")

_BULLET = re.compile(r"(•+)\s*(.*)")
_CHOICE = re.compile(rf"[\"']?({_WORD})[\"']?\s*(?:\([^)]{{0,80}}\))?\s*(?:$|[:,]|\s[-~]\s)")
_CLEAR_CHOICE = re.compile(rf"[\"']?{_WORD}[\"']?\s*(?:\([^)]{{0,80}}\))?\s*(?:$|:)")
_CHOICES_FOLLOW = re.compile(
    r"(?:枚举值|可选值|enumerat\w+(?: values?)?|options|values)\s*(?:are)?\s*:?$", re.I
)
_IS_DEFAULT = re.compile(rf"{_DEFAULT}\s*(?:[:为是]|is\b)", re.I)
_NO_VALUES = {"note", "notes", "caution", "notice", "example", "examples", "tip", "remark", "remarks"}
_NOTHING = {"none", "null", "empty", "blank", "unlimited"}

MAX_PROSE = 20_000


def normalize(text: str) -> str:
    """Return `text` with Chinese punctuation and all kinds of quotes as ASCII."""
    return text.translate(_PLAIN)


def limits(prose: str, kind: str) -> dict[str, Any]:
    """Return the limits and `excluded` that `prose` states, as in a table row; `kind` is the JSON type.

    A line that begins with • (or - or *) is a list item, with •• an item of a nested list.
    """
    text = normalize(prose[:MAX_PROSE]).replace("**", "").replace("`", "")
    text = re.sub(r"^[-*]\s+", "• ", text, flags=re.MULTILINE)
    found: dict[str, Any] = {}
    for phrase in _PHRASES:
        for match in phrase.finditer(text):
            facts = dict(_facts(match.groupdict(), kind))
            if facts and not found.keys() & facts.keys():
                found |= facts
                break
    if "enum" not in found and (choices := _choices(text.splitlines(), kind)):
        found["enum"] = choices
    return found


def _facts(groups: Mapping[str, str | None], kind: str) -> Iterator[tuple[str, Any]]:
    present = {name: text for name, text in groups.items() if text is not None and kind in _APPLIES[name]}
    if "above" in present:
        yield from _above(present.get("or", ""), present["above"], kind)
        return
    for name, text in present.items():
        match name:
            case "minLength" | "maxLength":
                yield name, int(text.replace(",", ""))
            case "enum":
                words = [word for word in re.findall(_WORD, text) if word.casefold() not in {"or", "and"}]
                if values := _typed(words, kind):
                    yield name, values
            case "characters":
                if pattern := _pattern(text):
                    yield "pattern", pattern
            case _:
                if (value := _value(text, kind)) is not None:
                    yield name, value


def _above(single: str, bound: str, kind: str) -> Iterator[tuple[str, Any]]:
    """Read `-1 or greater than 0` as a range from -1 without 0. Fractions have no limit for "greater than"."""
    lowest, above = _value(single, kind), _value(bound, kind)
    if kind != "integer" or above is None:
        return
    if lowest is None:
        yield "minimum", above + 1
    elif 0 <= above - lowest <= 10:
        yield "minimum", lowest
        yield "excluded", list(range(lowest + 1, above + 1))


def _value(text: str, kind: str) -> Any:
    """Return `text` as a value of a JSON type; None if it is not one."""
    text = text.strip()
    match kind:
        case "integer":
            return int(text.replace(",", "")) if re.fullmatch(_NUMBER, text) and "." not in text else None
        case "number":
            return float(text.replace(",", "")) if re.fullmatch(_NUMBER, text) else None
        case "boolean":
            return {"true": True, "false": False}.get(text.casefold())
        case _:
            is_formula = re.search(r"[()*]", text)
            return None if not text or is_formula or text.casefold() in _NOTHING else text


def _typed(words: Sequence[str], kind: str) -> list[Any]:
    """Return the words as values; an empty list if one of them is not a value."""
    values = [None if word.casefold() in {*_NO_VALUES, *_KIND_OF} else _value(word, kind) for word in words]
    return [] if None in values else list(dict.fromkeys(values))


def _pattern(words: str) -> str | None:
    named = (word.strip().casefold() for word in _SEPARATOR.split(re.sub(r"\([^()]*\)", "", words)))
    kinds = {_KIND_OF.get(word) for word in named if word}
    if not kinds or None in kinds:
        return None
    return f"^[{''.join(kind for kind in _KINDS if kind in kinds)}]+$"


def _choices(lines: Sequence[str], kind: str) -> list[Any]:
    """Return the values of the first list whose items all begin with a value: `basic: the vendor's image`."""
    if kind not in _APPLIES["enum"]:
        return []
    for lead, items in _lists(lines):
        choices = [item for item in items if not _IS_DEFAULT.match(item)]
        matches = [match for match in map(_CHOICE.match, choices) if match]
        announced = bool(_CHOICES_FOLLOW.search(lead))
        clear = announced or (len(choices) > 1 and any(map(_CLEAR_CHOICE.match, choices)))
        if (
            clear
            and len(matches) == len(choices)
            and (values := _typed([choice_match[1] for choice_match in matches], kind))
        ):
            return values
    return []


def _lists(lines: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each list of items, without nested lists, and the line before it."""
    lead, items = "", list[str]()
    for line in [*lines, ""]:
        if bullet := _BULLET.fullmatch(line):
            items += [bullet[2]] if bullet[1] == "•" else []
        else:
            if items:
                yield lead, items
            lead, items = line, []
