"""Between messages and payloads, byte for byte as channels_redis has them."""

from __future__ import annotations

import abc
import base64
import hashlib
import importlib
import json
import random
import sys
from collections.abc import Callable, Iterable
from typing import Any, Protocol

Keys = Iterable[str | bytes]


class Serializer(Protocol):
    def serialize(self, message: Any, /) -> bytes: ...
    def deserialize(self, payload: bytes, /) -> Any: ...


class SerializerDoesNotExist(KeyError):
    """There is no serializer of that name."""


class BaseMessageSerializer(abc.ABC):
    """Makes payloads of messages and encrypts them, if there are keys. For serializers of your own as for these.

    The first key encrypts, all of them decrypt.
    """

    def __init__(
        self,
        symmetric_encryption_keys: Keys | None = None,
        random_prefix_length: int = 0,
        expiry: float | None = None,
    ) -> None:
        self.random_prefix_length = random_prefix_length
        self.expiry = expiry
        self.crypter = self._make_crypter(symmetric_encryption_keys)

    @abc.abstractmethod
    def as_bytes(self, message: Any, /) -> bytes:
        """The payload, before it is encrypted."""

    @abc.abstractmethod
    def from_bytes(self, payload: bytes, /) -> Any:
        """The message; raises whatever it likes when there is none in the payload."""

    def serialize(self, message: Any) -> bytes:
        """Returns what goes over Redis, encrypted if there are keys."""
        payload = self.as_bytes(message)
        if self.crypter is not None:
            payload = self.crypter.encrypt(payload)
        if self.random_prefix_length > 0:
            payload = random.randbytes(self.random_prefix_length) + payload
        return payload

    def deserialize(self, payload: bytes) -> Any:
        """Returns the message. Raises when no key decrypts the payload, or when there is no message in it."""
        return self.from_bytes(self.unseal(payload))

    def unseal(self, payload: bytes) -> bytes:
        """The payload as it was before it was encrypted."""
        if self.random_prefix_length > 0:
            payload = payload[self.random_prefix_length :]
        if self.crypter is None:
            return payload
        unsealed: bytes = self.crypter.decrypt(payload, None if self.expiry is None else self.expiry + 10)
        return unsealed

    def _make_crypter(self, keys: Keys | None) -> Any:
        if not keys:
            return None
        if isinstance(keys, (str, bytes)):
            raise ValueError("symmetric_encryption_keys must be a list of possible keys")
        fernet = _module("cryptography.fernet", "symmetric_encryption_keys", "pip install cryptography")
        return fernet.MultiFernet([fernet.Fernet(_fernet_key(key)) for key in keys])


def _fernet_key(key: str | bytes) -> bytes:
    data = key.encode() if isinstance(key, str) else key
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest())


def _module(name: str, what: str, remedy: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise ImportError(f"{what} needs the package {package}: {remedy}") from error


class JSONSerializer(BaseMessageSerializer):
    def as_bytes(self, message: Any, /) -> bytes:
        return json.dumps(message).encode()

    def from_bytes(self, payload: bytes, /) -> Any:
        return json.loads(payload)


class MsgPackSerializer(BaseMessageSerializer):
    def __init__(
        self,
        symmetric_encryption_keys: Keys | None = None,
        random_prefix_length: int = 0,
        expiry: float | None = None,
    ) -> None:
        super().__init__(symmetric_encryption_keys, random_prefix_length, expiry)
        msgpack = _module("msgpack", 'serializer_format="msgpack"', 'pip install "fanwire[channels]"')
        self._pack: Callable[[Any], bytes] = msgpack.packb
        self._unpack: Callable[[bytes], Any] = msgpack.unpackb

    def as_bytes(self, message: Any, /) -> bytes:
        return self._pack(message)

    def from_bytes(self, payload: bytes, /) -> Any:
        return self._unpack(payload)


class SerializersRegistry:
    """What serializer_format may name."""

    def __init__(self) -> None:
        self._classes: dict[str, Callable[..., Serializer]] = {}

    def register_serializer(self, format: str, serializer_class: type) -> None:
        """Adds a class with the methods serialize() and deserialize(), or takes it in the place of another one."""
        assert isinstance(serializer_class, type) and (
            hasattr(serializer_class, "serialize") and hasattr(serializer_class, "deserialize")
        ), "a serializer is a class with the methods serialize() and deserialize()"
        self._classes[format] = serializer_class

    def get_serializer(self, format: str, *args: Any, **kwargs: Any) -> Serializer:
        """Makes one. Knows those that were registered with channels_redis, too, where a program has imported that."""
        made = self._classes.get(format)
        if made is not None:
            return made(*args, **kwargs)
        others = getattr(sys.modules.get("channels_redis.serializers"), "registry", None)
        if others is not None and format in getattr(others, "_registry", ()):
            serializer: Serializer = others.get_serializer(format, *args, **kwargs)
            return serializer
        raise SerializerDoesNotExist(format)


registry = SerializersRegistry()
registry.register_serializer("json", JSONSerializer)
registry.register_serializer("msgpack", MsgPackSerializer)
