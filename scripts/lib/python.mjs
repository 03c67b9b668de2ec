import { aptInstall, lastLine, run, runs } from './install.mjs';

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
    log(error.message);
    aptInstall(['python3', 'python3-venv', 'python3-pip'], log);
    return checked('python3');
  }
}

function checked(python) {
  let version;
  try {
    version = run(python, ['-c', 'import ensurepip, pip, sys, venv; print(*sys.version_info[:2])']).trim().split(' ').map(Number);
  } catch (error) {
    throw new Error(`${python} is not there or has no venv and pip: ${lastLine(error)}`);
  }
  const [major = 0, minor = 0] = version;
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
    throw new Error(`${python} is Python ${version.join('.')}; ${OLDEST.join('.')} or newer is needed`);
  }
  return python;
}
