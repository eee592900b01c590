// What people do: enter, go to another room, write to a room or to somebody, and kill Redis.
//
// A person is in one room at a time and has a room of their own for what is private. Messages of one sender are numbered
// in each room, so a page sees whether one is missing.
import { createHash, randomUUID } from 'node:crypto';

import { paces } from './fleet.mjs';
import { Refused, checkedName, checkedRoom, checkedText, foldedName } from './page/limits.js';

const kMostPeople = 200; // on a server
const kMessages = 10; // of one person at once,
const kOthers = 30; // and of all else that one may ask for,
const kPerSecond = 5; // and so many more of each a second

const isObject = (value) => typeof value === 'object' && value !== null;
const roomOf = (room) => `room:${room}`;
const roomOfPerson = (id) => `person:${id}`;
const roomOfName = (name) => `name:${foldedName(name)}`;

/** The key is what only one's own tab knows; others see the id. */
const idOf = (key) => createHash('sha256').update(key).digest('base64url').slice(0, 16);

/** So many actions at once, and then so many a second. */
class Budget {
  #most;
  #left;
  #at = Date.now();

  constructor(most) {
    this.#most = this.#left = most;
  }

  spend(field) {
    const now = Date.now();
    this.#left = Math.min(this.#most, this.#left + ((now - this.#at) * kPerSecond) / 1000);
    this.#at = now;
    if (this.#left < 1) throw new Refused(field, 'That is too fast. Please wait a second.');
    --this.#left;
  }
}

export class Chat {
  #io;
  #adapter;
  #fleet;
  #tabs = new WeakMap(); // socket -> {visit, room, numbers, messages, others, asked, answer}

  constructor(io, fleet) {
    this.#io = io;
    this.#adapter = io.of('/').adapter;
    this.#fleet = fleet;
  }

