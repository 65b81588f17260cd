/**
 * What a tenant may see and ask. It knows its own VMs and nothing of the fleet below them: no host,
 * no neighbour, no count. Whatever shows VMs to tenants asks here.
 */
import { DomainError, type FieldError } from '../model/errors.js';
import { isAtOrBelow } from '../model/path.js';
import type { Vm } from '../model/vm.js';
import type { CreateVmBody, VmBody } from '../wire/vms.js';
import type { Principal } from './principal.js';

/** Whether what lies at this path may be shown to, and changed by, whoever asks. */
export const visibleTo = ({ path: own }: Principal, path: string): boolean =>
  own === null || isAtOrBelow(path, own);

/** The VM, if whoever asks may know of it; the answer is the same as for one that is not there. */
export function visibleVm(principal: Principal, vm: Vm | null, id: string): Vm {
  if (vm !== null && visibleTo(principal, vm.path)) return vm;
  throw new DomainError('not_found', `There is no VM ${id}.`);
}

/** A tenant need not say its path, and may not say another's. @throws DomainError `forbidden` */
export function pathWithin(
  { path: own }: Principal,
  given: string | undefined,
): string | undefined {
  if (own === null || given === undefined) return given ?? own ?? undefined;
  if (isAtOrBelow(given, own)) return given;
  const message = `must be ${own} or lie below it`;
  throw new DomainError('forbidden', `This token is for ${own} only.`, {
    errors: [{ field: 'path', message }],
  });
}

/** What only those may ask for who know the fleet, by field of a create. */
const FOR_OPERATORS: readonly (readonly [field: string, message: string])[] = [
  ['id', 'only operators choose ids; use an Idempotency-Key'],
  ['strategy', 'is for operators only'],
  ['reservation', 'is for operators only'],
  ['constraints.host', 'is for operators only'],
  ['constraints.exclude', 'is for operators only'],
];

/**
 * A create as whoever asks may ask for it, with the tenant's path where none is said.
 * @throws DomainError `invalid_request`, `forbidden`
 */
export function createAs<Body extends Partial<CreateVmBody>>(
  principal: Principal,
  body: Body,
): Body & { readonly path?: string | undefined } {
  if (principal.path === null) return body;
  const errors = FOR_OPERATORS.filter(([field]) => memberAt(body, field) !== undefined).map(
    ([field, message]): FieldError => ({ field, message }),
  );
  if (errors.length > 0) {
    throw new DomainError('invalid_request', 'Some fields are not valid; see errors.', { errors });
  }
  return { ...body, path: pathWithin(principal, body.path) };
}

const memberAt = (body: object, field: string): unknown =>
  field
    .split('.')
    .reduce<unknown>(
      (value, name) =>
        typeof value === 'object' && value !== null
          ? (value as Readonly<Record<string, unknown>>)[name]
          : undefined,
      body,
    );

/** @throws DomainError `forbidden` when a tenant asks by something that it may not know of */
export function refuseToTenants({ path }: Principal, asked: unknown, field: string): void {
  if (path === null || asked === undefined) return;
  throw new DomainError('forbidden', 'Hosts are not shown to tenants.', {
    errors: [{ field, message: 'is for operators only' }],
  });
}

/** Details may name hosts and what is on them. */
export const REASON_DETAIL = 'The operators of Berth can tell more; give them the id of the VM.';

/** What names hosts: an operator may have said where a VM of the tenant is to run, and where not. */
const HOST_RULES: readonly string[] = ['host', 'exclude'];

/** Constraints as a tenant may see them. */
export const withoutHosts = <Rules extends object>(rules: Rules): Omit<Rules, 'host' | 'exclude'> =>
  Object.fromEntries(Object.entries(rules).filter(([name]) => !HOST_RULES.includes(name))) as Omit<
    Rules,
    'host' | 'exclude'
  >;

/** A VM as whoever asks may see it. */
export function vmBodyFor({ path: own }: Principal, body: VmBody): VmBody {
  if (own === null) return body;
  return {
    ...body,
    host: null,
    allocation: null,
    attempts: [],
    constraints: withoutHosts(body.constraints),
    reason: body.reason === null ? null : { code: body.reason.code, detail: REASON_DETAIL },
  };
}

/** Members of problem documents that say nothing of the fleet. */
const HARMLESS: readonly string[] = ['state', 'desiredState', 'allow', 'accepted'];

/** A failure as whoever asked may hear of it. */
export function errorFor({ path: own }: Principal, error: DomainError): DomainError {
  if (own === null) return error;
  const { code, message, internal, errors, extra, retryAfterS, cause, status } = error;
  const kept = Object.entries(extra).filter(([name]) => HARMLESS.includes(name));
  return new DomainError(code, status === 502 ? 'The host of the VM did not do it.' : message, {
    extra: Object.fromEntries(kept),
    ...(internal === undefined ? {} : { internal }),
    ...(errors === undefined ? {} : { errors }),
    ...(retryAfterS === undefined ? {} : { retryAfterS }),
    ...(cause === undefined ? {} : { cause }),
  });
}
