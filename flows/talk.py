"""Talk goes to stderr, data to stdout."""

import json

import typer


def say(text: str) -> None:
    """To people, on stderr."""
    typer.echo(text, err=True)


def print_json(document: object) -> None:
    """The one JSON document of a command, on stdout."""
    typer.echo(json.dumps(document, ensure_ascii=False, indent=1))
