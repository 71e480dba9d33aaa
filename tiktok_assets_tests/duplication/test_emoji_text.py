"""Laws of emoji: every one Unicode lists is found and cut, and nothing else is."""

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


def test_every_emoji_of_unicode_is_found_and_refused() -> None:
    """The client cuts each whole, the sandbox refuses each, by rules of their own."""
    assert len(LISTED) > 3500
    assert [one for one in LISTED if find_emoji(one) != [one] or remove_emoji(f"a {one} b") != "a b"] == []
    assert [one for one in LISTED if not EMOJI.search(one)] == []


@given(TEXTS)
def test_what_is_cut_is_taken(text: str) -> None:
    """Without its emoji a text has none by either rule, and cutting again changes nothing."""
    cut = remove_emoji(text)
    assert find_emoji(cut) == []
    assert not EMOJI.search(cut)
    assert remove_emoji(cut) == cut


@given(
    st.text(
        st.sampled_from(f"{string.ascii_letters}{string.digits}{string.punctuation} äß你好©®™€→★"), max_size=60
    )
)
def test_ordinary_text_stays(text: str) -> None:
    """Letters, digits, punctuation, © and signs that are no emoji stay to the letter."""
    assert remove_emoji(text) == text
    assert find_emoji(text) == []


@pytest.mark.parametrize(
    ("text", "cut"),
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
def test_examples(text: str, cut: str) -> None:
    """Sequences go whole, lines stay lines."""
    assert remove_emoji(text) == cut
