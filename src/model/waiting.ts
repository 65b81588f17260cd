/** What a create that no host can take is to do. */

/** `refuse`: say so at once. `queue`: wait in line until there is room. */
export const WHEN_FULL = ['refuse', 'queue'] as const;
export type WhenFull = (typeof WHEN_FULL)[number];

/** Longest wait for room, in seconds: a week. */
export const WAITING_DEADLINE_S_MAX = 7 * 24 * 60 * 60;
