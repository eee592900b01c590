// What was said in each room and in private, and the one that is shown.
import { $, chip, clock, el } from './dom.js';

export const roomKey = (room) => `room:${room}`;
export const privateKey = (id) => `person:${id}`;
export const isRoom = (key) => key?.startsWith('room:');
export const nameOf = (key) => key.slice(key.indexOf(':') + 1);

const kMost = 400; // entries kept of each
const kTogetherMs = 3 * 60_000; // messages of one sender within this time have one heading
const kAtEnd = 40; // pixels from the end that count as at it

const log = $('log');
const isVisible = () => log.offsetParent !== null;
const newest = $('newest');
const atEnd = () => log.scrollHeight - log.scrollTop - log.clientHeight < kAtEnd;
const toEnd = () => (log.scrollTop = log.scrollHeight);

const initials = (name) =>
  name
    .split(' ')
    .map((word) => [...word][0])
    .slice(0, 2)
    .join('')
    .toUpperCase();

function messageElement({ from, at, text, note }, isMine, hasHeading) {
  const heading =
    hasHeading &&
    el('p', { class: 'who' }, el('b', { dir: 'auto' }, from.name), chip(from.server), el('time', {}, clock(at)));
  return el(
    'article',
    { class: `message${isMine ? ' mine' : ''}${hasHeading ? ' first' : ''}` },
    hasHeading
      ? el('span', { class: 'face', 'data-server': from.server, 'aria-hidden': true }, initials(from.name))
      : undefined,
    heading || el('span', { class: 'unseen' }, `${from.name}: `),
    el('p', { class: 'text', dir: 'auto' }, text),
    note === undefined ? undefined : el('p', { class: 'note' }, note),
  );
}

const lineElement = ({ kind, word, text, at }) =>
  el('p', { class: `line ${kind}` }, word && el('b', {}, word), el('span', {}, text), el('time', {}, clock(at, true)));

export class Conversations {
  #all = new Map(); // key -> {entries, unread}
  #shown;
  #myId;
  #pending = []; // entries to be appended in the next frame
  #last; // the entry shown last
  #elements = new WeakMap(); // entry -> element

  constructor() {
    log.addEventListener('scroll', () => (newest.hidden = newest.hidden || atEnd()), { passive: true });
    newest.addEventListener('click', () => {
      toEnd();
      newest.hidden = true;
    });
    new ResizeObserver(() => this.#sticks && toEnd()).observe(log);
    log.addEventListener('scroll', () => (this.#sticks = atEnd()), { passive: true });
  }

  #sticks = true;

  set me(id) {
    this.#myId = id;
  }

  get shown() {
    return this.#shown;
  }

  #of(key) {
    let one = this.#all.get(key);
    if (one === undefined) this.#all.set(key, (one = { entries: [], unread: 0 }));
    return one;
  }

  unread(key) {
    return this.#all.get(key)?.unread ?? 0;
  }

  keys() {
    return [...this.#all.keys()];
  }

  show(key) {
    if (key === this.#shown) return;
    this.#shown = key;
    const one = this.#of(key);
    one.unread = 0;
    this.#pending = [];
    this.#last = undefined;
    // What was there is not news for a screen reader.
    log.setAttribute('aria-live', 'off');
    log.replaceChildren();
    this.#append(one.entries);
    requestAnimationFrame(() => log.setAttribute('aria-live', 'polite'));
    this.#sticks = true;
    newest.hidden = true;
    toEnd();
  }

  add(key, entry) {
    const one = this.#of(key);
    one.entries.push(entry);
    if (one.entries.length > kMost) one.entries.splice(0, one.entries.length - kMost);
    if (entry.from !== undefined && (key !== this.#shown || !isVisible())) ++one.unread;
    if (key !== this.#shown) return;
    if (this.#pending.length === 0) requestAnimationFrame(() => this.#flush());
    this.#pending.push(entry);
    if (this.#pending.length > kMost) this.#pending.shift(); // frames wait while the page is in the background
  }

  /** The one that is shown is in sight. */
  see() {
    if (this.#shown !== undefined) this.#of(this.#shown).unread = 0;
  }

  /** A word on one's own message. */
  note(key, visit, number, note) {
    const entry = this.#of(key).entries.findLast((one) => one.visit === visit && one.number === number);
    if (entry === undefined) return;
    entry.note = note;
    this.#elements.get(entry)?.append(el('p', { class: 'note' }, note));
  }

  #flush() {
    const follows = this.#sticks;
    this.#append(this.#pending.splice(0));
    while (log.childElementCount > kMost) log.firstElementChild.remove();
    if (follows) toEnd();
    else newest.hidden = false;
  }

  #append(entries) {
    const elements = entries.map((entry) => {
      const last = this.#last;
      const isTogether =
        last?.from !== undefined && last.from.id === entry.from?.id && entry.at - last.at < kTogetherMs;
      this.#last = entry;
      const isMine = entry.from?.id === this.#myId;
      const element = entry.from === undefined ? lineElement(entry) : messageElement(entry, isMine, !isTogether);
      this.#elements.set(entry, element);
      return element;
    });
    log.append(...elements);
  }
}
