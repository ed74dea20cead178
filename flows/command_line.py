"""The command `campaign`. Talk goes to stderr, data to stdout.

Nothing heavy is imported here: `campaign --help` and `campaign plan` need neither Prefect nor pandas.
"""

import asyncio
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from blocks.errors import AccountRefused, BudgetRefused, CampaignError, InvalidInput, NeedsPerson, in_full
from blocks.private_files import keep_private
from flows.standard_streams import OutputLost, mend_standard_streams
from flows.talk import output_lost, say
from tasks.endings import ExitStatus

app = typer.Typer(
    name="campaign",
    help="A CSV of briefs becomes finished pictures and clips, each paid for exactly once.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Csv = Annotated[
    Path, typer.Argument(help="The campaign's CSV: one row is one brief.", metavar="CSV", show_default=False)
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else there.")
]
Account = Annotated[
    str | None,
    typer.Option("--account", help="A WaveSpeed Account block to take settings from.", metavar="NAME"),
]
Workspace = Annotated[
    str | None,
    typer.Option("--workspace", help="A Campaign Workspace block to take settings from.", metavar="NAME"),
]
RunId = Annotated[str, typer.Argument(help="A run's id, or `latest`.", metavar="RUN", show_default=False)]
Out = Annotated[
    Path, typer.Option("--out", help="The folder in which the run's own folder is made.", metavar="DIR")
]


@app.command()
def new(
    file: Annotated[
        Path, typer.Argument(help="The CSV to write; it must not be there yet.", show_default=False)
    ],
) -> None:
    """Write a commented starter campaign, with sample media beside it that its rows use."""
    from flows.commands.new import new_campaign

    _finish(new_campaign(file))


@app.command()
def plan(
    csv: Csv,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save", help="Keep the plan in this file, to be approved and applied later.", metavar="FILE"
        ),
    ] = None,
    quote: Annotated[
        bool, typer.Option("--quote", help="Ask the account's service for its own prices, free of charge.")
    ] = False,
    as_json: Json = False,
    account: Account = None,
    workspace: Workspace = None,
) -> None:
    """Say stage by stage what would be generated, what is cached and why, and what it costs. Spends nothing."""
    from flows.commands.plan import PlanRequest, show_plan

    request = PlanRequest(
        csv=csv, save=save, quote=quote, as_json=as_json, account=account, workspace=workspace
    )
    _finish(show_plan(request))


@app.command()
def run(
    csv: Annotated[
        Path | None,
        typer.Argument(
            help="The campaign's CSV: one row is one brief; --plan names one itself.",
            metavar="[CSV]",
            show_default=False,
        ),
    ] = None,
    plan_file: Annotated[
        Path | None,
        typer.Option(
            "--plan",
            help="Run what this plan of `campaign plan --save` approved, or refuse where anything differs.",
            metavar="FILE",
        ),
    ] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", help="Spend no more than this, in US dollars.", metavar="USD")
    ] = None,
    partial: Annotated[
        bool,
        typer.Option(
            "--partial",
            help="Where the plan costs more than the budget, make what it covers, cheap stages first.",
        ),
    ] = False,
    out: Out = Path("runs"),
    frozen: Annotated[bool, typer.Option("--frozen", help="Refuse to spend anything.")] = False,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing but how it ended, and errors.")] = False,
    account: Account = None,
    workspace: Workspace = None,
    notify: Annotated[
        str | None,
        typer.Option(
            "--notify",
            help="Prefect notification blocks that tell how the run ended, such as slack-webhook/team.",
            metavar="BLOCKS",
        ),
    ] = None,
) -> None:
    """Run the campaign as a Prefect flow. Running it again continues, or repeats from cache."""
    from flows.commands.run import RunRequest, run_campaign

    request = RunRequest(
        csv=csv,
        plan=plan_file,
        budget=budget,
        partial=partial,
        out=out,
        frozen=frozen,
        as_json=as_json,
        quiet=quiet,
        account=account,
        workspace=workspace,
        notify=notify,
    )
    _finish(run_campaign(request))