  welcome(socket) {
    // Not in socket.data, which other servers see.
    const tab = {
      visit: randomUUID(),
      numbers: new Map(),
      messages: new Budget(kMessages),
      others: new Budget(kOthers),
    };
    this.#tabs.set(socket, tab);
    // Everything is answered by {error, field} or by what the action returns.
    const on = (event, act) =>
      socket.on(event, async (given, answer) => {
        let result;
        try {
          if (event !== 'say') tab.others.spend(event === 'move' ? 'room' : 'name');
          result = { ...(await act(isObject(given) ? given : {})) };
        } catch (error) {
          if (!(error instanceof Refused)) console.error(error);
          result =
            error instanceof Refused
              ? { error: error.message, field: error.field }
              : { error: 'The server has failed.' };
        }
        if (typeof answer === 'function') answer(result);
      });
    on('enter', (given) => this.#enter(socket, given));
    on('move', (given) => this.#move(socket, given));
    on('say', (given) => this.#say(socket, given));
    on('pace', (given) => this.#setPace(socket, given));
    on('kill redis', () => this.#killRedis(socket));
    on('ask all', () => this.#askAll());
    socket.on('disconnect', () => socket.data.person?.isIn && this.#fleet.drop(socket.data.person.id));
    socket.emit('fleet', this.#fleet.view());
  }

  // Whoever asks again, because the answer was late, gets the same one.
  #enter(socket, given) {
    const tab = this.#tabs.get(socket);
    const asked = JSON.stringify([given.key, given.name]);
    if (tab.asked === undefined) {
      tab.asked = asked;
      tab.answer = this.#admit(socket, given);
      tab.answer.catch(() => (tab.asked = undefined));
    } else if (tab.asked !== asked) {
      throw new Refused('name', 'You are in already.');
    }
    return tab.answer;
  }

  async #admit(socket, { key, name, room }) {
    if (typeof key !== 'string' || key.length < 16 || key.length > 64)
      throw new Refused('name', 'The key of your tab is wrong.');
    if (this.#fleet.size >= kMostPeople)
      throw new Refused('name', `Server ${this.#fleet.name} is full. Please use another one.`);
    const person = { id: idOf(key), name: checkedName(name), isIn: false };
    const first = checkedRoom(room);
    socket.data.person = person; // what the others see who take the same name at this moment
    socket.join(roomOfName(person.name));
    if (await this.#isTaken(socket, person)) {
      socket.leave(roomOfName(person.name));
      socket.data.person = undefined;
      throw new Refused('name', `Somebody is called ${person.name} already. Please take another name.`);
    }
    // What others write arrives from now on.
    await Promise.all([this.#join(socket, first), socket.join(roomOfPerson(person.id))]);
    if (!socket.connected) return {};
    person.isIn = true;
    this.#tabs.get(socket).room = first;
    this.#fleet.put(person, first, 1);
    return { id: person.id, name: person.name, room: first, server: this.#fleet.name };
  }

  // Of a room that is lost already, as one comes in, nothing more is said until it is back.
  #join(socket, room) {
    if (!this.#fleet.isConnected && this.#adapter.rooms.has(roomOf(room))) socket.emit('lost', { room: roomOf(room) });
    return socket.join(roomOf(room));
  }

  // Of two who take a name at the same moment both may be refused, but never do both get it while Redis is there.
  async #isTaken(socket, { id, name }) {
    const isOther = (one) => one.id !== socket.id && one.data.person?.id !== id;
    const inRoom = this.#io.in(roomOfName(name));
    const named = await (this.#fleet.isConnected ? inRoom : inRoom.local)
      .fetchSockets()
      .catch(() => inRoom.local.fetchSockets());
    if (named.some(isOther)) return true;
    // While Redis is away, what was heard last.
    return (
      !this.#fleet.isConnected &&
      this.#fleet.all().some((one) => one.id !== id && foldedName(one.name) === foldedName(name))
    );
  }

  async #move(socket, { room }) {
    const person = this.#personOf(socket);
    const next = checkedRoom(room);
    const tab = this.#tabs.get(socket);
    const last = tab.room;
    if (next !== last) {
      tab.room = next;
      tab.numbers.delete(last);
      socket.leave(roomOf(last));
      this.#fleet.put(person, next, 0);
      await this.#join(socket, next);
    }
    return { room: next };
  }

  // Without an await, so that messages go out in the order in which they came.
  #say(socket, { person: to, text: given }) {
    const me = this.#personOf(socket);
    const text = checkedText(given);
    this.#tabs.get(socket).messages.spend('text');
    const from = { id: me.id, name: me.name, server: this.#fleet.name };
    return to === undefined ? this.#sayInRoom(socket, from, text) : this.#sayTo(socket, String(to), from, text);
  }

  #sayInRoom(socket, from, text) {
    const { room, visit } = this.#tabs.get(socket);
    const message = { from, room, visit, number: this.#number(socket, room), at: Date.now(), text };
    const reach = this.#publish(() => this.#io.to(roomOf(room)).emit('message', message));
    return { number: message.number, reach };
  }

  #sayTo(socket, id, from, text) {
    const other = this.#fleet.find(id);
    if (other === undefined) throw new Refused('text', 'They are gone.');
    const isHere = this.#adapter.rooms.has(roomOfPerson(id));
    if (!isHere && !this.#fleet.isConnected) {
      throw new Refused('text', `Not sent: Redis is down, and ${other.name} is on server ${other.server}.`);
    }
    const to = { id, name: other.name, server: other.server };
    const { visit } = this.#tabs.get(socket);
    const message = { from, to, visit, number: this.#number(socket, to.id), at: Date.now(), text };
    const reach = this.#publish(() => this.#io.to(roomOfPerson(id)).emit('message', message));
    if (id !== from.id) this.#io.to(roomOfPerson(from.id)).emit('message', message); // one's own tabs
    return { number: message.number, reach: isHere ? 'all' : reach };
  }

  #number(socket, conversation) {
    const { numbers } = this.#tabs.get(socket);
    const number = (numbers.get(conversation) ?? 0) + 1;
    numbers.set(conversation, number);
    return number;
  }

  // 'here' when only this server's people have it.
  #publish(emit) {
    let reach = 'all';
    const note = () => (reach = 'here');
    this.#adapter.on('unsent', note);
    emit();
    this.#adapter.off('unsent', note);
    return reach;
  }

  #setPace(socket, { perSecond }) {
    this.#personOf(socket);
    if (!paces.includes(perSecond)) throw new Refused('pace', `The pace is one of ${paces.join(', ')}.`);
    this.#fleet.setPace(perSecond);
  }

  #killRedis(socket) {
    this.#fleet.killRedis(this.#personOf(socket).name);
  }

  // The page measures how long all servers take to answer.
  #askAll() {
    if (!this.#fleet.isConnected) throw new Refused('ask', 'Redis is down.');
    return new Promise((resolve, reject) => {
      this.#io.serverSideEmit('ask', (error, answers) =>
        error ? reject(new Refused('ask', 'Not all have answered.')) : resolve({ answers: answers.length }),
      );
    });
  }

  #personOf({ data: { person } }) {
    if (!person?.isIn) throw new Refused('name', 'Please enter first.');
    return person;
  }
}
