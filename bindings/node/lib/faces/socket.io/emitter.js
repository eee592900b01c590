'use strict';
// fanwire/socket.io/emitter: sends to the clients of Socket.IO servers from a process that is none.

const { Link } = require('./link.js');
const { msgpack } = require('./packages.js');
const types = require('./types.js');
const { wireNamed } = require('./wires.js');

const kUid = 'emitter';
const kEvent = 2; // the type of a packet
const reserved = new Set(['connect', 'connect_error', 'disconnect', 'disconnecting', 'newListener', 'removeListener']);

const listOf = (value) => (Array.isArray(value) ? value : [value]);
const joined = (rooms, more) => [...new Set([...rooms, ...listOf(more)])];

/** To whom, and how: to(), except() and the like give another one, and leave this as it is. */
class BroadcastOperator {
  #send;
  #rooms;
  #except;
  #flags;

  constructor(send, rooms = [], except = [], flags = {}) {
    this.#send = send;
    this.#rooms = rooms;
    this.#except = except;
    this.#flags = flags;
  }

  to(room) {
    return new BroadcastOperator(this.#send, joined(this.#rooms, room), this.#except, this.#flags);
  }

  in(room) {
    return this.to(room);
  }

  except(room) {
    return new BroadcastOperator(this.#send, this.#rooms, joined(this.#except, room), this.#flags);
  }

  compress(compress) {
    return new BroadcastOperator(this.#send, this.#rooms, this.#except, { ...this.#flags, compress });
  }

  get volatile() {
    return new BroadcastOperator(this.#send, this.#rooms, this.#except, { ...this.#flags, volatile: true });
  }

  emit(event, ...args) {
    if (reserved.has(event)) throw new Error(`"${String(event)}" is a reserved event name`);
    this.#send(types.BROADCAST, { packet: { type: kEvent, data: [event, ...args] }, opts: this.#opts });
    return true;
  }

  socketsJoin(rooms) {
    this.#send(types.SOCKETS_JOIN, { opts: this.#opts, rooms: listOf(rooms) });
  }

  socketsLeave(rooms) {
    this.#send(types.SOCKETS_LEAVE, { opts: this.#opts, rooms: listOf(rooms) });
  }

  disconnectSockets(close = false) {
    this.#send(types.DISCONNECT_SOCKETS, { opts: this.#opts, close });
  }

  get #opts() {
    return { rooms: this.#rooms, except: this.#except, flags: this.#flags };
  }
}

/** new Emitter(busOrUrl, options, namespace). What cannot be accepted is thrown as the bus's error. */
class Emitter extends BroadcastOperator {
  #send;
  #link;
  #options;

  /** The bus it uses. */
  bus;

  constructor(busOrUrl, options, nsp = '/') {
    const { wire, key, parser, subscriptionMode, ...settings } = options ?? {};
    const Wire = wireNamed(wire);
    const more = { isSharded: Wire.isSharded, offline: 'queue' };
    const link = busOrUrl instanceof Link ? busOrUrl : new Link(busOrUrl, settings, more);
    const bus = link.acquire();
    let encoder;
    try {
      encoder = new Wire({ key, nsp, uid: kUid, msgpack: parser ?? msgpack(), subscriptionMode, isText: bus.isText });
    } catch (error) {
      link.release();
      throw error;
    }
    const send = (type, data) => {
      const { channel, body } = encoder.encode({ uid: kUid, nsp, type, data });
      bus.publishNoWait(channel, body);
    };
    super(send);
    this.#send = send;
    this.#link = link;
    this.#options = { wire, key, parser, subscriptionMode };
    this.bus = bus;
  }

  /** The same for another namespace, over the same bus. */
  of(nsp) {
    return new Emitter(this.#link, this.#options, (nsp.startsWith('/') ? '' : '/') + nsp);
  }

  serverSideEmit(...args) {
    if (typeof args.at(-1) === 'function') throw new Error('Acknowledgements are not supported');
    this.#send(types.SERVER_SIDE_EMIT, { packet: args });
  }

  /** Sends what was accepted and closes the bus, unless it was passed in; emitters of of() cannot be used any more. */
  async close() {
    await this.#link.end();
  }
}

module.exports = { Emitter, BroadcastOperator };
