import { TroupeError } from 'troupe';

/**
 * A package that only some agents need, loaded when first used: an installation without development dependencies still runs
 * the others. @throws TroupeError FAILED_PRECONDITION when it is not installed.
 */
export async function installed<Module>(name: string, load: () => Module | Promise<Module>): Promise<Module> {
  try {
    return await load();
  } catch (cause) {
    throw new TroupeError(
      'FAILED_PRECONDITION',
      'PACKAGE_MISSING',
      `this agent needs the package "${name}"; run "npm install ${name}" on its node`,
      { cause },
    );
  }
}
