// The lists of rooms and of people, by server.
import { privateKey, roomKey } from './conversations.js';
import { $, chip, el, show } from './dom.js';

const badge = (unread) =>
  unread > 0 && el('span', { class: 'badge' }, String(unread), el('span', { class: 'unseen' }, ' unread'));
const name = (...texts) => el('span', { class: 'name', dir: 'auto' }, ...texts);

function roomItem({ room, people, isShown, unread, isOff }, goToRoom) {
  const count = el(
    'span',
    { class: 'count' },
    String(people),
    el('span', { class: 'unseen' }, people === 1 ? ' person' : ' people'),
  );
  const attributes = {
    type: 'button',
    'data-key': roomKey(room),
    'aria-current': isShown && 'true',
    disabled: isOff,
    onclick: () => goToRoom(room),
  };
  return el('li', {}, el('button', attributes, name(`# ${room}`), badge(unread), count));
}

function personItem(person, goToPerson) {
  const attributes = {
    type: 'button',
    'data-key': privateKey(person.id),
    'aria-current': person.isShown && 'true',
    disabled: person.isOff,
    title: !person.isMe && `Write to ${person.name} in private`,
    onclick: () => goToPerson(person.id),
  };
  const you = person.isMe && el('span', { class: 'muted' }, ' (you)');
  const room = el('span', { class: 'count', dir: 'auto' }, `# ${person.room}`);
  return el('li', {}, el('button', attributes, name(person.name, you), badge(person.unread), room));
}

function serverSection({ server, isReached, people }, goToPerson) {
  const items = people.map((person) => personItem(person, goToPerson));
  if (items.length === 0) items.push(el('li', { class: 'nobody muted' }, 'nobody'));
  return el(
    'section',
    { class: isReached ? 'server' : 'server away', 'aria-label': `On server ${server}` },
    el('h3', {}, chip(server), el('span', {}, isReached ? `server ${server}` : `server ${server}, out of reach`)),
    el('ul', { class: 'list' }, ...items),
  );
}

/** `me` is undefined for whoever has not entered, and may go nowhere. */
export function showPlaces({ fleet, me, conversations, firstRooms, goToRoom, goToPerson }) {
  const everybody = fleet.servers.flatMap(({ people }) => people);
  const rooms = [...new Set([...firstRooms, ...everybody.map(({ room }) => room), ...(me ? [me.room] : [])])].map(
    (room) => ({
      room,
      people: everybody.filter((person) => person.room === room).length,
      isShown: conversations.shown === roomKey(room),
      unread: me?.room === room ? conversations.unread(roomKey(room)) : 0,
      isOff: me === undefined,
    }),
  );
  show($('rooms'), rooms, () => rooms.map((room) => roomItem(room, goToRoom)));

  const servers = fleet.servers.map(({ name: server, isReached, people }) => ({
    server,
    isReached,
    people: people
      .toSorted((a, b) => a.name.localeCompare(b.name))
      .map((person) => ({
        ...person,
        isMe: person.id === me?.id,
        isShown: conversations.shown === privateKey(person.id),
        unread: conversations.unread(privateKey(person.id)),
        isOff: me === undefined || person.id === me.id,
      })),
  }));
  show($('people'), servers, () => servers.map((server) => serverSection(server, goToPerson)));
}
