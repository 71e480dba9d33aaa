"""Define which accounts a table is read for, if only some accounts can have rows in it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AccountCondition:
    """What an account must have for a table to be read, known from another stored table.

    For other accounts no request is sent, and none before the other table is stored.

    Attributes:
        table: the other table, with one partition an account; it is refreshed first.
        column: the column that is compared.
        value: the value that at least one row must have.
        meaning: what the account has, with its article.
    """

    table: str
    column: str
    value: str
    meaning: str


SMART_PLUS_CAMPAIGN = AccountCondition(
    "campaigns", "campaign_automation_type", "UPGRADED_SMART_PLUS", "an Upgraded Smart+ campaign"
)
