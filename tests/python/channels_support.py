"""What the tests of channel layers share."""

import pytest
from fanwire.channels import FanwireChannelLayer
from fanwire.channels._topics import Envelope

MESSAGE = {"type": "test.message", "text": "Ahoy-hoy!", "bytes": b"\xff", "list": [1, None, 2.5, {"a": True}]}


@pytest.fixture
async def make_layer(own_redis):
    layers = []

    def make(**config):
        layers.append(FanwireChannelLayer(**{"hosts": [own_redis.url], **config}))
        return layers[-1]

    yield make
    for layer in layers:
        await layer.flush()


@pytest.fixture
def layer(make_layer):
    return make_layer()


@pytest.fixture
def losses():
    return []


def subscribed(redis):
    return sorted(redis.cli("pubsub", "channels", "*").split())


def connections(redis):
    """Without that which asks."""
    return redis.cli("client", "list").count("\n")


def envelope(layer, message, deadline=float("inf")):
    return Envelope(layer.serialize(message), deadline, False, None)