@app.command()
def runs(
    page: Annotated[
        Path | None,
        typer.Option("--page", help="Also write the page over all runs, index.html, in here.", metavar="DIR"),
    ] = None,
    as_json: Json = False,
    workspace: Workspace = None,
) -> None:
    """List the runs so far, newest first."""
    from flows.commands.runs import list_runs

    _finish(list_runs(page=page, as_json=as_json, workspace=workspace))


@app.command()
def report(
    run_id: RunId,
    out: Annotated[
        Path | None, typer.Option("--out", help="Another folder than the run's own.", metavar="DIR")
    ] = None,
    workspace: Workspace = None,
) -> None:
    """Write the tables and the page of a past run again."""
    from flows.commands.past import write_report

    _finish(write_report(run_id, out, workspace=workspace))


@app.command()
def diff(
    first: Annotated[
        str, typer.Argument(help="The earlier run's id, or `latest`.", metavar="RUN", show_default=False)
    ],
    second: Annotated[
        str, typer.Argument(help="The later run's id, or `latest`.", metavar="RUN", show_default=False)
    ],
    as_json: Json = False,
    workspace: Workspace = None,
) -> None:
    """Say what changed between two runs: inputs, assets, cost, latency."""
    from flows.commands.diff import show_difference

    _finish(show_difference(first, second, as_json=as_json, workspace=workspace))


@app.command()
def verify(run_id: RunId, workspace: Workspace = None) -> None:
    """Hash every asset of a run again and hold it against the run's manifest."""
    from flows.commands.past import verify_run

    _finish(verify_run(run_id, workspace=workspace))


@app.command()
def forget(
    run_id: Annotated[
        str | None, typer.Option("--run", help="Those that this run made.", metavar="RUN", show_default=False)
    ] = None,
    brief: Annotated[
        str | None, typer.Option("--brief", help="Those that a brief of this id used.", metavar="BRIEF")
    ] = None,
    stage: Annotated[
        str | None, typer.Option("--stage", help="edit, compose or video.", metavar="STAGE")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", help="The one whose generation key begins so.", metavar="KEY")
    ] = None,
    older_than: Annotated[
        float | None, typer.Option("--older", help="Those kept for longer than this.", metavar="DAYS")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Drop them; without it nothing is dropped.")] = False,
    as_json: Json = False,
    workspace: Workspace = None,
) -> None:
    """Drop chosen results, to be made and paid for again when next wanted. The books stay."""
    from flows.commands.forget import ForgetRequest, forget_results

    request = ForgetRequest(
        run=run_id,
        brief=brief,
        stage=stage,
        key=key,
        older_than=older_than,
        yes=yes,
        as_json=as_json,
        workspace=workspace,
    )
    _finish(forget_results(request))


@app.command()
def reconcile(
    run_id: Annotated[
        str | None,
        typer.Argument(
            help="A run's id, or `latest`; without it, all of the ledger.",
            metavar="[RUN]",
            show_default=False,
        ),
    ] = None,
    adopt: Annotated[
        list[str] | None,
        typer.Option(
            "--adopt",
            help="A held attempt made this prediction, or the ledger lacks it (then without ATTEMPT=); repeatable.",
            metavar="ATTEMPT=PREDICTION",
        ),
    ] = None,
    release: Annotated[
        list[str] | None,
        typer.Option(
            "--release",
            help="A held attempt certainly made no prediction, and may be sent again; repeatable.",
            metavar="ATTEMPT",
        ),
    ] = None,
    not_mine: Annotated[
        list[str] | None,
        typer.Option(
            "--not-mine",
            help="No run of this ledger made this prediction; repeatable.",
            metavar="PREDICTION",
        ),
    ] = None,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            "--out",
            help="A folder of past runs, from which a ledger takes over what it lost; repeatable.",
            metavar="DIR",
        ),
    ] = None,
    as_json: Json = False,
    account: Account = None,
    workspace: Workspace = None,
) -> None:
    """Hold the ledger against the account's own records; adopt what was orphaned, book refunds."""
    from flows.commands.reconcile import ReconcileRequest, reconcile_account

    request = ReconcileRequest(
        run=run_id,
        adopt=adopt or [],
        release=release or [],
        not_mine=not_mine or [],
        out=out or [Path("runs")],
        as_json=as_json,
        account=account,
        workspace=workspace,
    )
    _finish(reconcile_account(request))


