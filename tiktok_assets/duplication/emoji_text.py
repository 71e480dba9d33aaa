"""Find and remove emoji, which TikTok accepts neither in names nor in ad texts (OPS `Create_ads`).

An emoji is what Unicode lists as one, sequences included, as the `emoji` package ships the list: flags, keycaps,
families, characters with the selector U+FE0F. Digits, © and ™ by themselves are not.
"""

import re

import emoji

_TEXT_BELOW = "\u2300"
"""A single character below this that Unicode lists, such as © ® ™ ↔, is text unless its selector follows."""

_PICTURES = re.compile("[\U0001f000-\U0001faff]")
"""Reserved by Unicode for emoji, those of later versions too."""

_LEFT_OVER = re.compile("[\ufe0f\u20e3\u200d]+")
_BLANKS = re.compile(r"[ \t]{2,}")


def find_emoji(text: str) -> list[str]:
    """Return the emoji of a text in order, each sequence whole.

    >>> emoji_in("Sale ✅ 50 % ©"), emoji_in("1 # ™")
    (['✅'], [])
    """
    listed = [one["emoji"] for one in emoji.emoji_list(text) if not _is_text(one["emoji"])]
    return listed or _PICTURES.findall(text)


def remove_emoji(text: str) -> str:
    """Return a text without its emoji, and without the double blank one leaves behind.

    >>> without_emoji("Hook 🔥 now"), without_emoji("❤️")
    ('Hook now', '')
    """
    if not find_emoji(text):
        return text
    kept = emoji.replace_emoji(text, lambda found, _: found if _is_text(found) else "")
    kept = _LEFT_OVER.sub("", _PICTURES.sub("", kept))
    return "\n".join(_BLANKS.sub(" ", line).strip() for line in kept.split("\n"))


def _is_text(found: str) -> bool:
    return len(found) == 1 and found < _TEXT_BELOW
