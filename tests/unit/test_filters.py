from __future__ import annotations

import pytest

from lookalike.errors import FilterError
from lookalike.filters import Condition, Place, parse


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("format = JPEG", [Condition("format", "=", "JPEG", "JPEG")]),
        ("WIDTH>=1000", [Condition("width", ">=", "1000", 1000)]),
        ("size < 1.5 MB", [Condition("size", "<", "1.5 MB", 1_500_000)]),
        ("size < 2KiB", [Condition("size", "<", "2KiB", 2048)]),
        ("label = big gear", [Condition("label", "=", "big gear", "big gear")]),
        ("label = 'nuts and bolts'", [Condition("label", "=", "'nuts and bolts'", "nuts and bolts")]),
        ("label = none", [Condition("label", "=", "none", None)]),
        ("date = 2024-12", [Condition("date", "=", "2024-12", ("2024-12-01T00:00:00", "2025-01-01T00:00:00"))]),
        ("taken > 2024", [Condition("taken", ">", "2024", ("2024-01-01T00:00:00", "2025-01-01T00:00:00"))]),
        ("added = 2024-05-17 10:30", None),
        ("source = propagated", [Condition("source", "=", "propagated", "propagated")]),
        ("confidence < 0.95", [Condition("confidence", "<", "0.95", 0.95)]),
        ("confidence >= .9", [Condition("confidence", ">=", ".9", 0.9)]),
        ("confidence = none", [Condition("confidence", "=", "none", None)]),
        ("name ~ land*", [Condition("name", "~", "land*", "land*")]),
        ("sharpness < 0.45", [Condition("sharpness", "<", "0.45", 0.45)]),
        ("brightness >= .5", [Condition("brightness", ">=", ".5", 0.5)]),
        ("information < 5%", [Condition("information", "<", "5%", Place(0.05))]),
        ("contrast > 99.5 %", [Condition("contrast", ">", "99.5 %", Place(0.995))]),
        ("sharpness = none", [Condition("sharpness", "=", "none", None)]),
        ("quality = Blurred", [Condition("quality", "=", "Blurred", "blurred")]),
        ("quality != none", [Condition("quality", "!=", "none", None)]),
    ],
)
def test_single_conditions(expression: str, expected: list[Condition] | None) -> None:
    parsed = list(parse(expression))
    assert len(parsed) == 1
    if expected is not None:
        assert parsed == expected


def test_conditions_are_joined_with_and() -> None:
    parsed = parse("format = PNG AND path ~ 'and/*' and width > 3")
    assert [(c.field, c.operator, c.value) for c in parsed] == [
        ("format", "=", "PNG"),
        ("path", "~", "and/*"),
        ("width", ">", 3),
    ]


def test_a_time_means_its_whole_minute() -> None:
    (condition,) = parse("added = 2024-05-17 10:30")
    assert condition.value == ("2024-05-17T10:30:00", "2024-05-17T10:31:00")


@pytest.mark.parametrize(
    ("expression", "message", "hint"),
    [
        ("widht > 3", "unknown field 'widht'", "did you mean 'width'"),
        ("hue = red", "unknown field 'hue'", "fields are path"),
        ("width", "is not 'field operator value'", "for example"),
        ("width >", "has no value", "for example"),
        ("width > big", "'big' is no number", "units"),
        ("confidence > 95%", "'95%' is no number", "confidence < 0.95"),
        ("confidence > nan", "'nan' is no number", ""),
        ("confidence ~ 0.9", "is for text fields", ""),
        ("source < propagated", "compared with =, != and ~", ""),
        ("width = 3 MB", "'3 MB' is no number", "units"),
        ("date > yesterday", "'yesterday' is no date", "2024-05"),
        ("date = 2024-13", "'2024-13' is no date", ""),
        ("format < PNG", "compared with =, != and ~", ""),
        ("sharpness < low", "'low' is no number", "sharpness goes from 0 to 1; 5% is a place"),
        ("sharpness = 5%", "a place in the gallery lies within", "sharpness < 5%"),
        ("contrast < 101%", "a place in the gallery lies within", "contrast < 5%"),
        ("quality = blurry", "there is no 'blurry'", "did you mean 'blurred'"),
        ("quality = good", "there is no 'good'", "blurred, dark, bright, plain"),
        ("quality < dark", "compared with = and !=", ""),
        ("quality ~ dark", "is for text fields", ""),
        ("quality < none", "'none' goes with", ""),
        ("width ~ 3", "is for text fields", ""),
        ("width > none", "'none' goes with", ""),
        ("format = PNG and", "has an empty part", ""),
        ("and", "has an empty part", ""),
        ("", "has an empty part", ""),
        ("label = 'open", "open quote", ""),
        ("label = 'a' b", "text after the quote", ""),
    ],
)
def test_what_cannot_be_understood_is_named(expression: str, message: str, hint: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse(expression)
    assert message in str(caught.value)
    assert hint in caught.value.hint
