"""Find and remove emoji, which TikTok accepts neither in names nor in ad texts (OPS `Create_ads`).

An emoji is what Unicode lists as one, sequences included, as the `emoji` package ships the list: flags, keycaps,
families, characters with the selector U+FE0F. Digits, © and ™ by themselves are not.
"""

import re

import emoji

_FIRST_SYMBOL = "\u2300"
"""A single listed character below this, such as © ® ™ ↔, is text unless the selector U+FE0F follows."""

_PICTURES = re.compile("[\U0001f000-\U0001faff]")
"""The range that Unicode reserves for emoji, including those of later versions."""

_JOINERS = re.compile("[\ufe0f\u20e3\u200d]+")
_REPEATED_SPACES = re.compile(r"[ \t]{2,}")


def find_emoji(text: str) -> list[str]:
    """Find the emoji of a text in order, each sequence as a whole.

    >>> find_emoji("Sale ✅ 50 % ©"), find_emoji("1 # ™")
    (['✅'], [])
    """
    listed = [one["emoji"] for one in emoji.emoji_list(text) if not _is_text(one["emoji"])]
    return listed or _PICTURES.findall(text)


def remove_emoji(text: str) -> str:
    """Remove the emoji of a text, and the repeated spaces that remain.

    >>> remove_emoji("Hook 🔥 now"), remove_emoji("❤️")
    ('Hook now', '')
    """
    if not find_emoji(text):
        return text
    plain = emoji.replace_emoji(text, lambda found, _: found if _is_text(found) else "")
    plain = _JOINERS.sub("", _PICTURES.sub("", plain))
    return "\n".join(_REPEATED_SPACES.sub(" ", line).strip() for line in plain.split("\n"))


def _is_text(found: str) -> bool:
    return len(found) == 1 and found < _FIRST_SYMBOL
