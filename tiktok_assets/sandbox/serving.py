"""When an ad is on the air: from its review on, within its schedule, while it and its parents are switched on."""

from tiktok_assets.sandbox.world import Ad, Entity

NEVER = 1 << 40  # epoch seconds far past any clock
Span = tuple[int, int]


def spans(ad: Ad) -> list[Span]:
    """Return the stretches of time in which the ad may deliver, in order, as epoch seconds."""
    owners: tuple[Entity, ...] = (ad, ad.ad_group, ad.campaign)
    deleted = [owner.deleted for owner in owners if owner.deleted is not None]
    start = max(ad.created, ad.ad_group.starts or 0)
    stop = min([*deleted, ad.ad_group.ends or NEVER, NEVER])
    off = [span for owner in owners for span in _off(owner)] + ad.reviews
    found: list[Span] = []
    for begin, end in sorted(off):
        if begin > start:
            found.append((start, min(begin, stop)))
        start = max(start, end)
    found.append((start, stop))
    return [(begin, end) for begin, end in found if begin < end]


def _off(owner: Entity) -> list[Span]:
    found: list[Span] = []
    since = None
    for instant, on in owner.toggles():
        if not on and since is None:
            since = instant
        elif on and since is not None:
            found.append((since, instant))
            since = None
    if since is not None:
        found.append((since, NEVER))
    return found
