// What the build needs from the system, checked before it starts so that everything missing is named at once.
import { spawnSync } from 'node:child_process';

const works = (command, ...args) => spawnSync(command, args, { stdio: 'ignore' }).status === 0;

function cmakeVersion() {
  const { stdout } = spawnSync('cmake', ['--version'], { encoding: 'utf8' });
  const found = /cmake version (\d+)\.(\d+)/.exec(stdout ?? '');
  return found && [Number(found[1]), Number(found[2])];
}

function cmakeIsRecent() {
  const version = cmakeVersion();
  return version !== null && (version[0] > 3 || (version[0] === 3 && version[1] >= 25));
}

// CXX may carry arguments, as in "ccache g++".
const compilers = process.env.CXX ? [process.env.CXX.split(' ')] : [['c++'], ['g++'], ['clang++']];
const hasCompiler = () => compilers.some(([name, ...rest]) => works(name, ...rest, '--version'));

const pkgConfig = process.env.PKG_CONFIG || 'pkg-config';
const hasPkgConfig = () => works(pkgConfig, '--version');
const hasLibrary = (query) => !hasPkgConfig() || works(pkgConfig, '--exists', query);

const requirements = [
  { what: 'cmake 3.25 or newer', debian: 'cmake', check: cmakeIsRecent },
  { what: 'a C++20 compiler', debian: 'g++', check: hasCompiler },
  { what: 'make (or ninja, with CMAKE_GENERATOR=Ninja)', debian: 'make',
    check: () => process.env.CMAKE_GENERATOR !== undefined || works('make', '--version') },
  { what: 'pkg-config', debian: 'pkg-config', check: hasPkgConfig },
  { what: 'hiredis 0.14 or newer, with its headers', debian: 'libhiredis-dev',
    check: () => hasLibrary('hiredis >= 0.14') },
  { what: 'libevent 2.1 or newer, with its headers', debian: 'libevent-dev',
    check: () => hasLibrary('libevent_core >= 2.1') },
  { what: 'OpenSSL 3, with its headers', debian: 'libssl-dev', check: () => hasLibrary('libssl >= 3') },
];

/** The requirements that are not met: [{what, debian}]. */
export function missingRequirements() {
  const missing = requirements.filter(({ check }) => !check());
  // Without pkg-config nobody can say whether the libraries are there: name them too.
  if (missing.some(({ debian }) => debian === 'pkg-config')) {
    missing.push(...requirements.filter(({ debian }) => debian.startsWith('lib')));
  }
  return missing;
}
