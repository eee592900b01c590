"""memory://name is one bus for all engines of the process that name it; an empty name is a bus of its own."""

import fanwire
from conftest import within


async def test_engines_of_one_name_share_messages(memory_url):
    async with fanwire.connect(memory_url) as one, fanwire.connect(memory_url) as other:
        async with one.subscribe("c") as subscription:
            await within(subscription.ready)
            assert await within(other.publish("c", "m")) == 1
            assert (await within(anext(subscription))).text == "m"


async def test_engines_without_a_name_are_alone():
    async with fanwire.connect("memory://") as one, fanwire.connect("memory://") as other:
        async with one.subscribe("c") as subscription:
            await within(subscription.ready)
            assert await within(other.publish("c", "m")) == 0


def test_a_client_and_another_share_messages(memory_url):
    with fanwire.Client(memory_url) as one, fanwire.Client(memory_url) as other, one.subscribe("c") as subscription:
        subscription.wait_ready()
        assert other.publish("c", "m") == 1
        assert subscription.get(10).text == "m"
