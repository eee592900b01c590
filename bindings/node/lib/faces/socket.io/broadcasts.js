'use strict';
// Most messages are broadcasts of JSON. They are written with what is the same in many of them first, so that whoever receives
// them reads that once, and hands on the arguments as they stand.

const { checked, eventArgs } = require('./checked.js');
const types = require('./types.js');

const kArgs = ',"packet":{"type":2,"data":'; // it stands in no string of JSON, where quotes have a backslash
const kEnd = '}}}';
const kHeads = 1000;
const kLongest = 16 * 1024; // of arguments; longer ones are encoded again, which refuses what is nested too deeply

/** The body of a broadcast: JSON of a message. `start` is bodyStart(). */
const encodeBroadcast = (start, { packet, opts }) =>
  `${start}${JSON.stringify(opts)}${kArgs}${JSON.stringify(packet.data)}${kEnd}`;

/** How bodies of broadcasts of a server begin. */
function bodyStart(uid, nsp) {
  return `{"uid":${JSON.stringify(uid)},"nsp":${JSON.stringify(nsp)},"type":${types.BROADCAST},"data":{"opts":`;
}

/** Whether the packet has but what is written. */
function isPlain(packet) {
  for (const key in packet) if (key !== 'type' && key !== 'data' && key !== 'nsp') return false;
  return packet.type === 2;
}

class BroadcastReader {
  #heads = new Map(); // text before the arguments -> {uid, nsp, opts}

  /**
   * {uid, nsp, opts, args, json} of what encodeBroadcast() has made; json is the text of args, undefined when it is long. Of
   * anything else undefined; throws a TypeError when the arguments are none.
   */
  read(text) {
    const at = text.indexOf(kArgs);
    if (at === -1 || !text.endsWith(kEnd)) return undefined;
    const head = this.#headOf(text.slice(0, at));
    if (head === undefined) return undefined;
    const json = text.slice(at + kArgs.length, -kEnd.length);
    let args;
    try {
      args = JSON.parse(json);
    } catch {
      return undefined;
    }
    const { uid, nsp, opts } = head;
    return { uid, nsp, opts, args: eventArgs(args), json: json.length > kLongest ? undefined : json };
  }

  #headOf(text) {
    const known = this.#heads.get(text);
    if (known !== undefined) return known;
    const head = readHead(text);
    if (head === undefined) return undefined;
    if (this.#heads.size >= kHeads) this.#heads.clear();
    this.#heads.set(Buffer.from(text).toString(), head); // a copy: a part of the body would keep all of it
    return head;
  }
}

function readHead(text) {
  try {
    const { uid, nsp, type, data } = JSON.parse(`${text}${kArgs}[""]${kEnd}`);
    if (type !== types.BROADCAST || data.requestId !== undefined) return undefined;
    const { opts } = checked({ uid, nsp, type, data }).data;
    return { uid, nsp, opts: { rooms: new Set(opts.rooms), except: new Set(opts.except), flags: opts.flags } };
  } catch {
    return undefined; // whoever reads all of it finds out why
  }
}

module.exports = { encodeBroadcast, bodyStart, isPlain, BroadcastReader };