@app.command()
def backup(
    file: Annotated[
        Path, typer.Argument(help="The file to write; it must not be there yet.", show_default=False)
    ],
    workspace: Workspace = None,
) -> None:
    """Copy the ledger, whole and at one moment, and write the list of its assets beside it."""
    from flows.commands.backup import back_up

    _finish(back_up(file, workspace=workspace))


@app.command()
def simulate(
    port: Annotated[int, typer.Option("--port", help="0 takes any free port.", min=0, max=65535)] = 0,
    clock: Annotated[float, typer.Option("--clock", help="Multiplies every latency.", metavar="F")] = 0.02,
    key: Annotated[
        str | None, typer.Option("--key", help="The only key accepted; any, if not given.")
    ] = None,
    faults: Annotated[
        Path | None, typer.Option("--faults", help="A JSON file of faults and switches.", metavar="FILE")
    ] = None,
) -> None:
    """Serve the built-in WaveSpeed simulator on loopback; its URL is printed when it answers."""
    from flows.commands.simulate import serve_simulator

    try:
        serve_simulator(port=port, clock=clock, key=key, faults=faults)
    except CampaignError as error:
        _fail(error)


def _finish(command: Coroutine[Any, Any, int]) -> NoReturn:
    """Runs the command; every foreseeable end of it is a sentence and an exit status."""
    try:
        status = asyncio.run(_ended(command))
    except CampaignError as error:
        _fail(error)
    except (KeyboardInterrupt, asyncio.CancelledError):
        say("interrupted; run the same command again to continue. Nothing that was paid for is lost")
        raise SystemExit(int(ExitStatus.INTERRUPTED)) from None
    raise SystemExit(int(status))


async def _ended(command: Coroutine[Any, Any, int]) -> int:
    """Its exit status. Where Prefect's server has gone, the process ends here: what is still being tried to tell that
    server would be waited for.
    """
    try:
        status = await command
    except CampaignError as error:
        if not _prefect_is_given_up():
            raise
        status = _told(error)
    if _prefect_is_given_up():
        os._exit(_flushed(status))
    return status


def _prefect_is_given_up() -> bool:
    server = sys.modules.get("flows.prefect_server")
    return server is not None and server.is_given_up()


def _fail(error: CampaignError) -> NoReturn:
    raise SystemExit(_told(error)) from None


def _told(error: CampaignError) -> int:
    """Says what went wrong; returns the exit status."""
    say(in_full(error))
    match error:
        case InvalidInput():
            status = ExitStatus.INVALID
        case BudgetRefused():
            status = ExitStatus.BUDGET
        case AccountRefused():
            status = ExitStatus.ACCOUNT
        case NeedsPerson():
            status = ExitStatus.PERSON
        case _:
            status = ExitStatus.FAILED
    return int(status)


def main() -> None:
    """The entry point of the installed command."""
    mend_standard_streams()
    keep_private()
    try:
        app()
    except OutputLost as error:
        raise SystemExit(output_lost(error)) from None
    except SystemExit as end:
        raise SystemExit(
            _flushed(end.code if isinstance(end.code, int) else int(end.code is not None))
        ) from None


def _flushed(status: int) -> int:
    """What is buffered yet leaves now, while a failure can still be told; returns the exit status."""
    try:
        sys.stdout.flush()
    except OutputLost as error:
        status = output_lost(error, status)
    sys.stderr.flush()
    return status
