"""Changes of the live version: promotions, rollbacks and challenges."""

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_assets.domain.governance.bindings import (
    Binding,
    Change,
    adopt_contract,
    adopt_policy,
    challenge,
    challenger_label,
    end_challenge,
    promote,
    rivals,
    roll_back,
)
from risk_assets.errors import ModelError


def change(history: tuple[Binding, ...], step: str) -> Change:
    """Return the change of a step: `promote 2`, `rollback`, `shadow 2`, `challenge 2 0.1 salt`, `end`, `policy p2` or `contract c2`.

    Version 2 was trained under policy p2 and contract c2.
    """
    action, *words = step.split()
    if action in ("policy", "contract"):
        return {"policy": adopt_policy, "contract": adopt_contract}[action](history, words[0], "ada", "because")
    if action == "rollback":
        return roll_back(history, "ada", "because")
    if action == "end":
        return end_challenge(history, "ada", "because")
    version = f"model_v00{words[0]}"
    if action == "promote":
        return promote(history, version, "ada", "because", policy=f"p{words[0]}", contract=f"c{words[0]}")
    share, salt = (None, "shadows") if action == "shadow" else (float(words[1]), words[2])
    return challenge(history, version, share, salt, "ada", "because")


def made(*steps: str) -> tuple[Binding, ...]:
    """Return the bindings after a sequence of steps."""
    history: tuple[Binding, ...] = ()
    for seq, step in enumerate(steps, start=1):
        requested = change(history, step)
        binding = Binding(
            seq=seq,
            action=requested.action,
            champion=requested.champion,
            challenger=requested.challenger,
            challenger_share=requested.share,
            mode=requested.mode,
            salt=requested.salt,
            actor=requested.actor,
            reason=requested.reason,
            overrides=requested.overrides,
            policy=requested.policy,
            contract=requested.contract,
            effective_from="2026-03-01T10:00:00+00:00",
            recorded_at="2026-03-01T10:00:00+00:00",
            previous=None,
            seal="",
        )
        history = (*history, binding)
    return history


def champion(*steps: str) -> str:
    return made(*steps)[-1].champion


def rejection(*steps: str) -> str:
    """Return the error of the last step."""
    history = made(*steps[:-1])
    with pytest.raises(ModelError) as error:
        change(history, steps[-1])
    return str(error.value)


# --- promotion -----------------------------------------------------------------------------------------------------------


def test_promotion_records_version_actor_reason_and_latest() -> None:
    history = made("promote 1", "promote 2")
    assert promote(history, "model_v003", "ada", "better", policy="p3", contract="c3") == Change(
        2, "promote", "model_v003", "ada", "better", policy="p1", contract="c3"
    )
    assert promote((), "model_v001", "ada", "the first", policy="p1", contract="c1").after == 0


def test_live_version_cannot_be_promoted_again() -> None:
    message = rejection("promote 1", "promote 2", "promote 2")
    assert message.startswith("model_v002 is already live")
    assert "risk live" in message


@pytest.mark.parametrize("steps", [("promote 1", "promote 2", "rollback"), ("promote 1", "shadow 2")])
def test_version_live_after_a_rollback_is_not_promoted_again(steps: tuple[str, ...]) -> None:
    assert "model_v001 is already live" in rejection(*steps, "promote 1")


def test_formerly_live_version_can_be_promoted_again() -> None:
    assert champion("promote 1", "promote 2", "promote 1") == "model_v001"


# --- rollback ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "back"),
    [
        ("promote 1, promote 2", 1),
        ("promote 1, promote 2, rollback, promote 2", 1),
        ("promote 1, promote 2, rollback, promote 3", 1),
        ("promote 1, promote 2, promote 3", 2),
        ("promote 1, promote 2, promote 3, rollback", 1),
        ("promote 1, promote 2, promote 3, rollback, promote 4", 2),
        ("promote 1, promote 2, promote 3, rollback, promote 4, rollback", 1),
        ("promote 1, promote 2, promote 1", 2),
        ("promote 1, promote 2, promote 1, rollback", 1),
    ],
)
def test_rollback_undoes_the_last_promotion_in_effect(steps: str, back: int) -> None:
    assert champion(*steps.split(", "), "rollback") == f"model_v00{back}"


@pytest.mark.parametrize("between", ["shadow 4", "challenge 4 0.1 s", "shadow 3, challenge 3 0.5 s, end, shadow 4, end"])
def test_challenges_do_not_affect_rollbacks(between: str) -> None:
    steps = ["promote 1", "promote 2", "promote 5"]
    for at in range(1, 4):
        with_it = (*steps[:at], *between.split(", "), *steps[at:])
        assert champion(*with_it, "rollback") == "model_v002"
        assert champion(*with_it, "rollback", "rollback") == "model_v001"
    assert champion(*steps, "rollback", *between.split(", "), "rollback") == "model_v001"


