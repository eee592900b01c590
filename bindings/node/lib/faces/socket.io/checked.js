'use strict';
// What other servers sent, put together again from what may be in it: whoever can publish to Redis can send anything,
// and what is not as it should be must neither throw somewhere in Socket.IO nor reach a client, which would
// disconnect.

const { isObject } = require('./bodies.js');
const types = require('./types.js');

const kEvent = 2; // the type of a packet; bytes in it are found when it is encoded
// Clients disconnect when they get one of these.
const notForClients = new Set([
  'connect', 'connect_error', 'disconnect', 'disconnecting', 'newListener', 'removeListener',
]);
// What a namespace tells of itself, with arguments of its own.
const notForServers = new Set(['connect', 'connection', 'new_namespace', 'error', 'newListener', 'removeListener']);

function need(isRight, what) {
  if (!isRight) throw new TypeError(`${what} is not what it should be`);
}

const isRoom = (room) => typeof room === 'string' || typeof room === 'number';
const isText = (text) => typeof text === 'string' && text !== '';

function rooms(given, what) {
  need(Array.isArray(given) && given.every(isRoom), what);
  return given;
}

function opts(given) {
  need(isObject(given), 'opts');
  const { volatile, compress } = isObject(given.flags) ? given.flags : {};
  const flags = {};
  if (typeof volatile === 'boolean') flags.volatile = volatile;
  if (typeof compress === 'boolean') flags.compress = compress;
  return { rooms: rooms(given.rooms ?? [], 'rooms'), except: rooms(given.except ?? [], 'except'), flags };
}

/** The arguments of an event for clients, its name first. */
function eventArgs(given) {
  need(Array.isArray(given), 'the packet');
  const [event] = given;
  need(typeof event === 'number' || (typeof event === 'string' && !notForClients.has(event)), 'the event');
  return given;
}

function packet(given, nsp) {
  need(isObject(given), 'the packet');
  return { type: kEvent, data: eventArgs(given.data), nsp };
}

function requestId(id) {
  need(isText(id), 'requestId');
  return id;
}

const optionalId = (id) => (id === undefined || id === null ? {} : { requestId: requestId(id) });

function serverEvent(args) {
  need(Array.isArray(args) && typeof args[0] === 'string' && !notForServers.has(args[0]), 'the event');
  return args;
}

function socketDetails(given) {
  need(isObject(given) && isText(given.id) && isObject(given.handshake), 'a socket');
  return { ...given, rooms: rooms(given.rooms, 'the rooms of a socket') };
}

function array(given, what) {
  need(Array.isArray(given), what);
  return given;
}

function count(given) {
  need(Number.isSafeInteger(given) && given >= 0, 'clientCount');
  return given;
}

const checks = {
  [types.BROADCAST]: (data, nsp) => ({
    ...optionalId(data.requestId), packet: packet(data.packet, nsp), opts: opts(data.opts),
  }),
  [types.SOCKETS_JOIN]: (data) => ({ opts: opts(data.opts), rooms: rooms(data.rooms, 'rooms') }),
  [types.SOCKETS_LEAVE]: (data) => ({ opts: opts(data.opts), rooms: rooms(data.rooms, 'rooms') }),
  [types.DISCONNECT_SOCKETS]: (data) => ({ opts: opts(data.opts), close: data.close === true }),
  [types.FETCH_SOCKETS]: (data) => ({ requestId: requestId(data.requestId), opts: opts(data.opts) }),
  [types.FETCH_SOCKETS_RESPONSE]: (data) => ({
    requestId: requestId(data.requestId), sockets: array(data.sockets, 'sockets').map(socketDetails),
  }),
  [types.SERVER_SIDE_EMIT]: (data) => ({ ...optionalId(data.requestId), packet: serverEvent(data.packet) }),
  [types.SERVER_SIDE_EMIT_RESPONSE]: (data) => ({ requestId: requestId(data.requestId), packet: data.packet }),
  [types.BROADCAST_CLIENT_COUNT]: (data) => ({
    requestId: requestId(data.requestId), clientCount: count(data.clientCount),
  }),
  [types.BROADCAST_ACK]: (data) => ({ requestId: requestId(data.requestId), packet: data.packet }),
  [types.ALL_ROOMS]: (data) => ({ requestId: requestId(data.requestId) }),
  [types.ALL_ROOMS_RESPONSE]: (data) => ({ requestId: requestId(data.requestId), rooms: rooms(data.rooms, 'rooms') }),
};

/** The message; undefined when it is of a kind we do not know. Throws TypeError. */
function checked({ uid, nsp, type, data }) {
  need(isText(uid), 'uid');
  if (!Object.hasOwn(checks, type)) return undefined;
  need(isObject(data), 'data');
  return { uid, nsp, type, data: checks[type](data, nsp) };
}

/** {uid, nsp, opts, args} of a broadcast without acknowledgements, opts with sets. Throws TypeError. */
function broadcast({ uid, nsp, packet: given, opts: more }) {
  need(isText(uid), 'uid');
  need(isObject(given), 'the packet');
  const { rooms: wanted, except, flags } = opts(more);
  return { uid, nsp, opts: { rooms: new Set(wanted), except: new Set(except), flags }, args: eventArgs(given.data) };
}

module.exports = { checked, eventArgs, broadcast };
