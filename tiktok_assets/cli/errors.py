"""Define the errors of commands, and turn any error into a message and an exit code."""


class CommandError(Exception):
    """One sentence that names the thing and the mend.

    Attributes:
        exit_code: 1 when it went wrong, 2 when it was asked for wrongly.
    """

    exit_code = 1


class UsageError(CommandError):
    """The command was asked for something it cannot do."""

    exit_code = 2


def explain_error(error: Exception) -> tuple[str, int] | None:
    """What a person is told of an error, and the exit code; None for a fault of ours."""
    # Asked for only now: `--help` loads neither settings nor tables.
    from tiktok_assets.api.errors import TikTokError, suggest_fix  # noqa: PLC0415
    from tiktok_assets.settings import SettingsError  # noqa: PLC0415
    from tiktok_assets.storage.hive_store import StoreError  # noqa: PLC0415

    match error:
        case CommandError():
            return str(error), error.exit_code
        case SettingsError():
            return str(error), 2
        case TikTokError():
            return f"{str(error).rstrip('.')}. {suggest_fix(error)}", 1
        case StoreError():
            return str(error), 1
    return None