@pytest.mark.parametrize(
    "steps",
    [
        "",
        "promote 1",
        "promote 1, shadow 2",
        "promote 1, shadow 2, end",
        "promote 1, promote 2, rollback",
        "promote 1, promote 2, rollback, challenge 2 0.1 s",
        "promote 1, promote 2, promote 3, rollback, rollback",
        "promote 1, promote 2, promote 1, rollback, rollback",
    ],
)
def test_rollback_without_an_earlier_version_is_rejected(steps: str) -> None:
    message = rejection(*filter(None, steps.split(", ")), "rollback")
    assert "no earlier version" in message
    assert "risk history" in message


def test_rollback_records_version_actor_reason_and_latest() -> None:
    assert roll_back(made("promote 1", "promote 2"), "bob", "worse") == Change(
        2, "rollback", "model_v001", "bob", "worse", policy="p1", contract="c1"
    )


@st.composite
def stories(draw: st.DrawFn) -> tuple[str, ...]:
    """Return a valid sequence of steps that starts with a promotion."""
    steps: list[str] = ["promote 1"]
    for step in draw(st.lists(st.sampled_from([*[f"promote {number}" for number in range(1, 5)], "rollback", "shadow 4", "end"]))):
        try:
            made(*steps, step)
        except ModelError:
            continue
        steps.append(step)
    return tuple(steps)


@settings(deadline=None, derandomize=True, max_examples=80)
@given(stories(), st.lists(st.integers(5, 9), min_size=1, max_size=4).filter(lambda new: all(map(int.__ne__, new, new[1:]))))
def test_as_many_rollbacks_as_promotions_restore_the_version(story: tuple[str, ...], new: list[int]) -> None:
    there_and_back = (*story, *[f"promote {number}" for number in new], *["rollback"] * len(new))
    assert champion(*there_and_back) == champion(*story)
    try:
        before = champion(*story, "rollback")
    except ModelError:
        assert "no earlier version" in rejection(*there_and_back, "rollback")
    else:
        assert champion(*there_and_back, "rollback") == before


# --- challenge -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["promote 3", "rollback", "end"])
@pytest.mark.parametrize("running", ["shadow 4", "challenge 4 0.1 s"])
def test_promotion_rollback_and_end_remove_the_challenger(running: str, step: str) -> None:
    now = made("promote 1", "promote 2", running, step)[-1]
    assert (now.challenger, now.challenger_share, now.mode, now.salt) == (None, None, "champion", "")


def test_promoted_challenger_goes_live_without_challenge() -> None:
    now = made("promote 1", "challenge 2 0.1 s", "promote 2")[-1]
    assert (now.champion, now.challenger, now.mode) == ("model_v002", None, "champion")


def test_challenge_keeps_the_champion_and_records_share_and_salt() -> None:
    history = made("promote 1")
    assert challenge(history, "model_v002", 0.25, "salt", "ada", "try it") == Change(
        1, "challenge", "model_v001", "ada", "try it", "model_v002", 0.25, "salt", policy="p1", contract="c1"
    )
    modes = [made("promote 1", step)[-1].mode for step in ("challenge 2 0.25 salt", "shadow 2")]
    assert modes == ["ab", "shadow"]
    assert made("promote 1", "shadow 2")[-1].challenger_share is None


def test_live_version_cannot_challenge_itself() -> None:
    for step in ("shadow 2", "challenge 2 0.1 s"):
        message = rejection("promote 1", "promote 2", step)
        assert message.startswith("model_v002 ")
        assert "cannot challenge itself" in message


@pytest.mark.parametrize("share", [0, 0.0, -0.0, 1, 1.0, -1, -0.1, 2, math.nan, math.inf, -math.inf])
def test_share_outside_0_to_1_is_rejected(share: float) -> None:
    with pytest.raises(ModelError, match=r"between 0 and 1.*--shadow"):
        challenge(made("promote 1"), "model_v002", share, "salt", "ada", "because")


@pytest.mark.parametrize("share", [math.ulp(0), 0.001, 0.5, math.nextafter(1, 0)])
def test_share_between_0_and_1_is_kept_exactly(share: float) -> None:
    assert challenge(made("promote 1"), "model_v002", share, "salt", "ada", "because").share == share


@pytest.mark.parametrize("step", ["shadow 1", "challenge 1 0.1 s"])
def test_challenge_without_a_live_model_is_rejected(step: str) -> None:
    message = rejection(step)
    assert "no model is live yet" in message
    assert "risk promote VERSION --reason WHY" in message


@pytest.mark.parametrize("then", ["challenge 2 0.3 new", "shadow 2", "shadow 2, challenge 2 0.3 new", "shadow 2, shadow 2"])
def test_challenger_keeps_its_salt_when_its_share_changes(then: str) -> None:
    history = made("promote 1", "challenge 2 0.1 old", *then.split(", "))
    assert {binding.salt for binding in history[1:]} == {"old"}


