from .check_catalog import Check as Check
from .check_catalog import evaluate_checks as evaluate_checks
from .check_catalog import select_checks as select_checks
from .checked_table import CheckedTable as CheckedTable
from .checked_table import build_checked_tables as build_checked_tables
from .outcome import CheckOutcome as CheckOutcome
from .outcome import Row as Row
from .table_reader import CheckContext as CheckContext
