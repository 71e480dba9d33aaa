"""Define the spend of two ads of which one overtakes the other."""

from tiktok_assets.sandbox.world.model import Ad

Script = tuple[tuple[int, int, int], ...]

# Rows of (from days before the anchor, to days before it, cents a day). Lifetime spend in USD: at t1 912-916 of
# the old leader and 644-794 of the new one, at t2 at most 930 and 1144-1324; so the lead is above 20 % at every
# hour of the anchor.
OLD_LEADER: Script = ((70, 40, 1800), (39, 10, 1100), (9, -10_000, 400))
NEW_LEADER: Script = (
    (12, 12, 4000),
    (11, 11, 4800),
    (10, 10, 5600),
    (9, 9, 6400),
    (8, 8, 7200),
    (7, 7, 8000),
    (6, 6, 8800),
    (5, 5, 9600),
    (4, 4, 10_000),
    (3, 3, 15_000),
    (2, 2, 17_000),
    (1, -10_000, 18_000),
)


def set_script(ad: Ad, script: Script) -> None:
    """Give an ad an exact spend."""
    ad.spend_script, ad.never_idle, ad.call_to_action = script, True, "SHOP_NOW"
    ad.daily_cap = max(cents for *_, cents in script)
