/** How an event is shown, and what of it a tenant may know. */
import type { Facts } from '../model/audit.js';
import type { FleetEvent } from '../model/events.js';
import type { Principal } from './principal.js';
import { REASON_DETAIL, withoutHosts } from './tenancy.js';

/** `vm.changed` is about a `vm`: under this name the facts travel. */
const nounOf = (kind: string): string => kind.slice(0, kind.indexOf('.'));

/** The body that stands behind `data:`; its schema is in wire/events.ts. */
export function eventBody(
  { key, at, kind, facts }: FleetEvent,
  { path }: Pick<Principal, 'path'>,
): Readonly<Record<string, unknown>> {
  const shown = path === null ? facts : factsForTenant(facts);
  return { id: key, at: at.toISOString(), kind, [nounOf(kind)]: shown };
}

/** As `vmBodyFor` shows VMs. */
const factsForTenant = (facts: Facts): Facts => ({
  ...facts,
  host: null,
  attempts: [],
  constraints: withoutHosts(Object(facts.constraints) as object),
  reason: reasonForTenant(facts.reason),
});

const reasonForTenant = (reason: unknown): Facts | null =>
  typeof reason === 'object' && reason !== null && 'code' in reason
    ? { code: reason.code, detail: REASON_DETAIL }
    : null;
