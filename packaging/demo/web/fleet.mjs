// What a server knows of the others, who is where, and how well messages travel between servers.
//
// Each server sends the others its state when it changes and now and then, and numbered pulses by which they measure. All
// goes through Redis by serverSideEmit().
import { randomUUID } from 'node:crypto';

const kStateMs = 2000;
const kSilentMs = 5000; // so long without a word and a server counts as out of reach
const kSoonMs = 50; // changes within this time are one
const kTickMs = 10;
const kFiguresMs = 500;
const kWindow = 3; // figures in a row that a rate is made of
const kMostAtOnce = 100; // pulses, after a pause
const kMostSamples = 4000;

export const paces = [10, 100, 1000]; // pulses a second

// Of CLOCK_MONOTONIC, which is one for all processes of a machine: what is between two servers can be measured by it.
const nowUs = () => Number(process.hrtime.bigint() / 1000n);

/** What comes from one other server. */
class Pulses {
  #next; // number of the pulse that is expected
  #unsent = 0;
  #isTold = false; // a loss was reported since the last pulse
  #marks = [{ at: nowUs(), count: 0 }]; // how many had come when the last figures were made
  #count = 0;
  #samples = [];
  missing = 0;
  silent = 0; // missing with no word of it

  take(number, sentUs, unsent) {
    if (this.#next !== undefined && number > this.#next) {
      const missing = number - this.#next;
      this.missing += missing;
      if (!this.#isTold && unsent === this.#unsent) this.silent += missing;
    }
    this.#next = number + 1;
    this.#unsent = unsent;
    this.#isTold = false;
    ++this.#count;
    if (this.#samples.length < kMostSamples) this.#samples.push(nowUs() - sentUs);
  }

  noteLoss() {
    this.#isTold = true;
  }

  /** The other server is a new one. */
  restart() {
    this.#next = undefined;
  }

  /** The rate is that of the last second or so; latencies in microseconds, null when nothing came. */
  figures() {
    const samples = this.#samples.sort((a, b) => a - b);
    const at = (share) => samples[Math.floor((samples.length - 1) * share)] ?? null;
    const now = nowUs();
    const [since] = this.#marks;
    const rate = ((this.#count - since.count) * 1_000_000) / Math.max(1, now - since.at);
    this.#marks.push({ at: now, count: this.#count });
    if (this.#marks.length > kWindow) this.#marks.shift();
    this.#samples = [];
    return { rate, p50: at(0.5), p99: at(0.99), missing: this.missing, silent: this.silent };
  }
}

export class Fleet {
  #io;
  #adapter;
  #tellParent;
  #run = randomUUID();
  #port;
  #people = new Map(); // id -> {id, name, room, tabs} of this server
  #peers = new Map(); // name -> {run, port, people, heardAt, pulses}
  #redis = { up: true };
  #pace = { perSecond: 100, at: 0 };
  #sent = 0;
  #unsent = 0;
  #due = 0;
  #tickedUs = nowUs();
  #timers = [];
  #soon;

  constructor(io, name, tellParent) {
    this.name = name;
    this.#io = io;
    this.#adapter = io.of('/').adapter;
    this.#tellParent = tellParent;
    this.#adapter.on('unsent', () => ++this.#unsent);
    io.on('state', (state) => this.#takeState(state));
    io.on('ask', (answer) => answer(name));
    io.on('pulse', (from, ...pulse) => this.#peers.get(from)?.pulses.take(...pulse));
  }

  open(port) {
    this.#port = port;
    this.#timers = [
      setInterval(() => this.#sendState(), kStateMs),
      setInterval(() => this.#sendPulses(), kTickMs),
      setInterval(() => this.#tellFigures(), kFiguresMs),
    ];
    this.#sendState();
  }

  close() {
    this.#timers.forEach(clearInterval);
    clearTimeout(this.#soon);
  }

  get isConnected() {
    return this.#adapter.bus.connected;
  }

  // ---- People ----------------------------------------------------------------------------------------------

  /** Somebody is in a room now, from one more tab or from one that was elsewhere. */
  put({ id, name }, room, moreTabs) {
    this.#people.set(id, { id, name, room, tabs: (this.#people.get(id)?.tabs ?? 0) + moreTabs });
    this.#changed();
  }

  drop(id) {
    const person = this.#people.get(id);
    if (person !== undefined && --person.tabs === 0) this.#people.delete(id);
    this.#changed();
  }

  /** How many are on this server. */
  get size() {
    return this.#people.size;
  }

  /** {id, name, server} of everybody, as far as is known. */
  all() {
    const here = [...this.#people.values()].map((person) => ({ ...person, server: this.name }));
    const there = [...this.#peers].flatMap(([server, { people }]) => people.map((person) => ({ ...person, server })));
    return [...here, ...there];
  }

  find(id) {
    return this.all().find((one) => one.id === id);
  }

  /** All that a page shows. */
  view() {
    const now = Date.now();
    const list = (people) => people.map(({ id, name, room }) => ({ id, name, room }));
    const servers = [{ name: this.name, port: this.#port, isReached: true, people: list([...this.#people.values()]) }];
    for (const [name, { port, people, heardAt }] of this.#peers) {
      servers.push({ name, port, isReached: this.isConnected && now - heardAt < kSilentMs, people: list(people) });
    }
    servers.sort((a, b) => (a.name < b.name ? -1 : 1));
    return { server: this.name, servers, redis: this.#redisView(), pace: this.#pace.perSecond };
  }

  #takeState({ server, run, port, people, pace }) {
    const known = this.#peers.get(server);
    const isNew = known?.run !== run;
    if (isNew) known?.pulses.restart();
    this.#peers.set(server, { run, port, people, heardAt: Date.now(), pulses: known?.pulses ?? new Pulses() });
    if (pace.at > this.#pace.at) this.#pace = pace;
    if (isNew) this.#sendState(); // it knows nothing of us
    this.#tellSoon();
  }

  #changed() {
    this.#tellSoon(true);
  }

  #isStateDue = false;
  #tellSoon(isStateDue = false) {
    this.#isStateDue ||= isStateDue;
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      if (this.#isStateDue) this.#sendState();
      this.#isStateDue = false;
      this.#io.local.emit('fleet', this.view());
    }, kSoonMs);
  }

  #sendState() {
    const people = [...this.#people.values()].map(({ id, name, room }) => ({ id, name, room }));
    this.#io.serverSideEmit('state', { server: this.name, run: this.#run, port: this.#port, people, pace: this.#pace });
    this.#tellSoon(); // who is out of reach may have changed
  }

  // ---- Pulses ----------------------------------------------------------------------------------------------

  setPace(perSecond) {
    this.#pace = { perSecond, at: Date.now() };
    this.#changed();
  }

  #sendPulses() {
    const now = nowUs();
    this.#due = Math.min(kMostAtOnce, this.#due + (this.#pace.perSecond * (now - this.#tickedUs)) / 1_000_000);
    this.#tickedUs = now;
    for (; this.#due >= 1; --this.#due) {
      this.#io.serverSideEmit('pulse', this.name, ++this.#sent, nowUs(), this.#unsent);
    }
  }

  #tellFigures() {
    const peers = [...this.#peers].map(([server, { pulses }]) => ({ server, ...pulses.figures() }));
    peers.sort((a, b) => (a.server < b.server ? -1 : 1));
    this.#io.local.volatile.emit('figures', peers);
  }

  // ---- Redis -----------------------------------------------------------------------------------------------

  /** An event of the adapter. */
  noteLoss(event, room) {
    if (room !== null) return;
    if (event !== 'resumed') for (const { pulses } of this.#peers.values()) pulses.noteLoss();
    this.#changed();
  }

  setRedis({ up, by, backInMs, at }) {
    this.#redis = { up, by, backAt: up ? undefined : at + backInMs };
    this.#tellSoon();
  }

  killRedis(by) {
    this.#tellParent({ killRedis: `${by} on server ${this.name}` });
  }

  #redisView() {
    const { up, by, backAt } = this.#redis;
    return { up, by, isConnected: this.isConnected, ...(backAt && { backInMs: Math.max(0, backAt - Date.now()) }) };
  }
}
