// The page: who one is, which conversation is shown, and what the servers say.
import { io } from './socket.io/socket.io.esm.min.js';

import { Conversations, isRoom, nameOf, privateKey, roomKey } from './conversations.js';
import { $, chip, el, show } from './dom.js';
import { Refused, checkedName, checkedRoom, checkedText } from './limits.js';
import { Live } from './live.js';
import { showPlaces } from './places.js';

const kFirstRooms = ['lobby', 'design', 'random'];
const kAnswerMs = 8000;
const kRoundTripMs = 2000;
const kMostExpected = 1000;

const stored = (key) => sessionStorage.getItem(key) ?? undefined;
const keep = (key, value) => sessionStorage.setItem(key, value);
if (stored('key') === undefined) keep('key', btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(24)))));

const socket = io({ transports: ['websocket'], reconnectionDelay: 300, reconnectionDelayMax: 1500 });
const conversations = new Conversations();
const live = new Live();
const expected = new Map(); // visit and conversation -> number of the next message, of the latest thousand
const people = new Map(); // id -> {id, name, server}, also those who have left

let fleet = { server: '', servers: [], redis: { up: true, isConnected: true }, pace: 100 };
let me; // {id, name, room, server} once entered
let isConnected = false; // to this server
let redisBackAt;

const myRoomKey = () => me && roomKey(me.room);

/** What the server answers; throws Refused. */
async function ask(event, given = {}) {
  let answer;
  try {
    // Whoever enters may be quicker than the connection.
    if (!socket.connected && event !== 'enter') throw new Error('not connected');
    answer = await socket.timeout(kAnswerMs).emitWithAck(event, given);
  } catch {
    throw new Refused('text', `Server ${fleet.server} does not answer.`);
  }
  if (answer.error !== undefined) throw new Refused(answer.field, answer.error);
  return answer;
}

/** A form whose error stands under its input. */
function onSubmit(form, input, act) {
  const error = $(`${input.id}-error`);
  const say = (text) => {
    error.textContent = text;
    input.setAttribute('aria-invalid', String(text !== ''));
  };
  input.addEventListener('input', () => say(''));
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    say('');
    try {
      await act();
    } catch (thrown) {
      if (!(thrown instanceof Refused)) throw thrown;
      say(thrown.message);
      input.focus();
    }
  });
  return say;
}

// ---- Entering --------------------------------------------------------------------------------------------

async function enter(name) {
  me = await ask('enter', { key: stored('key'), name, room: stored('room') ?? kFirstRooms[0] });
  keep('name', me.name);
  conversations.me = me.id;
  document.body.dataset.state = 'inside';
  $('enter').hidden = true;
  $('log').hidden = $('say').hidden = false;
  for (const input of document.querySelectorAll('#new-room :is(input, button), #pace input')) input.disabled = false;
  if (conversations.shown === undefined) showConversation(myRoomKey());
  render();
}

const sayName = onSubmit($('enter'), $('name'), async () => {
  await enter(checkedName($('name').value));
  $('text').focus();
});

// ---- Conversations ---------------------------------------------------------------------------------------

function showConversation(key) {
  conversations.show(key);
  setView('chat');
  render();
}

async function goTo(room) {
  const answer = await ask('move', { room: checkedRoom(room) });
  if (answer.room !== me.room)
    for (const key of expected.keys()) if (key.endsWith(` ${myRoomKey()}`)) expected.delete(key);
  me.room = answer.room;
  keep('room', me.room);
  showConversation(myRoomKey());
}

function goToRoom(room) {
  if (me.room === room) showConversation(roomKey(room));
  else goTo(room).catch(({ message }) => sayText(message));
}

function goToPerson(id) {
  showConversation(privateKey(id));
  $('text').focus();
}

onSubmit($('new-room'), $('new-room-name'), async () => {
  await goTo($('new-room-name').value);
  $('new-room-name').value = '';
  $('text').focus();
});

const sayText = onSubmit($('say'), $('text'), async () => {
  const key = conversations.shown;
  const text = checkedText($('text').value);
  $('text').value = '';
  try {
    const answer = await ask('say', { text, ...(!isRoom(key) && { person: nameOf(key) }) });
    if (answer.reach === 'here')
      conversations.note(key, me.visit, answer.number, `Only people on server ${fleet.server} have this.`);
  } catch (error) {
    if ($('text').value === '') $('text').value = text;
    throw error;
  }
});

$('text').addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $('say').requestSubmit();
});

