'use strict';
// The wire of @socket.io/redis-adapter and @socket.io/redis-emitter, to and from the messages of socket.io-adapter.
// Every server gets every broadcast, and looks at the channel's name before it decodes one. The channels of its rooms alone
// would cost less, but then what an original sends right after it has put a socket in a room would not arrive.

const { bodies, isObject } = require('./bodies.js');
const { broadcast } = require('./checked.js');
const types = require('./types.js');

const requests = {
  ALL_ROOMS: 1,
  REMOTE_JOIN: 2,
  REMOTE_LEAVE: 3,
  REMOTE_DISCONNECT: 4,
  REMOTE_FETCH: 5,
  SERVER_SIDE_EMIT: 6,
  BROADCAST: 7,
  BROADCAST_CLIENT_COUNT: 8,
  BROADCAST_ACK: 9,
};

// A request as a message: [type, its data].
const toMessage = {
  [requests.ALL_ROOMS]: ({ requestId }) => [types.ALL_ROOMS, { requestId }],
  [requests.REMOTE_JOIN]: ({ opts, rooms }) => [types.SOCKETS_JOIN, { opts, rooms }],
  [requests.REMOTE_LEAVE]: ({ opts, rooms }) => [types.SOCKETS_LEAVE, { opts, rooms }],
  [requests.REMOTE_DISCONNECT]: ({ opts, close }) => [types.DISCONNECT_SOCKETS, { opts, close }],
  [requests.REMOTE_FETCH]: ({ requestId, opts }) => [types.FETCH_SOCKETS, { requestId, opts }],
  [requests.SERVER_SIDE_EMIT]: ({ requestId, data }) => [types.SERVER_SIDE_EMIT, { requestId, packet: data }],
  [requests.BROADCAST]: ({ requestId, packet, opts }) => [types.BROADCAST, { requestId, packet, opts }],
};

// A message as a request. (A broadcast is one when it asks for acknowledgements.)
const toRequest = {
  [types.ALL_ROOMS]: ({ requestId }) => ({ requestId, type: requests.ALL_ROOMS }),
  [types.SOCKETS_JOIN]: ({ opts, rooms }) => ({ type: requests.REMOTE_JOIN, opts, rooms }),
  [types.SOCKETS_LEAVE]: ({ opts, rooms }) => ({ type: requests.REMOTE_LEAVE, opts, rooms }),
  [types.DISCONNECT_SOCKETS]: ({ opts, close }) => ({ type: requests.REMOTE_DISCONNECT, opts, close }),
  [types.FETCH_SOCKETS]: ({ requestId, opts }) => ({ requestId, type: requests.REMOTE_FETCH, opts }),
  [types.SERVER_SIDE_EMIT]: ({ requestId, packet }) => ({ requestId, type: requests.SERVER_SIDE_EMIT, data: packet }),
  [types.BROADCAST]: ({ requestId, packet, opts }) => ({ requestId, type: requests.BROADCAST, packet, opts }),
};

const toResponse = {
  [types.ALL_ROOMS_RESPONSE]: ({ requestId, rooms }) => ({ requestId, rooms }),
  [types.FETCH_SOCKETS_RESPONSE]: ({ requestId, sockets }) => ({ requestId, sockets }),
  [types.SERVER_SIDE_EMIT_RESPONSE]: ({ requestId, packet }) => ({
    type: requests.SERVER_SIDE_EMIT, requestId, data: packet,
  }),
  [types.BROADCAST_CLIENT_COUNT]: ({ requestId, clientCount }) => ({
    type: requests.BROADCAST_CLIENT_COUNT, requestId, clientCount,
  }),
  [types.BROADCAST_ACK]: ({ requestId, packet }) => ({ type: requests.BROADCAST_ACK, requestId, packet }),
};

// [type, its data]. Some of them are known by what they hold.
function fromResponse({ type, requestId, sockets, rooms, data, clientCount, packet }) {
  if (type === requests.BROADCAST_CLIENT_COUNT) return [types.BROADCAST_CLIENT_COUNT, { requestId, clientCount }];
  if (type === requests.BROADCAST_ACK) return [types.BROADCAST_ACK, { requestId, packet }];
  if (type === requests.SERVER_SIDE_EMIT) return [types.SERVER_SIDE_EMIT_RESPONSE, { requestId, packet: data }];
  if (Array.isArray(sockets)) return [types.FETCH_SOCKETS_RESPONSE, { requestId, sockets }];
  return [types.ALL_ROOMS_RESPONSE, { requestId, rooms }];
}


