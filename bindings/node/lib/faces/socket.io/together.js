'use strict';
// What arrives together leaves together: engine.io and ws give each packet to the system by itself, which costs more than all
// else of a message. Held back until the batch is through, the packets of one connection are one write.

const held = new Set(); // net.Sockets that are corked

/** Until this turn of the event loop is over, what is written to the client's WebSocket (of ws) waits. */
function hold(client) {
  const socket = client?.conn?.transport?.socket?._socket;
  if (held.has(socket) || typeof socket?.cork !== 'function') return;
  socket.cork();
  held.add(socket);
  if (held.size === 1) process.nextTick(release);
}

// engine.io writes one packet, and the others when that one is written, which it hears in the next tick. So do we.
function release() {
  const sockets = [...held];
  held.clear();
  for (const socket of sockets) {
    socket.uncork();
    socket.cork();
  }
  process.nextTick(() => {
    for (const socket of sockets) socket.uncork();
  });
}

module.exports = { hold };
