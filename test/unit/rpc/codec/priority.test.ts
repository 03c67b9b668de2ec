import { describe, expect, it } from '@jest/globals';
import { PRIORITIES } from '../../../../src/core/priority.js';
import { Priority } from '../../../../src/gen/troupe/v1/task.js';
import { priorityFromMessage, priorityToMessage } from '../../../../src/rpc/codec/priority.js';

describe('Priority', () => {
  it.each(PRIORITIES)('%s comes through there and back', (priority) => {
    expect(priorityFromMessage(priorityToMessage(priority))).toBe(priority);
  });

  it('counts as normal when not given, and is not known of a newer contract', () => {
    expect(priorityToMessage(undefined)).toBe(Priority.PRIORITY_UNSPECIFIED);
    expect(priorityFromMessage(Priority.PRIORITY_UNSPECIFIED)).toBe('normal');
    expect(priorityFromMessage(17 as Priority)).toBeUndefined();
  });
});