const escapeGlob = (text) => text.replace(/[*?[\]\\]/g, '\\$&');
const isNumeric = (text) => text.trim() !== '' && Number.isFinite(Number(text));
const kLongestChannel = 1024; // bytes that the engine takes; what is for a longer one goes where what is for all goes

class ClassicWire {
  #nsp;
  #uid;
  #base;
  #requests;
  #responses;
  #answersOne;
  #msgpack;
  #bodies;
  #rooms;

  /** `rooms` are those of this server, by name; `publishOnSpecificResponseChannel` as the original's. */
  constructor({ key = 'socket.io', nsp, uid, msgpack, rooms, isText, publishOnSpecificResponseChannel = false }) {
    if (isText) throw new TypeError('the classic wire is made of bytes, and the client that was passed in gives text only');
    this.#nsp = nsp;
    this.#uid = uid;
    this.#base = `${key}#${nsp}#`;
    this.#requests = `${key}-request#${nsp}#`;
    this.#responses = `${key}-response#${nsp}#`;
    this.#answersOne = publishOnSpecificResponseChannel;
    this.#msgpack = msgpack;
    this.#bodies = bodies(msgpack);
    this.#rooms = rooms;
  }

  get channels() {
    return [
      { name: `${escapeGlob(this.#base)}*`, isPattern: true },
      { name: this.#requests, isQuiet: true },
      { name: this.#responses, isQuiet: true },
      { name: `${this.#responses}${this.#uid}#`, isQuiet: true },
    ];
  }

  get countChannel() {
    return this.#requests;
  }

  roomChannel() {
    return undefined;
  }

  encode({ uid, type, data }) {
    if (type === types.BROADCAST && data.requestId === undefined) {
      const { packet, opts } = data;
      return { channel: this.#channelOf(opts.rooms), body: this.#msgpack.encode([uid, { ...packet, nsp: this.#nsp }, opts]) };
    }
    const request = { uid, ...toRequest[type](data) };
    if (type === types.BROADCAST) request.packet = { ...request.packet, nsp: this.#nsp };
    return { channel: this.#requests, body: this.#bodies.encode(request) };
  }

  #channelOf(rooms) {
    const channel = rooms.length === 1 ? `${this.#base}${rooms[0]}#` : this.#base;
    return Buffer.byteLength(channel) <= kLongestChannel ? channel : this.#base;
  }

  encodeResponse(uid, { type, data }) {
    const channel = this.#answersOne ? `${this.#responses}${uid}#` : this.#responses;
    return { channel, body: this.#bodies.encode(toResponse[type](data)) };
  }

  /** The message in a body; undefined when it is none for us. Throws when there is none. */
  decode(received) {
    const { channel } = received;
    if (channel === this.#requests) {
      const request = this.#object(received);
      const convert = Object.hasOwn(toMessage, request.type) ? toMessage[request.type] : undefined;
      return convert && this.#message(request.uid ?? 'emitter', convert(request));
    }
    if (channel.startsWith(this.#responses)) return this.#message('response', fromResponse(this.#object(received)));
    return undefined;
  }

  /** {uid, nsp, opts, args} of a broadcast. Throws when it is not what it should be; undefined when it is something else. */
  decodeBroadcast(received) {
    const { channel } = received;
    if (!channel.startsWith(this.#base)) return undefined;
    const room = channel.slice(this.#base.length, -1);
    if (room !== '' && !this.#hasRoom(room)) return undefined;
    const body = this.#msgpack.decode(received.data);
    if (!Array.isArray(body)) throw new TypeError('it is no array');
    const [uid, packet, opts] = body;
    return broadcast({ uid, nsp: packet?.nsp ?? '/', packet, opts });
  }

  #hasRoom(room) {
    return this.#rooms.has(room) || (isNumeric(room) && this.#rooms.has(Number(room)));
  }

  #object(received) {
    const body = this.#bodies.decode(received);
    if (isObject(body)) return body;
    throw new TypeError('it is no object');
  }

  #message(uid, [type, data]) {
    return { uid, nsp: this.#nsp, type, data };
  }
}

module.exports = { ClassicWire };
