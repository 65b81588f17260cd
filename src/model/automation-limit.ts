/** How much of the fleet Berth may take out of service by itself. One rule for all automation. */

/** Of all hosts that are not retired. */
const SHARE_MAX = 0.1;

/** Within this time no more hosts than may be closed at once are closed. */
export const BURST_MS = 60_000;

/** Hosts that automation may have closed at any one time. */
export const closedMax = (hosts: number): number => Math.max(1, Math.floor(hosts * SHARE_MAX));

/**
 * Hosts that automation may close now.
 * @param closed by automation, and closed still
 * @param lately closed by automation within BURST_MS, even if they are open again
 */
export const mayClose = (hosts: number, closed: number, lately: number): number =>
  Math.max(0, closedMax(hosts) - Math.max(closed, lately));
