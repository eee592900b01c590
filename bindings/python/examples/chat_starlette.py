"""A chat with rooms, in Starlette, over any number of processes.

    pip install fanwire starlette uvicorn websockets
    uvicorn chat_starlette:app --port 8001 --ws-max-size 4096 &
    uvicorn chat_starlette:app --port 8002 --ws-max-size 4096 &

Clients connect to ws://127.0.0.1:8001/rooms/NAME, send text, and get JSON. Redis is where FANWIRE_URL or REDIS_URL says.
"""

import asyncio
from contextlib import asynccontextmanager

import fanwire
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute


@asynccontextmanager
async def lifespan(app):
    # A client that reads too slowly fills its own inbox and nothing else: it misses messages and gets a gap.
    async with fanwire.open(namespace="chat", inbox_count=1000) as app.state.bus:
        yield


async def room(socket):
    bus, name = socket.app.state.bus, socket.path_params["name"]
    if len(name) > 100:
        return await socket.close()  # before it is accepted: HTTP 403
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


async def send(socket, messages):
    async for item in messages.events():
        if isinstance(item, fanwire.Message):
            await socket.send_json({"text": item.data.decode(errors="replace")})
        elif item.kind in ("active", "lost", "gap", "resumed"):
            await socket.send_json({"event": item.kind})


async def metrics(request):
    return PlainTextResponse(request.app.state.bus.metrics(), media_type="text/plain; version=0.0.4")


app = Starlette(
    lifespan=lifespan,
    routes=[WebSocketRoute("/rooms/{name}", room), Route("/metrics", metrics)],
)
