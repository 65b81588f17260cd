/** A ledger that falls silent in the middle of a batch: who waits behind it does not wait again. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createRequestOf } from '../../src/control/create-vm.js';
import type { Ports } from '../../src/control/ports.js';
import { Scheduler } from '../../src/control/scheduler.js';
import { DomainError } from '../../src/model/errors.js';
import type { PlacementTurn } from '../../src/model/ports.js';
import { cosine } from '../../src/placement/cosine.js';
import type { HostTable } from '../../src/placement/host-table.js';
import { weightsOf } from '../../src/placement/strategy.js';
import { tester } from '../support/callers.js';
import { ControlFixture, eventually } from './control-fixture.js';

const SMALL = { cpu: 1, memory: 100, disk: 100 };
const ROOMY = { cpu: 16, memory: 10_000, disk: 10_000 };

type Turn = PlacementTurn<HostTable>;

/** Makes turns whose bookings, and whose ends, are not answered until they time out. */
class SilentTurns {
  isSilent = false;
  opened = 0;
  #pending: (() => void)[] = [];

  /** Calls that wait for an answer. */
  get pending(): number {
    return this.#pending.length;
  }

  timeOut(): void {
    for (const fail of this.#pending.splice(0)) fail();
  }

  over({ ledger }: Ports): Partial<Ports> {
    return {
      ledger: new Proxy(ledger, {
        get: (target, key) => {
          if (key === 'openTurn') return async () => this.#muffled(await target.openTurn());
          const value: unknown = Reflect.get(target, key, target);
          return typeof value === 'function' ? (value.bind(target) as unknown) : value;
        },
      }),
    };
  }

  #muffled(turn: Turn): Turn {
    this.opened += 1;
    return {
      get fleet() {
        return turn.fleet;
      },
      get epoch() {
        return turn.epoch;
      },
      get isWanted() {
        return turn.isWanted;
      },
      catchUp: () => turn.catchUp(),
      book: (bookings) => (this.isSilent ? this.#silence() : turn.book(bookings)),
      end: async () => {
        if (this.isSilent) await this.#silence().catch(() => undefined);
        await turn.end();
      },
    };
  }

  #silence(): Promise<never> {
    return new Promise((_resolve, reject) => {
      this.#pending.push(() => {
        reject(new DomainError('ledger_unavailable', 'The ledger does not answer.'));
      });
    });
  }
}

describe('a ledger that falls silent while it books', () => {
  let fixture: ControlFixture;
  const silent = new SilentTurns();
  beforeEach(async () => {
    fixture = await ControlFixture.start();
  });
  afterEach(async () => {
    silent.isSilent = false;
    silent.timeOut();
    await fixture.stop();
  });

  it('is waited for once by all who wait, and answers the next again', async () => {
    const replica = await fixture.replica();
    await fixture.host(replica, 'oak', ROOMY);
    const ports = { ...replica.ports, ...silent.over(replica.ports) };
    const settings = { queueMax: 10, batchMax: 8, holdMs: 200, deadlineMs: 60_000 };
    const ranking = { strategy: cosine, weights: weightsOf({}) };
    const scheduler = new Scheduler(ports, { ranking, ...settings }, () => undefined);
    const request = await createRequestOf(ports, { resources: SMALL }, tester);
    // It waits in line as soon as this returns.
    const submit = () =>
      scheduler.submit({ ...request, spec: { ...request.spec, id: randomUUID() } }).then(
        ({ kind }) => kind,
        (error: unknown) => (error instanceof DomainError ? error.code : String(error)),
      );
    const aCallWaits = () =>
      eventually('a call to wait', () => Promise.resolve(silent.pending === 1));

    silent.isSilent = true;
    const first = submit();
    await aCallWaits();
    const behind = [submit(), submit()];
    silent.timeOut();
    expect(await Promise.all([first, ...behind])).toEqual(Array(3).fill('ledger_unavailable'));
    // The lock is being given back now, which is not answered either.
    await aCallWaits();
    const late = submit();
    silent.isSilent = false;
    silent.timeOut();
    expect(await late).toBe('ledger_unavailable');
    expect(silent.opened).toBe(1);
    expect(await submit()).toBe('placed');
    await scheduler.stop();
  });
});
