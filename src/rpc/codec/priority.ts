import type { Priority } from '../../core/priority.js';
import { Priority as Message } from '../../gen/troupe/v1/task.js';

const TO_MESSAGE: Readonly<Record<Priority, Message>> = {
  low: Message.PRIORITY_LOW,
  normal: Message.PRIORITY_NORMAL,
  high: Message.PRIORITY_HIGH,
  critical: Message.PRIORITY_CRITICAL,
};
const FROM_MESSAGE = new Map(Object.entries(TO_MESSAGE).map(([name, value]) => [value, name as Priority]));

export function priorityToMessage(priority: Priority | undefined): Message {
  return priority === undefined ? Message.PRIORITY_UNSPECIFIED : TO_MESSAGE[priority];
}

/** Normal for unspecified; undefined for one of a newer contract. */
export function priorityFromMessage(priority: Message): Priority | undefined {
  return priority === Message.PRIORITY_UNSPECIFIED ? 'normal' : FROM_MESSAGE.get(priority);
}
