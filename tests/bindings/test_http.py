"""Requests and responses as functions see them."""

import json

import pytest

from func_bindings import HttpHeaders, HttpRequest, HttpResponse


def test_a_request_has_what_it_was_made_of() -> None:
    request = HttpRequest(
        "post",
        "http://localhost/api/x?a=1",
        headers={"X-Kind": "test"},
        params={"a": "1"},
        route_params={"id": "7"},
        body=b"\xff",
    )

    assert request.method == "POST"
    assert request.url == "http://localhost/api/x?a=1"
    assert request.headers["x-kind"] == request.headers["X-KIND"] == "test"
    assert request.params == {"a": "1"}
    assert request.route_params == {"id": "7"}
    assert request.get_body() == b"\xff"
    assert repr(request) == "HttpRequest('POST', 'http://localhost/api/x?a=1')"


def test_a_request_without_more_is_empty() -> None:
    request = HttpRequest("GET", "/")

    assert (request.get_body(), dict(request.params), dict(request.headers)) == (b"", {}, {})
    assert (dict(request.form), dict(request.files)) == ({}, {})


@pytest.mark.parametrize(
    "body", [b'{"a": "\xc3\xa9"}', '{"a": "é"}', '{"a": "é"}'.encode("utf-16")]
)
def test_a_body_is_decoded_as_json(body: bytes | str) -> None:
    assert HttpRequest("POST", "/", body=body).get_json() == {"a": "é"}


@pytest.mark.parametrize("body", [b"", b"nope", b'{"a":', b"\xff\xfe\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        HttpRequest("POST", "/", body=body).get_json()


def test_a_form_is_read_from_a_url_encoded_body() -> None:
    request = HttpRequest(
        "POST",
        "/",
        headers={"content-type": "application/x-www-form-urlencoded"},
        body=b"name=J%C3%BCrgen+K&tag=a&tag=b&empty=",
    )

    assert dict(request.form) == {"name": "Jürgen K", "tag": "a", "empty": ""}
    assert request.files == {}
    assert request.form is request.form


def test_headers_are_found_in_any_case_and_keep_every_value() -> None:
    headers = HttpHeaders([("Set-Cookie", "a=1"), ("set-cookie", "b=2"), ("X-One", "1")])

    assert headers["SET-COOKIE"] == "a=1, b=2"
    assert headers.getlist("Set-Cookie") == ["a=1", "b=2"]
    assert headers.getlist("missing") == []
    assert headers.multi_items() == [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-One", "1")]
    assert list(headers) == ["Set-Cookie", "X-One"]
    assert len(headers) == 2
    assert "x-one" in headers


def test_headers_can_be_changed() -> None:
    headers = HttpHeaders({"A": "1"})
    headers["a"] = "2"
    headers.add("A", "3")
    headers["B"] = "4"
    del headers["b"]

    assert headers.multi_items() == [("a", "2"), ("a", "3")]
    assert HttpHeaders(headers).multi_items() == headers.multi_items()
    assert "('a', '2')" in repr(headers)
    with pytest.raises(KeyError):
        del headers["missing"]


@pytest.mark.parametrize(
    ("response", "body", "content_type"),
    [
        (HttpResponse(), b"", "text/plain; charset=utf-8"),
        (HttpResponse("é"), b"\xc3\xa9", "text/plain; charset=utf-8"),
        (HttpResponse("é", charset="latin-1"), b"\xe9", "text/plain; charset=latin-1"),
        (HttpResponse(b"\x00"), b"\x00", "text/plain; charset=utf-8"),
        (HttpResponse(bytearray(b"a")), b"a", "text/plain; charset=utf-8"),
        (HttpResponse(json.dumps(1), mimetype="application/json"), b"1", "application/json"),
        (HttpResponse(mimetype="text/html"), b"", "text/html; charset=utf-8"),
        (HttpResponse(mimetype=None, charset=None), b"", "text/plain; charset=utf-8"),
        (HttpResponse(headers={"content-type": "image/png"}), b"", "image/png"),
    ],
)
def test_a_response_has_bytes_and_a_content_type(
    response: HttpResponse, body: bytes, content_type: str
) -> None:
    assert response.get_body() == body
    assert response.content_type == content_type


def test_a_response_has_a_status_and_headers() -> None:
    response = HttpResponse("no", status_code=404, headers={"X-A": "1"})

    assert (response.status_code, response.headers["x-a"]) == (404, "1")
    assert repr(response) == "HttpResponse(b'no', status_code=404)"


def test_a_body_of_another_type_is_refused_with_the_remedy() -> None:
    with pytest.raises(TypeError, match=r"not dict: pass json.dumps"):
        HttpResponse({"a": 1})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
