"""JSON that a strict parser refuses for one value, made readable: the value is changed, all beside it stays.

Only for answers that could not be read as they are: what is sound is never looked at here.
"""

import re

MOST_DEEP = 64
"""Lists and objects inside each other; what lies deeper becomes a text."""

_TOKEN = re.compile(
    r'"(?:[^"\\]|\\.)*"|[\[\]{}]'
    r"|-?(?:NaN|Infinity)\b|\b(?:None|True|False|undefined)\b"
    r"|(?<![0-9.eE+-])-?[0-9](?:[0-9.]*[eE][+-]?[0-9]{5,}|[0-9.eE+-]{300,})",  # numbers larger than any
    re.DOTALL,
)
_IN_TEXT = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair
    r"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|(?P<control>[\x00-\x1f])"
    r'|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})'
    r"|(?P<escape>\\)",
    re.DOTALL,
)


def repaired(content: bytes) -> bytes:
    """The same JSON without what a strict parser stumbles over in a single value.

    Bytes that are no UTF-8 and halves of surrogate pairs become U+FFFD, control characters inside texts their
    escape, unknown escapes themselves, and NaN, numbers longer than any and what is nested too deep texts.
    """
    text = content.decode("utf-8", errors="replace")
    parts: list[str] = []
    depth, copied, deep_from = 0, 0, -1
    for token in _TOKEN.finditer(text):
        begin, end, said = token.start(), token.end(), token[0]
        if said in "[{":
            depth += 1
            if depth == MOST_DEEP + 1:
                parts.append(text[copied:begin])
                deep_from = begin
        elif said in "]}":
            if depth == MOST_DEEP + 1:
                parts.append(_quoted(text[deep_from:end]))
                copied, deep_from = end, -1
            depth -= 1
        elif deep_from < 0:
            parts += [text[copied:begin], _IN_TEXT.sub(_sound, said) if said[0] == '"' else f'"{said}"']
            copied = end
    parts.append(text[copied:])
    return "".join(parts).encode("utf-8", errors="replace")


def _sound(found: re.Match[str]) -> str:
    if found["lone"]:
        return "\\ufffd"
    if found["escape"]:
        return "\\\\"
    return f"\\u{ord(found['control']):04x}" if found["control"] else found[0]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f]", lambda one: f"\\u{ord(one[0]):04x}", escaped) + '"'
