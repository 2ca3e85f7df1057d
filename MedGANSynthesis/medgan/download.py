"""Downloads one file: over https, streamed to disk, and kept only if its SHA-256 is the one that was stated."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import re
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import __version__
from .errors import Cancelled, InputError

MOST_BYTES = 8 * 2**30
_CHUNK = 1 << 20
_TIMEOUT_S = 30.0

Progress = Callable[[float, str], None]


def download(
    url: str,
    path: Path,
    sha256: str,
    *,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
    schemes: tuple[str, ...] = ("https",),
) -> Path:
    """Fetch a file.

    Args:
        url: address. path: file to be made; its folder exists.
        sha256: what the file must have, 64 hexadecimal digits.
        progress: called with (fraction, message) after each MB; the fraction stays 0 where the size is not known.
        cancelled: asked after each MB whether to stop.
        schemes: the only ones allowed, also for where the server sends us on to; others than https are for tests.

    Raises:
        InputError: a wrong address, no connection, a refusal, a broken or altered file, or no room on the disk.
        Cancelled: it was stopped. In both cases nothing is left at ``path``.
    """
    expected = normalized_sha256(sha256)
    if not _is_allowed(url, schemes):
        raise InputError(f"{url!r} is no address to download from; it has to begin with {schemes[0]}://.")
    try:
        with _opened(url, schemes) as response, _written(path) as stream:
            measured = _copy(response, stream, _Watch(url, _size(response), progress, cancelled))
        if measured != expected:
            raise InputError(
                f"The file from {url} is not the one that was meant (its SHA-256 is {measured}); "
                "nothing was installed, check the address and the checksum."
            )
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def normalized_sha256(text: str) -> str:
    """A SHA-256 in small letters.

    Raises:
        InputError: it is none.
    """
    text = text.strip().lower()
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise InputError("The SHA-256 of a download is 64 hexadecimal digits; copy it from where the address is from.")
    return text


def _is_allowed(url: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.netloc) and url.isprintable() and " " not in url


class _SameSchemes(urllib.request.HTTPRedirectHandler):
    """Follows a server elsewhere only by the schemes that are allowed."""

    def __init__(self, schemes: tuple[str, ...]):
        self._schemes = schemes

    def redirect_request(self, request: Any, stream: Any, code: int, message: str, headers: Any, url: str) -> Any:
        if not _is_allowed(url, self._schemes):
            raise InputError(
                f"The server sends on to {url}, which is not protected by {self._schemes[0]}; ask for help."
            )
        return super().redirect_request(request, stream, code, message, headers, url)


class _Watch:
    """What is asked and told between two pieces."""

    def __init__(self, url: str, size: int | None, progress: Progress | None, cancelled: Callable[[], bool] | None):
        self.url, self.size = url, size
        self._progress = progress or (lambda fraction, message: None)
        self._cancelled = cancelled or (lambda: False)

    def __call__(self, done: int) -> None:
        if self._cancelled():
            raise Cancelled("The download was stopped. Nothing was installed.")
        if done > MOST_BYTES:
            raise InputError(f"The file at {self.url} is larger than any model ({MOST_BYTES >> 30} GB); check it.")
        of = f" of {self.size / 1e6:.0f}" if self.size else ""
        self._progress(min(done / self.size, 1.0) if self.size else 0.0, f"{done / 1e6:.0f}{of} MB downloaded")


@contextlib.contextmanager
def _opened(url: str, schemes: tuple[str, ...]) -> Any:
    """The response of the server; what goes wrong with it, also while it is read, as one sentence."""
    opener = urllib.request.build_opener(_SameSchemes(schemes))
    request = urllib.request.Request(url, headers={"User-Agent": f"MedGAN/{__version__}"})
    try:
        with _asked(opener, request) as response:
            yield response
    except urllib.error.HTTPError as error:
        if error.code in (404, 410):
            raise InputError(f"There is no file at {url} (the server says {error.code}); check the address.") from error
        raise InputError(f"The server refuses {url} ({error.code} {_why(error.reason)}); try again later.") from error
    except urllib.error.URLError as error:
        raise InputError(
            f"{url} cannot be reached ({_why(error.reason)}); check the address and the network connection."
        ) from error
    except (http.client.HTTPException, OSError) as error:
        raise InputError(f"The connection to {url} broke off ({_why(error)}); try again.") from error


def _asked(opener: urllib.request.OpenerDirector, request: urllib.request.Request) -> Any:
    try:
        return opener.open(request, timeout=_TIMEOUT_S)
    except (ValueError, http.client.InvalidURL) as error:  # of this address, or of where the server sends us on to
        raise InputError(f"{request.full_url!r} is no address to download from ({_why(error)}); check it.") from error


@contextlib.contextmanager
def _written(path: Path) -> Any:
    """The file to write to; a full disk as one sentence."""
    try:
        stream = path.open("wb")
    except OSError as error:
        raise InputError(f"{path} cannot be written to ({error.strerror}); choose another folder.") from error
    with stream:
        yield stream


def _copy(response: Any, stream: Any, watch: _Watch) -> str:
    """Stream to disk; returns the SHA-256."""
    room = shutil.disk_usage(Path(stream.name).parent).free
    if watch.size and watch.size > room:
        raise InputError(
            f"The disk has {room / 1e6:.0f} MB left for a download of {watch.size / 1e6:.0f} MB; free some."
        )
    digest, done = hashlib.sha256(), 0
    watch(done)
    while piece := response.read(_CHUNK):
        digest.update(piece)
        try:
            stream.write(piece)
            stream.flush()
        except OSError as error:
            raise InputError(f"The download cannot be stored ({error.strerror}); free disk space.") from error
        done += len(piece)
        watch(done)
    if watch.size is not None and done < watch.size:
        raise InputError(f"The connection to {watch.url} broke off after {done / 1e6:.1f} MB; try again.")
    return digest.hexdigest()


def _size(response: Any) -> int | None:
    text = response.headers.get("Content-Length") or ""
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else None


def _why(reason: Any) -> str:
    lines = str(getattr(reason, "strerror", None) or reason).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(reason).__name__
