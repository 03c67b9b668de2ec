import type { OutgoingEnvelope } from './envelope-writer.js';

/** Whether a content has more than so many bytes, roughly: JSON is not encoded for that. */
export function isLargerThan(bytes: number, content: OutgoingEnvelope['content']): boolean {
  if (content === undefined) return false;
  if (!('kind' in content)) return content.length > bytes;
  switch (content.kind) {
    case 'text':
      return content.text.length > bytes;
    case 'data':
      return content.data.length > bytes;
    case 'json':
      return spend(content.json, { bytes });
    case 'empty':
      return false;
  }
}

/** JSON is measured by encoding it, which happens once, when it is written: what has few values and short texts is small. */
function spend(value: unknown, left: { bytes: number }): boolean {
  left.bytes -= typeof value === 'string' ? value.length + 4 : 12;
  if (left.bytes < 0) return true;
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value)) return value.some((item) => spend(item, left));
  for (const [key, item] of Object.entries(value)) {
    left.bytes -= key.length;
    if (spend(item, left)) return true;
  }
  return false;
}
