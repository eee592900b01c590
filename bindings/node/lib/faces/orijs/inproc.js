'use strict';
// The provider of one process: what is published goes to the server's own sockets.

const { WsProvider, quiet, kNotReady, kLog } = require('./provider.js');
const { validateTopic, textOf } = require('./validation.js');

class InProcWsProvider extends WsProvider {
  constructor({ logger } = {}) {
    super('InProcWsProvider', logger);
  }

  async #publish(topic, message) {
    try {
      this.server.publish(topic, message);
    } catch (error) {
      this[kLog]('error', 'Failed to publish', { topic, error: textOf(error) });
      throw error;
    }
  }

  publish(topic, message) {
    validateTopic(topic);
    return this.server === null ? this[kNotReady](topic) : quiet(this.#publish(topic, message));
  }
}

function createInProcWsProvider(options) {
  return new InProcWsProvider(options);
}

module.exports = { InProcWsProvider, createInProcWsProvider };