@pytest.mark.parametrize("between", ["", "shadow 4", "end", "promote 4", "rollback"])
def test_new_or_returning_challenger_gets_a_new_salt(between: str) -> None:
    number = 2 if between else 3
    history = made("promote 1", "promote 5", "challenge 2 0.1 old", *filter(None, [between]), f"challenge {number} 0.1 new")
    assert history[-1].salt == "new"


@pytest.mark.parametrize("steps", ["", "promote 1", "promote 1, shadow 2, end", "promote 1, shadow 2, promote 3"])
def test_ending_without_a_challenge_is_rejected(steps: str) -> None:
    message = rejection(*filter(None, steps.split(", ")), "end")
    assert "nothing to end" in message
    assert "risk live" in message


def test_end_of_a_challenge_records_actor_and_reason() -> None:
    found = end_challenge(made("promote 1", "shadow 2"), "bob", "seen enough")
    assert found == Change(2, "end_challenge", "model_v001", "bob", "seen enough", policy="p1", contract="c1")


# --- documents -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "bound"),
    [
        ("promote 1", ("p1", "c1")),  # the first promotion binds both
        ("promote 1, promote 2", ("p1", "c2")),  # the policy in force stays, the contract becomes the version's
        ("promote 1, policy p9, promote 2", ("p9", "c2")),
        ("promote 1, policy p9, contract c9, shadow 2, end", ("p9", "c9")),
        ("promote 1, promote 2, rollback", ("p1", "c1")),
        ("promote 1, contract c9, promote 2, policy p9, rollback", ("p9", "c9")),  # as the version was last live
    ],
)
def test_documents_in_force_after_changes(steps: str, bound: tuple[str, str]) -> None:
    now = made(*steps.split(", "))[-1]
    assert (now.policy, now.contract) == bound


@pytest.mark.parametrize("step", ["policy p9", "contract c9"])
def test_adoption_keeps_versions_and_the_challengers_accounts(step: str) -> None:
    before, now = made("promote 1", "challenge 2 0.1 s", step)[-2:]
    assert now.action == f"adopt_{step.split(maxsplit=1)[0]}"
    assert (now.champion, now.challenger, now.challenger_share, now.salt) == ("model_v001", "model_v002", 0.1, "s")
    assert {before.policy, before.contract} & {now.policy, now.contract} in ({"p1"}, {"c1"})


@pytest.mark.parametrize("steps", ["promote 1, policy p9", "promote 1, contract c9"])
def test_rollback_does_not_count_an_adoption_as_a_promotion(steps: str) -> None:
    assert "no earlier version" in rejection(*steps.split(", "), "rollback")
    assert champion("promote 1", "promote 2", steps.split(", ")[1], "rollback") == "model_v001"


@pytest.mark.parametrize(("kind", "step"), [("policy", "policy p1"), ("contract", "contract c1")])
def test_adoption_of_the_document_in_force_is_rejected(kind: str, step: str) -> None:
    message = rejection("promote 1", step)
    assert message.startswith(f"the {kind} in the file is the one in force")


@pytest.mark.parametrize("step", ["policy p1", "contract c1"])
def test_adoption_without_a_live_model_is_rejected(step: str) -> None:
    message = rejection(step)
    assert "no model is live yet" in message
    assert "risk train DATE" in message


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        (["promote 1"], ""),
        (["promote 1", "shadow 2"], "model_v002 (shadow)"),
        (["promote 1", "challenge 3 0.1 s"], "model_v003 (10%)"),
        (["promote 1", "challenge 3 0.55 s"], "model_v003 (55%)"),
        (["promote 1", "challenge 3 0.1 s", "end"], ""),
    ],
)
def test_challenger_label_shows_share_or_shadow(steps: list[str], text: str) -> None:
    assert challenger_label(made(*steps)[-1]) == text


@pytest.mark.parametrize(("share", "rounded"), [(0.004, "(0%)"), (0.997, "(100%)")])
def test_challenger_label_does_not_round_to_0_or_100_percent(share: float, rounded: str) -> None:
    assert rounded not in challenger_label(made("promote 1", f"challenge 2 {share} s")[-1])


def test_rivals_are_the_versions_that_have_been_live() -> None:
    assert rivals(made("promote 1", "promote 3", "shadow 2", "rollback", "promote 4")) == ("model_v001", "model_v003", "model_v004")
    assert rivals(()) == ()


def test_an_override_of_the_best_comparison_starts_anew() -> None:
    first, second, third = made("promote 1", "promote 2", "promote 3")
    overriding = msgspec.structs.replace(second, overrides=("stability", "not_worse_than_best"))
    assert rivals((first, overriding, third)) == ("model_v002", "model_v003")
    assert rivals((first, msgspec.structs.replace(second, overrides=("stability",)))) == ("model_v001", "model_v002")
