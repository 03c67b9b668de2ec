/** How urgent a task is, the least urgent first. */
export const PRIORITIES = ['low', 'normal', 'high', 'critical'] as const;

export type Priority = (typeof PRIORITIES)[number];

/** Grows with urgency, from 0. */
export const PRIORITY_RANKS: Readonly<Record<Priority, number>> = { low: 0, normal: 1, high: 2, critical: 3 };
