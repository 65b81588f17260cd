/** Replicas that look at one fleet, each with a view of its own; in virtual time, on the doubles. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import { HealthLoop } from '../../src/control/health-loop.js';
import type { Ports } from '../../src/control/ports.js';
import { watchRules } from '../../src/model/fleet-breaker.js';
import type { Catalogue } from '../../src/model/ports.js';
import { flappingRule } from '../../src/model/stores/fleet-watch.js';
import { catalogueDouble } from '../../src/sim/catalogue/catalogue.js';
import { LedgerBooks } from '../../src/sim/ledger-books.js';
import { createLedgerDouble } from '../../src/sim/ledger-double.js';
import { directly } from '../../src/sim/link.js';
import { VirtualClock } from '../../src/sim/virtual-clock.js';
import { joinRequest, LARGE, placedVm, totalsWith } from '../catalogue/builders.js';
import { tester, TESTER } from '../support/callers.js';
import { silentLog } from '../support/log.js';
import { changed } from '../sim/changed.js';

const PERIOD_MS = 10_000;
const DEADLINE_MS = 1_000;
const SLOTS = 16;

/** A replica as far as it looks at hosts. */
interface Looker {
  readonly loop: HealthLoop;
  /** Whether it reaches no agent. */
  isDeaf: boolean;
  /** How long it stands still when an agent has answered, once. */
  standsMs: number;
  /** Whether VMs are placed all the time. */
  isPlacing: boolean;
  asked: number;
  readonly counted: string[];
}

