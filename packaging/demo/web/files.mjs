// The page's files over HTTP, and whose requests are answered.
import { readFileSync, readdirSync } from 'node:fs';

const types = { html: 'text/html', css: 'text/css', js: 'text/javascript', svg: 'image/svg+xml' };
const folder = new URL('page/', import.meta.url);
const files = new Map(); // path -> {type, data}
for (const name of readdirSync(folder)) {
  const type = `${types[name.split('.').pop()]}; charset=utf-8`;
  files.set(`/${name === 'index.html' ? '' : name}`, { type, data: readFileSync(new URL(name, folder)) });
}
const ourHosts = /^(127\.0\.0\.1|localhost)(:\d+)?$/;

/** Whether a request was meant for this server, and made by nobody's page but ours. */
export function isOurs({ headers: { host, origin } }) {
  return ourHosts.test(host ?? '') && (origin === undefined || origin === `http://${host}`);
}

export function servePage(request, response) {
  const { host } = request.headers;
  const file = files.get(request.url.split('?')[0]);
  const refuse = (status, text) => response.writeHead(status, { 'content-type': 'text/plain' }).end(`${text}\n`);
  if (!isOurs(request)) return refuse(403, 'This server is for 127.0.0.1 and localhost only.');
  if (file === undefined) return refuse(404, 'There is nothing here.');
  if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(405, 'Only GET and HEAD.');
  response.writeHead(200, {
    'content-type': file.type,
    'content-length': file.data.length,
    'cache-control': 'no-cache',
    'content-security-policy':
      `default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' ws://${host}; ` +
      `base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
  });
  response.end(request.method === 'HEAD' ? undefined : file.data);
}
