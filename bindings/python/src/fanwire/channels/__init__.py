"""A channel layer for Django Channels, which understands channels_redis's pub/sub layer and is understood by it.

    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "fanwire.channels.FanwireChannelLayer",
            "CONFIG": {"hosts": ["redis://127.0.0.1:6379"]},
        },
    }

Needs the packages channels and msgpack: `pip install "fanwire[channels]"`.
"""

try:
    import channels.layers as _layers  # type: ignore[import-untyped]  # noqa: F401
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("channels", "django"):
        raise
    raise ImportError(
        f'fanwire.channels needs the package channels, 4.0 or later: pip install "fanwire[channels]" ({error})'
    ) from error

from ._layer import FanwireChannelLayer
from ._losses import Loss
from ._serializers import BaseMessageSerializer, SerializerDoesNotExist, registry

__all__ = ["BaseMessageSerializer", "FanwireChannelLayer", "Loss", "SerializerDoesNotExist", "registry"]
