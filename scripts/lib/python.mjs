import { execFileSync } from 'node:child_process';

const OLDEST = [3, 9];

/**
 * A Python with venv and pip: TROUPE_PYTHON, or python3 on the PATH; where that is not there, or has no venv, Debian's for root.
 * @throws when there is none.
 */
export function pythonWithPip(log) {
  const named = process.env.TROUPE_PYTHON;
  if (named) return checked(named);
  try {
    return checked('python3');
  } catch (error) {
    if (process.getuid?.() !== 0 || !runs('apt-get', ['--version'])) throw error;
    log(`${error.message}; installing the packages python3 and python3-venv`);
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const install = () =>
      run('apt-get', ['install', '--yes', '--no-install-recommends', 'python3', 'python3-venv', 'python3-pip'], { env });
    try {
      install();
    } catch {
      run('apt-get', ['update'], { env });
      install();
    }
    return checked('python3');
  }
}

function checked(python) {
  let version;
  try {
    version = run(python, ['-c', 'import ensurepip, pip, sys, venv; print(*sys.version_info[:2])']).trim().split(' ').map(Number);
  } catch (error) {
    throw new Error(
      `${python} is not there or has no venv and pip: ${String(error.stderr || error.message)
        .trim()
        .split('\n')
        .at(-1)}`,
    );
  }
  const [major = 0, minor = 0] = version;
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
    throw new Error(`${python} is Python ${version.join('.')}; ${OLDEST.join('.')} or newer is needed`);
  }
  return python;
}

function runs(command, args) {
  try {
    run(command, args);
    return true;
  } catch {
    return false;
  }
}

function run(command, args, options = {}) {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], ...options });
}
