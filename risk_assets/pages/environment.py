"""The templates of the pages. Everything they show is escaped, and characters that HTML does not allow are replaced."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from risk_assets.domain.morning.account_key import account_key, key_text
from risk_assets.domain.morning.dispositions import KINDS, LONGEST_NOTE
from risk_assets.domain.morning.facts import WORSE_POINTS
from risk_assets.domain.wording import counted
from risk_assets.pages import addresses, alternatives, formats, plots, served, words
from risk_assets.pages.morning_plots import MOST_FEATURES


@cache
def environment() -> Environment:
    """Return the environment of the templates; one for each process."""
    made = Environment(
        loader=PackageLoader("risk_assets.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_clean,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        name: getattr(formats, name) for name in ("number", "signed", "percent", "short_date", "long_date", "date_text", "shortened")
    }
    made.filters |= {
        name: getattr(words, name) for name in ("moment", "day_of", "feature_value", "feature_points", "days_listed", "auc_text")
    }
    made.filters["counted"] = counted
    made.globals |= {
        "words": words,
        "served": None,
        "signed_in": True,
        "places": served,
        "addresses": addresses,
        "key_of": lambda account: key_text(account_key(account)),
        "color": plots.color,
        "range_strip": plots.range_strip,
        "box": plots.BOX,
        "LONGEST": formats.LONGEST,
        "LONGEST_SENTENCE": formats.LONGEST_SENTENCE,
        "LONGEST_VERDICT": formats.LONGEST_VERDICT,
        "MOST_ENTRIES": formats.MOST_ENTRIES,
        "RECENT_ENTRIES": formats.RECENT_ENTRIES,
    }
    made.globals |= {"kinds": KINDS, "longest_note": LONGEST_NOTE}
    made.globals |= {"worse_points": WORSE_POINTS, "most_features": MOST_FEATURES}
    made.globals |= {name: each for name, each in vars(alternatives).items() if name.startswith("about_")}
    return made


def _clean(shown: object) -> object:
    """Return what a template shows without the characters that HTML does not allow; markup is made of such texts already."""
    return formats.clean(shown) if isinstance(shown, str) and not isinstance(shown, Markup) else shown
