"""Tests of emoji: every listed emoji is found and removed, and nothing else is."""

import string

import emoji
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiktok_assets.duplication.emoji_text import find_emoji, remove_emoji
from tiktok_assets.sandbox.writes.creative_rules import EMOJI

LISTED = [text for text, facts in emoji.EMOJI_DATA.items() if facts["status"] == emoji.STATUS["fully_qualified"]]
ORDINARY = f"{string.ascii_letters}{string.digits}{string.punctuation} äß你好©®™€→★"
TEXTS = st.lists(st.sampled_from([*ORDINARY, *LISTED]) | st.characters(), max_size=20).map("".join)


def test_every_listed_emoji_is_found_and_removed() -> None:
    """The client removes each listed emoji as a whole, and the sandbox's own rule refuses each."""
    assert len(LISTED) > 3500
    assert [one for one in LISTED if find_emoji(one) != [one] or remove_emoji(f"a {one} b") != "a b"] == []
    assert [one for one in LISTED if not EMOJI.search(one)] == []


@given(TEXTS)
def test_text_without_emoji_is_accepted(text: str) -> None:
    """After removal neither rule finds an emoji, and removing again changes nothing."""
    plain = remove_emoji(text)
    assert find_emoji(plain) == []
    assert not EMOJI.search(plain)
    assert remove_emoji(plain) == plain


@given(
    st.text(
        st.sampled_from(f"{string.ascii_letters}{string.digits}{string.punctuation} äß你好©®™€→★"), max_size=60
    )
)
def test_ordinary_text_is_unchanged(text: str) -> None:
    """Letters, digits, punctuation, © and other signs that are no emoji are unchanged."""
    assert remove_emoji(text) == text
    assert find_emoji(text) == []


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Sale ✅ today", "Sale today"),
        ("❤️ you", "you"),
        ("1️⃣ first, 2️⃣ second", "first, second"),
        ("Made in 🇩🇪", "Made in"),
        ("Family 👨‍👩‍👧 pack", "Family pack"),
        ("one 🔥\ntwo", "one\ntwo"),
        ("\U0001faef of a later Unicode", "of a later Unicode"),
        ("100 % © 2026", "100 % © 2026"),
    ],
)
def test_examples(text: str, plain: str) -> None:
    """Sequences are removed as a whole, and lines stay lines."""
    assert remove_emoji(text) == plain
