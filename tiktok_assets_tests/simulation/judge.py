"""The assertions about the state, messages, duplications, secrets and disk space of an installation."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import sqlalchemy as sa

from tiktok_assets.duplication.models import DONE, build_marker
from tiktok_assets.ingest import parse_fetched_at
from tiktok_assets.storage import Partition, State, duplications, flags, outbox, top_spender_changes
from tiktok_assets.top_spenders.flags import assess_ads
from tiktok_assets_tests.simulation.agency import DAILY
from tiktok_assets_tests.simulation.publication import sum_published, sum_stored
from tiktok_assets_tests.simulation.receivers import URLS
from tiktok_assets_tests.simulation.table_judge import TableJudge

HELD_FOR = {"leads", "delivering", "original", "testing", "new", "once", "spend", "lead"}
MAX_UNFINISHED_FILES = 12


@dataclass
class Judge(TableJudge):
    """Judges one installation.

    Attributes:
        flagged: number of flags so far.
        duplicated: number of finished duplications.
    """

    flagged: int = 0
    duplicated: int = 0

    def judge_state(self, state: State, *, is_ranked: bool) -> None:
        """Check the leader changes, and after a complete refresh that every new leader is flagged or held."""
        c = top_spender_changes.c
        with state.transaction() as connection:
            rows = connection.execute(
                sa.select(c.advertiser_id, c.campaign_id, c.ad_id, c.previous_ad_id, c.observed_at).order_by(
                    c.change_id
                )
            ).all()
            flagged = {
                tuple(row)
                for row in connection.execute(sa.select(flags.c.advertiser_id, flags.c.campaign_id, flags.c.ad_id))
            }
        chain: dict[tuple[str, str], tuple[str, datetime]] = {}
        for owner, campaign, ad, previous, at in rows:
            before = chain.get((owner, campaign))
            self.check(
                "leader changes are a chain",
                previous == (before[0] if before else None) and ad != previous and (not before or at > before[1]),
                f"{owner} {campaign}: {ad} after {previous} at {at}, before it {before}",
            )
            leaders = self.world.truth.leaders_at(owner, at)
            self.check(
                "each recorded leader led",
                leaders is not None and leaders.get(campaign) == ad,
                f"{owner} {campaign}: {ad} recorded at {at}, the leaders were {leaders}",
            )
            chain[owner, campaign] = ad, at
        if not is_ranked:
            return
        now = self.world.clock.now()
        held = {one.ad_key: one for one in assess_ads(state, self.store, self.agency.settings, now)}
        for owner, campaign, ad, previous, _ in rows:
            key = (owner, campaign, ad)
            if previous is None or key in flagged:
                continue
            reasons = {hold.guardrail for hold in held[key].holds} if key in held else set()
            self.check(
                "each new leader is flagged or held back",
                bool(reasons) and reasons <= HELD_FOR,
                f"{key}: {reasons}",
            )
        for advertiser in self.world.accounts:
            read_at = parse_fetched_at(self.store.read_metadata("ad_report_lifetime", Partition(advertiser.id)))
            leaders = self.world.truth.leaders_at(advertiser.id, read_at) if read_at else None
            if read_at is None or not advertiser.granted:
                continue
            known = {campaign: one for (owner, campaign), one in chain.items() if owner == advertiser.id}
            self.check(
                "the newest leaders are recorded",
                leaders is not None
                and all(
                    campaign in known and (known[campaign][0] == ad or known[campaign][1] > read_at)
                    for campaign, ad in leaders.items()
                ),
                f"{advertiser.id}: recorded {known}, true at {read_at} {leaders}",
            )

    def judge_messages(self, state: State, *, is_over: bool) -> None:
        """Check that nobody was told twice, and at the end that everybody was told."""
        with state.transaction() as connection:
            alerts = set(connection.scalars(sa.select(flags.c.flag_id)))
            open_rows = connection.execute(
                sa.select(outbox.c.alert_id, outbox.c.destination, outbox.c.status, outbox.c.last_error)
            ).all()
        self.flagged = len(alerts)
        names = [url.partition("://")[2].partition("/")[0] for url in URLS]
        for alert in alerts:
            for name in names:
                got = [one for one in self.receivers.messages if one.receiver == name and alert in one.text]
                self.check(
                    "nobody is told twice",
                    len(got) <= 1 or (len(got) == 2 and got[1].is_marked and got[0].is_doubtful),
                    f"{name} got alert {alert} {len(got)} times: {got}",
                )
                if is_over:
                    rows = [row for row in open_rows if row[0] == alert]
                    lost = any(row[2] == "delivered_unknown" for row in rows)
                    self.check("everybody is told", bool(got) or lost, f"{name} never got alert {alert}: {rows}")

    def judge_duplications(self, state: State, *, is_over: bool) -> None:
        """Check that nothing was made twice, that all of it is switched off, and the added budgets."""
        with state.transaction() as connection:
            rows = connection.execute(
                sa.select(duplications.c.duplication_key, duplications.c.advertiser_id, duplications.c.status)
            ).all()
        now = self.world.state.now
        self.duplicated = sum(status == DONE for _, _, status in rows)
        for key, owner, status in rows:
            advertiser, marker = self.world.world.advertisers[owner], build_marker(key)
            groups = [one for one in advertiser.ad_groups if marker in one.name]
            ads = [one for one in advertiser.ads if marker in one.name]
            self.check("nothing is made twice", len(groups) <= 1 and len(ads) <= 1, f"{key}: {groups} {ads}")
            for one in (*groups, *ads):
                self.check("copies are switched off", one.is_paused(now) or one.is_deleted(now), f"{key}: {one}")
            if is_over and status == DONE:
                self.check("what is done exists", len(groups) == 1 and len(ads) == 1, f"{key}: {groups} {ads}")
        self._judge_budgets()

    def _judge_budgets(self) -> None:
        limit = self.agency.settings.max_added_budget
        if limit is None:
            return
        for advertiser in self.world.accounts:
            if advertiser.id in self.world.disturbed:
                continue
            copies = [one for one in advertiser.ad_groups if "[tta-" in one.name]
            for last in copies:
                added = sum(
                    one.budget
                    for one in copies
                    if 0 <= last.created - one.created < 86_400 and one.deleted is None
                )
                self.check(
                    "budgets stay within the cap",
                    Decimal(added) / advertiser.currency.minor_per_unit <= limit,
                    f"{advertiser.id}: {added} within a day before {last.created}, the cap is {limit}",
                )

    def judge_secrets(self, secrets: Iterable[str]) -> None:
        """Check that no file and no message has a token or the app's secret."""
        needles = [secret.encode() for secret in secrets]
        for path in _list_files(self.agency.folder):
            content = Path(path).read_bytes()
            self.check("no secret on the disk", not any(one in content for one in needles), path)
        strangers = self.world.network.strangers
        self.check("the token goes to one host", not strangers, str(strangers))
        text = "\n".join(one.text for one in self.receivers.messages).encode()
        self.check("no secret in a message", not any(one in text for one in needles), "a message")

    def judge_publication(self, file: Path, failures: Sequence[str]) -> None:
        """Compare the rows and the spend of each partition in a database with those of its file."""
        self.check("a publication succeeds", not failures, f"{failures}")
        for folder in sorted(Path(self.agency.settings.data_dir).glob("*")):
            keys, stored, has_spend = sum_stored(folder)
            if stored:
                published = sum_published(file, folder.name, keys, has_spend=has_spend)
                differ = sorted(one for one in {*stored, *published} if stored.get(one) != published.get(one))
                self.check(
                    "published tables equal the stored ones",
                    not differ,
                    f"{folder.name}: {[(one, stored.get(one), published.get(one)) for one in differ[:3]]}",
                )

    def judge_bounds(self) -> None:
        """Check the number of leftover files, and that nothing else is in the data folder."""
        files = _list_files(Path(self.agency.settings.data_dir))
        leftovers = [path for path in files if not path.endswith("/part-0.parquet")]
        self.check("leftover files are few", len(leftovers) <= MAX_UNFINISHED_FILES, str(leftovers[:20]))
        days = (self.world.clock.now().date() - self.agency.settings.start_date).days + 2
        most = (len(DAILY) + 1) * days * len(self.world.world.advertisers) + 60
        self.check("files stay within bounds", len(files) <= most, f"{len(files)} files, at most {most}")
        size = sum(os.stat(path).st_size for path in files)  # noqa: PTH116 - fast
        self.check("disk space stays within bounds", size <= 40_000 * most, f"{size} bytes in {len(files)} files")


def _list_files(folder: Path) -> list[str]:
    """Return the paths of all files below a folder."""
    return [f"{parent}/{name}" for parent, _, names in os.walk(folder) for name in names]
