"""Multipart forms: fields and files."""

from pathlib import Path

import pytest

from func_bindings import HttpRequest

TYPE = 'multipart/form-data; boundary="x-boundary"'
BODY = (
    b"a preamble\r\n--x-boundary\r\n"
    b'Content-Disposition: form-data; name="title"\r\n\r\n'
    b"caf\xc3\xa9\r\n--x-boundary\r\n"
    b'content-disposition: form-data; name="title"\r\n\r\n'
    b"second\r\n--x-boundary\r\n"
    b'Content-Disposition: form-data; name="photo"; filename="caf\xc3\xa9.png"\r\n'
    b"Content-Type: image/png\r\n\r\n"
    b"\x89PNG\r\n\r\n--x\x00\n\r\r\n--x-boundary\r\n"
    b"Content-Disposition: form-data; name=\"empty\"; filename*=UTF-8''a%20b.txt\r\n\r\n"
    b"\r\n--x-boundary--\r\nan epilogue"
)


def multipart(body: bytes, content_type: str = TYPE) -> HttpRequest:
    return HttpRequest("POST", "/", headers={"Content-Type": content_type}, body=body)


def test_fields_and_files_are_told_apart() -> None:
    request = multipart(BODY)

    assert dict(request.form) == {"title": "café"}
    assert len(request.form) == 1
    assert request.form.getlist("title") == ["café", "second"]
    assert list(request.files) == ["photo", "empty"]


def test_a_file_is_binary_and_has_its_name_and_type(tmp_path: Path) -> None:
    photo = multipart(BODY).files["photo"]

    assert (photo.name, photo.filename, photo.content_type) == ("photo", "café.png", "image/png")
    assert photo.read(4) == b"\x89PNG"
    assert photo.read() == b"\r\n\r\n--x\x00\n\r"
    photo.save(tmp_path / "saved")
    assert (tmp_path / "saved").read_bytes() == b"\x89PNG\r\n\r\n--x\x00\n\r"
    assert repr(photo) == "UploadedFile('photo', 'café.png', 'image/png')"


def test_a_file_may_be_empty_and_have_an_encoded_name() -> None:
    empty = multipart(BODY).files["empty"]

    assert (empty.filename, empty.read(), empty.content_type) == ("a b.txt", b"", "text/plain")


@pytest.mark.parametrize(
    ("body", "content_type", "problem"),
    [
        (BODY, "multipart/form-data", "names no boundary"),
        (BODY[:-30], TYPE, "ends before its last boundary"),
        (b"", TYPE, "ends before its last boundary"),
        (b"--x-boundary\r\nno headers\r\n--x-boundary--", TYPE, "has no headers"),
    ],
)
def test_a_broken_body_is_a_value_error(body: bytes, content_type: str, problem: str) -> None:
    request = multipart(body, content_type)

    with pytest.raises(ValueError, match=problem):
        _ = request.form
    with pytest.raises(ValueError, match=problem):
        _ = request.files


def test_any_other_body_has_no_fields() -> None:
    request = multipart(b"a=1", "application/json")

    assert (dict(request.form), dict(request.files)) == ({}, {})
