"""The `risk` command: the same assets and run history as the UI."""

import gc
import signal
import sys
from collections.abc import Callable

import typer

from risk_assets.cli import (
    audit,
    azure,
    demo,
    dispositions,
    documents,
    governance,
    jobs,
    landing,
    models,
    monitoring,
    reporting,
    serving,
    simulate,
    ui,
)
from risk_assets.cli.console import FAILED, INTERRUPTED, USAGE, print_error
from risk_assets.clock import DateError
from risk_assets.errors import RiskError

TYPER_INTERRUPTED = 130  # its exit code after an interrupt that the command has not handled


def main() -> None:
    """Run the command. Print expected errors without a traceback: exit code 1 for a failure, 2 for wrong usage.

    Where standard error is not a terminal, an error is one line, wrong usage too; a terminal gets usage and a frame from typer.
    SIGTERM ends a command as Ctrl-C does: it says what to do next.
    """
    gc.disable()  # imports create many objects and hardly any garbage: collections are a sixth of the start-up
    ends_silently = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if ends_silently:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(_run())
    except typer.TyperException as error:
        _print_usage_error(error)
        sys.exit(error.exit_code)
    except typer.Abort:
        print_error("error", "aborted: nothing was confirmed")
        sys.exit(FAILED)
    except RiskError as error:
        print_error("error", str(error))
        sys.exit(USAGE if isinstance(error, DateError) else FAILED)
    finally:
        if ends_silently:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        gc.enable()


def _run() -> int | str | None:
    """Run the command and return its exit code."""
    try:
        code: int | str | None = app(prog_name="risk", standalone_mode=sys.stderr.isatty())
    except SystemExit as ended:
        code = ended.code
    if code == TYPER_INTERRUPTED:
        raise RiskError(f"{INTERRUPTED}. Run it again.")
    return code


def _print_usage_error(error: typer.TyperException) -> None:
    """Print wrong usage in one line; nothing if a command without arguments has printed its help."""
    context: typer.Context | None = getattr(error, "ctx", None)
    message = error.format_message()
    if message:
        print_error("error", f"{message.rstrip('.')}. See {context.command_path if context else 'risk'} --help.")


app = typer.Typer(
    help="Credit-risk lakehouse: land snapshots, train and govern models, score and audit accounts. Settings: RISK_* variables or .env.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
contract_app = typer.Typer(invoke_without_command=True)
contract_app.callback()(documents.contract)
contract_app.command("infer")(landing.infer_contract)
contract_app.command("show")(documents.show_contract)
contract_app.command("adopt")(documents.adopt_contract)
policy_app = typer.Typer(invoke_without_command=True)
policy_app.callback()(documents.policy)
policy_app.command("show")(documents.show_policy)
policy_app.command("adopt")(documents.adopt_policy)
models_app = typer.Typer(invoke_without_command=True)
models_app.callback()(models.models)
models_app.command("show")(models.show)
models_app.command("reproduce")(models.reproduce)
azure_app = typer.Typer(help="The live model on Azure ML.", no_args_is_help=True)
azure_app.command("export")(azure.export)
app.add_typer(contract_app, name="contract")
app.add_typer(policy_app, name="policy")
app.add_typer(azure_app, name="azure")
app.add_typer(models_app, name="models")
COMMANDS: tuple[Callable[..., None], ...] = (
    demo.demo,
    landing.land,
    jobs.run,
    jobs.outcomes,
    jobs.train,
    jobs.log,
    models.impact,
    governance.promote,
    governance.rollback,
    governance.challenge,
    governance.live,
    governance.history,
    monitoring.monitor,
    monitoring.alerts,
    reporting.report,
    dispositions.dispositions,
    simulate.simulate,
    audit.verify,
    audit.replay,
    audit.explain,
    ui.ui,
    serving.serve,
    serving.token,
)
for command in COMMANDS:
    app.command()(command)
