// A registry that knows the packages of the scope @fanwire from build/npm/packages, on 127.0.0.1: what a package manager
// asks the real one. Prints its address; ends with its standard input.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';

const folder = path.resolve(process.argv[2]);

const packages = new Map();
for (const file of readdirSync(folder).filter((name) => /^fanwire-linux-.*\.tgz$/.test(name))) {
  const content = readFileSync(path.join(folder, file));
  const manifest = JSON.parse(execFileSync('tar', ['-xOf', path.join(folder, file), 'package/package.json'], { encoding: 'utf8' }));
  packages.set(manifest.name, { file, content, manifest });
}

function packument({ file, content, manifest }) {
  const dist = {
    tarball: `http://127.0.0.1:${server.address().port}/files/${file}`,
    shasum: createHash('sha1').update(content).digest('hex'),
    integrity: `sha512-${createHash('sha512').update(content).digest('base64')}`,
  };
  const { name, version } = manifest;
  // Some package managers wait before they take what was published just now.
  const time = { [version]: '2026-01-01T00:00:00.000Z' };
  return { name, 'dist-tags': { latest: version }, versions: { [version]: { ...manifest, dist } }, time };
}

const server = http.createServer((request, response) => {
  const url = decodeURIComponent(new URL(request.url, 'http://localhost').pathname).slice(1);
  const found = packages.get(url);
  const tarball = [...packages.values()].find(({ file }) => url === `files/${file}`);
  if (found) {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(packument(found)));
  } else if (tarball) {
    response.end(tarball.content);
  } else {
    response.statusCode = 404;
    response.end('{"error":"not found"}');
  }
});
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/`));
process.stdin.on('end', () => process.exit()).resume();
