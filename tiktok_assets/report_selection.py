"""Resolve the choices of reports and metrics, `+name,+name` or a plain list."""

from tiktok_assets.spec import GMV_MAX_REPORTS_BY_TABLE, REPORTS_BY_TABLE, GmvMaxReport, Report, select_metrics


def validate_metrics(choice: str) -> str:
    """Return a choice of metrics unchanged if all its names exist.

    Raises:
        ValueError: if one does not.
    """
    return choice if select_metrics(choice) else ""


def validate_reports(choice: str) -> str:
    """Return a choice of reports unchanged if all its names exist.

    Raises:
        ValueError: if one does not; the message lists the names.
    """
    select_report_tables(choice)
    return choice


def select_report_tables(choice: str) -> frozenset[str]:
    """Return the tables of a choice of reports: those of the standard set if none is chosen.

    Raises:
        ValueError: if a name does not exist; the message lists the names.
    """
    names = [name.strip() for name in choice.split(",") if name.strip()]
    plain = {name.removeprefix("+") for name in names}
    known: dict[str, Report | GmvMaxReport] = {**REPORTS_BY_TABLE, **GMV_MAX_REPORTS_BY_TABLE}
    if unknown := sorted(plain - known.keys()):
        raise ValueError(f"there is no report {unknown[0]!r}; the reports are: {', '.join(known)}")
    standard = {table for table, report in known.items() if report.is_standard}
    return frozenset(plain | standard if all(name.startswith("+") for name in names) else plain)
