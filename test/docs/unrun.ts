/** The blocks of documents that the test of commands does not run: the first line of each. Why, the document says beside it. */
export const UNRUN: Readonly<Record<string, readonly string[]>> = {
  'README.md': ['make demo     # installs, builds, and shows a cluster of separate processes at work on this machine'],
  'docs/guides/agents.md': ['npm install ../troupe'],
  'docs/guides/messaging.md': [
    '{"hello": {"agent_id": "notes-1", "capabilities": ["notes"], "topics": ["orders.*"], "concurrency": 4, "grace": "10s"}}',
    '{"hello": {"resume_token": "…", "received": 17}}',
    "const agent = await connect('127.0.0.1:8080').attachAgent({",
  ],
};
