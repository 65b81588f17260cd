/** The audit log: who did what to which thing, with the facts before and after. Holds no secret. */
import type { Actor } from './actor.js';

export const AUDIT_ACTIONS = [
  'vm.create',
  'vm.delete',
  'vm.start',
  'vm.stop',
  'host.join',
  'host.patch',
  'host.cordon',
  'host.drain',
  'host.fence',
  'host.unfence',
  'host.retire',
  'image.add',
  'image.remove',
  'reservation.create',
  'reservation.delete',
  'token.create',
  'token.revoke',
  'ledger.rebuild',
  'breaker.open',
  'breaker.close',
  'orphan.adopt',
  'orphan.destroy',
  'books.repair',
] as const;
export type AuditAction = (typeof AUDIT_ACTIONS)[number];

/** What something looked like, as JSON. */
export type Facts = Readonly<Record<string, unknown>>;

export interface AuditSubject {
  /** vm, host, image, reservation, token, orphan, ledger, fleet. */
  readonly kind: string;
  readonly id: string;
  /** Where it lies, for what has a path. */
  readonly path?: string | null;
}

export interface AuditEntry {
  readonly id: number;
  readonly at: Date;
  readonly actor: Actor;
  readonly action: string;
  readonly subject: AuditSubject;
  /** null: it was not there before. */
  readonly before: Facts | null;
  /** null: it is not there any more. */
  readonly after: Facts | null;
}
