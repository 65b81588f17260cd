/** Which differences between ledger and catalogue are taken for real ones. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { driftChores } from '../../src/control/drift-chore.js';
import type { Ports } from '../../src/control/ports.js';
import { subtractResources } from '../../src/model/resources.js';
import { tester } from '../support/callers.js';
import { ControlFixture, settled, type TestReplica } from './control-fixture.js';

const SMALL = { cpu: 1, memory: 100, disk: 100 };
const ROOMY = { cpu: 16, memory: 10_000, disk: 10_000 };
const LEASE_MS = 15_000;

describe('ledger and catalogue compared by their sums', () => {
  let fixture: ControlFixture;
  let replica: TestReplica;
  beforeEach(async () => {
    fixture = await ControlFixture.start();
    replica = await fixture.replica();
    await fixture.host(replica, 'oak', ROOMY);
    await fixture.host(replica, 'elm', ROOMY);
    await create('oak');
    await create('elm');
  });
  afterEach(() => fixture.stop());

  const create = async (host: string) => {
    const input = { resources: SMALL, constraints: { host } };
    await settled(replica.control, await replica.control.createVm(input, tester));
  };

  /** A catalogue whose answer shows one VM less on each host, as one that was asked a moment early. */
  const lagging = (): Ports => {
    const { catalogue } = replica.ports;
    return {
      ...replica.ports,
      catalogue: {
        ...catalogue,
        bookedSums: async () => {
          const sums = await catalogue.bookedSums();
          return new Map([...sums].map(([id, sum]) => [id, subtractResources(sum, SMALL)]));
        },
      },
    };
  };

  function choreOf(ports: Ports) {
    const epochs: number[] = [];
    const [note, compare] = driftChores(ports, LEASE_MS, (epoch) => epochs.push(epoch));
    if (note === undefined || compare === undefined) throw new Error('there are two chores');
    return { look: () => compare.run(), note: () => note.run(), epochs };
  }

  it('asks for a rebuild when two looks find the same at a host where nothing happens', async () => {
    const { look, epochs } = choreOf(lagging());
    const { epoch } = await replica.ports.ledger.state();
    await look();
    expect(epochs).toEqual([]);
    await look();
    expect(epochs).toEqual([epoch]);
  });

  it('makes nothing of what changes between two looks, or during the second', async () => {
    const ports = lagging();
    const { look, epochs } = choreOf(ports);
    await look();
    await create('oak');
    await create('elm');
    await look();
    expect(epochs).toEqual([]);
    const { totals } = ports.ledger;
    ports.ledger.totals = async () => {
      const sums = await totals.call(ports.ledger);
      await create('oak');
      await create('elm');
      return new Map([...sums]);
    };
    await look();
    expect(epochs).toEqual([]);
  });

  it('asks for a rebuild for the quiet host, however busy another one is', async () => {
    const { look, epochs } = choreOf(lagging());
    await look();
    await create('oak');
    await look();
    expect(epochs).toHaveLength(1);
  });

  it('knows a quiet host from a busy one when more changes than are remembered', async () => {
    const ports = lagging();
    const { look, note, epochs } = choreOf(ports);
    await look();
    await create('oak');
    const fleet = await ports.ledger.view();
    const oak = fleet.rowOf(fleet.rowsCalled('oak').map((row) => fleet.factsAt(row).id)[0] ?? '');
    for (let times = 0; times < 2; times += 1) {
      for (let change = 0; change < 10_000; change += 1) fleet.changes.note(oak);
      await note();
    }
    await look();
    expect(epochs).toHaveLength(1);
  });

  it('judges nobody when changes were missed', async () => {
    const ports = lagging();
    const { look, epochs } = choreOf(ports);
    await look();
    const fleet = await ports.ledger.view();
    for (let change = 0; change < 20_000; change += 1) fleet.changes.note(0);
    await look();
    expect(epochs).toEqual([]);
    await look();
    expect(epochs).toHaveLength(1);
  });

  it('makes nothing of books that agree', async () => {
    const { look, epochs } = choreOf(replica.ports);
    await look();
    await look();
    expect(epochs).toEqual([]);
  });

  it('makes nothing of a ledger that was replaced between two looks', async () => {
    const { look, epochs } = choreOf(lagging());
    await look();
    await replica.control.rebuild({ dryRun: false }, tester);
    await look();
    expect(epochs).toEqual([]);
  });
});
