"""Whether a text is a template, and what is wrong with it where it is not."""

from __future__ import annotations

import random
from typing import Any

import pytest

from .side_by_side import Pair

PATHS = ["/templates/validate", "/automations/templates/validate"]
LOOP = "{% for a in b %}"
END = "{% endfor %}"

TEMPLATES = [
    "", " ", "plain", "}} %} #}", "a\n{{ b }}\nc", "{{ a.b['c'](1, *d, e=2, **f) | g(1) | h.i is not j }}", "{{ 1 if a else 2 }}", "{{ 1 if a }}",
    "{{ a and not b or c }}", "{{ a in b and c not in d }}", "{{ -a ** +b // 2 % 3 ~ 'x' 'y' }}", "{{ [1, (2,), {'a': 3,},] }}", "{{ () }}", "{{ a[1:2:3], a[::], a[:, 1], a[1:] }}",
    "{{ 0x1f + 0b1 + 0o7 + 1_000 + 1.5e-3 + 1e5 + 00 }}", "{{ a == b != c < d <= e > f >= g }}", "{{ a is b is c }}", "{{ a is b c }}", "{{ a is not b(1) }}", "{{ a is in [1] }}",
    "{% if a %}b{% elif c %}d{% else %}e{% endif %}", "{% for a, b in c if d recursive %}e{% else %}f{% endfor %}", "{% for (a, b), c in d %}{% endfor %}",
    "{% set a = 1 %}{% set b, c = 1, 2 %}{% set d.e = 3 %}{% set f %}g{% endset %}{% set h | upper %}i{% endset %}",
    "{% macro a(b, c=1) %}{% endmacro %}{% call(d) a(1) %}{% endcall %}{% call a() %}x{% endcall %}{% filter upper | lower(1) %}x{% endfilter %}",
    "{% block a %}{% endblock a %}{% block b scoped required %} {# c #} {% endblock %}{% extends 'x' %}{% include 'y' ignore missing with context %}",
    "{% import 'a' as b without context %}{% from 'a' import b as c, d with context %}{% from 'a' import b, with context %}{% with a = 1, b = 2 %}{% endwith %}{% autoescape true %}{% endautoescape %}{% print a, b %}",
    "{%- raw -%} {{ %} {%- endraw -%} x", "{% raw %}", "{% raw %}x", "{% raw +%}x{% endraw %}", "{# a", "{#", "{#- a -#} b", "{{- a -}} b", "{%+ if a +%}{% endif %}",
    "{{", "{{ ", "{{ }}", "{{ a", "{{ a }", "{{ a b }}", "{{ a. }}", "{{ a.1 }}", "{{ a.'b' }}", "{{ a[ }}", "{{ a[] }}", "{{ a[1 }}", "{{ (a }}", "{{ a) }}", "{{ (a] }}", "{{ {'a'} }}", "{{ {a: } }}", "{{ 'a }}",
    "{{ ? }}", "{{ a ? }}", "ü{{ ü }}", "ü\n{{ € }}", "{{ 'ü' ü }}", "{{ a | }}", "{{ a | 1 }}", "{{ a | b. }}", "{{ a is }}", "{{ not }}", "{{ a if }}", "{{ a if b else }}", "{{ a( }}", "{{ a(1 2) }}", "{{ a(b=1, 2) }}",
    "{{ a(*b, *c) }}", "{{ a(**b, c) }}", "{{ a(**b, *c) }}", "{{ a(1,) }}", "{{ a(,) }}", "{{ [1 2] }}", "{{ [,] }}", "{{ a, }}", "{{ , }}", "{{ * }}", "{{ 1a }}", "{{ 1.a }}", "{{ 1. }}", "{{ '\\x4' }}", "{{ '\\u12' }}", "{{ '\\N' }}", "{{ '\\q\\n\\'' }}",
    "{{ '\\U11000000' }}", "{{ \"a\nb\" }}\n{{ ! }}",
    "{% %}", "{% 1 %}", "{%", "{% a", "{% unknown %}", "{% endif %}", "{% if %}", "{% if a %}", "{% if a %}{% for b in c %}", "{% if a %}{% endfor %}", "{% for a in b %}{% if c %}{% endfor %}{% endif %}", "{% if a b %}{% endif %}", "{% if a: %}{% endif %}", "{% if a %}{% else %}{% else %}{% endif %}",
    "{% if a %}{% else %}", "{% elif %}", "{% for %}", "{% for a %}", "{% for a in %}", "{% for 1 in b %}{% endfor %}", "{% for a.b in c %}{% endfor %}", "{% for true in b %}{% endfor %}", "{% for a in b %}{% else %}", "{% for a in b c %}{% endfor %}",
    "{% set %}", "{% set 1 = 2 %}", "{% set a %}", "{% set a = %}", "{% set a.b.c = 1 %}", "{% set (a.b) = 1 %}", "{% set a, 1 = 2 %}", "{% set [a] = 2 %}", "{% set {} = 2 %}", "{% set (a + b) = 2 %}", "{% set (a()) = 1 %}", "{% set a b %}",
    "{% macro %}", "{% macro a %}", "{% macro a( %}", "{% macro a(b=1, c) %}{% endmacro %}", "{% macro true() %}{% endmacro %}", "{% macro a(1) %}{% endmacro %}", "{% call a %}{% endcall %}", "{% call(a) %}{% endcall %}", "{% filter %}{% endfilter %}",
    "{% block %}", "{% block a-b %}{% endblock %}", "{% block a required %}x{% endblock %}", "{% block a %}{% endblock b %}", "{% extends %}", "{% include %}", "{% include 'a' ignore %}", "{% import 'a' %}", "{% import 'a' as %}", "{% from 'a' %}", "{% from 'a' import %}", "{% from 'a' import _b %}", "{% from 'a' import b c %}", "{% from 'a' import 1 %}",
    "{% with a %}{% endwith %}", "{% with a = 1 b = 2 %}{% endwith %}", "{% with %}{% endwith %}", "{% autoescape %}{% endautoescape %}", "{% print %}", "{% print a b %}", "{% do a %}", "{% trans %}a{% endtrans %}", "{% break %}", "{% debug %}",
    LOOP * 2 + END * 2, LOOP * 3 + END * 3, (LOOP + END) * 10, (LOOP + END) * 11, LOOP + "{% else %}" + LOOP + "{% else %}" + LOOP + END * 3, LOOP + "{% if a %}" + LOOP + END + "{% endif %}" + LOOP + END + END,
    "\r\n\r{{", "\n\n{% if a %}\n{% endwhat %}", "{# \n\n #}{{ a\n\n! }}", "{{ a\n", "a\n{{ (\n b\n ] }}", "{% if a\n\n %}\nb", "\n{% raw %}\n\n{% endraw %}\n{{",
    "{{ humanize }} {{ a | humanize_naturaltime }}", "{{ a | no_filter_of_this_name }} {{ a is no_test }}",
]  # fmt: skip


