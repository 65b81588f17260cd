/** Room that is held for later: taken by a create, given back by its end, and never lost or doubled. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Ports } from '../../src/control/ports.js';
import { DomainError } from '../../src/model/errors.js';
import { tester } from '../support/callers.js';
import { ControlFixture, eventually, settled, type TestReplica } from './control-fixture.js';

const SMALL = { cpu: 1, memory: 100, disk: 100 };
/** Room for exactly three of `SMALL`. */
const TIGHT = { cpu: 16, memory: 340, disk: 10_000 };
const HOUR_S = 3_600;

describe('reservations', () => {
  let fixture: ControlFixture;
  let replica: TestReplica;
  beforeEach(async () => {
    fixture = await ControlFixture.start();
    replica = await fixture.replica();
  });
  afterEach(() => fixture.stop());

  const reserve = (resources = SMALL, expiresInS = HOUR_S, by = replica) =>
    by.control.reserve({ resources, expiresInS }, tester);
  const create = (reservation?: string, resources = SMALL, by = replica) =>
    by.control.createVm(
      { resources, ...(reservation === undefined ? {} : { reservation }) },
      tester,
    );

  it('hold room against everybody, in every replica, and give it back when they end', async () => {
    const other = await fixture.replica();
    await fixture.host(replica, 'oak', TIGHT);
    const held = await reserve({ ...SMALL, memory: 300 });
    expect(held).toMatchObject({ purpose: 'held', host: { name: 'oak' } });
    await expect(create(undefined, SMALL, other)).rejects.toMatchObject({
      code: 'no_feasible_host',
    });
    await replica.control.endReservation(held.id, tester);
    await expect(replica.control.endReservation(held.id, tester)).rejects.toMatchObject({
      code: 'not_found',
    });
    await expect(create(undefined, SMALL, other)).resolves.toMatchObject({
      host: { name: 'oak' },
    });
    await expectBooksToAgree(replica, { cpu: 1, memory: 100, disk: 100 });
  });

  it('are consumed by one create, which gets their host, and what is left over is free', async () => {
    await fixture.host(replica, 'oak', TIGHT);
    const held = await reserve({ ...SMALL, memory: 300 });
    const answers = await Promise.allSettled([create(held.id), create(held.id)]);
    expect(answers.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const refused = answers.find(({ status }) => status === 'rejected') as PromiseRejectedResult;
    expect(refused.reason).toMatchObject({
      code: 'invalid_request',
      errors: [{ field: 'reservation' }],
    });
    expect(await replica.ports.catalogue.reservation(held.id)).toBeNull();
    await create();
    await create();
    await expect(create()).rejects.toMatchObject({ code: 'no_feasible_host' });
    await expectBooksToAgree(replica, { cpu: 3, memory: 300, disk: 300 });
  });

  it('say what does not fit them', async () => {
    const agent = await fixture.host(replica, 'oak', TIGHT);
    await fixture.host(replica, 'elm', TIGHT);
    const { id, host } = await replica.control.reserve(
      { resources: SMALL, expiresInS: HOUR_S, constraints: { host: 'oak' } },
      tester,
    );
    expect(host.id).toBe(agent.contact().hostId);
    await expect(create(id, { cpu: 2, memory: 101, disk: 100 })).rejects.toMatchObject({
      code: 'invalid_request',
      errors: [{ field: 'resources.cpu' }, { field: 'resources.memory' }],
    });
    await expect(
      replica.control.createVm(
        { resources: SMALL, reservation: id, constraints: { host: 'elm' } },
        tester,
      ),
    ).rejects.toMatchObject({ errors: [{ field: 'constraints.host' }] });
    expect(await replica.ports.catalogue.reservation(id)).not.toBeNull();
  });

  it('end by themselves when their time is over', async () => {
    await fixture.host(replica, 'oak', TIGHT);
    const held = await reserve({ ...SMALL, memory: 300 }, 1);
    await eventually('its end', async () => {
      return (await replica.ports.catalogue.reservation(held.id)) === null;
    });
    await eventually('room', () => create().then(Boolean, () => false));
    await expectBooksToAgree(replica, SMALL);
  });

  it('stand in a ledger that is rebuilt', async () => {
    const agent = await fixture.host(replica, 'oak', TIGHT);
    const held = await reserve({ ...SMALL, memory: 200 });
    const report = await replica.control.rebuild({ dryRun: false }, tester);
    expect(report.hosts).toEqual([expect.objectContaining({ driftAfter: {} })]);
    const totals = await replica.ports.ledger.totals();
    expect(totals.get(agent.contact().hostId)).toMatchObject({ memory: 200 });
    await settled(replica.control, await create(held.id));
    await expectBooksToAgree(replica, SMALL);
  });

  it('come back when the VM that was to have their room is lost on its way to the catalogue', async () => {
    let lose = false;
    const losing = await fixture.replica((ports) => ({
      catalogue: {
        ...ports.catalogue,
        record: (...args: Parameters<Ports['catalogue']['record']>) =>
          lose
            ? Promise.reject(new DomainError('catalogue_unavailable', 'lost'))
            : ports.catalogue.record(...args),
      },
    }));
    await fixture.host(replica, 'oak', TIGHT);
    const held = await reserve({ ...SMALL, memory: 300 }, HOUR_S, losing);
    lose = true;
    await expect(create(held.id, SMALL, losing)).rejects.toMatchObject({
      code: 'catalogue_unavailable',
    });
    await expectBooksToAgree(replica, { ...SMALL, memory: 300 });
    lose = false;
    await eventually('the create', () => create(held.id, SMALL, losing).then(Boolean, () => false));
    await expectBooksToAgree(replica, SMALL);
  });

  it('come back when the catalogue refuses the VM that was to have their room', async () => {
    await fixture.host(replica, 'oak', TIGHT);
    const held = await reserve({ ...SMALL, memory: 300 });
    // The catalogue knows of the cordon, the ledger does not.
    await replica.ports.catalogue.patchHost(
      'oak',
      { mode: { mode: 'cordoned', reason: 'test', owner: null, endsInMs: null } },
      tester.actor,
    );
    await expect(create(held.id)).rejects.toMatchObject({
      code: expect.stringMatching(/^(ledger_rebuilding|no_feasible_host)$/) as unknown,
    });
    await expectBooksToAgree(replica, { ...SMALL, memory: 300 });
    expect(await replica.ports.catalogue.reservation(held.id)).not.toBeNull();
  });
});

/** Ledger and catalogue come to have the same booked on the one host. */
async function expectBooksToAgree(
  { ports }: TestReplica,
  booked: Readonly<Record<string, number>>,
): Promise<void> {
  const { hosts } = await ports.catalogue.snapshot();
  expect(hosts).toHaveLength(1);
  const [host] = hosts;
  expect(host?.allocated).toEqual(booked);
  await eventually('books that agree', async () => {
    const { incarnation } = await ports.ledger.state();
    const sums = (await ports.ledger.totals()).get(host?.id ?? '') ?? {};
    return (
      incarnation !== null &&
      Object.keys({ ...sums, ...booked }).every((name) => (sums[name] ?? 0) === booked[name])
    );
  });
}
