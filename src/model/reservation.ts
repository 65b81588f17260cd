/** Room held on a host without a VM: asked for by somebody for later, or by a move on its way. */
import type { Constraints } from './constraints.js';
import type { Resources } from './resources.js';

/** No VM may have such an id: reservations and VMs book under their ids side by side. */
export const RESERVATION_PREFIX = 'rsv-';

export interface Reservation {
  readonly id: string;
  readonly name: string;
  readonly path: string;
  readonly purpose: 'held' | 'move';
  readonly resources: Resources;
  readonly constraints: Constraints;
  readonly host: { readonly id: string; readonly name: string };
  readonly bookingId: string;
  /** When it ends by itself; null for a move, which ends it. */
  readonly until: Date | null;
  readonly createdAt: Date;
}
