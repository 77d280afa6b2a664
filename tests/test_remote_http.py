"""Checkpoints on a web server: the same report as of the folder, by few and small requests, whatever the server does."""

from __future__ import annotations

import json
import pickle
import struct
import subprocess
import sys
from concurrent.futures import Future
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

pytest.importorskip("aiohttp", reason="the client of weightlint[remote]")
pytest.importorskip("fsspec", reason="weightlint[remote]")

from web import Web, answer, model, redirect, short, status, told, whole

from weightlint import api
from weightlint.cli import app
from weightlint.errors import NothingFoundError, UsageError
from weightlint.remote import client, patience
from weightlint.remote.address import followed
from weightlint.remote.client import Part
from weightlint.remote.store import HEAD
from weightlint.remote.stream import Stream
from weightlint.stores.http import STORE
from weightlint.synth import synth

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from web import Fault, Handler

    from weightlint.finding import Report

SHARD = "model-00002-of-00024.safetensors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model(tmp_path_factory, shards=24)


@pytest.fixture
def web(folder: Path) -> Iterator[Web]:
    with Web(folder) as served:
        yield served


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST", 0.001)


def codes(report: Report) -> dict[str, str]:
    return {finding.code: f"{finding.message} {finding.place.files}" for finding in report.findings}


def test_a_check_says_the_same_as_of_the_folder(folder: Path, web: Web) -> None:
    assert told(api.check(web.url)) == told(api.check(str(folder)))
    assert api.check(web.url).facts.checked > 0


def test_defects_are_told_as_of_the_folder(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / SHARD).write_bytes((folder / SHARD).read_bytes()[:-100])
    (tmp_path / "model-00005-of-00024.safetensors").unlink()
    (tmp_path / "model-00007-of-00024.safetensors").write_bytes(b"<!doctype html><html>404</html>")
    (tmp_path / "model-00009-of-00024.safetensors").write_bytes(b"")
    with Web(tmp_path) as web:
        found = told(api.check(web.url))
        assert found == told(api.check(str(tmp_path)))
        assert {each["code"] for each in found["findings"]} >= {"WL101", "WL102", "WL103"}


def test_verify_says_the_same_as_of_the_folder(folder: Path, web: Web) -> None:
    assert told(api.verify(web.url)) == told(api.verify(str(folder)))


def test_verify_finds_what_is_wrong_in_the_bytes(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    data = bytearray((folder / SHARD).read_bytes())
    data[-64:] = b"\xff" * 64
    (tmp_path / SHARD).write_bytes(data)
    with Web(tmp_path) as web:
        found = told(api.verify(web.url))
        assert found == told(api.verify(str(tmp_path)))
        assert "WL701" in {each["code"] for each in found["findings"]}


def test_a_snapshot_and_an_inspection_are_the_same(folder: Path, web: Web, tmp_path: Path) -> None:
    api.snapshot(web.url, str(tmp_path / "far.json"))
    api.snapshot(str(folder), str(tmp_path / "near.json"))
    assert json.loads((tmp_path / "far.json").read_text()) == json.loads((tmp_path / "near.json").read_text())
    assert api.inspect(web.url).families == api.inspect(str(folder)).families


@pytest.mark.parametrize("name", ["model.safetensors.index.json", SHARD])
def test_a_file_can_be_named(folder: Path, web: Web, name: str) -> None:
    found = api.check(f"{web.url}/{name}")
    assert told(found) == told(api.check(str(folder / name)))
    assert found.facts.target == f"{web.url}/{name}"


def test_a_snapshot_is_read_at_its_address(folder: Path, tmp_path: Path) -> None:
    api.snapshot(str(folder), str(tmp_path / "model.json.gz"))
    with Web(tmp_path) as web:
        report = api.check(f"{web.url}/model.json.gz")
        assert told(report) == told(api.check(str(tmp_path / "model.json.gz")))


def test_every_shard_takes_one_request_for_its_head(web: Web) -> None:
    web.latency = 0.02
    api.check(web.url)
    counts = web.requests(".safetensors")
    assert len(counts) == 24
    assert set(counts.values()) == {1}
    assert 1 < web.peak <= 16
    assert all(request.span is not None for request in web.log)
    assert max(request.sent for request in web.log if request.path.endswith(".safetensors")) <= HEAD


def long_header(path: Path, tensors: int = 4000) -> int:
    """Write a file whose header is longer than the first request; return the bytes of length and header."""
    table = {
        f"model.layers.{at}.mlp.down_proj.weight": {
            "dtype": "BF16",
            "shape": [1],
            "data_offsets": [2 * at, 2 * at + 2],
        }
        for at in range(tensors)
    }
    text = json.dumps(table).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(2 * tensors))
    return 8 + len(text)


