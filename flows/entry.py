"""Where the command `campaign` begins: Ctrl-C and SIGTERM are answered before anything that takes time is imported."""

from flows.end_at_once import end_at_once_on_signals


def main() -> None:
    """The entry point of the installed command."""
    end_at_once_on_signals()
    from flows.command_line import main as command_line  # noqa: PLC0415 - it takes a while, with the signals heard

    command_line()