socket.on('message', (message) => {
  const { from, to, room, visit, number, at } = message;
  const isMine = from.id === me?.id;
  const key = room !== undefined ? roomKey(room) : privateKey(isMine ? to.id : from.id);
  for (const { id, name, server } of [from, ...(to ? [to] : [])]) people.set(id, { id, name, server });
  if (isMine) me.visit = visit;
  const stream = `${visit} ${room !== undefined ? key : privateKey(to.id)}`;
  const missing = number - (expected.get(stream) ?? number);
  expected.delete(stream);
  expected.set(stream, number + 1);
  if (expected.size > kMostExpected) expected.delete(expected.keys().next().value);
  if (missing > 0) {
    conversations.add(key, {
      kind: 'gap',
      word: 'MISSING',
      at,
      text: `${count(missing, 'message', 'messages')} from ${from.name}`,
    });
  }
  conversations.add(key, message);
  render();
});

// ---- Loss ------------------------------------------------------------------------------------------------

const lines = {
  lost: ['LOST', () => 'Cut off from the others'],
  gap: ['GAP', ({ count }) => (count ? `${count} messages are missing` : 'Messages may be missing')],
  resumed: ['RESUMED', () => 'Connected again'],
  failed: ['FAILED', ({ code }) => `Redis refuses this room (${code})`],
};

for (const [event, [word, text]] of Object.entries(lines)) {
  socket.on(event, (told) => {
    const { room } = told;
    const kind = event === 'failed' ? 'lost' : event;
    if (room === null) {
      live.event(kind, word, text(told));
      return;
    }
    const line = { kind, word, text: text(told), at: Date.now() };
    if (isRoom(room)) conversations.add(room, line);
    else if (me !== undefined && room === privateKey(me.id)) {
      for (const key of conversations.keys()) if (!isRoom(key)) conversations.add(key, { ...line });
    }
  });
}

// ---- What the servers say --------------------------------------------------------------------------------

socket.on('connect', async () => {
  isConnected = true;
  const { id } = socket;
  const name = stored('name');
  try {
    if (name !== undefined) await enter(name);
    if (wasCut) {
      tell('gap', 'GAP', 'Messages may be missing');
      tell('resumed', 'RESUMED', 'Connected again');
    }
    wasCut = false;
  } catch (error) {
    if (socket.id === id) leave(name, error.message); // otherwise it is tried again
  }
  render();
});

// A page that is away from its server gets nothing either.
let wasCut = false;
function tell(kind, word, text) {
  live.event(kind, word, text);
  for (const key of conversations.keys())
    if (!isRoom(key) || key === myRoomKey()) conversations.add(key, { kind, word, text, at: Date.now() });
}

socket.on('disconnect', () => {
  isConnected = false;
  if (me !== undefined && !wasCut) tell('lost', 'LOST', `Server ${fleet.server} is away`);
  wasCut ||= me !== undefined;
  live.roundTrip();
  render();
});

/** Back to the door. */
function leave(name, why) {
  me = undefined;
  document.body.dataset.state = 'outside';
  $('enter').hidden = false;
  $('log').hidden = $('say').hidden = true;
  $('name').value = name;
  sayName(why);
  $('name').focus();
}

socket.on('fleet', (view) => {
  const wasUp = fleet.redis;
  fleet = view;
  redisBackAt = view.redis.backInMs === undefined ? undefined : performance.now() + view.redis.backInMs;
  if (wasUp.up && !view.redis.up)
    live.event('plain', 'Redis', view.redis.by ? `was killed by ${view.redis.by}` : 'has ended');
  if (!wasUp.up && view.redis.up) live.event('plain', 'Redis', 'has been started again');
  live.outage(!view.redis.isConnected);
  for (const server of view.servers)
    for (const { id, name } of server.people) people.set(id, { id, name, server: server.name });
  render();
});

socket.on('figures', (peers) => live.figures(peers));

async function measure() {
  if (!isConnected || document.hidden) return;
  const begun = performance.now();
  live.roundTrip(
    await ask('ask all').then(
      () => performance.now() - begun,
      () => undefined,
    ),
  );
}
setInterval(measure, kRoundTripMs);

setInterval(() => redisBackAt !== undefined && renderRedis(), 250);

// ---- Showing ---------------------------------------------------------------------------------------------

const count = (number, one, more) => `${number} ${number === 1 ? one : more}`;

function setView(view) {
  document.body.dataset.view = view;
  if (view === 'chat') conversations.see();
  for (const button of document.querySelectorAll('.views button'))
    button.setAttribute('aria-pressed', String(button.dataset.view === view));
}
for (const button of document.querySelectorAll('.views button'))
  button.addEventListener('click', () => (setView(button.dataset.view), render()));

const canKill = () => me !== undefined && fleet.redis.up && isConnected;

