import { defineAgent } from 'troupe';

const MAX_NOTES = 100;

/** Keeps notes: what it is sent, and what is broadcast about orders. Asked, it tells those that hold a text. */
export default defineAgent({
  kind: 'notes',
  description: 'Keeps notes of what it is sent, and of orders',
  capabilities: ['note_taking'],
  topics: ['orders.*'],
  start: () => [],
  receive: (message, ctx) => {
    const notes = ctx.state;
    if (message.kind === 'request') {
      const { search = '' } = message.payload.kind === 'empty' ? {} : message.json();
      return { notes: notes.filter((note) => note.includes(search)) };
    }
    notes.push(message.topic === '' ? message.text() : `${message.topic}: ${message.text()}`);
    if (notes.length > MAX_NOTES) notes.shift();
  },
  run: (_task, ctx) => ({ notes: ctx.state }),
});
