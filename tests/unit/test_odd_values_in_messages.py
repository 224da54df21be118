"""A value stays what it is in a message, whatever characters it holds: the language is that of templates alone."""

from __future__ import annotations

import pytest

from kubectl_lbdoctor.checks.wording import render

ODD = ("{", "}", "{x}", "[", "]", "[a]", "|", "a|b", '"', "\n", "\x1b[31m", "{0}", "=", "*", "a=b", "[{x}]")


@pytest.mark.parametrize("value", ODD)
def test_a_value_is_no_template(value: str) -> None:
    values = {"a": value, "two": (value, "z"), "state": "idle", "count": 2}
    assert render('x "{a}"[ ({a})]', values) == f'x "{value}" ({value})'
    assert render('{two:&}, {two:"&"}, {two:,1}', values) == f'{value} and z, "{value}" and "z", {value} and 1 more'


@pytest.mark.parametrize("value", ODD)
def test_a_value_within_a_word_is_no_template(value: str) -> None:
    values = {"a": value, "state": "idle", "count": 2}
    assert render("{state:idle=is {a}|*=busy}", values) == f"is {value}"
    assert render("{state:busy=no|*=is {a}}", values) == f"is {value}"
    assert render("{count:=one|many {a}}", values) == f"many {value}"
    assert render("{count:=one {a}|many}", values) == "many"