def test_a_longer_header_takes_a_second_request_for_just_the_rest(tmp_path: Path) -> None:
    stop = long_header(tmp_path / "model.safetensors")
    assert stop > HEAD
    with Web(tmp_path) as web:
        assert len(api.inspect(f"{web.url}/model.safetensors").families) > 0
        spans = [request.span for request in web.log if request.path == "model.safetensors"]
        assert spans == [f"bytes=0-{HEAD - 1}", f"bytes={HEAD}-{stop - 1}"]


def test_an_index_tells_how_long_the_headers_are(tmp_path: Path) -> None:
    stop = long_header(tmp_path / "model-00001-of-00001.safetensors")
    names = {
        f"model.layers.{at}.mlp.down_proj.weight": "model-00001-of-00001.safetensors" for at in range(4000)
    }
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    with Web(tmp_path) as web:
        api.inspect(web.url)
        (request,) = [each for each in web.log if each.path == "model-00001-of-00001.safetensors"]
        assert stop <= request.sent <= 1.3 * stop
    assert stop > HEAD


def test_an_index_may_be_wrong_about_the_headers(tmp_path: Path) -> None:
    file = tmp_path / "model-00001-of-00001.safetensors"
    stop = long_header(file)
    for tensors in (1, 1_000_000):
        claimed = dict.fromkeys(map(str, range(tensors)), file.name)
        (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": claimed}))
        with Web(tmp_path) as web:
            found = told(api.check(web.url))
            sent = [each.sent for each in web.log if each.path == file.name]
        assert found == told(api.check(str(tmp_path)))
        assert sent == ([4096, stop - 4096] if tensors == 1 else [file.stat().st_size])


def test_deepseek_v3_of_688_gb_is_judged_from_22_mb(tmp_path: Path) -> None:
    synth(tmp_path, arch="deepseek_v3")
    with Web(tmp_path, latency=0.005) as web:
        report = api.check(web.url)
        assert report.findings == ()
        assert (report.facts.tensors, report.facts.files) == (91_991, 163)
        assert report.facts.bytes > 688_000_000_000
        counts = web.requests(".safetensors")
        assert len(counts) == 163
        assert set(counts.values()) == {1}
        assert 1 < web.peak <= 16
        # the index has 8.8 MB, the headers 11.5
        assert web.bytes < 22_500_000


@pytest.mark.parametrize(
    "faults",
    [
        [status(500)],
        [status(503), status(502), status(504), status(500)],
        [status(429, **{"Retry-After": "0"})],
        [status(429, **{"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})],
        [short(1000)],
        [short(0), short(50), short(1)],
        [redirect(f"/moved/{SHARD}")],
        [status(500), redirect(f"/moved/{SHARD}", 307)],
    ],
    ids=("500", "5xx", "429", "429 until a date", "broken", "broken often", "moved", "500 and moved"),
)
def test_faults_that_pass_change_nothing(folder: Path, web: Web, faults: list[Fault]) -> None:
    web.faults[SHARD] = [*faults]
    web.routes["moved/"] = lambda handler: handler.serve(folder / SHARD)
    assert told(api.check(web.url)) == told(api.check(str(folder)))
    assert web.faults[SHARD] == []


def test_a_broken_body_is_gone_on_with_where_it_broke(web: Web) -> None:
    web.faults[SHARD] = [short(1000), short(500)]
    api.check(web.url)
    starts = [request.span for request in web.log if request.path == SHARD]
    assert [str(span).partition("-")[0] for span in starts] == ["bytes=0", "bytes=1000", "bytes=1500"]


def test_the_server_may_ask_for_patience(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float | None] = []
    real = patience.delay

    def delay(tries: int, asked: float | None) -> float:
        waits.append(asked)
        return real(tries, 0.0)

    monkeypatch.setattr(patience, "delay", delay)
    web.faults[SHARD] = [status(429, **{"Retry-After": "7"}), status(503)]
    assert api.check(web.url).findings == ()
    assert waits == [7.0, None]


def test_a_server_that_wants_too_much_patience_is_given_up(web: Web) -> None:
    web.always[SHARD] = status(429, **{"Retry-After": "86400"})
    found = codes(api.check(web.url))
    assert "asks us to wait 86,400 seconds" in " ".join(found.values())
    assert sum(request.path == SHARD for request in web.log) <= 2


def test_a_server_that_ignores_ranges_is_refused_before_it_sends_a_shard(tmp_path: Path) -> None:
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(1 << 32)
    with Web(tmp_path, always={"model.safetensors": whole}) as web:
        with pytest.raises(UsageError, match=r"ignores the range .* all 4,294,967,296 bytes"):
            api.check(f"{web.url}/model.safetensors")
        # what the system itself takes into its buffers before the connection is cut
        assert web.bytes < 32 << 20


def test_a_server_that_ignores_ranges_may_send_what_is_no_longer_than_asked(folder: Path, web: Web) -> None:
    web.always["config.json"] = whole
    assert told(api.check(web.url)) == told(api.check(str(folder)))


def test_one_shard_that_is_not_there_is_a_missing_shard(web: Web) -> None:
    web.always[SHARD] = status(404)
    assert SHARD in codes(api.check(web.url))["WL103"]


def test_one_shard_that_cannot_be_had_is_told_and_the_rest_is_read(web: Web) -> None:
    web.always[SHARD] = status(500)
    report = api.check(web.url)
    assert any(SHARD in text and "answered 500 (5 tries)" in text for text in codes(report).values())
    assert report.facts.files == 23
    assert sum(request.path == SHARD for request in web.log) == patience.TRIES


def lying(length: int | None) -> Fault:
    """Send nine bytes of a hundred, each time."""

    def fault(handler: Handler) -> bool:
        start, _ = handler.span(100)
        return answer(206, b"x" * 9, {"Content-Range": f"bytes {start}-99/100"}, length)(handler)

    return fault


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (redirect(f"/{SHARD}"), "redirects more than 10 times"),
        (redirect("file:///etc/passwd"), "redirects from http to 'file'"),
        (redirect("ftp://127.0.0.1/x"), "redirects from http to 'ftp'"),
        (redirect("data:,x"), "redirects from http to 'data'"),
        (status(302), "redirects"),
        (status(418), "answered 418"),
        (status(403), "answered 403"),
        (answer(206, b"x" * 9, {}), "206 with the range ''"),
        (answer(206, b"x" * 9, {"Content-Range": "bytes 7-15/100"}), "sends bytes 7-15"),
        (answer(206, b"x" * 9, {"Content-Range": f"bytes 0-{1 << 60}/{1 << 61}"}), "sends bytes 0-1,152"),
        (answer(206, b"x" * 9, {"Content-Range": "bytes 0-8/5"}), "sends bytes 0-8 of 5"),
        (answer(206, b"x" * 9, {"Content-Range": "bytes 0-8/*"}), "not say how many bytes"),
        (answer(206, b"x" * 9, {"Content-Encoding": "gzip", "Content-Range": "bytes 0-8/9"}), "gzip"),
        (lying(None), "only 45 of 100 bytes came (5 tries)"),
        (lying(1 << 60), "broke off its answer (5 tries)"),
        (answer(200, b"x" * 9, {}, 1 << 60), "ignores the range"),
        (answer(416, b"", {"Content-Range": "bytes */700"}), "no byte 0"),
    ],
    ids=lambda it: it if isinstance(it, str) else "",
)
def test_what_a_server_does_wrong_is_said_of_its_file(web: Web, fault: Fault, why: str) -> None:
    web.always[SHARD] = fault
    try:
        text = " ".join(codes(api.check(web.url)).values())
    except UsageError as error:
        text = str(error)
    assert why in text


def test_an_endless_body_is_left(web: Web) -> None:
    def endless(handler: Handler) -> bool:
        handler.head(206, None, **{"Content-Range": "bytes 0-99/100"})
        while not handler.close_connection:
            handler.body(bytes(1 << 16))
        return True

    web.always[SHARD] = endless
    assert SHARD in " ".join(codes(api.check(web.url)).values())


def test_a_silent_server_is_left(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    def drip(handler: Handler) -> bool:
        start, stop = handler.span(1000)
        handler.head(206, stop - start, **{"Content-Range": f"bytes {start}-999/1000"})
        for _ in range(20):
            handler.body(b"x")
            web.stop.wait(0.05)
        handler.close_connection = True
        return True

    monkeypatch.setattr(client, "SILENCE", 0.2)
    monkeypatch.setattr(client, "SLOWEST", 1 << 30)
    web.always[SHARD] = drip
    assert "too slow or silent" in " ".join(codes(api.check(web.url)).values())


def test_a_header_that_claims_too_much_is_not_asked_for(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", 1 << 60) + bytes(1000))
    with Web(tmp_path) as web:
        found = told(api.check(f"{web.url}/model.safetensors"))
        assert found == told(api.check(str(tmp_path / "model.safetensors")))
        assert sum(request.path == "model.safetensors" for request in web.log) == 1


def test_a_file_that_changes_between_two_requests_is_not_put_together(tmp_path: Path) -> None:
    long_header(tmp_path / "model.safetensors")
    with Web(tmp_path) as web:

        def changed(_: Handler) -> bool:
            long_header(tmp_path / "model.safetensors")
            return False

        web.faults["model.safetensors"] = [lambda _: False, changed]
        found = codes(api.check(f"{web.url}/model.safetensors"))
    assert "has changed on the server while it was read" in " ".join(found.values())


def test_a_body_that_breaks_off_and_changes_is_begun_again(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    long_header(file, 50)

    def changed(_: Handler) -> bool:
        long_header(file, 60)
        return False

    with Web(tmp_path) as web:
        web.faults[file.name] = [short(1000), changed]
        found = api.inspect(f"{web.url}/{file.name}")
        spans = [str(each.span).partition("-")[0] for each in web.log if each.path == file.name]
    assert sum(family.count for family in found.families) == 60
    assert spans == ["bytes=0", "bytes=1000", "bytes=0"]


def test_a_server_that_is_not_there_is_no_finding(folder: Path) -> None:
    with Web(folder) as web:
        gone = web.url
    with pytest.raises(UsageError, match=r"no connection to 127\.0\.0\.1"):
        api.check(gone)


def test_a_folder_without_any_known_name_is_nothing(tmp_path: Path) -> None:
    with Web(tmp_path) as web, pytest.raises(NothingFoundError, match=r"model\.safetensors\.index\.json"):
        api.check(web.url)


def test_a_server_that_answers_everything_with_a_page_has_nothing(tmp_path: Path) -> None:
    page = answer(200, b"<!doctype html><title>home</title>", {"Content-Type": "text/html"})
    with Web(tmp_path) as web:
        web.routes[""] = page
        with pytest.raises(NothingFoundError):
            api.check(web.url)


def test_passwords_and_signatures_are_never_shown(web: Web) -> None:
    def guarded(handler: Handler) -> bool:
        if handler.headers.get("Authorization") != "Basic bWU6c2VjcmV0" or "sig=hidden" not in handler.path:
            handler.reply(401, b"")
            return True
        return False

    web.always |= dict.fromkeys(("config.json", "model.safetensors.index.json"), guarded)
    web.always[SHARD] = status(500)
    target = f"http://me:secret@{web.host}/?sig=hidden"
    found = CliRunner().invoke(app, ["check", target])
    assert found.exit_code == 1
    assert "deepseek" in found.output
    denied = CliRunner().invoke(app, ["check", f"http://me:wrong@{web.host}/config.json?sig=hidden"])
    assert "answered 401" in str(denied.exception) or "answered 401" in denied.output
    for shown in (found.output, denied.output, str(denied.exception)):
        assert not any(word in shown for word in ("secret", "hidden", "wrong"))


def test_a_password_may_be_in_a_netrc_or_in_settings(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fsspec.config import conf

    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert api.check(web.url).findings == ()
    assert {request.headers["Authorization"] for request in web.log} == {"Basic bWU6c2VjcmV0"}
    web.log.clear()
    monkeypatch.setitem(conf, "https", {"client_kwargs": {"headers": {"authorization": "Bearer key"}}})
    assert api.check(web.url).findings == ()
    assert {request.headers["Authorization"] for request in web.log} == {"Bearer key"}


def test_a_password_does_not_follow_a_redirect(folder: Path, web: Web) -> None:
    with Web(folder) as other:
        web.always[SHARD] = redirect(f"{other.url}/{SHARD}?X-Amz-Signature=1")
        assert api.check(f"http://me:secret@{web.host}").findings == ()
        assert [request.headers.get("Authorization") for request in other.log] == [None]
        assert all("Authorization" in request.headers for request in web.log)


def test_a_signed_address_is_used_again_until_it_expires(tmp_path: Path) -> None:
    stop = long_header(tmp_path / "model.safetensors")
    with Web(tmp_path) as web, Web(tmp_path) as other:
        web.always["model.safetensors"] = redirect(f"{other.url}/model.safetensors")
        assert len(api.inspect(f"{web.url}/model.safetensors").families) > 0
        assert sum(request.path == "model.safetensors" for request in web.log) == 1
        other.faults["model.safetensors"] = [status(403)]
        store, name = STORE.open(f"{web.url}/model.safetensors")
        with store.open(name) as blob:
            assert blob.read(0, stop) == (tmp_path / "model.safetensors").read_bytes()[:stop]
        assert sum(request.path == "model.safetensors" for request in web.log) == 2


def test_verify_reads_windows_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weightlint.remote.stream.WINDOW", 1 << 16)
    synth(tmp_path, arch="llama", tiny=True, shards=1)
    with Web(tmp_path) as web:
        size = (tmp_path / "model.safetensors").stat().st_size
        web.faults["model.safetensors"] = [lambda _: False, short(100), status(500), short(7)]
        report = api.verify(f"{web.url}/model.safetensors")
        assert told(report) == told(api.verify(str(tmp_path / "model.safetensors")))
        assert report.facts.complete
        assert web.bytes < 1.1 * size + 3 * HEAD


def test_no_more_than_the_next_window_is_asked_for_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weightlint.remote.stream.WINDOW", 100)
    data, asked = bytes(range(250)), []

    def ask(start: int, stop: int) -> Future[Part]:
        asked.append((start, stop))
        future: Future[Part] = Future()
        future.set_result(Part(start, bytearray(data[start:stop]), len(data), ""))
        return future

    stream = Stream(ask, lambda _: None, 10, len(data))
    buffer = bytearray(60)
    assert stream.fill(memoryview(buffer)) == 60
    assert asked == [(10, 110), (110, 210)]
    assert stream.fill(memoryview(buffer)) == 60
    assert (bytes(buffer), asked[2:]) == (data[70:130], [(210, 250)])
    rest = bytearray(200)
    assert stream.fill(memoryview(rest)) == 120
    assert bytes(rest[:120]) == data[130:]
    assert len(asked) == 3
    assert stream.fill(memoryview(rest)) == 0


def test_verify_gives_a_server_up_that_gives_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weightlint.remote.stream.WINDOW", 1 << 16)
    synth(tmp_path, arch="llama", tiny=True, shards=1)
    with Web(tmp_path) as web:

        def dead(handler: Handler) -> bool:
            if handler.span(1 << 60)[0] < HEAD:
                return False
            handler.reply(500, b"")
            return True

        web.always["model.safetensors"] = dead
        report = api.verify(f"{web.url}/model.safetensors")
        assert any("answered 500" in text for text in codes(report).values())
        assert len(web.log) < 30


def test_a_path_on_this_machine_imports_nothing_of_the_network(folder: Path) -> None:
    code = (
        "import sys; from weightlint import api; api.check(sys.argv[1]); "
        "print({name.partition('.')[0] for name in sys.modules} & {'fsspec', 'aiohttp', 'asyncio', 'yarl'})"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "set()"


def test_a_store_can_be_sent_elsewhere(folder: Path, web: Web) -> None:
    store, _ = STORE.open(web.url)
    twin = pickle.loads(pickle.dumps(store))  # noqa: S301 -- our own
    assert twin.names() == store.names()
    with twin.open(SHARD) as blob:
        assert blob.read(0, 100) == (folder / SHARD).read_bytes()[:100]
        assert blob.version


@pytest.mark.parametrize("target", ["http://h:99999999/x", "https:///x", "https://", "http://[::1/x"])
def test_an_address_that_cannot_be_is_told(target: str) -> None:
    with pytest.raises(UsageError, match="is no address"):
        api.check(target)


def test_redirects_lead_to_web_servers_and_never_out_of_https() -> None:
    assert followed("https://a/x/y", "../z") == "https://a/z"
    assert followed("http://a/x", "https://b/x?a=%2F&b=1#c") == "https://b/x?a=%2F&b=1"
    assert followed("http://a/x", "//b/ü x") == "http://b/%C3%BC%20x"
    wrong = ("http://b/x", "file:///x", "ftp://b/x", "https://b:99999/x", "https://[b/x", "javascript:1")
    assert [followed("https://a/x", each) for each in wrong] == [None] * len(wrong)


def test_what_servers_ask_us_to_wait_is_read() -> None:
    assert patience.wanted({"Retry-After": "12"}) == 12
    assert patience.wanted({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0
    assert patience.wanted({"RateLimit": '"api";r=0;t=55'}) == 55
    assert patience.wanted({"RateLimit": '"api";r=7;t=55'}) is None
    assert [patience.wanted({"Retry-After": text}) for text in ("", "soon", "-1", "²")] == [None] * 4


@pytest.mark.parametrize("target", ["htps://h/x", "ftp://h/x", "s4://bucket/x"])
def test_an_unknown_scheme_is_told_with_those_that_there_are(target: str) -> None:
    with pytest.raises(UsageError, match=r"there are file://, gs://, hf://, http://, https://, s3://"):
        api.check(target)


def test_a_file_address_is_the_path(folder: Path) -> None:
    assert told(api.check(folder.as_uri())) == told(api.check(str(folder)))


def test_a_missing_package_is_told_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: str) -> None:
        message = "No module named 'fsspec'"
        raise ModuleNotFoundError(message, name="fsspec")

    monkeypatch.setattr("weightlint.stores.http._site", absent)
    with pytest.raises(UsageError, match=r"pip install 'weightlint\[remote\]'"):
        api.check("https://127.0.0.1/model")
