/** What clients ask beside VMs: requests by key, tokens, questions. */
import type { Ports } from '../../../control/ports.js';
import type { Control } from '../../../control/control.js';
import { DomainError } from '../../../model/errors.js';
import { hashOf } from '../../../std/secret.js';
import type { Journey } from '../journey.js';
import { SMALL, type Stage } from '../stage.js';

const NAME = { scope: 'token:sim', key: 'key-1' };
const KEY_LEASE_MS = 1_000;

/** A create with an Idempotency-Key, as the API makes it: the id follows from the key. */
const keyed =
  (stage: Stage) =>
  async (control: Control, ports: Ports): Promise<string> => {
    const { catalogue } = ports;
    const lease = ports.newId();
    const begun = await catalogue.beginRequest(NAME, 'create', lease, KEY_LEASE_MS);
    if (begun.kind === 'answered') return begun.answer.text;
    if (begun.kind !== 'begun') throw new DomainError('overloaded', 'Again, later.');
    const id = `vm-${hashOf(begun.seed).slice(0, 8)}`;
    await catalogue.extendRequest(NAME, lease, KEY_LEASE_MS).catch(() => undefined);
    try {
      await control.createVm({ id, resources: SMALL }, stage.caller);
    } catch (error) {
      await catalogue.reopenRequest(NAME, lease).catch(() => undefined);
      throw error;
    }
    await catalogue.keepAnswer(NAME, lease, { status: 202, text: id }).catch(() => undefined);
    return id;
  };

async function onlyOneVm(stage: Stage): Promise<void> {
  const { items } = await stage.world.catalogue.vms({ limit: 10, cursor: null });
  stage.expect(items.length === 1, () => `one key made ${items.length.toString()} VMs`);
}

export const REQUESTS: readonly Journey[] = [
  {
    name: 'idempotency-key',
    hosts: 1,
    run: async (stage) => {
      const first = await stage.must('create by key', keyed(stage));
      const second = await stage.must('create by key', keyed(stage));
      stage.expect(first === second, () => 'one key has two answers');
      if (first !== null) stage.world.auditor.accept(first);
    },
    check: onlyOneVm,
  },
  {
    name: 'idempotency-key-reopened',
    hosts: 1,
    run: async (stage) => {
      stage.world.books.flush();
      const made = await stage.must('create by key', keyed(stage));
      if (made !== null) stage.world.auditor.accept(made);
    },
    check: onlyOneVm,
  },
  {
    name: 'idempotency-key-free-again',
    hosts: 1,
    run: async (stage) => {
      await stage.must('begin and forget', async (_control, ports) => {
        const { catalogue } = ports;
        const lease = ports.newId();
        const { kind } = await catalogue.beginRequest(NAME, 'wrong', lease, KEY_LEASE_MS);
        if (kind === 'in_progress') throw new DomainError('overloaded', 'Again, later.');
        await catalogue.forgetRequest(NAME, lease);
      });
      await stage.must('create by key', keyed(stage));
    },
  },
  {
    name: 'token',
    hosts: 1,
    run: async (stage) => {
      const made = await stage.must('make a token', (control) =>
        control.createToken({ name: 'ci', role: 'operator' }, stage.caller),
      );
      if (made === null) return;
      const { token, secret } = made;
      await stage.must('revoke it', (control) => control.revokeToken(token.id, stage.caller));
      const owner = await stage.must('use it', (_control, { catalogue }) =>
        catalogue.credential(hashOf(secret)),
      );
      stage.expect(owner === null, () => 'a revoked token opens a door');
    },
  },
  {
    name: 'questions',
    hosts: 1,
    run: async (stage) => {
      const request = { resources: SMALL, constraints: {}, path: 'root' };
      await stage.must('explain', (control) => control.explain(request));
      await stage.must('readiness', (control) => control.readiness());
    },
  },
];
