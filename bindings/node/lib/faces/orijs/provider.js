'use strict';
// What both providers have in common: the sockets of this process and their topics, and whom a message is for.

const { Topics } = require('../topics.js');
const { validateTopic, validateSocketId, encodeMessage } = require('./validation.js');

// Of the providers: a topic has its first socket, or has lost its last one.
const kFirst = Symbol('first');
const kLast = Symbol('last');
const kTopics = Symbol('topics');
const kForget = Symbol('forget');
const kNotReady = Symbol('not ready');
const kLog = Symbol('log');

const silent = { debug() {}, info() {}, warn() {}, error() {} };

class WsProvider {
  #name;
  #topics = new Topics();
  #connected = new Set();
  #tracked = new Set(); // connected without a topic, too
  server = null;
  started = false;

  constructor(name, logger) {
    this.#name = name;
    this.logger = logger ?? silent;
  }

  async start() {
    if (this.started) return;
    this.started = true;
    this[kLog]('info', `${this.#name} started`);
  }

  async stop() {
    if (!this.started) return;
    this[kForget]();
    this[kLog]('info', `${this.#name} stopped`);
  }

  setServer(server) {
    this.server = server ?? null;
  }

  send(socketId, message) {
    validateSocketId(socketId);
    this.publish(`__socket__:${socketId}`, message).catch(() => {}); // it is logged
  }

  broadcast(message) {
    this.publish('__broadcast__', message).catch(() => {}); // it is logged
  }

  emit(message, topic, data) {
    return quiet(this.#emit(message, topic, data));
  }

  async #emit(message, topic, data) {
    let payload;
    try {
      payload = await encodeMessage(message, data);
    } catch (error) {
      this[kLog]('error', error.message);
      throw error;
    }
    return this.publish(topic, payload);
  }

  subscribe(socketId, topic) {
    validateSocketId(socketId);
    validateTopic(topic);
    this.#connected.add(socketId);
    if (this.#topics.add(topic, socketId)) this[kFirst](topic);
  }

  unsubscribe(socketId, topic) {
    validateSocketId(socketId);
    validateTopic(topic);
    if (this.#topics.remove(topic, socketId)) this[kLast](topic);
    this.#look(socketId);
  }

  /** Out of all topics; it stays connected if it is tracked. */
  unsubscribeAll(socketId) {
    validateSocketId(socketId);
    for (const topic of this.#topics.removeMember(socketId)) this[kLast](topic);
    this.#look(socketId);
  }

  disconnect(socketId) {
    this.#tracked.delete(socketId);
    this.unsubscribeAll(socketId);
  }

  trackConnection(socketId) {
    validateSocketId(socketId);
    this.#tracked.add(socketId);
    this.#connected.add(socketId);
  }

  untrackConnection(socketId) {
    this.disconnect(socketId);
  }

  isConnected(socketId) {
    return this.#connected.has(socketId);
  }

  getConnectionCount() {
    return this.#connected.size;
  }

  getTopicSubscriberCount(topic) {
    return this.#topics.membersOf(topic).size;
  }

  // ---- For the providers

  [kFirst]() {}

  [kLast]() {}

  get [kTopics]() {
    return this.#topics.topics;
  }

  // What publish() does without what it needs.
  [kNotReady](topic) {
    const text = `Cannot publish to topic "${topic}": Provider not ready`;
    this[kLog]('error', text);
    return quiet(Promise.reject(new Error(text)));
  }

  // A logger that fails must not stop delivery.
  [kLog](level, ...args) {
    try {
      this.logger[level](...args);
    } catch {}
  }

  [kForget]() {
    this.started = false;
    this.server = null;
    this.#topics.clear();
    this.#connected.clear();
    this.#tracked.clear();
  }

  #look(socketId) {
    if (this.#topics.topicsOf(socketId).size === 0 && !this.#tracked.has(socketId)) this.#connected.delete(socketId);
  }
}

// Whoever does not wait for it has the log: its rejection ends no process.
function quiet(promise) {
  promise.catch(() => {});
  return promise;
}

module.exports = { WsProvider, quiet, kFirst, kLast, kTopics, kForget, kNotReady, kLog };
