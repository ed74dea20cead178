"""Talk goes to stderr, data to stdout."""

import json
from collections.abc import Callable

import typer

from flows.standard_streams import OutputLost, give_up_output
from tasks.endings import ExitStatus
from tasks.exports import visible


def say(text: str) -> None:
    """To people, on stderr. What would steer their terminal, such as in an id they were sent, is shown instead."""
    typer.echo(visible(text), err=True)


def print_json(document: object) -> None:
    """The one JSON document of a command, on stdout."""
    typer.echo(json.dumps(document, ensure_ascii=False, indent=1))


def output_lost(error: OutputLost, status: int = 0) -> int:
    """Says so, and returns the exit status: that of the work itself, and where that went well, FAILED."""
    give_up_output()
    if not error.quiet:
        say(str(error))
    return status or int(ExitStatus.FAILED)


def after_printing(status: int, show: Callable[[], None]) -> int:
    """The exit status of a command whose work is done when it prints: what it came to is not lost with its output."""
    try:
        show()
    except OutputLost as error:
        return output_lost(error, status)
    return status
