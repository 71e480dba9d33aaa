"""A problem a person can mend, and the exit code it ends a command with."""


class Problem(Exception):  # noqa: N818 - what the user has, not what the program raised
    """One sentence that names the thing and the mend.

    Attributes:
        exit_code: 1 when it went wrong, 2 when it was asked for wrongly.
    """

    exit_code = 1


class WrongUsage(Problem):
    """The command was asked for something it cannot do."""

    exit_code = 2


def told(error: Exception) -> tuple[str, int] | None:
    """What a person is told of an error, and the exit code; None for a fault of ours."""
    # Asked for only now: `--help` loads neither settings nor tables.
    from tiktok_assets.api.errors import TikTokError, mend_of  # noqa: PLC0415
    from tiktok_assets.settings import SettingsError  # noqa: PLC0415
    from tiktok_assets.storage.hive_parquet import StoreError  # noqa: PLC0415

    match error:
        case Problem():
            return str(error), error.exit_code
        case SettingsError():
            return str(error), 2
        case TikTokError():
            return f"{str(error).rstrip('.')}. {mend_of(error)}", 1
        case StoreError():
            return str(error), 1
    return None
