"""The world of a simulation: a sandbox in this process, and the people who change it in Ads Manager meanwhile."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import httpx

from tiktok_assets.sandbox.control import change_account
from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.sandbox.state import State, new_state
from tiktok_assets.sandbox.world.builder import Builder
from tiktok_assets.sandbox.world.clock import Clock
from tiktok_assets.sandbox.world.generator import build_world
from tiktok_assets.sandbox.world.model import Advertiser, Entity, World, WorldPlan
from tiktok_assets_tests.simulation.network import HOST, Network
from tiktok_assets_tests.simulation.truth import Truth
from tiktok_assets_tests.simulation.virtual_time import VirtualClock

FIRST_START = datetime(2022, 3, 1, 12, 40, tzinfo=UTC)
HISTORY_DAYS = 76
ZONES = (
    "America/Los_Angeles",
    "Asia/Tokyo",
    "Europe/Berlin",
    "Australia/Sydney",
    "America/Sao_Paulo",
    "Asia/Kolkata",
)
CURRENCIES = ("USD", "EUR", "JPY", "GBP")


@dataclass
class SimulatedWorld:
    """A world with its clock and network.

    Attributes:
        random: decides what people do.
        clock: the virtual clock.
        state: of the sandbox.
        network: carries the requests to it.
        truth: what was true at each response.
        targets: the scaling campaign of each account.
        events: how often each event occurred.
        disturbed: when the days of an account last changed by a new time zone or currency.
    """

    random: Random
    clock: VirtualClock
    state: State
    network: Network
    truth: Truth
    targets: dict[str, str] = field(default_factory=dict)
    events: Counter[str] = field(default_factory=Counter)
    disturbed: dict[str, datetime] = field(default_factory=dict)
    withdrawn: dict[str, datetime] = field(default_factory=dict)
    names: int = 0

    @classmethod
    def build(cls, seed: int, *, accounts: int, server: ExitStack | None = None) -> "SimulatedWorld":
        """Build the world of a seed.

        Args:
            seed: decides everything.
            accounts: the number of accounts, some of which may have no campaigns or no grant.
            server: closes the sandbox's HTTP server at the end; None to call the sandbox in this process.
        """
        random = Random(f"{seed}:world")  # noqa: S311 - repeatable
        start = FIRST_START + timedelta(random.randrange(1200), hours=random.randrange(-3, 4))
        plan = WorldPlan(
            seed=seed,
            anchor=start,
            days=HISTORY_DAYS,
            advertisers=accounts,  # the fourth has no campaigns, the fifth is not granted at first
            campaigns=2,
            ad_groups=3,
            ads=6,
            smart_plus=False,
        )
        virtual = VirtualClock(start)
        clock, limits = Clock(start, running=True, wall=virtual.now), Limits(qps=None, qpm=None)
        http = None
        if server:
            sandbox = server.enter_context(RunningSandbox(plan, limits=limits))
            state = sandbox.state
            state.clock, state.monotonic = clock, virtual.monotonic
            http = server.enter_context(httpx.Client(base_url=sandbox.base_url, timeout=60))
        else:
            state = new_state(build_world(plan), clock, limits=limits, monotonic=virtual.monotonic)
        network = Network(state, virtual, Random(f"{seed}:network"), http=http)  # noqa: S311 - repeatable
        simulated = cls(random, virtual, state, network, Truth(state))
        network.observers.append(simulated.truth.observe)
        simulated._add_scaling_campaigns()
        return simulated

    @property
    def world(self) -> World:
        """The sandbox's world."""
        return self.state.world

    @property
    def accounts(self) -> list[Advertiser]:
        """The accounts with campaigns."""
        return [one for one in self.world.advertisers.values() if one.campaigns]

    def _builder(self) -> Builder:
        return Builder(self.world.plan, self.world.ids, self.random)

    def _add_scaling_campaigns(self) -> None:
        builder = self._builder()
        for owner in self.accounts:
            objective = owner.campaigns[0].objective_type
            target = builder.campaign(owner, "Scaling | Winners", objective, 60.0)
            builder.fill_campaign(target, 1, [2])
            self.targets[owner.id] = target.id

    def add_hit(self) -> None:
        """Add an ad that will overtake the leader of its campaign within days."""
        owner = self.random.choice(self.accounts)
        target = self.targets[owner.id]
        scaling = next(one for one in owner.campaigns if one.id == target)
        campaigns = [one for one in owner.campaigns if one.id != target and one.ad_groups]
        alike = [one for one in campaigns if one.objective_type == scaling.objective_type]
        campaign = self.random.choice(alike if alike and self.random.random() < 0.7 else campaigns)
        spends = self.truth.current_lifetime(owner, "ad")
        most = max(
            (float(spends[ad.id][0]) for group in campaign.ad_groups for ad in group.ads if ad.id in spends),
            default=0,
        )
        dollars = most / owner.currency.units_per_dollar * self.random.uniform(0.2, 0.9) + 50
        group = self.random.choice(campaign.ad_groups)
        self.names += 1
        ad = self._builder().ad(group, f"Hit {self.names}", self.state.now, min(dollars, 1e6))
        ad.never_idle, ad.fatigue = True, self.random.randint(20, 200)
        self.world.version += 1
        self.events["an ad overtakes"] += 1

    def change_something(self) -> None:
        """Do what a person does in Ads Manager, through the same routes: switch, rename, delete; or revive."""
        owner = self.random.choice(self.accounts)
        if not owner.granted:
            return
        kind = self.random.choice(("ad", "ad", "ad", "adgroup", "campaign"))
        objects: Mapping[str, Sequence[Entity]] = {
            "ad": owner.ads,
            "adgroup": owner.ad_groups,
            "campaign": owner.campaigns,
        }
        one = self.random.choice([one for one in objects[kind] if "[tta-" not in one.name])
        change = self.random.choice(("DISABLE", "ENABLE", "ENABLE", "rename", "rename", "DELETE", "revive"))
        if one.id in self.targets.values() and change in {"DELETE", "DISABLE"}:
            return
        if change == "DELETE" and kind != "ad":
            change = "DISABLE"
        if change == "revive":
            deleted = [
                ad
                for ad in owner.ads
                if ad.deleted is not None and ad.deleted <= self.state.now and "[tta-" not in ad.name
            ]
            for ad in deleted[:1]:  # what it spent while it was deleted stays nothing
                ad.status_changes += [(ad.deleted or 0, False), (self.state.now, True)]
                ad.deleted = None
                self.world.version += 1
                self.events["a deleted ad revives"] += 1
            return
        self.names += 1
        path, body = f"{kind}/status/update", dict[str, Any](advertiser_id=owner.id)
        if change == "rename" and kind != "ad":
            path = f"{kind}/update"
            body |= {f"{kind}_id": one.id, f"{kind}_name": f"Renamed {self.names}"}
        else:
            body |= {f"{kind}_ids": [one.id], "operation_status": change.replace("rename", "ENABLE")}
        if self.write(path, body):
            self.events["a person edits"] += 1

    def write(self, path: str, body: Mapping[str, Any]) -> bool:
        """Send a write of a person, and return whether the host accepted it."""
        request = httpx.Request(
            "POST",
            f"{HOST}/open_api/v1.3/{path}/",
            content=json.dumps(body).encode(),
            headers={"Access-Token": self.world.other_token, "Content-Type": "application/json"},
        )
        faults = self.state.faults
        declared, faults.declared = faults.declared, []  # they are for the requests of the product
        response = self.network.execute(request)
        faults.declared = declared
        return bool(json.loads(response.read())["code"] == 0)

    def withdraw_or_grant(self) -> None:
        """Withdraw an account, or grant a withdrawn one again."""
        if self.withdrawn:
            owner = next(iter(self.withdrawn))
            del self.withdrawn[owner]
            self.world.advertisers[owner].granted = True
            self.events["an account is granted"] += 1
            return
        one = self.random.choice(self.accounts)
        one.granted = False
        self.withdrawn[one.id] = self.clock.now()
        self.events["an account is withdrawn"] += 1

    def grant_all(self) -> None:
        """Grant every withdrawn account again."""
        for owner in list(self.withdrawn):
            self.world.advertisers[owner].granted = True
            del self.withdrawn[owner]

    def change_zone_or_currency(self) -> None:
        """Change the time zone or the currency of an account, for its past days too."""
        one = self.random.choice(self.accounts)
        zone, currency = self.random.choice(
            ((self.random.choice(ZONES), None), (None, self.random.choice(CURRENCIES)))
        )
        change_account(self.world, self.state.facts, one, timezone=zone, currency=currency)
        self.disturbed[one.id] = self.clock.now()
        self.events["a zone or currency changes"] += 1
