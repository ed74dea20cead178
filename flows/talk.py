"""Talk goes to stderr, data to stdout."""

import json

import typer

from tasks.exports import visible


def say(text: str) -> None:
    """To people, on stderr. What would steer their terminal, such as in an id they were sent, is shown instead."""
    typer.echo(visible(text), err=True)


def print_json(document: object) -> None:
    """The one JSON document of a command, on stdout."""
    typer.echo(json.dumps(document, ensure_ascii=False, indent=1))
