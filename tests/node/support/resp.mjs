// A Redis client of a few lines that shows the bytes on the wire, so that nothing of fanwire judges fanwire.
import { once } from 'node:events';
import net from 'node:net';

import { until } from './wait.mjs';

const encode = (args) =>
  Buffer.concat([
    Buffer.from(`*${args.length}\r\n`),
    ...args.flatMap((arg) => {
      const bytes = Buffer.from(arg);
      return [Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n')];
    }),
  ]);

// One reply from `buffer` at `at`: [value, end], or undefined when it is not all there.
function parse(buffer, at) {
  const end = buffer.indexOf('\r\n', at);
  if (end < 0) return undefined;
  const line = buffer.toString('latin1', at + 1, end);
  const next = end + 2;
  switch (String.fromCharCode(buffer[at])) {
    case '+':
      return [line, next];
    case '-':
      return [new Error(line), next];
    case ':':
      return [Number(line), next];
    case '$': {
      const size = Number(line);
      if (size < 0) return [null, next];
      if (buffer.length < next + size + 2) return undefined;
      return [Buffer.from(buffer.subarray(next, next + size)), next + size + 2];
    }
    case '*': {
      const items = [];
      let position = next;
      for (let i = 0; i < Number(line); ++i) {
        const item = parse(buffer, position);
        if (item === undefined) return undefined;
        items.push(item[0]);
        position = item[1];
      }
      return [items, position];
    }
    default:
      throw new Error(`not RESP: ${line}`);
  }
}

export class RespClient {
  #socket;
  #buffer = Buffer.alloc(0);

  static async connect(port) {
    const client = new RespClient();
    client.#socket = net.connect(port, '127.0.0.1');
    client.#socket.on('data', (chunk) => (client.#buffer = Buffer.concat([client.#buffer, chunk])));
    await once(client.#socket, 'connect');
    client.#socket.unref();
    return client;
  }

  /** Sends a command of strings and Buffers and resolves to the next reply. */
  async command(...args) {
    this.#socket.write(encode(args));
    return this.reply();
  }

  async reply() {
    let found;
    await until(() => {
      found = this.#buffer.length > 0 ? parse(this.#buffer, 0) : undefined;
      return found !== undefined;
    }, 'a reply of Redis');
    this.#buffer = this.#buffer.subarray(found[1]);
    return found[0];
  }

  close() {
    this.#socket.destroy();
  }
}
