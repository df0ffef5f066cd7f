"""What the programs mosquitto_sub, mosquitto_pub and mosquitto_rr do beyond the common suite."""

from __future__ import annotations

import asyncio

from mqttbroker.protocol import Properties
from tests.interop.adapter import TIMEOUT, Adapter, Endpoint, Message
from tests.interop.adapters.mosquitto import MosquittoAdapter, run
from tests.interop.matrix import clients
from tests.support.raw import RawClient


@clients(of=(MosquittoAdapter,))
async def test_unsubscribe_in_a_resumed_session(client: Adapter, peer: RawClient) -> None:
    assert isinstance(client, MosquittoAdapter)
    await client.connect(persistent=True)
    await client.subscribe("interop/a", 1)
    await client.unsubscribe_and_subscribe("interop/a", "interop/b", 1)
    await peer.publish("interop/a", b"unwanted", qos=1)
    await peer.publish("interop/b", b"wanted", qos=1)
    assert (await client.next_message()).payload == b"wanted"


@clients(of=(MosquittoAdapter,))
async def test_signal_and_will(client: Adapter, peer: RawClient) -> None:
    """Stopped by a signal, mosquitto_sub leaves with "Disconnect with Will Message" where there is such a thing."""
    await peer.subscribe("will", qos=1)
    await client.connect(will=Message("will", b"first", 1))
    await client.subscribe("interop/a")
    await client.disconnect()
    await client.connect(will=Message("will", b"second", 1))
    await client.subscribe("interop/a")
    await client.kill()
    wills = [(await peer.expect_publish()).payload for _ in range(2 if client.is_five else 1)]
    assert wills == ([b"first", b"second"] if client.is_five else [b"second"])
    await peer.expect_silence()


async def test_retained_only_ends_with_the_first_live_message(endpoint: Endpoint, peer: RawClient) -> None:
    for number in range(3):
        await peer.publish(f"kept/{number}", str(number).encode(), qos=1, retain=True)
    output = await run("mosquitto_sub", endpoint, "-t", "kept/#", "-C", "3", "--retained-only", "-v")
    assert sorted(output.splitlines()) == [b"kept/0 0", b"kept/1 1", b"kept/2 2"]


async def test_line_mode_sends_every_line(endpoint: Endpoint, peer: RawClient) -> None:
    await peer.subscribe("lines", qos=1)
    lines = [str(number).encode() for number in range(500)]
    await run("mosquitto_pub", endpoint, "-V", "5", "-t", "lines", "-q", "1", "-l", stdin=b"\n".join(lines) + b"\n")
    assert [(await peer.expect_publish()).payload for _ in lines] == lines


async def test_request_and_response(endpoint: Endpoint, peer: RawClient) -> None:
    await peer.subscribe("service", qos=1)
    asked = asyncio.create_task(
        run(
            "mosquitto_rr", endpoint, "-t", "service", "-e", "answers/here", "-m", "how much?", "-q", "1", "-V", "5",
            "-D", "publish", "correlation-data", "number-1",
        )
    )  # fmt: skip
    request = await peer.expect_publish(TIMEOUT)
    assert (request.payload, request.properties.response_topic) == (b"how much?", "answers/here")
    assert request.properties.correlation_data == b"number-1"
    await peer.publish(
        "answers/here", b"42", qos=1, properties=Properties(correlation_data=request.properties.correlation_data)
    )
    assert (await asked).strip() == b"42"


async def test_alias_with_a_topic(endpoint: Endpoint, peer: RawClient) -> None:
    await peer.subscribe("interop/#", qos=1)
    alias = ("-D", "publish", "topic-alias", "5")
    await run("mosquitto_pub", endpoint, "-V", "5", "-t", "interop/a", "-m", "x", "-q", "1", *alias)
    assert (await peer.expect_publish()).properties.topic_alias is None
