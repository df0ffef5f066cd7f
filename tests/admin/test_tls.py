"""The admin server with TLS of its own."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from mqttbroker.config import AdminTlsConfig, Config, load_config
from mqttbroker.security import TlsError
from mqttbroker.server import Broker
from tests.admin.console import ANYWHERE, TIMEOUT, Console
from tests.support.pki import Pki


@pytest.fixture
def config(pki: Pki, tmp_path: Path) -> Config:
    """With files of its own, so that they can be replaced."""
    for name in ("certificate", "key"):
        shutil.copy(getattr(pki, name)("server"), tmp_path / f"{name}.pem")
    tls = AdminTlsConfig(tmp_path / "certificate.pem", tmp_path / "key.pem")
    return replace(ANYWHERE, admin=replace(ANYWHERE.admin, tls=tls))


@asynccontextmanager
async def secure(config: Config, pki: Pki) -> AsyncIterator[Console]:
    """A broker whose admin server speaks TLS, and somebody who trusts it and has not logged in."""
    logged: list[tuple[str, str, dict[str, object]]] = []

    def log(level: str, event: str, /, **details: object) -> None:
        logged.append((level, event, details))

    async with Broker(config, log=log) as broker:
        assert broker.admin is not None
        context = ssl.create_default_context(cafile=pki.ca)
        async with httpx.AsyncClient(
            base_url=broker.admin.url, verify=context, timeout=TIMEOUT, trust_env=False
        ) as http:
            yield Console(broker, http, logged)


async def serial(somebody: Console, pki: Pki) -> str:
    """The serial number of the certificate that a new connection is shown."""
    assert somebody.broker.admin is not None
    context = ssl.create_default_context(cafile=pki.ca)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    async with asyncio.timeout(TIMEOUT):
        _, writer = await asyncio.open_connection(*somebody.broker.admin.address, ssl=context)
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
    return shown.hex()[-40:] if shown else ""


class TestTls:
    async def test_people_log_in(self, config: Config, pki: Pki) -> None:
        async with secure(config, pki) as somebody:
            assert somebody.broker.admin is not None
            assert somebody.broker.admin.url.startswith("https://127.0.0.1:")
            response = await somebody.log_in()
            assert response.status_code == 200
            assert "; Secure" in response.headers["set-cookie"]
            assert (await somebody.http.put("/api/v1/log", json={"level": "info"})).status_code == 200

    async def test_its_certificate_is_shown_with_the_others(self, config: Config, pki: Pki) -> None:
        async with secure(config, pki) as somebody:
            await somebody.log_in()
            (shown,) = (await somebody.get("/api/v1/certificates"))["certificates"]
            assert (shown["listener"], "localhost" in shown["names"]) == ("admin server", True)

    async def test_plain_http_is_not_understood(self, config: Config, pki: Pki) -> None:
        async with secure(config, pki) as somebody:
            assert somebody.broker.admin is not None
            url = somebody.broker.admin.url.replace("https", "http")
            async with httpx.AsyncClient(trust_env=False, timeout=TIMEOUT) as http:
                with pytest.raises(httpx.HTTPError):
                    await http.get(url)

    async def test_a_new_certificate_is_taken_at_reload(self, config: Config, pki: Pki, tmp_path: Path) -> None:
        async with secure(config, pki) as somebody:
            before = await serial(somebody, pki)
            assert await serial(somebody, pki) == before
            for name in ("certificate", "key"):
                shutil.copy(getattr(pki, name)("other"), tmp_path / f"{name}.pem")
            assert somebody.broker.reload()
            after = await serial(somebody, pki)
            assert after != before
            (tmp_path / "key.pem").write_text("nonsense")
            assert not somebody.broker.reload()
            assert await serial(somebody, pki) == after

    async def test_it_does_not_warn_of_plain_http(self, config: Config, pki: Pki) -> None:
        async with secure(replace(config, admin=replace(config.admin, host="0.0.0.0")), pki) as somebody:
            assert not [event for level, event, _ in somebody.logged if "plain HTTP" in event]

    async def test_files_that_are_wrong(self, config: Config, tmp_path: Path) -> None:
        (tmp_path / "key.pem").write_text("nonsense")
        before = asyncio.all_tasks()
        with pytest.raises(TlsError):
            await Broker(config).start()
        assert asyncio.all_tasks() == before


def test_its_configuration(tmp_path: Path) -> None:
    file = tmp_path / "broker.toml"
    file.write_text('[admin.tls]\ncertificate = "admin.pem"\n', encoding="utf-8")
    assert load_config(file, {}).admin.tls == AdminTlsConfig(tmp_path / "admin.pem")
    with pytest.raises(ValueError, match="certificate: expected a path in quotes"):
        AdminTlsConfig()
