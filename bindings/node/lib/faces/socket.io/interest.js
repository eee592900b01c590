'use strict';
// The wire of fanwire's own: a channel for each room, to which only the servers subscribe that have somebody in it.
// The messages are those of socket.io-adapter.

const { bodies, hasBinary, isObject } = require('./bodies.js');
const { encodeBroadcast, bodyStart, isPlain, BroadcastReader } = require('./broadcasts.js');
const { FreshRooms } = require('./fresh.js');
const types = require('./types.js');

const kSocketId = 20; // characters; a room of as many is taken for a single socket, as Socket.IO's sharded adapter does
const kLongestChannel = 512; // bytes; Redis and the engine take more, but a namespace of the bus may come before it

class InterestWire {
  base;
  #uid;
  #start;
  #bodies;
  #broadcasts = new BroadcastReader();
  #fresh = new FreshRooms();

  /** `nsp` is the name of the Socket.IO namespace, `uid` that of this server. */
  constructor({ key = 'fanwire:socket.io', nsp, uid, msgpack, isText }) {
    this.base = `${key}#${nsp}#`;
    this.#uid = uid;
    this.#start = bodyStart(uid, nsp);
    this.#bodies = bodies(msgpack, isText);
  }

  /** What every server subscribes to. */
  get channels() {
    return [{ name: this.base }, { name: this.serverChannel(this.#uid), isQuiet: true }];
  }

  /** Its subscribers are the servers. */
  get countChannel() {
    return this.base;
  }

  /** Where answers to a server go. */
  serverChannel(uid) {
    return `${this.base}s#${uid}`;
  }

  /** The channel of a room; undefined when what is for it goes to all servers. */
  roomChannel(room) {
    const name = String(room);
    if (name.length === kSocketId) return undefined;
    const channel = `${this.base}r#${name}`;
    return Buffer.byteLength(channel) <= kLongestChannel ? channel : undefined;
  }

  /** {channel, body} of a message. */
  encode(message) {
    return { channel: this.#channelOf(message), body: this.#bodyOf(message) };
  }

  encodeResponse(uid, response) {
    return { channel: this.serverChannel(uid), body: this.#bodies.encode(response) };
  }

  /** What BroadcastReader reads in a body, or undefined. */
  decodeBroadcast({ text }) {
    return this.#broadcasts.read(text);
  }

  /** The message in a body. Throws when there is none. */
  decode(received) {
    const message = this.#bodies.decode(received);
    if (isObject(message)) return message;
    throw new TypeError('it is no object');
  }

  #bodyOf(message) {
    const { type, data } = message;
    const isSimple = type === types.BROADCAST && data.requestId === undefined && isPlain(data.packet);
    if (isSimple && !hasBinary(data.packet.data)) return encodeBroadcast(this.#start, data);
    return this.#bodies.encode(message);
  }

  // Acknowledgements are counted by servers, so what asks for them goes to all.
  #channelOf({ type, data }) {
    if (type === types.SOCKETS_JOIN) this.#fresh.add(data.rooms);
    if (type !== types.BROADCAST || data.requestId !== undefined || data.opts.rooms.length !== 1) return this.base;
    const [room] = data.opts.rooms;
    return (this.#fresh.has(room) ? undefined : this.roomChannel(room)) ?? this.base;
  }
}

module.exports = { InterestWire };
