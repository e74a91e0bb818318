"""The decision at its thresholds, and its words."""

import pytest

from sklearn_ext.inspection._fit_verdict import decide, describe, next_step


@pytest.mark.parametrize(
    ("train", "validation", "ceiling", "p_value", "verdict"),
    [
        (0.50, 0.48, 0.90, 0.001, "underfit"),  # a line through a sine
        (1.00, 0.40, 0.70, 0.001, "overfit"),  # a deep tree on noisy data
        (1.00, -1.0, 0.00, 0.001, "overfit"),  # a deep tree on nothing but noise
        (0.92, 0.88, 0.88, 0.5, "good"),
        (1.00, 0.88, 0.88, 0.5, "good"),  # a forest: a gap, and nothing to be won
        (0.05, -0.05, 0.00, 0.3, "noise-limited"),
        (0.30, 0.25, 0.25, 0.5, "noise-limited"),
        (0.50, 0.48, 0.90, 0.21, "good"),  # may be luck of the folds
        (0.50, 0.48, 0.90, float("nan"), "good"),  # one fold: nothing is known of luck
        (0.985, 0.98, 0.995, 0.001, "good"),  # 75 % of the error, but 0.015 of skill
        (0.20, 0.10, 0.22, 0.001, "noise-limited"),  # 0.12 of skill, but 13 % of the error
        (0.71, 0.50, 0.90, 0.001, "overfit"),
        (0.69, 0.50, 0.90, 0.001, "underfit"),
    ],
)
def test_decision(train, validation, ceiling, p_value, verdict):
    assert decide(train, validation, ceiling, p_value) == verdict


def words(verdict, **changes):
    facts = {"train": 0.5, "validation": 0.48, "ceiling": 0.9, "p_value": 0.001, "best": "trees"}
    return describe(verdict, **{**facts, **changes})


def test_evidence_names_the_better_model_and_both_parts():
    room, parts = words("underfit")
    assert room == (
        "better on new rows: trees; 81% of the error that is left is removable (p = 0.001)"
    )
    assert "training rows already: 0.400" in parts
    assert "new rows: 0.020" in parts


def test_evidence_says_why_a_better_model_does_not_count():
    assert words("good", p_value=0.4)[0].endswith("too little or too uncertain to count")
    assert words("good", ceiling=0.48) == ("better on new rows: no reference model",)
    assert "48% of the way" in words("noise-limited", ceiling=0.48)[1]


@pytest.mark.parametrize(
    ("verdict", "still_rising", "expected"),
    [
        ("underfit", True, "more freedom"),
        ("overfit", False, "Take freedom away"),
        ("overfit", True, "More rows help too"),
        ("noise-limited", True, "columns that say more"),
        ("good", True, "More rows would still help"),
        ("good", False, "Neither more freedom nor more rows"),
    ],
)
def test_advice(verdict, still_rising, expected):
    assert expected in next_step(verdict, still_rising=still_rising, best="trees")
