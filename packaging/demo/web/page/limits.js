// What names, rooms and messages may be. The page and the servers use the same; only the servers' word counts.

export const limits = { name: 24, room: 24, text: 500, lines: 20 }; // UTF-16 units, as the maxlength of an input counts them

const hidden = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}\p{Cs}]/u;
const line = (text) => (typeof text === 'string' ? text : '').normalize('NFC').replace(/\s+/gu, ' ').trim();

/** What somebody may correct: `field` is what is wrong. */
export class Refused extends Error {
  constructor(field, message) {
    super(message);
    this.field = field;
  }
}

function refuseIf(isWrong, field, message) {
  if (isWrong) throw new Refused(field, message);
}

export function checkedName(given) {
  const name = line(given);
  refuseIf(name === '', 'name', 'Please enter a name.');
  refuseIf(name.length > limits.name, 'name', `A name has at most ${limits.name} characters.`);
  refuseIf(hidden.test(name), 'name', 'A name has only characters that can be seen.');
  refuseIf(!/[\p{L}\p{N}]/u.test(name), 'name', 'A name needs a letter or a digit.');
  return name;
}

/** Names that look the same are the same. */
export const foldedName = (name) => name.normalize('NFKC').toLowerCase();

export function checkedRoom(given) {
  const room = line(given).replace(/^#\s*/, '').toLowerCase();
  refuseIf(room === '', 'room', 'Please enter the name of a room.');
  refuseIf(room.length > limits.room, 'room', `A room's name has at most ${limits.room} characters.`);
  refuseIf(
    !/^[\p{L}\p{N}][\p{L}\p{M}\p{N} _-]*$/u.test(room),
    'room',
    "A room's name has letters, digits, spaces, - and _.",
  );
  return room;
}

export function checkedText(given) {
  const text = (typeof given === 'string' ? given : '')
    .replace(/\r\n?/g, '\n')
    .replace(/[^\P{Cc}\n\t]/gu, '')
    .trim();
  refuseIf(text === '', 'text', 'There is nothing to send.');
  refuseIf(
    text.length > limits.text,
    'text',
    `A message has at most ${limits.text} characters; this one has ${text.length}.`,
  );
  refuseIf(text.split('\n').length > limits.lines, 'text', `A message has at most ${limits.lines} lines.`);
  return text;
}
