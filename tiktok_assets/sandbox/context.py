"""What an endpoint gets to see of the server: the world, the clock's instant and the settings."""

from dataclasses import dataclass, field
from typing import Any

from tiktok_assets.sandbox.errors import ApiError
from tiktok_assets.sandbox.facts import Facts
from tiktok_assets.sandbox.paging import HONEST, PageTrick
from tiktok_assets.sandbox.params import Params
from tiktok_assets.sandbox.world import Advertiser, World


@dataclass(kw_only=True)
class Switches:
    """Rules the dossier is not sure of, or that tests want smaller.

    Attributes:
        strict_fields: Refuse unknown names in `fields` (dossier 5.1, uncertain).
        max_report_ads: The ads a report considers, newest first (dossier 6.3).
        zero_rows: Entities without data appear with zeros where there is no time dimension (dossier 6.5).
    """

    strict_fields: bool = True
    max_report_ads: int = 20_000
    zero_rows: bool = True


@dataclass(kw_only=True)
class Cache:
    """Answers worth keeping while the clock stands; the oldest goes first."""

    kept: dict[Any, Any] = field(default_factory=dict)
    size: int = 24

    def keep(self, key: object, value: Any) -> Any:  # noqa: ANN401  # whatever the caller computed
        """Keep and return a value."""
        while len(self.kept) >= self.size:
            self.kept.pop(next(iter(self.kept)))
        self.kept[key] = value
        return value


@dataclass(kw_only=True)
class Context:
    """One request's surroundings; `now` is in epoch seconds."""

    world: World
    facts: Facts
    cache: Cache
    switches: Switches
    now: int
    path: str
    params: Params
    trick: PageTrick = HONEST
    headers: dict[str, str] = field(default_factory=dict)

    def advertiser(self, advertiser_id: str) -> Advertiser:
        """Return an account the token may read, else 40001 (dossier 2.1, 9 #5)."""
        advertiser = self.world.advertisers.get(advertiser_id)
        if advertiser is None or not advertiser.granted:
            raise ApiError.of(40001, path=self.path, advertiser_id=advertiser_id)
        return advertiser
