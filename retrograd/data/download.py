"""Fetching published files once: checked against their MD5 sums, cached, never half-written."""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from retrograd.files import atomic_write

__all__ = ["cache_dir", "download"]

Progress = Callable[[int, int | None], None]
"""Called after every chunk with the bytes received so far and the bytes announced (None where unknown)."""

_CHUNK = 1 << 16


def cache_dir() -> Path:
    """The folder that downloads are kept in: `$RETROGRAD_CACHE`, by default `~/.cache/retrograd`.

    >>> import os, unittest.mock
    >>> with unittest.mock.patch.dict(os.environ, RETROGRAD_CACHE="/var/cache/retrograd"):
    ...     cache_dir().as_posix()
    '/var/cache/retrograd'
    """
    return Path(os.environ.get("RETROGRAD_CACHE") or "~/.cache/retrograd").expanduser()


def download(
    url: str | Sequence[str],
    to: str | os.PathLike[str],
    md5: str,
    progress: Progress | None = None,
    *,
    timeout: float = 30.0,
) -> Path:
    """Have the file with this MD5 sum at `to`, fetching it if it is not there yet; return its path.

    `url` is one http(s) address or several mirrors, tried in order until one delivers the right file. A file that is
    there already with the right sum is left alone and nothing is fetched; one with another sum is replaced. The new
    file appears complete or not at all, so two processes may ask for the same one. `timeout` is the seconds that a
    mirror may stay silent.

    Raises ValueError for an address that is not http(s) or a malformed `md5`, and OSError when no mirror delivers
    the file (saying what each one did) or when `to` cannot be written.

    >>> download("file:///etc/hosts", "hosts", md5="0" * 32)
    Traceback (most recent call last):
        ...
    ValueError: download: expected http:// or https:// addresses, got 'file:///etc/hosts'.
    """
    mirrors = [url] if isinstance(url, str) else list(url)
    _check_arguments(mirrors, md5)
    to = Path(to)
    if to.is_dir():
        raise IsADirectoryError(f"download: {to} is a folder; expected the path of the file itself.")
    if to.is_file() and _md5_of(to) == md5.lower():
        return to
    failures = []
    with _whole_or_not_at_all(to) as file:
        for mirror in mirrors:
            try:
                _fetch(mirror, file, md5.lower(), progress, timeout)
                break
            except _MirrorFailed as failure:
                failures.append(f"{mirror}: {failure}")
        else:
            raise OSError(
                f"download: no mirror delivered {to.name}: {'; '.join(failures)}.\n"
                f"  Check the connection, or put the file with MD5 {md5} at {to}."
            )
    return to


class _MirrorFailed(Exception):
    """Why one mirror did not deliver, in a few words."""


def _check_arguments(mirrors: list[str], md5: str) -> None:
    if not mirrors:
        raise ValueError("download: expected at least one address, got none.")
    for mirror in mirrors:
        if not mirror.startswith(("http://", "https://")):
            raise ValueError(f"download: expected http:// or https:// addresses, got {mirror!r}.")
    if len(md5) != 32 or not set(md5.lower()) <= set("0123456789abcdef"):
        raise ValueError(f"download: expected md5 as 32 hexadecimal digits, got {md5!r}.")


def _fetch(url: str, file: BinaryIO, md5: str, progress: Progress | None, timeout: float) -> None:
    """Write what `url` delivers into `file`, from its start; raise _MirrorFailed unless that has the sum `md5`."""
    file.seek(0)
    file.truncate()
    received, digest = 0, hashlib.md5(usedforsecurity=False)
    for chunk, announced in _chunks(url, timeout):
        file.write(chunk)
        digest.update(chunk)
        received += len(chunk)
        if progress is not None:
            progress(received, announced)
    if digest.hexdigest() != md5:
        raise _MirrorFailed(f"MD5 is {digest.hexdigest()} ({received} bytes), expected {md5}")


def _chunks(url: str, timeout: float) -> Iterator[tuple[bytes, int | None]]:
    """What `url` delivers, chunk by chunk, each with the announced length of the whole."""
    request = urllib.request.Request(url, headers={"User-Agent": "retrograd"})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            announced = response.length  # Content-Length; counts down while reading
            received = 0
            while chunk := response.read(_CHUNK):
                received += len(chunk)
                yield chunk, announced
            if announced is not None and received < announced:
                raise _MirrorFailed(f"connection closed after {received} of {announced} bytes")
    except (OSError, http.client.HTTPException) as error:
        raise _MirrorFailed(str(error) or type(error).__name__) from error


@contextmanager
def _whole_or_not_at_all(to: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `to` when the block ends well; its folder is made where it does not exist."""
    with ExitStack() as stack:
        try:
            to.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(atomic_write(to))
        except OSError as error:
            raise type(error)(
                f"download: cannot write {to} ({error.strerror}); choose a folder you may write to,\n"
                "  for cached data sets through the environment variable RETROGRAD_CACHE."
            ) from error
        yield file


def _md5_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
