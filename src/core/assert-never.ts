/** Ends a `switch` over a union: a missing case fails to compile, and throws should one arrive all the same. */
export function assertNever(value: never): never {
  throw new Error(`unexpected value: ${JSON.stringify(value)}`);
}
