"""Downloads: the right file arrives whole, or nothing changes and the error says why."""

import hashlib
import os
import re
import socket
from pathlib import Path

import pytest

from retrograd.data.download import cache_dir, download

CONTENT = bytes(range(256)) * 1000  # four chunks
MD5 = hashlib.md5(CONTENT).hexdigest()


def files_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_good_file_arrives_whole_in_a_folder_made_for_it(web, tmp_path):
    to = tmp_path / "new" / "folder" / "file.gz"
    assert download(web.put("/file.gz", CONTENT), to, MD5) == to
    assert to.read_bytes() == CONTENT
    assert files_in(to.parent) == ["file.gz"]


def test_a_file_that_is_there_is_not_fetched_again(web, tmp_path):
    url = web.put("/file", CONTENT)
    download(url, tmp_path / "file", MD5)
    download(url, tmp_path / "file", MD5.upper())
    assert web.requests == ["/file"]


def test_a_cached_file_needs_no_network(tmp_path):
    (tmp_path / "file").write_bytes(CONTENT)
    assert download("http://127.0.0.1:9/nobody-listens", tmp_path / "file", MD5).read_bytes() == CONTENT


def test_a_cached_file_with_another_sum_is_replaced(web, tmp_path):
    (tmp_path / "file").write_bytes(b"half of it")
    download(web.put("/file", CONTENT), tmp_path / "file", MD5)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_length_that_is_not_announced_is_no_obstacle(web, tmp_path):
    seen = []
    download(web.put("/file", CONTENT, announced=None), tmp_path / "file", MD5, lambda *at: seen.append(at))
    assert seen[-1] == (len(CONTENT), None)


def test_progress_counts_up_to_the_announced_length(web, tmp_path):
    seen = []
    download(web.put("/file", CONTENT), tmp_path / "file", MD5, lambda *at: seen.append(at))
    received = [done for done, _ in seen]
    assert received == sorted(set(received))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert {announced for _, announced in seen} == {len(CONTENT)}


def test_the_next_mirror_is_asked_when_one_fails(web, tmp_path):
    mirrors = [
        web.address + "/absent",
        web.put("/short", CONTENT[:-1], announced=len(CONTENT)),
        web.put("/longer-and-wrong", CONTENT + b"x"),
        web.put("/good", CONTENT),
        web.put("/never-asked", CONTENT),
    ]
    assert download(mirrors, tmp_path / "file", MD5).read_bytes() == CONTENT
    assert web.requests == ["/absent", "/short", "/longer-and-wrong", "/good"]
    assert files_in(tmp_path) == ["file"]


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


FAILURES = {
    "absent": (lambda web: web.address + "/absent", "HTTP Error 404: Not Found"),
    "wrong sum": (
        lambda web: web.put("/f", b"other"),
        rf"MD5 is 795f3202b17cb6bc3d4b771d8c6c9eaf \(5 bytes\), expected {MD5}",
    ),
    "truncated": (
        lambda web: web.put("/f", CONTENT[:70000], len(CONTENT)),
        "connection closed after 70000 of 256000 bytes",
    ),
    "nobody listens": (lambda web: f"http://127.0.0.1:{closed_port()}/f", "[Rr]efused"),
}


@pytest.mark.parametrize(("address", "message"), FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("before", [None, b"an older file"], ids=["nothing there", "older file there"])
def test_a_failure_says_why_and_changes_nothing(web, tmp_path, address, message, before):
    to = tmp_path / "file"
    if before is not None:
        to.write_bytes(before)
    url = address(web)
    with pytest.raises(OSError, match=f"{re.escape(url)}: .*{message}") as caught:
        download(url, to, MD5)
    assert f"put the file with MD5 {MD5} at {to}" in str(caught.value)
    assert str(caught.value).count("\n") < 3
    assert files_in(tmp_path) == ([] if before is None else ["file"])
    assert before is None or to.read_bytes() == before


def test_a_mirror_that_stays_silent_is_given_up(web, tmp_path):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        mirrors = [f"http://127.0.0.1:{silent.getsockname()[1]}/file", web.put("/file", CONTENT)]
        assert download(mirrors, tmp_path / "file", MD5, timeout=0.1).read_bytes() == CONTENT


def test_an_interrupted_download_leaves_nothing_behind(web, tmp_path):
    def interrupt(received, announced):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(web.put("/file", CONTENT), tmp_path / "file", MD5, interrupt)
    assert files_in(tmp_path) == []


def test_a_place_that_cannot_be_written_is_named_before_anything_is_fetched(web, tmp_path):
    (tmp_path / "not-a-folder").write_bytes(b"")
    to = tmp_path / "not-a-folder" / "file"
    with pytest.raises(OSError, match=re.escape(f"download: cannot write {to} (") + "(?s:.*)RETROGRAD_CACHE"):
        download(web.put("/file", CONTENT), to, MD5)
    assert web.requests == []


def test_a_folder_is_no_place_for_a_file(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder; expected the path of the file itself"):
        download("http://127.0.0.1/file", tmp_path, MD5)


@pytest.mark.parametrize(
    ("url", "md5", "message"),
    [
        ([], MD5, "expected at least one address, got none"),
        ("ftp://127.0.0.1/file", MD5, "expected http:// or https:// addresses, got 'ftp://127.0.0.1/file'"),
        (["http://127.0.0.1/", "/etc/hosts"], MD5, "expected http:// or https:// addresses, got '/etc/hosts'"),
        ("http://127.0.0.1/file", MD5[:-1], "expected md5 as 32 hexadecimal digits"),
        ("http://127.0.0.1/file", "g" * 32, "expected md5 as 32 hexadecimal digits, got 'g"),
    ],
)
def test_bad_arguments_raise_before_anything_happens(tmp_path, url, md5, message):
    with pytest.raises(ValueError, match=message):
        download(url, tmp_path / "file", md5)
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("chosen", [None, ""])
def test_the_cache_is_in_the_home_folder_by_default(monkeypatch, tmp_path, chosen):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.delenv("RETROGRAD_CACHE", raising=False)
    if chosen is not None:
        monkeypatch.setenv("RETROGRAD_CACHE", chosen)
    assert cache_dir() == tmp_path / ".cache" / "retrograd"


def test_the_environment_chooses_the_cache(monkeypatch):
    monkeypatch.setenv("RETROGRAD_CACHE", os.path.join("~", "elsewhere"))
    assert cache_dir() == Path.home() / "elsewhere"
