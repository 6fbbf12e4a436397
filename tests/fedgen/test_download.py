# SPDX-License-Identifier: Apache-2.0
"""The downloader against a small server on the loopback interface."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fedgen.data import mitdb, physionet
from fedgen.errors import DataError

RECORDS = ("100", "101")
NAMES = [name for record in RECORDS for name in physionet.files_of(record)]


@dataclass
class Publisher:
    """A server's files, and what was asked of it."""

    files: dict[str, bytes]
    url: str = ""
    digest: str = ""
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    """Serve two records and their sums, as PhysioNet does."""
    files = {name: f"content of {name} ".encode() * 5000 for name in NAMES}
    lines = [f"{hashlib.sha256(files[name]).hexdigest()} {name}" for name in sorted(NAMES)]
    files[physionet.SUMS_FILE] = ("\n".join([*lines, f"{'0' * 64} mitdbdir/intro.htm"]) + "\n").encode()
    place = Publisher(files, digest=hashlib.sha256("\n".join(lines).encode()).hexdigest())

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.lstrip("/")
            place.asked.append(name)
            body = place.files.get(name)
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *args: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    place.url = f"http://127.0.0.1:{server.server_port}/"
    yield place
    server.shutdown()
    server.server_close()


def fetch(publisher: Publisher, folder: Path) -> None:
    """Download the two records."""
    physionet.download(folder, RECORDS, base_url=publisher.url, pinned_digest=publisher.digest)


def test_all_files_arrive_whole(publisher: Publisher, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "mitdb"
    fetch(publisher, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == publisher.files
    assert physionet.missing_files(folder, RECORDS) == []


def test_a_second_download_fetches_nothing(publisher: Publisher, tmp_path: Path) -> None:
    fetch(publisher, tmp_path)
    publisher.asked.clear()
    fetch(publisher, tmp_path)
    assert publisher.asked == []


def test_an_interrupted_download_goes_on_where_it_stopped(publisher: Publisher, tmp_path: Path) -> None:
    held_back = publisher.files.pop("101.dat")
    with pytest.raises(DataError, match=r"404"):
        fetch(publisher, tmp_path)
    arrived = {path.name for path in tmp_path.iterdir()}
    assert "100.dat" in arrived
    assert "101.dat" not in arrived
    publisher.files["101.dat"] = held_back
    publisher.asked.clear()
    fetch(publisher, tmp_path)
    assert publisher.asked == ["101.dat", "101.hea"]


def test_a_damaged_file_is_refused_and_leaves_nothing(publisher: Publisher, tmp_path: Path) -> None:
    whole = publisher.files["100.dat"]
    publisher.files["100.dat"] = whole[:-1] + b"?"
    with pytest.raises(DataError, match=r"100.dat arrived damaged"):
        fetch(publisher, tmp_path)
    assert not (tmp_path / "100.dat").exists()
    assert not list(tmp_path.glob("*.part"))
    publisher.files["100.dat"] = whole
    fetch(publisher, tmp_path)


def test_a_local_file_that_was_altered_is_fetched_again(publisher: Publisher, tmp_path: Path) -> None:
    fetch(publisher, tmp_path)
    (tmp_path / "101.atr").write_bytes(b"altered")
    publisher.asked.clear()
    fetch(publisher, tmp_path)
    assert publisher.asked == ["101.atr"]


def test_a_swapped_sums_file_is_caught(publisher: Publisher, tmp_path: Path) -> None:
    honest = dict(publisher.files)
    publisher.files["100.dat"] = b"something else"
    wrong = hashlib.sha256(b"something else").hexdigest().encode()
    right = hashlib.sha256(honest["100.dat"]).hexdigest().encode()
    publisher.files[physionet.SUMS_FILE] = honest[physionet.SUMS_FILE].replace(right, wrong)
    with pytest.raises(DataError, match=r"is not the sums file"):
        fetch(publisher, tmp_path)
    publisher.files.update(honest)
    fetch(publisher, tmp_path)


def test_reading_notices_a_missing_or_altered_file(publisher: Publisher, tmp_path: Path) -> None:
    fetch(publisher, tmp_path)
    sums = physionet.published_sums(tmp_path, publisher.digest)
    physionet.verify_record(tmp_path, "100", sums)
    (tmp_path / "100.dat").write_bytes(b"x")
    with pytest.raises(DataError, match=r"100.dat is damaged or altered"):
        physionet.verify_record(tmp_path, "100", sums)
    (tmp_path / "100.dat").unlink()
    with pytest.raises(DataError, match=r"100.dat is missing"):
        physionet.verify_record(tmp_path, "100", sums)


def test_offline_says_where_it_looked_and_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDGEN_DATA", str(tmp_path / "named"))
    with pytest.raises(DataError) as caught:
        mitdb.find_or_download("", base_url="http://127.0.0.1:9/")
    message = str(caught.value)
    for part in (str(tmp_path / "named" / "mitdb"), "127.0.0.1:9", "data.dir", "FEDGEN_DATA", "simulated"):
        assert part in message


def test_pinned_digest_is_that_of_the_published_sums(mitdb_folder: Path) -> None:
    sums = physionet.published_sums(mitdb_folder)
    assert len(sums) == 144
    physionet.verify_record(mitdb_folder, "100", sums)
