"""The console's files: what is served, how it may be kept, and that nothing else can be had."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from mqttbroker.admin.pages import Pages
from tests.admin.console import console
from tests.admin.test_guard import ask

INDEX = b"<!doctype html><script type=module src=/assets/index-a1.js></script>" + b" " * 200
SCRIPT = b"console.log('hello');" * 50
SECRET = b"root:x:0:0"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a build leaves, and files around it that are nobody's business."""
    folder = tmp_path / "package" / "console"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_bytes(INDEX)
    (folder / "icon.svg").write_bytes(b"<svg/>")
    (folder / "assets" / "index-a1.js").write_bytes(SCRIPT)
    (folder / "assets" / "index-b2.css").write_bytes(b"a{}")
    (folder / "sources.sha256").write_bytes(SECRET)
    (folder.parent / "secret.js").write_bytes(SECRET)
    monkeypatch.setattr("mqttbroker.admin.pages.BUILT", folder)
    return folder


class TestFiles:
    @pytest.mark.parametrize(
        ("path", "content", "kind", "cache"),
        [
            ("/", INDEX, "text/html; charset=utf-8", "no-cache"),
            ("/index.html", INDEX, "text/html; charset=utf-8", "no-cache"),
            ("/icon.svg", b"<svg/>", "image/svg+xml", "no-cache"),
            (
                "/assets/index-a1.js",
                SCRIPT,
                "text/javascript; charset=utf-8",
                "public, max-age=31536000, immutable",
            ),
            ("/assets/index-b2.css", b"a{}", "text/css; charset=utf-8", "public, max-age=31536000, immutable"),
        ],
    )
    async def test_a_file(self, folder: Path, path: str, content: bytes, kind: str, cache: str) -> None:
        async with console(log_in=False) as somebody:
            for method in ("GET", "HEAD"):
                response = await somebody.http.request(method, path)
                assert response.status_code == 200
                assert response.content == (content if method == "GET" else b"")
                assert response.headers["Content-Type"] == kind
                assert response.headers["Cache-Control"] == cache
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                policy = response.headers["Content-Security-Policy"]
                assert "script-src 'self'; style-src 'self';" in policy
                assert "unsafe" not in policy
                assert "Set-Cookie" not in response.headers

    async def test_a_query_is_no_matter(self, folder: Path) -> None:
        async with console(log_in=False) as somebody:
            assert (await somebody.http.get("/?a=b")).content == INDEX

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    async def test_they_cannot_be_changed(self, folder: Path, method: str) -> None:
        async with console() as somebody:
            response = await somebody.http.request(method, "/assets/index-a1.js", content=b"evil")
            assert response.status_code == 405
            assert response.headers["Allow"] == "GET, HEAD"

    async def test_they_are_what_they_were_at_the_start(self, folder: Path) -> None:
        async with console(log_in=False) as somebody:
            (folder / "index.html").write_bytes(b"half a build")
            (folder / "new.js").write_bytes(b"")
            assert (await somebody.http.get("/")).content == INDEX
            assert (await somebody.http.get("/new.js")).status_code == 404


class TestCompression:
    @pytest.mark.parametrize("accepted", ["gzip", "deflate, gzip, br", "GZIP;q=0.5", "br;q=1, gzip; q=0.001"])
    async def test_for_those_who_take_it(self, folder: Path, accepted: str) -> None:
        async with console(log_in=False) as somebody:
            request = somebody.http.build_request("GET", "/assets/index-a1.js", headers={"Accept-Encoding": accepted})
            response = await somebody.http.send(request, stream=True)
            raw = b"".join([chunk async for chunk in response.aiter_raw()])
            assert response.headers["Content-Encoding"] == "gzip"
            assert response.headers["Vary"] == "Accept-Encoding"
            assert gzip.decompress(raw) == SCRIPT
            assert len(raw) == int(response.headers["Content-Length"]) < len(SCRIPT)

    @pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0", "gzip;q=0.000", "xgzip"])
    async def test_and_not_for_others(self, folder: Path, accepted: str) -> None:
        async with console(log_in=False) as somebody:
            response = await somebody.http.get("/assets/index-a1.js", headers={"Accept-Encoding": accepted})
            assert "Content-Encoding" not in response.headers
            assert response.headers["Vary"] == "Accept-Encoding"
            assert response.content == SCRIPT

    async def test_nothing_grows_by_it(self, folder: Path) -> None:
        async with console(log_in=False) as somebody:
            response = await somebody.http.get("/icon.svg", headers={"Accept-Encoding": "gzip"})
            assert "Content-Encoding" not in response.headers
            assert response.content == b"<svg/>"


