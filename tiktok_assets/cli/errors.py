"""Define the errors of commands, and turn any error into a message and an exit code."""


class CommandError(Exception):
    """An error that the user can fix; its message is one sentence that says what is wrong and what to do.

    Attributes:
        exit_code: 1 for a failure, 2 for wrong usage.
    """

    exit_code = 1


class UsageError(CommandError):
    """The command was called with options or arguments that it cannot use."""

    exit_code = 2


def explain_error(error: Exception) -> tuple[str, int] | None:
    """Return the message and the exit code of an error; None for an unexpected error, which is a bug."""
    # Imported only after an error: `--help` needs neither settings nor tables.
    from tiktok_assets.api import TikTokError, suggest_fix  # noqa: PLC0415
    from tiktok_assets.publish import DestinationError  # noqa: PLC0415
    from tiktok_assets.settings import SettingsError  # noqa: PLC0415
    from tiktok_assets.storage import StoreError  # noqa: PLC0415

    match error:
        case CommandError():
            return str(error), error.exit_code
        case SettingsError():
            return str(error), 2
        case TikTokError():
            return f"{str(error).rstrip('.')}. {suggest_fix(error)}", 1
        case StoreError() | DestinationError():
            return str(error), 1
    return None
