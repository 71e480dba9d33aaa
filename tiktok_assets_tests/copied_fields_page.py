"""Generate `docs/copied_fields.md`: what a duplication does with each field of an ad and an ad group."""

from collections.abc import Iterable, Iterator

from tiktok_assets.spec.ad_create_fields import AD_CREATE_FIELDS
from tiktok_assets.spec.ad_group_create_fields import AD_GROUP_CREATE_FIELDS
from tiktok_assets.spec.create_fields import CampaignKind, CreateField
from tiktok_assets_tests.markdown import WRITTEN_BY, table

INTRODUCTION = """
What a duplication does with each field that TikTok documents for creating or reading an ad or an ad group, by the
kind of the scaling campaign ([Approve a duplicate](duplicating.md)).

- **copied**: sent as it was read.
- **translated**: sent in another form, or only in some cases, as noted.
- **left out**: not sent. A dry run lists a field with a value that is lost because the other kind of campaign has
  no such field.
- **refused**: an ad with a value there is not duplicated.

A field that is not in these tables, because TikTok added it later, is shown in a dry run as "unknown, not copied".
A name with dots is inside an object, `[]` is a list.
""".strip()

HEAD = ("manual", "Upgraded Smart+", "into a manual campaign", "into an Upgraded Smart+ campaign")


def copied_fields_page() -> str:
    """Return the page of all classified fields."""
    lines = [WRITTEN_BY, "# Copied fields", "", INTRODUCTION]
    for heading, fields in (("Ad", AD_CREATE_FIELDS), ("Ad group", AD_GROUP_CREATE_FIELDS)):
        lines += ["", f"## {heading}", "", *table(HEAD, _rows(fields))]
    return "\n".join(lines) + "\n"


def _rows(fields: Iterable[CreateField]) -> Iterator[tuple[str, ...]]:
    for field in fields:
        names = (f"`{name}`" if name else "" for name in (field.manual, field.smart_plus))
        yield (*names, _describe(field, "manual"), _describe(field, "smart_plus"))


def _describe(field: CreateField, target: CampaignKind) -> str:
    treatment, note = field.treatment_in(target)
    return f"{treatment}: {note}" if note else treatment
