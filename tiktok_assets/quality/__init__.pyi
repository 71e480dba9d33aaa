from .checked_table import CheckedTable as CheckedTable
from .checked_table import build_checked_tables as build_checked_tables
from .checks import Check as Check
from .checks import evaluate_checks as evaluate_checks
from .checks import select_checks as select_checks
from .outcome import CheckOutcome as CheckOutcome
from .outcome import Row as Row
from .table_reader import CheckContext as CheckContext
