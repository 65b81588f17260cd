/**
 * Strategy `first-fit`: the host that was registered first, of those that can take the request.
 * Fills hosts one after another in an order that anybody can foretell; weights do not matter.
 *
 *   score = −seq    seq: the number of the host's registration
 */
import type { HostTable } from './host-table.js';
import type { Strategy } from './strategy.js';

export const firstFit: Strategy = {
  name: 'first-fit',
  sees: 'host',
  merit: 'of the hosts that fit it was registered first',
  score: (table: HostTable, row: number): number => 0 - (table.seq[row] ?? 0),
  addends: (...host) => ({ registration: firstFit.score(...host) }),
};