describe('looks at the fleet', () => {
  let clock: VirtualClock;
  let catalogue: Catalogue;
  let books: LedgerBooks;
  let silent: Set<string>;
  let reports: number;
  let ids: number;
  const newId = () => `00000000-0000-4000-8000-${(ids += 1).toString(16).padStart(12, '0')}`;

  beforeEach(() => {
    clock = new VirtualClock();
    ids = 0;
    reports = 0;
    silent = new Set();
    catalogue = catalogueDouble({ clock, newId }).catalogue;
    books = new LedgerBooks(() => clock.now());
  });

  async function fleet(size: number): Promise<string[]> {
    const hosts: string[] = [];
    for (let at = 0; at < size; at += 1) {
      hosts.push((await catalogue.joinHost(joinRequest(), TESTER)).id);
    }
    return hosts;
  }

  /** At the same instants on every replica, as the real one. */
  const schedule: Ports['schedule'] = (_name, periodS, tick) => {
    const toNext = () => periodS * 1_000 - (clock.monotonic() % (periodS * 1_000));
    const next = () => {
      void tick();
      timer = clock.at(toNext(), next);
    };
    let timer = clock.at(toNext(), next);
    return {
      stop() {
        timer.cancel();
        return Promise.resolve();
      },
    };
  };

  function looker(change: Partial<Catalogue> = {}): Looker {
    const status = async (hostId: string) => {
      made.asked += 1;
      if (made.standsMs > 0) {
        await clock.sleep(made.standsMs);
        throw new Error('it took too long');
      }
      if (made.isDeaf || silent.has(hostId)) {
        await clock.sleep(DEADLINE_MS);
        throw new Error('no answer');
      }
      await clock.sleep(5);
      reports += 1;
      const totals = totalsWith(LARGE);
      return { hostId, version: '1', bootId: 'boot-1', report: reports, totals, used: {}, vms: [] };
    };
    const ports: Ports = {
      ledger: createLedgerDouble({ books, link: directly, clock, newId, random: () => 0.5 }),
      catalogue: changed(catalogue, change),
      agents: changed({} as Ports['agents'], { status: ({ hostId }) => status(hostId) }),
      clock,
      log: silentLog,
      telemetry: {
        count: (name, labels = {}) => made.counted.push([name, ...Object.values(labels)].join(' ')),
        observe: () => undefined,
      },
      newId,
      random: () => 0.5,
      schedule,
      checkpoint: () => undefined,
    };
    const settings = {
      periodS: PERIOD_MS / 1_000,
      concurrencyMax: SLOTS,
      onMissing: 'mark',
      breaker: watchRules(PERIOD_MS / 1_000, DEADLINE_MS, { share: 0.3, hostsMin: 3 }),
      flapping: flappingRule({ changesMax: 6, windowS: 3_600, cordonS: 3_600 }),
    } as const;
    const beside = { onVmsChanged: () => undefined, isPlacing: () => made.isPlacing };
    const loop = new HealthLoop(ports, settings, newId(), beside);
    const made: Looker = {
      loop,
      isDeaf: false,
      standsMs: 0,
      isPlacing: false,
      asked: 0,
      counted: [],
    };
    return made;
  }

  const pass = (periods: number) => clock.runUntil(clock.monotonic() + periods * PERIOD_MS);
  const states = async (hosts: readonly string[]) =>
    Promise.all(hosts.map(async (id) => (await catalogue.host(id))?.state));
  const times = ({ counted }: Looker, what: string) =>
    counted.filter((line) => line === what).length;
  const all = <T>(hosts: readonly string[], state: T): T[] => hosts.map(() => state);

  /** Ready, with every host up. */
  async function started(size: number, ...lookers: readonly Looker[]): Promise<string[]> {
    const hosts = await fleet(size);
    for (const { loop } of lookers) loop.start();
    await pass(1.5);
    expect(await states(hosts)).toEqual(all(hosts, 'up'));
    return hosts;
  }

  it('leaves them to a replica that hears the hosts when it hears none itself', async () => {
    const [cutOff, well] = [looker(), looker()];
    const hosts = await started(10, cutOff, well);
    cutOff.isDeaf = true;
    await pass(1);
    expect(times(cutOff, 'berth_breaker_changes_total open')).toBe(1);
    expect((await catalogue.fleetWatch()).isOpen).toBe(true);
    await pass(1);
    expect(times(well, 'berth_breaker_changes_total closed')).toBe(1);
    const { asked } = cutOff;
    for (let period = 0; period < 10; period += 1) {
      await pass(1);
      expect(await states(hosts)).toEqual(all(hosts, 'up'));
    }
    // It does not even try, as long as somebody else looks.
    expect(cutOff.asked).toBe(asked);
    expect(times(cutOff, 'berth_breaker_changes_total open')).toBe(1);

    cutOff.isDeaf = false;
    await well.loop.stop();
    await pass(2);
    expect(cutOff.asked).toBeGreaterThan(asked);
    expect(await states(hosts)).toEqual(all(hosts, 'up'));
    await cutOff.loop.stop();
  });

  it('leaves them to one that comes later', async () => {
    const [cutOff, late] = [looker(), looker()];
    const hosts = await started(10, cutOff);
    cutOff.isDeaf = true;
    await pass(4);
    expect((await catalogue.fleetWatch()).isOpen).toBe(true);
    late.loop.start();
    await pass(1);
    expect(await states(hosts)).toEqual(all(hosts, 'up'));
  });

  it('leaves them so in a fleet too small for the breaker', async () => {
    const [cutOff, well] = [looker(), looker()];
    const hosts = await started(1, cutOff, well);
    cutOff.isDeaf = true;
    for (let period = 0; period < 10; period += 1) {
      await pass(1);
      expect(await states(hosts)).not.toContain('down');
    }
    expect(await states(hosts)).toEqual(['up']);
  });

  it('goes on alone when nobody else is there, and hosts that are lost go down', async () => {
    const only = looker();
    const hosts = await started(2, only);
    for (const host of hosts) silent.add(host);
    await pass(4);
    expect(await states(hosts)).toEqual(['down', 'down']);
  });

  it('makes nobody down while all are missing, and has them back within two periods', async () => {
    const [one, other] = [looker(), looker()];
    const hosts = await started(10, one, other);
    for (const host of hosts) silent.add(host);
    await pass(2);
    expect((await catalogue.fleetWatch()).isOpen).toBe(true);
    await pass(20);
    expect(await states(hosts)).toEqual(all(hosts, 'suspect'));
    silent.clear();
    await pass(2);
    expect(await states(hosts)).toEqual(all(hosts, 'up'));
    expect((await catalogue.fleetWatch()).isOpen).toBe(false);
    const modes = await Promise.all(hosts.map(async (id) => (await catalogue.host(id))?.mode));
    expect(modes).toEqual(all(hosts, 'enabled'));
  });

  it('saves what hosts that are up answer while others hang, and judges only who is missing', async () => {
    const only = looker();
    const hosts = await started(10, only);
    const [lost = '', ...others] = hosts;
    silent.add(lost);
    // A tenth of a deadline into the next look.
    const lookMs = Math.ceil(clock.monotonic() / PERIOD_MS) * PERIOD_MS;
    await clock.runUntil(lookMs + DEADLINE_MS / 10);
    const seenAt = async (id: string) => (await catalogue.host(id))?.lastSeenAt?.getTime() ?? 0;
    for (const id of others)
      expect(await seenAt(id)).toBeGreaterThanOrEqual(clock.now() - DEADLINE_MS / 10);
    expect(await seenAt(lost)).toBeLessThan(clock.now() - DEADLINE_MS);
    expect(await states([lost])).toEqual(['up']);
    await pass(0.5);
    expect(await states(hosts)).toEqual(['suspect', ...all(others, 'up')]);
    expect(times(only, 'berth_looks_total judged')).toBe(3);
  });

  it('keeps a host that comes back until the look that it answered is judged', async () => {
    const only = looker();
    const hosts = await started(10, only);
    const [back = '', lost = ''] = hosts;
    silent.add(back);
    await pass(1);
    expect(await states([back])).toEqual(['suspect']);
    silent.delete(back);
    silent.add(lost);
    const lookMs = Math.ceil(clock.monotonic() / PERIOD_MS) * PERIOD_MS;
    await clock.runUntil(lookMs + DEADLINE_MS / 10);
    expect(await states([back])).toEqual(['suspect']);
    await pass(0.5);
    expect(await states([back, lost])).toEqual(['up', 'suspect']);
  });

  it('hears a fleet that joins at once, with few calls at a time, whoever hangs', async () => {
    let open = 0;
    let openMax = 0;
    let saves = 0;
    const only = looker({
      async contacts(hostId) {
        open += 1;
        openMax = Math.max(openMax, open);
        await clock.sleep(2);
        open -= 1;
        return catalogue.contacts(hostId);
      },
      async saveHostPolls(polls) {
        saves += 1;
        await clock.sleep(20);
        return catalogue.saveHostPolls(polls);
      },
    });
    const hosts = await fleet(500);
    const [hung, well] = [hosts.slice(0, 5), hosts.slice(5)];
    for (const host of hung) silent.add(host);
    const polled = Promise.all(hosts.map((host) => only.loop.pollHost(host)));
    await clock.runUntil(DEADLINE_MS / 2);
    expect(await states(well)).toEqual(all(well, 'up'));
    expect(await states(hung)).toEqual(all(hung, 'joining'));
    expect(openMax).toBe(SLOTS);
    expect(saves).toBeLessThan(hosts.length / 10);
    await clock.runUntil(2 * DEADLINE_MS);
    await polled;
    expect(await catalogue.contacts(hung[0])).toMatchObject([{ missedPolls: 1 }]);
  });

  it('tells each poll of a host whether it was saved', async () => {
    let away = true;
    const only = looker({
      saveHostPolls: (polls) =>
        away ? Promise.reject(new Error('away')) : catalogue.saveHostPolls(polls),
    });
    const hosts = await fleet(3);
    const poll = () => Promise.allSettled(hosts.map((host) => only.loop.pollHost(host)));
    const first = poll();
    await clock.runUntil(DEADLINE_MS);
    expect((await first).map(({ status }) => status)).toEqual(all(hosts, 'rejected'));
    away = false;
    const second = poll();
    await clock.runUntil(2 * DEADLINE_MS);
    expect((await second).map(({ status }) => status)).toEqual(all(hosts, 'fulfilled'));
    expect(await states(hosts)).toEqual(all(hosts, 'up'));
  });

  it('takes its time while VMs are placed, and finds who is lost all the same', async () => {
    const [busy, idle] = [looker(), looker()];
    const hosts = await started(200, busy, idle);
    busy.isPlacing = true;
    const [lost = ''] = hosts;
    silent.add(lost);
    await pass(4);
    expect(await states([lost])).toEqual(['down']);
    expect(await states(hosts.slice(1))).toEqual(all(hosts.slice(1), 'up'));
    for (const one of [busy, idle]) {
      expect(times(one, 'berth_looks_total stale') + times(one, 'berth_looks_total late')).toBe(0);
    }
    for (const host of hosts.slice(0, 100)) silent.add(host);
    await pass(2);
    expect((await catalogue.fleetWatch()).isOpen).toBe(true);
  });

  it('ends at once while a look gives way', async () => {
    const only = looker();
    await started(200, only);
    only.isPlacing = true;
    await clock.runUntil(Math.ceil(clock.monotonic() / PERIOD_MS) * PERIOD_MS + 300);
    const before = clock.monotonic();
    let endedAt = NaN;
    const stopped = only.loop.stop().then(() => {
      endedAt = clock.monotonic();
    });
    await pass(1);
    await stopped;
    expect(endedAt - before).toBeLessThan(DEADLINE_MS / 2);
  });

  it('drops the look of a replica that stood still while another one looked', async () => {
    const [paused, well] = [looker(), looker()];
    const hosts = await started(10, paused, well);
    paused.standsMs = 2.5 * PERIOD_MS;
    await pass(4);
    expect(times(paused, 'berth_looks_total stale')).toBe(1);
    expect(await states(hosts)).toEqual(all(hosts, 'up'));
    expect(await catalogue.fleetWatch()).toMatchObject({ isOpen: false, missing: 0 });
  });

  it('counts no miss of a look that was held up, and spares all for a while', async () => {
    const only = looker();
    const hosts = await started(5, only);
    only.standsMs = 2.5 * PERIOD_MS;
    await pass(3);
    only.standsMs = 0;
    silent.add(hosts[0] ?? '');
    expect(times(only, 'berth_looks_total late')).toBe(1);
    expect(await states(hosts)).toEqual(all(hosts, 'up'));
    expect((await catalogue.fleetWatch()).graceUntil).not.toBeNull();
    await pass(3);
    expect(await states(hosts)).toEqual(['suspect', 'up', 'up', 'up', 'up']);
    await pass(3);
    expect(await states(hosts)).toEqual(['down', 'up', 'up', 'up', 'up']);
  });

  it('takes nothing of a host that has answered somebody else before it is saved', async () => {
    let isStill = false;
    const still = () => clock.sleep(isStill ? 1.5 * PERIOD_MS : 0);
    const paused = looker({
      async saveHostPolls(polls) {
        await still();
        return catalogue.saveHostPolls(polls);
      },
    });
    const well = looker();
    const hosts = await started(5, paused);
    const [lost = ''] = hosts;
    const host = await catalogue.host(lost);
    if (host === null) throw new Error('it is gone');
    const vm = await placedVm(catalogue, host);
    silent.add(lost);
    await pass(2);
    expect(await catalogue.contacts(lost)).toMatchObject([{ state: 'suspect', missedPolls: 2 }]);
    isStill = true;
    await pass(0.6);
    silent.clear();
    well.loop.start();
    await pass(3);
    expect(await states(hosts)).toEqual(all(hosts, 'up'));
    expect((await catalogue.vm(vm.id))?.state).toBe('placed');
  });

  it('goes on where it was when the catalogue went away in the middle of a look', async () => {
    let failures = 0;
    const only = looker({
      saveHostPolls(polls) {
        failures -= 1;
        return failures < 0 ? catalogue.saveHostPolls(polls) : Promise.reject(new Error('away'));
      },
    });
    const hosts = await started(10, only);
    for (const host of hosts.slice(0, 6)) silent.add(host);
    failures = 3;
    await pass(5);
    expect((await catalogue.fleetWatch()).isOpen).toBe(true);
    expect(await states(hosts)).not.toContain('down');
    silent.clear();
    failures = 1;
    await pass(3);
    expect(await states(hosts)).toEqual(all(hosts, 'up'));
    expect((await catalogue.fleetWatch()).isOpen).toBe(false);
  });

  it('spares all when it was stopped for an hour, and then takes the lost one for lost', async () => {
    const before = looker();
    const hosts = await started(5, before);
    silent.add(hosts[0] ?? '');
    await pass(2);
    await before.loop.stop();
    await pass(360);
    looker().loop.start();
    await pass(2.5);
    expect(await states(hosts)).toEqual(['suspect', 'up', 'up', 'up', 'up']);
    expect((await catalogue.fleetWatch()).graceUntil).not.toBeNull();
    await pass(3);
    expect(await states(hosts)).toEqual(['down', 'up', 'up', 'up', 'up']);
  });

  it('takes what is missing for lost after the word of an operator, and what answers for well', async () => {
    const only = looker();
    const hosts = await started(10, only);
    for (const host of hosts.slice(0, 6)) silent.add(host);
    await pass(3);
    await catalogue.closeBreaker('they burnt', tester.actor);
    for (const host of hosts.slice(0, 2)) silent.delete(host);
    await pass(4);
    const now = await states(hosts);
    expect(now.filter((state) => state === 'down')).toHaveLength(4);
    expect(now.filter((state) => state === 'up')).toHaveLength(6);
    // The rest go missing as well: that is another loss.
    for (const host of hosts) silent.add(host);
    await pass(2);
    expect(await catalogue.fleetWatch()).toMatchObject({ isOpen: true, hosts: 6, missing: 6 });
  });
});
