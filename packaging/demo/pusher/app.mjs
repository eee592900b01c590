// The application, and what is signed with its secret, as the Pusher protocol has it.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

export const app = {
  id: process.env.REVERB_APP_ID ?? 'demo',
  key: process.env.REVERB_APP_KEY ?? 'demo-key',
  secret: process.env.REVERB_APP_SECRET ?? 'demo-secret',
};

const sign = (text) => createHmac('sha256', app.secret).update(text).digest('hex');

/** What a client shows for a private channel, after the key and a colon. */
export const channelSignature = (socketId, channel) => sign(`${socketId}:${channel}`);

/** Of a request over HTTP: `parameters` but the signature itself, with the MD5 of the body. */
export function requestSignature(method, path, parameters, body) {
  const signed = new Map([...parameters, ['body_md5', createHash('md5').update(body).digest('hex')]]);
  signed.delete('auth_signature');
  const query = [...signed].sort(([a], [b]) => (a < b ? -1 : 1)).map((pair) => pair.join('='));
  return sign([method, path, query.join('&')].join('\n'));
}

export function isSame(given, expected) {
  const [a, b] = [Buffer.from(String(given)), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Triggers an event over HTTP at the server of this address; resolves to the Response. */
export function trigger(address, event) {
  const path = `/apps/${app.id}/events`;
  const body = JSON.stringify(event);
  const parameters = new URLSearchParams({ auth_key: app.key, auth_timestamp: Math.floor(Date.now() / 1000), auth_version: '1.0' });
  parameters.set('body_md5', createHash('md5').update(body).digest('hex'));
  parameters.set('auth_signature', requestSignature('POST', path, parameters, body));
  return fetch(`${address}${path}?${parameters}`, { method: 'POST', body });
}
