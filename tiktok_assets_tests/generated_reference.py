"""Generate the reference from the program: settings, commands, and the automation in Dagster."""

from collections.abc import Iterator

import click
import dagster as dg
from pydantic_core import PydanticUndefined
from typer.main import get_command

from tiktok_assets.cli.commands import app
from tiktok_assets.definitions import build_definitions
from tiktok_assets.destination_settings import DestinationSettings
from tiktok_assets.settings import Settings, load_settings
from tiktok_assets_tests.markdown import WRITTEN_BY, table

NAME = "tiktok-assets"
OF_DESTINATIONS = DestinationSettings.model_fields.keys()
Command = tuple[str, click.Command]


def settings_table() -> Iterator[str]:
    """Yield the lines of a Markdown table of the settings: variable, default and meaning."""
    return table(
        ("variable", "default", "meaning"),
        (
            (f"`{field.alias}`", _default(field.default), field.description or "")
            # What a base class declares comes first in `model_fields`, and last on the page.
            for _, field in sorted(Settings.model_fields.items(), key=lambda one: one[0] in OF_DESTINATIONS)
        ),
    )


def _default(value: object) -> str:
    return "none" if value in (None, "", [], {}, PydanticUndefined) else f"`{value}`"


def settings_page() -> str:
    """Return the page of all settings."""
    lines = [
        WRITTEN_BY,
        "# Settings",
        "",
        "Read from the environment, then from `.env` in the working directory. An invalid value stops the program",
        "with one sentence that names the variable and says how to fix it; `tiktok-assets doctor` checks them.",
        "",
        *settings_table(),
    ]
    return "\n".join(lines) + "\n"


def commands() -> list[Command]:
    """Return all commands with their full names in the order of `--help`; a group comes before its commands."""
    found: list[Command] = []
    root = get_command(app)
    assert isinstance(root, click.Group)
    for name, command in root.commands.items():
        found.append((f"{NAME} {name}", command))
        if isinstance(command, click.Group):
            found += [(f"{NAME} {name} {inner}", one) for inner, one in command.commands.items()]
    return found


def commands_table() -> Iterator[str]:
    """Yield the lines of a Markdown table of the commands; those of a group are in the group's row."""
    top = [(name, command) for name, command in commands() if name.count(" ") == 1]
    return table(
        ("command", "what it does"),
        ((f"`{name}`{_inner(command)}", _sentence(command)) for name, command in top),
    )


def _inner(command: click.Command) -> str:
    names = command.commands if isinstance(command, click.Group) else ()
    return " " + ", ".join(f"`{name}`" for name in names) if names else ""


def _sentence(command: click.Command) -> str:
    return " ".join((command.help or "").split())


def commands_page() -> str:
    """Return the page of all commands with their arguments and options."""
    lines = [
        WRITTEN_BY,
        "# Commands",
        "",
        *commands_table(),
        "",
        "Each command has `--help`. Exit codes: 0 success, 1 failure with a message, 2 wrong usage, 130 stopped",
        "by Ctrl-C. With `--json` a command writes one JSON document to standard output, with amounts as text so",
        "that they stay exact; progress and warnings go to standard error. Colours are off in a pipe and with",
        "`NO_COLOR=1`.",
        "",
        "Names from TikTok are shown as text: markup in them has no effect, and control characters are shown",
        "as escape sequences such as `\\x1b`. JSON contains them unchanged. In CSV a text that starts with `=`,",
        "`+`, `-`, `@`, a tab or a line break is prefixed with `'`, so that no spreadsheet evaluates it; numbers",
        "are not prefixed, and `--raw` disables this.",
        "",
        "`tiktok-assets --install-completion` installs completion of commands and options in your shell.",
    ]
    for name, command in commands():
        lines += ["", f"## {name}", "", _sentence(command)]
        options = [one for one in command.params if one.param_type_name == "option" and one.name != "help"]
        given = [f"[{(one.name or '').upper()}]" for one in command.params if one not in options]
        if given:  # described in the command's help text: Typer 0.25 loses help of arguments with click 8.5
            lines += ["", f"`{name} {' '.join(given)}`"]
        if options:
            lines += ["", *table(("option", "default", "meaning"), (_row(option) for option in options))]
    return "\n".join(lines) + "\n"


def _row(option: click.Parameter) -> tuple[str, str, str]:
    is_flag = bool(getattr(option, "is_flag", False))
    kind = "" if is_flag else f" {option.type.name.split()[0].upper()}"
    default = "" if is_flag or option.default in (None, []) else f"`{option.default}`"
    return f"`{max(option.opts, key=len)}{kind}`", default, getattr(option, "help", "") or ""


def automation_page() -> str:
    """Return the page of all jobs, schedules and sensors, with all options enabled."""
    definitions = build_definitions(load_settings(scaling_mode="execute", reports="", metrics=""))
    jobs = [job for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")]
    sensors = sorted(definitions.sensors or (), key=lambda one: one.name)
    lines = [
        WRITTEN_BY,
        "# What runs",
        "",
        "Jobs, schedule and sensors of the code location, as Dagster shows them under *Automation* and *Jobs*.",
        "",
        "## Schedule",
        "",
        *table(
            ("schedule", "cron, UTC", "at first", "what it does"),
            (
                (
                    f"`{one.name}`",
                    f"`{one.cron_schedule}`",
                    one.default_status.value.lower(),
                    one.description or "",
                )
                for one in definitions.schedules or ()
                if isinstance(one, dg.ScheduleDefinition)
            ),
        ),
        "",
        "## Sensors",
        "",
        *table(
            ("sensor", "every", "at first", "what it does"),
            (
                (
                    f"`{one.name}`",
                    f"{one.minimum_interval_seconds} s",
                    one.default_status.value.lower(),
                    one.description or "",
                )
                for one in sensors
            ),
        ),
        "",
        "## Jobs",
        "",
        *table(
            ("job", "what it does"), ((f"`{job.name}`", job.description or "") for job in sorted(jobs, key=_name))
        ),
    ]
    return "\n".join(lines) + "\n"


def _name(job: dg.JobDefinition) -> str:
    return job.name
