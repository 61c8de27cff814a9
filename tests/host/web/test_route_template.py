"""Route templates: what each form matches, and what is refused."""

import pytest

from func_host.web.route_template import RouteTemplateError, parse_template


def match(template: str, path: str) -> dict[str, str] | None:
    return parse_template(template).match(path.split("/") if path else [])


@pytest.mark.parametrize(
    ("template", "path", "expected"),
    [
        ("items", "items", {}),
        ("items", "ITEMS", {}),
        ("Items", "items", {}),
        ("items", "item", None),
        ("items", "items/1", None),
        ("items/{id}", "items/1", {"id": "1"}),
        ("items/{id}", "items/A b", {"id": "A b"}),
        ("items/{id}", "items", None),
        ("items/{id}", "items/", None),
        ("items/{id?}", "items", {}),
        ("items/{id?}", "items/7", {"id": "7"}),
        ("items/{id?}", "items/7/8", None),
        ("items/{id=5}", "items", {"id": "5"}),
        ("items/{id=5}", "items/6", {"id": "6"}),
        ("{a=1}/{b?}", "", {"a": "1"}),
        ("files/{*path}", "files", {}),
        ("files/{*path}", "files/a/b.txt", {"path": "a/b.txt"}),
        ("files/{**path}", "files/a/b.txt", {"path": "a/b.txt"}),
        ("files/{*path=index}", "files", {"path": "index"}),
        ("{*all}", "", {}),
        ("/items/{id}/", "items/1", {"id": "1"}),
        ("{{id}}", "{id}", {}),
    ],
)
def test_a_template_matches_as_asp_net_does(
    template: str, path: str, expected: dict[str, str] | None
) -> None:
    assert match(template, path) == expected


@pytest.mark.parametrize(
    ("template", "path", "expected"),
    [
        ("{a}-{b}", "x-y", {"a": "x", "b": "y"}),
        ("{a}-{b}", "x-y-z", {"a": "x-y", "b": "z"}),
        ("{a}-{b}", "x-", None),
        ("{a}-{b}", "-x", None),
        ("{a}-{b}", "xy", None),
        ("{name}.{ext?}", "read", {"name": "read"}),
        ("{name}.{ext?}", "read.me.txt", {"name": "read.me", "ext": "txt"}),
        ("{name}.{ext?}", "read.", {"name": "read."}),
        ("v{version}", "v2", {"version": "2"}),
        ("V{version}", "v2", {"version": "2"}),
        ("v{version}", "w2", None),
        ("v{version}", "vv2", None),
        ("{id}.json", "7.JSON", {"id": "7"}),
        ("{id}.json", "7.jsonx", None),
        ("a{x}b{y}c", "a1b2c", {"x": "1", "y": "2"}),
        ("{y:int}-{m:int}", "2026-x", None),
    ],
)
def test_several_parts_of_a_segment_are_matched_from_the_right(
    template: str, path: str, expected: dict[str, str] | None
) -> None:
    assert match(template, path) == expected


def test_a_hostile_segment_is_matched_in_linear_time() -> None:
    assert match("{a}-{b}-{c}-{d}.json", "-" * 60_000) is None


@pytest.mark.parametrize(
    ("constraint", "good", "bad"),
    [
        ("int", ["1", "-5", "2147483647"], ["a", "1.5", "2147483648", "٣"]),
        ("long", ["9223372036854775807"], ["9223372036854775808", "9" * 4000]),
        ("bool", ["true", "False", "TRUE"], ["1", "yes"]),
        ("datetime", ["2026-01-02", "2026-01-02T03:04:05Z", "12/31/2026"], ["soon", "2026-13-01"]),
        ("decimal", ["1", "-1.5", "1,000.5"], ["1e5", "x"]),
        ("double", ["1e5", "1.5", "NaN"], ["x", "1e"]),
        ("float", [".5"], ["--1"]),
        (
            "guid",
            ["0f8fad5b-d9cb-469f-a165-70867728950e", "0f8fad5bd9cb469fa16570867728950e"],
            ["0f8fad5b", "{0f8fad5bd9cb469fa16570867728950e"],
        ),
        ("alpha", ["abc", "ABC"], ["a1", "é"]),
        ("minlength(2)", ["ab"], ["a"]),
        ("maxlength(2)", ["ab"], ["abc"]),
        ("length(2)", ["ab"], ["a", "abc"]),
        ("length(2,3)", ["ab", "abc"], ["a", "abcd"]),
        ("min(18)", ["18", "99"], ["17", "x"]),
        ("max(10)", ["10", "-3"], ["11"]),
        ("range(1,3)", ["1", "3"], ["0", "4"]),
        ("regex(^\\d{{3}}-[a-z]+$)", ["123-ab", "123-AB"], ["12-ab", "123"]),
        ("regex(a:b)", ["xa:by"], ["ab"]),
        ("required", ["x"], []),
        ("file", ["a.txt", ".env"], ["a", "a."]),
        ("nonfile", ["a", "a."], ["a.txt"]),
        ("int:min(1)", ["1"], ["0", "x"]),
        ("int:range(1,9):max(5)", ["5"], ["6"]),
        ("INT", ["1"], ["x"]),
    ],
)
def test_a_constraint_admits_only_what_it_names(
    constraint: str, good: list[str], bad: list[str]
) -> None:
    template = parse_template(f"x/{{value:{constraint}}}")

    assert [template.match(["x", text]) for text in good] == [{"value": text} for text in good]
    assert [template.match(["x", text]) for text in bad] == [None] * len(bad)


def test_a_constraint_counts_only_where_the_optional_value_is_there() -> None:
    assert match("items/{id:int?}", "items") == {}
    assert match("items/{id:int?}", "items/x") is None
    assert match("items/{id:int=3}", "items") == {"id": "3"}


@pytest.mark.parametrize(
    "template",
    [
        "a//b",
        "{*rest}/more",
        "{id?}/more",
        "{id",
        "id}",
        "{}",
        "{a}{b}",
        "{a}/{A}",
        "{a?}-{b}",
        "x{*rest}",
        "x{a=1}",
        "{id:nosuch}",
        "{id:min(x)}",
        "{id:min}",
        "{id:int(3)}",
        "{id:regex([)}",
        "{id:length(1,2,3)}",
    ],
)
def test_a_template_that_cannot_be_read_is_refused_by_name(template: str) -> None:
    with pytest.raises(RouteTemplateError, match="'"):
        parse_template(template)
