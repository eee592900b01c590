"""A chat with rooms, in FastAPI, over any number of processes.

    pip install fanwire fastapi uvicorn websockets
    uvicorn chat_fastapi:app --port 8001 --ws-max-size 4096 &
    uvicorn chat_fastapi:app --port 8002 --ws-max-size 4096 &

Clients connect to ws://127.0.0.1:8001/rooms/NAME, send text, and get JSON; GET /rooms/NAME counts the processes that have
people in a room. Redis is where FANWIRE_URL or REDIS_URL says. The engine's log is written as JSON, a line each.
"""

import asyncio
import json
import logging
from contextlib import asynccontextmanager
from typing import Annotated

import fanwire
from fastapi import Depends, FastAPI, Path, WebSocket
from fastapi.requests import HTTPConnection
from fastapi.responses import PlainTextResponse


class JsonLines(logging.Formatter):
    def format(self, record):
        return json.dumps({"at": record.created, "level": record.levelname, "text": record.getMessage()})


handler = logging.StreamHandler()
handler.setFormatter(JsonLines())
logging.getLogger("fanwire").addHandler(handler)


@asynccontextmanager
async def lifespan(app: FastAPI):
    # A client that reads too slowly fills its own inbox and nothing else: it misses messages and gets a gap.
    async with fanwire.open(namespace="chat", inbox_count=1000) as app.state.bus:
        yield


def bus_of(connection: HTTPConnection) -> fanwire.Bus:
    return connection.app.state.bus


Bus = Annotated[fanwire.Bus, Depends(bus_of)]
Name = Annotated[str, Path(max_length=100)]
app = FastAPI(lifespan=lifespan)


@app.websocket("/rooms/{name}")
async def room(socket: WebSocket, name: Name, bus: Bus) -> None:
    await socket.accept()
    async with bus.subscribe(name) as messages:
        sending = asyncio.create_task(send(socket, messages))
        try:
            async for text in socket.iter_text():
                try:
                    await bus.publish(name, text)
                except fanwire.FanwireError as error:  # Redis is away, and has been for publish_timeout_ms
                    await socket.send_json({"event": "failed", "text": text, "error": str(error)})
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


async def send(socket: WebSocket, messages: fanwire.Stream) -> None:
    async for item in messages.events():
        if isinstance(item, fanwire.Message):
            await socket.send_json({"text": item.data.decode(errors="replace")})
        elif item.kind in ("active", "lost", "gap", "resumed"):
            await socket.send_json({"event": item.kind})


@app.get("/rooms/{name}")
async def processes(name: Name, bus: Bus) -> dict[str, int]:
    [count] = await bus.numsub([name])
    return {"processes": count}


@app.get("/metrics")
async def metrics(bus: Bus) -> PlainTextResponse:
    return PlainTextResponse(bus.metrics(), media_type="text/plain; version=0.0.4")
