'use strict';
// The adapter of one Socket.IO namespace: socket.io-adapter's cluster adapter over a bus.

const { randomUUID } = require('node:crypto');

const { makeError } = require('../../errors.js');
const { Channels, confirmed } = require('./channels.js');
const { checked } = require('./checked.js');
const { countHere } = require('./link.js');
const { readyEncoder } = require('./encoder.js');
const { hold } = require('./together.js');
const types = require('./types.js');

const kEvent = 2; // the type of a packet
const kRequestTimeoutMs = 5000;

// What kind of request a response answers.
const requestOf = {
  [types.FETCH_SOCKETS_RESPONSE]: types.FETCH_SOCKETS,
  [types.SERVER_SIDE_EMIT_RESPONSE]: types.SERVER_SIDE_EMIT,
  [types.ALL_ROOMS_RESPONSE]: types.ALL_ROOMS,
};

const sent = Promise.resolve('');
const encoded = ({ rooms, except, flags }) => ({ rooms: [...(rooms ?? [])], except: [...(except ?? [])], flags });
const isLocal = (opts) => opts?.flags?.local === true;

/** The class, made of what the application's socket.io-adapter exports. */
function makeAdapter({ ClusterAdapter, Adapter }) {
  // What this server does for its own sockets, whatever becomes of Redis.
  const locally = Adapter.prototype;

  return class FanwireAdapter extends ClusterAdapter {
    #link;
    #encoder;
    #wire;
    #channels;
    #gapEvent;
    #timeoutMs;
    #servers = 1; // as last heard
    #joining; // subscriptions that the addAll() under way has made
    #isClosed = false;
    #isReceiving = false;

    /** The bus it uses. */
    bus;

    constructor(nsp, link, { Wire, msgpack, requestsTimeout = kRequestTimeoutMs, notifyClients, ...options }) {
      super(nsp);
      this.#timeoutMs = requestsTimeout;
      this.#gapEvent = notifyClients === true ? 'fanwire:gap' : notifyClients || undefined;
      this.encoder = this.#encoder = readyEncoder(this.encoder);
      this.#link = link;
      this.bus = link.acquire();
      this.#channels = new Channels(this.bus, (message) => this.#receive(message), (...told) => this.#tell(...told));
      try {
        const { uid, rooms, bus } = this;
        this.#wire = new Wire({ ...options, nsp: nsp.name, uid, msgpack, rooms, isText: bus.isText });
        for (const channel of this.#wire.channels) this.#channels.open(channel);
      } catch (error) {
        this.#channels.close();
        link.release();
        throw error;
      }
      countHere(this.bus, this.#wire.countChannel, 1);
      this.on('create-room', (room) => this.#want(room));
      this.on('delete-room', (room) => this.#unwant(room));
    }

    async close() {
      if (this.#isClosed) return;
      this.#isClosed = true;
      this.#channels.close();
      countHere(this.bus, this.#wire.countChannel, -1);
      await this.#link.release();
    }

    /** Never rejects, because Socket.IO looks at no rejection: without Redis it is what was last heard. */
    async serverCount() {
      const channel = this.#wire.countChannel;
      if (this.bus.connected && !this.#isClosed) {
        const counted = await this.bus.numsub([channel]).catch(() => undefined);
        // All adapters of this process that share the bus are one subscriber.
        if (counted !== undefined) this.#servers = Math.max(counted[0], 1) + countHere(this.bus, channel) - 1;
      }
      return this.#servers;
    }

    /** Resolves when what is published for these rooms arrives here, if that takes a moment. */
    addAll(id, rooms) {
      const outer = this.#joining;
      const joining = (this.#joining = []);
      try {
        super.addAll(id, rooms);
      } finally {
        this.#joining = outer;
      }
      return joining.length > 0 && this.bus.connected ? confirmed(joining) : undefined;
    }

    // In the base class these wait for doPublish() first, so that what an application does in a row may change places.
    broadcast(packet, opts) {
      if (!isLocal(opts)) this.#publish(types.BROADCAST, { packet, opts: encoded(opts) });
      return locally.broadcast.call(this, packet, opts);
    }

    apply(opts, callback) {
      if (!this.#isReceiving) return super.apply(opts, callback);
      super.apply(opts, (socket) => {
        hold(socket.client);
        callback(socket);
      });
    }

    addSockets(opts, rooms) {
      if (!isLocal(opts)) this.#publish(types.SOCKETS_JOIN, { opts: encoded(opts), rooms: [...rooms] });
      return locally.addSockets.call(this, opts, rooms);
    }

    delSockets(opts, rooms) {
      if (!isLocal(opts)) this.#publish(types.SOCKETS_LEAVE, { opts: encoded(opts), rooms: [...rooms] });
      return locally.delSockets.call(this, opts, rooms);
    }

    disconnectSockets(opts, close) {
      if (!isLocal(opts)) this.#publish(types.DISCONNECT_SOCKETS, { opts: encoded(opts), close });
      return locally.disconnectSockets.call(this, opts, close);
    }

    fetchSockets(opts) {
      if (isLocal(opts)) return locally.fetchSockets.call(this, opts);
      const { flags } = opts;
      return super.fetchSockets({ ...opts, flags: { ...flags, timeout: flags?.timeout ?? this.#timeoutMs } });
    }

    /** The rooms of all servers. */
    async allRooms() {
      const rooms = new Set(this.rooms.keys());
      const expected = (await this.serverCount()) - 1;
      if (expected <= 0) return rooms;
      return new Promise((resolve, reject) => {
        this.#ask({ type: types.ALL_ROOMS, current: 0, expected, rooms, resolve }, {}, reject);
      });
    }

    async serverSideEmit(packet) {
      if (typeof packet.at(-1) !== 'function') return this.#publish(types.SERVER_SIDE_EMIT, { packet });
      const ack = packet.pop();
      const expected = (await this.serverCount()) - 1;
      if (expected <= 0) return ack(null, []);
      const request = { type: types.SERVER_SIDE_EMIT, current: 0, expected, responses: [], resolve: ack };
      this.#ask(request, { packet }, (error) => ack(error, request.responses));
    }

    #ask(request, data, onTimeout) {
      const requestId = randomUUID();
      request.timeout = setTimeout(() => {
        this.requests.delete(requestId);
        onTimeout(new Error(`timeout reached: only ${request.current} responses received out of ${request.expected}`));
      }, this.#timeoutMs);
      this.requests.set(requestId, request);
      this.#publish(request.type, { ...data, requestId });
    }

    // Never rejects: in socket.io-adapter 2.5.4 that would keep the message from our own sockets.
    doPublish(message) {
      this.#send(() => this.#wire.encode(message), message.type);
      return sent;
    }

    doPublishResponse(uid, response) {
      this.#send(() => this.#wire.encodeResponse(uid, response), response.type);
      return sent;
    }

    // Connection state recovery needs a history, which pub/sub has not: an offset would be one more argument of the
    // event.
    addOffsetIfNecessary() {}

    #publish(type, data) {
      this.doPublish({ uid: this.uid, nsp: this.nsp.name, type, data });
    }

    #answer(uid, type, data) {
      this.doPublishResponse(uid, { uid: this.uid, nsp: this.nsp.name, type, data });
    }

    #send(encode, type) {
      try {
        const { channel, body } = encode();
        this.bus.publishNoWait(channel, body);
      } catch (error) {
        this.emit('unsent', error, { type });
      }
    }

    // What the application's own listeners throw is the bus's 'handlerError'; what a body holds throws nothing.
    #receive(received) {
      if (this.#isClosed) return;
      let broadcast;
      let message;
      try {
        broadcast = this.#wire.decodeBroadcast(received);
        message = broadcast ?? this.#wire.decode(received);
        if (message === undefined || message.uid === this.uid || message.nsp !== this.nsp.name) return;
        if (broadcast === undefined) message = checked(message);
      } catch (error) {
        this.#tellInvalid(error, received);
        return;
      }
      if (broadcast !== undefined) this.#deliver(broadcast, received);
      else if (message !== undefined) this.#act(message, received);
    }

    #deliver({ opts, args, json }, received) {
      const packet = { type: kEvent, data: args, nsp: this.nsp.name };
      if (json !== undefined) this.#encoder.offer(packet, json);
      this.#encode(() => locally.broadcast.call(this, packet, opts), received);
    }

    // `isBroadcast`: what goes to clients, who are many, is written with what else comes.
    #encode(act, received, isBroadcast = true) {
      this.#isReceiving = isBroadcast;
      try {
        return act();
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        this.#tellInvalid(error, received); // nested too deeply to be encoded
      } finally {
        this.#isReceiving = false;
      }
    }

    #act(message, received) {
      const { type, uid } = message;
      const { requestId } = message.data;
      if (type in requestOf && this.requests.get(requestId)?.type !== requestOf[type]) return; // late, or a lie
      switch (type) {
        case types.FETCH_SOCKETS_RESPONSE:
        case types.SERVER_SIDE_EMIT_RESPONSE:
        case types.BROADCAST_CLIENT_COUNT:
        case types.BROADCAST_ACK:
          return this.onResponse(message);
        case types.ALL_ROOMS_RESPONSE:
          return this.#addRooms(message.data);
        case types.ALL_ROOMS:
          return this.#answer(uid, types.ALL_ROOMS_RESPONSE, { requestId, rooms: [...this.rooms.keys()] });
        case types.SERVER_SIDE_EMIT:
          return this.onMessage(message);
        default:
          return this.#encode(() => this.onMessage(message, ''), received, type === types.BROADCAST);
      }
    }

    #tellInvalid(error, { channel, data }) {
      this.emit('invalid', error, { channel, data });
    }

    #addRooms({ requestId, rooms }) {
      const request = this.requests.get(requestId);
      for (const room of rooms) request.rooms.add(room);
      if (++request.current < request.expected) return;
      clearTimeout(request.timeout);
      this.requests.delete(requestId);
      request.resolve(request.rooms);
    }

    #want(room) {
      const channel = this.#wire.roomChannel(room);
      if (channel === undefined || this.#isClosed) return;
      try {
        const subscription = this.#channels.add(channel, room);
        if (subscription === undefined) return;
        this.#joining?.push(subscription);
        if (!this.bus.connected) this.#beginLost(subscription, room);
      } catch (error) {
        this.#tell('failed', [room], error);
      }
    }

    // A room that is made while Redis is away is lost from its beginning. It has its first socket only after this.
    #beginLost(subscription, room) {
      const tell = (event, detail) => this.rooms.has(room) && this.#tell(event, [room], detail);
      queueMicrotask(() => tell('lost', makeError('NOT_CONNECTED')));
      subscription.once('active', () => tell('resumed'));
    }

    #unwant(room) {
      const channel = this.#wire.roomChannel(room);
      if (channel !== undefined) this.#channels.remove(channel, room);
    }

    // 'lost', 'gap', 'resumed' and 'failed', once for each room. null: what goes to all servers, which is all of a
    // room that has no channel of its own.
    #tell(event, rooms, detail) {
      if (this.#isClosed) return;
      for (const room of rooms.length > 0 ? rooms : [null, ...this.#roomsWithoutChannel()]) {
        if (this.sids.has(room)) continue; // what is for one socket is in what is for all
        this.emit(event, room, detail);
        if (event === 'gap' && this.#gapEvent !== undefined) this.#tellClients(room, detail);
      }
    }

    #roomsWithoutChannel() {
      return [...this.rooms.keys()].filter((room) => this.#wire.roomChannel(room) === undefined);
    }

    #tellClients(room, { reason, count }) {
      const packet = { type: kEvent, data: [this.#gapEvent, { room, reason, count }] };
      const rooms = new Set(room === null ? [] : [room]);
      locally.broadcast.call(this, packet, { rooms, except: new Set(), flags: {} });
    }
  };
}

module.exports = { makeAdapter };
