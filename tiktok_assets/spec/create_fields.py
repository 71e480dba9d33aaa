"""Define how the fields of a duplicated ad or ad group are classified.

The tables are in `ad_create_fields` and `ad_group_create_fields`. Each field that TikTok's pages list for
creation, and each that is read from an existing object, has one row. A field without a row is unknown: a
duplication shows it and does not send it.
"""

from dataclasses import dataclass
from typing import Literal

Treatment = Literal["copied", "translated", "left out", "refused"]
CampaignKind = Literal["manual", "smart_plus"]

READ_ONLY = "TikTok sets it"


@dataclass(frozen=True, slots=True)
class CreateField:
    """A field of an ad or an ad group, in manual and in Upgraded Smart+ campaigns.

    Attributes:
        manual: its dotted name in `/ad/create/` (below `creatives`) or `/adgroup/create/`; "" if they have none.
        smart_plus: its dotted name in `/smart_plus/ad/create/` or `/smart_plus/adgroup/create/`, `[]` after a
            list; "" for none.
        treatment: what becomes of it where the target's kind of campaign has the field.
        note: for `translated` what it becomes, for `left out` and `refused` why.
        across: what becomes of it where the target's kind of campaign has no such field.
        across_note: why.
        parts: the names of the objects that its value consists of; None if the value is sent as it is.
        is_list: whether the value has several elements where the name in Upgraded Smart+ is inside a list.
        read_only_in_smart_plus: whether Upgraded Smart+ returns the field but does not accept it.
    """

    manual: str
    smart_plus: str
    treatment: Treatment
    note: str = ""
    across: Treatment = "left out"
    across_note: str = ""
    parts: frozenset[str] | None = None
    is_list: bool = False
    read_only_in_smart_plus: bool = False

    def name_in(self, kind: CampaignKind) -> str:
        """Return its name in a kind of campaign; "" if that has no such field."""
        return self.manual if kind == "manual" else self.smart_plus

    @property
    def key(self) -> str:
        """Its name in a row that was read, whatever the kind of campaign: the manual name if there is one."""
        return self.manual or self.smart_plus

    def treatment_in(self, kind: CampaignKind) -> tuple[Treatment, str]:
        """Return what becomes of it in a campaign of a kind, and the note."""
        is_accepted = self.name_in(kind) and not (kind == "smart_plus" and self.read_only_in_smart_plus)
        return (self.treatment, self.note) if is_accepted else (self.across, self.across_note)


def both(
    manual: str,
    smart_plus: str,
    note: str = "",
    *,
    treatment: Treatment = "copied",
    parts: str = "",
    is_list: bool = False,
) -> tuple[CreateField, ...]:
    """Declare a field that both kinds of campaign have."""
    names = frozenset(parts.split()) or None
    return (CreateField(manual, smart_plus, treatment, note, parts=names, is_list=is_list),)


def alike(
    names: str, prefix: str = "", *, treatment: Treatment = "copied", note: str = ""
) -> tuple[CreateField, ...]:
    """Declare fields that have the same name in both kinds of campaign, below `prefix` in Upgraded Smart+."""
    return tuple(CreateField(name, prefix + name, treatment, note) for name in names.split())


def read_only_in_smart_plus(names: str, across_note: str, prefix: str = "") -> tuple[CreateField, ...]:
    """Declare fields that manual campaigns have, and that Upgraded Smart+ returns but does not accept."""
    return tuple(
        CreateField(name, prefix + name, "copied", across_note=across_note, read_only_in_smart_plus=True)
        for name in names.split()
    )


def manual_only(
    names: str,
    across: Treatment = "left out",
    across_note: str = "",
    *,
    treatment: Treatment = "copied",
    note: str = "",
    parts: str = "",
) -> tuple[CreateField, ...]:
    """Declare fields that only manual campaigns have."""
    inside = frozenset(parts.split()) or None
    return tuple(
        CreateField(name, "", treatment, note, across, across_note or note, inside) for name in names.split()
    )


def smart_plus_only(
    names: str,
    across: Treatment = "left out",
    across_note: str = "",
    *,
    treatment: Treatment = "copied",
    note: str = "",
    parts: str = "",
) -> tuple[CreateField, ...]:
    """Declare fields that only Upgraded Smart+ campaigns have."""
    inside = frozenset(parts.split()) or None
    return tuple(
        CreateField("", name, treatment, note, across, across_note or note, inside) for name in names.split()
    )
