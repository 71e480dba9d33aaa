"""What `doctor` says of the schedule: whether it leaves a refresh the time it takes."""

from datetime import UTC, datetime

from tiktok_assets.commands.chart import Chart
from tiktok_assets.settings import Settings

CHECK = "schedule"


def check_schedule(chart: Chart, settings: Settings) -> None:
    """Hold the cron against the refreshes Dagster has recorded; without any there is nothing to say."""
    if not (settings.instance_dir / "dagster.yaml").exists():
        return
    # Dagster takes a second to load, which nobody needs to wait for who never ran it.
    from tiktok_assets.defs.refresh_times import too_short, usual_refresh  # noqa: PLC0415
    from tiktok_assets.instance.opening import open_instance  # noqa: PLC0415

    try:
        with open_instance(settings) as instance:
            if usual_refresh(instance) is None:
                return
            fault = too_short(instance, settings.refresh_cron, datetime.now(UTC))
    except Exception as error:  # noqa: BLE001 - whatever the storage of the instance raises
        mend = f"Check the storage that {settings.instance_dir / 'dagster.yaml'} names."
        chart.fault(CHECK, f"the runs of Dagster cannot be read ({type(error).__name__})", mend)
        return
    if fault:
        default = Settings.model_fields["refresh_cron"].default
        chart.fault(CHECK, f"{fault}: ticks between are skipped", f"Choose a longer one, such as {default!r}.")
    chart.well(CHECK)