function renderRedis() {
  const { up, isConnected: isReached } = fleet.redis;
  const state = !up ? 'down' : isReached ? 'up' : 'up, reconnecting';
  if ($('redis-state').textContent !== state) $('redis-state').textContent = state;
  const seconds = redisBackAt === undefined ? 0 : Math.max(0, Math.ceil((redisBackAt - performance.now()) / 1000));
  $('redis-back').textContent = up ? '' : seconds > 0 ? `back in ${seconds} s` : 'starting';
  $('redis-state').dataset.is = up && isReached ? 'up' : 'down';
  // Not `disabled`, by which whoever pressed it by the keyboard would lose the focus.
  $('kill').setAttribute('aria-disabled', String(!canKill()));
}

function renderReach() {
  const { isConnected: isReached } = fleet.redis;
  const away = fleet.servers.filter((server) => !server.isReached);
  const [is, text] = !isConnected
    ? ['down', `Server ${fleet.server || '?'} is away. The page connects again by itself.`]
    : !isReached
      ? ['lost', `LOST: only people on server ${fleet.server} hear you until Redis is back.`]
      : away.length > 0
        ? ['lost', `Out of reach: ${away.map(({ name }) => `server ${name}`).join(', ')}.`]
        : ['whole', 'Messages reach all servers.'];
  $('reach').dataset.is = is;
  if ($('reach').textContent !== text) $('reach').textContent = text;
}

function renderTitle() {
  const key = conversations.shown;
  if (me === undefined || key === undefined) {
    $('title').textContent = 'Welcome';
    $('subtitle').textContent = '';
    return;
  }
  if (isRoom(key)) {
    const isThere = ({ room }) => room === nameOf(key);
    const numbers = fleet.servers.map((server) => server.people.filter(isThere).length).filter((number) => number > 0);
    const all = numbers.reduce((sum, number) => sum + number, 0);
    $('title').textContent = `# ${nameOf(key)}`;
    $('subtitle').textContent = `${count(all, 'person', 'people')} on ${count(numbers.length, 'server', 'servers')}`;
    $('text').placeholder = `Write to # ${nameOf(key)}`;
  } else {
    const { name, server } = people.get(nameOf(key)) ?? { name: '?', server: '?' };
    $('title').textContent = name;
    $('subtitle').textContent = `in private, on server ${server}`;
    $('text').placeholder = `Write to ${name} in private`;
  }
  document.title = `${$('title').textContent} · fanwire chat ${fleet.server}`;
}

let isRenderDue = false;
function render() {
  if (isRenderDue) return;
  isRenderDue = true;
  requestAnimationFrame(() => {
    isRenderDue = false;
    renderRedis();
    renderReach();
    showPlaces({ fleet, me, conversations, firstRooms: kFirstRooms, goToRoom, goToPerson });
    renderTitle();
    for (const here of document.querySelectorAll('.here'))
      show(here, fleet.server, () => (fleet.server ? [chip(fleet.server)] : []));
    $('you').hidden = me === undefined;
    if (me !== undefined)
      show($('you'), [me.name, fleet.server], () => [
        el('span', { class: 'name', dir: 'auto' }, me.name),
        el('span', {}, ' on'),
        chip(fleet.server),
      ]);
    show($('servers'), [fleet.server, fleet.servers.map(({ name, port }) => [name, port])], () =>
      fleet.servers.map(({ name, port }) =>
        el(
          'li',
          {},
          el(
            'a',
            {
              href: `http://${location.hostname}:${port}/`,
              'data-server': name,
              'aria-current': name === fleet.server && 'page',
              target: name === fleet.server ? undefined : '_blank',
              rel: 'noopener',
            },
            chip(name),
            el('span', {}, `:${port}`),
          ),
        ),
      ),
    );
    const choice = document.querySelector(`#pace input[value="${fleet.pace}"]`);
    if (choice && !choice.checked) choice.checked = true;
    for (const button of document.querySelectorAll('.views button')) {
      const { view } = button.dataset;
      const isThere = (key) => (key === conversations.shown ? view === 'chat' : view === 'places');
      const unread = conversations.keys().some((key) => conversations.unread(key) > 0 && isThere(key));
      show(button.querySelector('.dot'), unread, () => (unread ? [el('span', { class: 'unseen' }, 'unread')] : []));
    }
  });
}

const sayLive = ({ message }) => live.event('plain', 'Error', message);
$('kill').addEventListener('click', () => canKill() && ask('kill redis').catch(sayLive));
$('pace').addEventListener('change', ({ target }) => ask('pace', { perSecond: Number(target.value) }).catch(sayLive));
// Whoever loads the page again is let in at once.
$('enter').hidden = stored('name') !== undefined;
$('name').focus();
render();