@pytest.mark.parametrize("template", TEMPLATES)
def test_templates(pair: Pair, template: str) -> None:
    pair.check("POST", PATHS[0], template)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", ["{{ a }}", "{{ a", None, 5, {}, {"template": "{{ a }}"}, [], ["{{"]], ids=str)
def test_bodies(pair: Pair, path: str, body: Any) -> None:
    pair.check("POST", path, body)


@pytest.mark.parametrize("path", PATHS)
def test_without_a_body(pair: Pair, path: str) -> None:
    pair.check("POST", path)
    pair.check("GET", path)


PIECES = [
    "{{", "}}", "{%", "%}", "{#", "#}", "{%-", "-%}", "-}}", "{%+", "+%}", " ", "\n", "a", "b.c", "if", "for", "in", "else", "elif", "endif", "endfor", "set", "endset", "=", "is", "not", "and", "or", "macro", "endmacro",
    "(", ")", "[", "]", "{", "}", ",", ":", ".", "|", "1", "1.5", "'x'", '"', "true", "none", "raw", "endraw", "block", "endblock", "with", "endwith", "call", "endcall", "*", "**", "+", "-", "~", "==", "recursive", "context", "import", "from", "as", "print", "ü", "!",
]  # fmt: skip


@pytest.mark.parametrize("seed", range(150))
def test_pieces_of_templates(pair: Pair, seed: int) -> None:
    """Texts of random pieces, most of which begin as templates do and end badly."""
    chance = random.Random(seed)
    pieces = chance.choices(PIECES, k=chance.randint(1, 12))
    begin, end = chance.choice([("{{ ", " }}"), ("{% if a %}{% ", " %}"), ("{% ", " %}x{% endif %}"), ("", "")])
    pair.check("POST", PATHS[0], begin + chance.choice(["", " "]).join(pieces) + end)