class TestHostilePaths:
    @pytest.mark.parametrize(
        "path",
        [
            "/secret.js",
            "/../secret.js",
            "/assets/../../secret.js",
            "/assets/../index.html",
            "/assets/%2e%2e/%2e%2e/secret.js",
            "/assets/..%2f..%2fsecret.js",
            "/assets/%2e%2e%2f%2e%2e%2fsecret.js",
            "/assets/%252e%252e/%252e%252e/secret.js",
            "/assets/..\\..\\secret.js",
            "/assets/..%5c..%5csecret.js",
            "/assets/....//....//secret.js",
            "/assets//etc/passwd",
            "//etc/passwd",
            "///",
            "/./",
            "/%2e/",
            "/assets",
            "/assets/",
            "/assets/index-a1.js/",
            "/assets/index-a1.js/..",
            "/assets/index-a1.js%00",
            "/assets/index-a1.js%00.css",
            "/assets/INDEX-A1.JS",
            "/assets/index-a1.js;x",
            "/assets/index%2da1.js",
            "/sources.sha256",
            "/package/console/index.html",
            "/server.py",
            "/.git/config",
            "/C:/Windows/win.ini",
            "/assets/\xff",
            "http://127.0.0.1/index.html",
            "file:///etc/passwd",
        ],
    )
    async def test_a_path(self, folder: Path, path: str) -> None:
        async with console(log_in=False) as somebody:
            # By hand: clients put such paths in order before they send them.
            request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode("latin-1")
            answer = await ask(somebody, request)
            assert answer.startswith(b"HTTP/1.1 40"), answer[:200]
            assert SECRET not in answer
            assert SCRIPT[:20] not in answer
            assert INDEX[:20] not in answer
            assert (await somebody.http.get("/")).content == INDEX

    async def test_a_link_out_of_the_folder_is_read_by_those_only_who_may_write_it(self, folder: Path) -> None:
        """Whoever can write into the package could put the content there as well; what is there is what is served."""
        (folder / "out.txt").symlink_to(folder.parent / "secret.js")
        async with console(log_in=False) as somebody:
            assert (await somebody.http.get("/out.txt")).status_code == 404

    async def test_nothing_below_the_api_is_a_page(self, folder: Path) -> None:
        async with console(log_in=False) as somebody:
            for path in ("/api/v1/me", "/api/", "/api/index.html", "/api/v1/../../index.html", "/api/%2e%2e/"):
                request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
                answer = await ask(somebody, request)
                assert answer.startswith(b"HTTP/1.1 401"), answer[:200]


class TestNotBuilt:
    @pytest.mark.parametrize("left", [(), ("icon.svg",)], ids=["nothing", "half"])
    async def test_a_page_says_so(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: tuple[str, ...]) -> None:
        for name in left:
            (tmp_path / "console").mkdir()
            (tmp_path / "console" / name).touch()
        monkeypatch.setattr("mqttbroker.admin.pages.BUILT", tmp_path / "console")
        async with console(log_in=False) as somebody:
            response = await somebody.http.get("/")
            assert response.status_code == 200
            assert "make console" in response.text
            assert "/api/v1/openapi.json" in response.text
            assert (await somebody.http.get("/icon.svg")).status_code == 404

    def test_a_folder_that_cannot_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "index.html").mkdir()
        assert Pages.read(tmp_path).paths == Pages().paths
