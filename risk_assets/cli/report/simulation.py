"""Reports of simulations."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from risk_assets.cli.console import LiteralConsole, styled
from risk_assets.cli.report.tables import new_table, text
from risk_assets.rehearsal import timeline as events
from risk_assets.rehearsal.costs import Errors
from risk_assets.simulation.scenarios import SCENARIOS, Scenario

if TYPE_CHECKING:
    from risk_assets.rehearsal.rehearse import Rehearsal

STYLES: Mapping[str, str] = MappingProxyType(
    {events.INCIDENT: "bold", events.ALERT: "red", events.OVER: "green", events.RECOVERY: "bold green", "promotion": "cyan"}
)


def scenarios(console: LiteralConsole) -> None:
    """Print the scenarios with their days, what happens, and the alerts that must follow."""
    table = new_table("Scenarios", "name", "days", "incidents", "alerts that must be raised, within days")
    for scenario in SCENARIOS.values():
        table.add_row(scenario.name, str(scenario.days), _stories(scenario), _expected(scenario))
    console.print(table)


def timeline(console: LiteralConsole, done: "Rehearsal") -> None:
    """Print what happened on which day, and each incident in one row."""
    table = new_table(f"Timeline of {done.scenario.name}, {done.scenario.days} days", "day", "date", "event", "what")
    for event in events.events(done.scenario, done.days):
        table.add_row(str(event.day), event.date, event.kind, event.text, style=STYLES.get(event.kind))
    console.print(table)
    found = events.outcomes(done.scenario, done.days, done.errors)
    if found:
        _incidents(console, found)
    if not done.differences:
        console.print(styled(("as scripted:", "bold green"), " every alert came in time, and no others did."))


def _incidents(console: LiteralConsole, found: tuple[events.Outcome, ...]) -> None:
    columns = ("incident", "days", "detected", "promotions", "recovered", "missed bads", "flagged goods")
    table = new_table("Incidents", *columns)
    for each in found:
        promoted = ", ".join(map(str, each.promoted))
        days = f"{each.start}" if each.start == each.last else f"{each.start} to {each.last}"
        table.add_row(each.name, days, text(each.detected), promoted, text(each.recovered), *_cost(each.cost))
    console.print(table)
    console.print(
        "Cost: bad accounts that were not flagged and good ones that were, from the start to the recovery, more than on as many quiet "
        "days. A day that was not scored in the morning flags nobody.",
        soft_wrap=True,
    )


def _cost(cost: Errors | None) -> tuple[str, str]:
    return ("", "") if cost is None else (f"{cost.missed_bads:+z.0f}", f"{cost.flagged_goods:+z.0f}")


def _stories(scenario: Scenario) -> str:
    if len(scenario.planned) == 1:
        return scenario.planned[0].incident.story
    return ", ".join(f"{each.incident.name} (day {each.start})" for each in scenario.planned) or "none"


def _expected(scenario: Scenario) -> str:
    if len(scenario.planned) != 1:
        return "those of the incidents" if scenario.planned else "none"
    return "\n".join(f"{each.cause}, {each.within_days}" for each in scenario.planned[0].incident.raises) or "none"
