/** What a tenant is shown, as a property of the code that decides it. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Principal } from '../../src/api/principal.js';
import { visibleTo } from '../../src/api/tenancy.js';
import { listVms } from '../../src/api/vms.js';
import { catalogueDouble } from '../../src/sim/catalogue/catalogue.js';
import { TESTER } from '../support/callers.js';

/** Names that begin alike, so that a prefix shows. */
const name = fc.constantFrom('a', 'ab', 'b');
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join(':'));

interface ShownVms {
  readonly items: readonly { readonly id: string }[];
}

const PAGE = 100;

interface Parts {
  readonly visible?: typeof visibleTo;
  /** As whom the list takes whoever asks. */
  readonly seenAs?: (principal: Principal) => Principal;
}

const tenantOf = (own: string): Principal => ({
  who: 'tenant',
  actor: { kind: 'token', id: 't', name: 't' },
  path: own,
  hostId: null,
});

/** Name by name, and not letter by letter. */
function isOwn(path: string, own: string): boolean {
  const names = path.split(':');
  return own.split(':').every((one, at) => names[at] === one);
}

/** S19: a tenant sees what lies at or below its path, all of it, and nothing else. */
export const tenantsSeeTheirOwn = ({ visible = visibleTo, seenAs = (who) => who }: Parts = {}) =>
  fc.asyncProperty(fc.array(path, { maxLength: 8 }), path, async (paths, own) => {
    const principal = tenantOf(own);
    for (const one of paths) assert.equal(visible(principal, one), isOwn(one, own), one);
    const { catalogue } = catalogueDouble({ clock: { now: () => 0 }, newId: () => 'key' });
    for (const [at, one] of paths.entries()) await catalogue.enqueueVm(arrivalOf(`vm-${at}`, one));
    const call = { query: { limit: PAGE }, principal: seenAs(principal) };
    const answer = await listVms(call as Parameters<typeof listVms>[0], { catalogue } as never);
    const { items } = ('json' in answer ? answer.json : { items: [] }) as ShownVms;
    const ids = paths.flatMap((one, at) => (isOwn(one, own) ? [`vm-${at}`] : []));
    assert.deepEqual(items.map(({ id }) => id).sort(), ids.sort());
  });

const arrivalOf = (id: string, path: string) => ({
  spec: {
    id,
    name: id,
    path,
    resources: { cpu: 1 },
    image: null,
    users: [],
    constraints: {},
    onHostLoss: 'keep' as const,
  },
  requestHash: 'hash',
  strategy: null,
  waitMs: 1_000,
  by: TESTER,
});
