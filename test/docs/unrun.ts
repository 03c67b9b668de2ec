/** The blocks of documents that the test of commands does not run: the first line of each. Why, the document says beside it. */
export const UNRUN: Readonly<Record<string, readonly string[]>> = {
  'README.md': ['make demo     # installs, builds, and shows a cluster of separate processes at work on this machine'],
};
