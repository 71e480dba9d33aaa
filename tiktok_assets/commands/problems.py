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
