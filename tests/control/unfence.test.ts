/** How a fenced host that is back is told what it lost, on the catalogue's double. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Ports } from '../../src/control/ports.js';
import { tellFenced } from '../../src/control/unfence.js';
import { BERTH } from '../../src/model/actor.js';
import { DomainError } from '../../src/model/errors.js';
import type { Host } from '../../src/model/host.js';
import type { AgentContact, Agents, Catalogue } from '../../src/model/ports.js';
import type { Vm } from '../../src/model/vm.js';
import { catalogueDouble } from '../../src/sim/catalogue/catalogue.js';
import { answeredPoll, hostNow, missedPoll, placedVm, upHost } from '../catalogue/builders.js';
import { TESTER } from '../support/callers.js';
import { silentLog } from '../support/log.js';

/** What an agent makes of a removal, by VM; unsaid: it is gone. */
type Answers = Readonly<Record<string, () => Promise<boolean>>>;

const notYet = () => Promise.resolve(false);
const silent = () => Promise.reject(new DomainError('agent_unreachable', 'No answer.'));
const knowsNewer = () => Promise.reject(new DomainError('stale_assignment', 'A newer one.'));

describe('a fenced host that answers', () => {
  let catalogue: Catalogue;
  let host: Host;
  let lost: readonly Vm[];
  let asked: (readonly [string, number])[];
  beforeEach(async () => {
    let [ids, nowMs] = [0, 0];
    const newId = () => `id-${(ids += 1).toString()}`;
    ({ catalogue } = catalogueDouble({ clock: { now: () => (nowMs += 1) }, newId }));
    host = await upHost(catalogue);
    lost = [await lossOf(), await lossOf(), await lossOf()];
    await catalogue.saveHostPolls([missedPoll(host.id, 'down', 3)]);
    await catalogue.fenceHost(host.id, 'power is cut', TESTER);
    await catalogue.saveHostPolls([answeredPoll(host)]);
    asked = [];
  });

  const lossOf = () => placedVm(catalogue, host, { onHostLoss: 'restart' });
  const contact = (): AgentContact => ({
    hostId: host.id,
    address: 'a',
    ip: null,
    credential: 'c',
  });
  const numbered = ({ id, allocation }: Vm) => [id, allocation?.assignment] as const;

  const tell = (answers: Answers = {}): Promise<boolean> => {
    const agents: Partial<Agents> = {
      removeVm(_contact, vmId, assignment) {
        asked.push([vmId, assignment]);
        return (answers[vmId] ?? (() => Promise.resolve(true)))();
      },
    };
    const ports: Partial<Ports> = { catalogue, log: silentLog, agents: agents as Agents };
    return tellFenced(ports as Ports, contact());
  };

  const left = async () => (await catalogue.fencedVms(host.id)).map(({ vmId }) => vmId);
  const isFenced = async () => (await hostNow(catalogue, host.id)).fence !== null;

  it('is told of each VM under the number it knows, and then is fenced no more', async () => {
    expect(await tell()).toBe(true);
    expect(asked).toEqual(lost.map(numbered));
    expect([await left(), await isFenced()]).toEqual([[], false]);
    // Now there is nothing to tell it.
    expect(await tell()).toBe(false);
    expect(asked).toHaveLength(lost.length);
  });

  it('stays fenced while one is not gone, and is asked for that one alone again', async () => {
    const [, slow] = lost;
    expect(await tell({ [slow!.id]: notYet })).toBe(false);
    expect([await left(), await isFenced()]).toEqual([[slow!.id], true]);
    asked = [];
    expect(await tell()).toBe(true);
    expect(asked).toEqual([numbered(slow!)]);
  });

  it('that knows a newer number of one never runs it under the old one', async () => {
    expect(await tell({ [lost[0]!.id]: knowsNewer })).toBe(true);
  });

  it('that falls silent keeps its fence; what was proven gone is not asked again', async () => {
    expect(await tell({ [lost[2]!.id]: silent })).toBe(false);
    expect([await left(), await isFenced()]).toEqual([[lost[2]!.id], true]);
  });

  it('keeps a fence that was set anew while it was told of the first', async () => {
    const again = async () => {
      const { fence } = await hostNow(catalogue, host.id);
      for (const { id, allocation } of lost) {
        const assignment = allocation?.assignment ?? 0;
        await catalogue.forgetFencedVms(host.id, [{ vmId: id, assignment }]);
      }
      expect(await catalogue.liftFence(host.id, fence!.at, BERTH)).toBe(true);
      await catalogue.saveHostPolls([answeredPoll(host)]);
      await catalogue.saveHostPolls([missedPoll(host.id, 'down', 3)]);
      await catalogue.fenceHost(host.id, 'again', TESTER);
      await catalogue.saveHostPolls([answeredPoll(host)]);
      return true;
    };
    expect(await tell({ [lost[0]!.id]: again })).toBe(false);
    expect((await hostNow(catalogue, host.id)).fence).toMatchObject({ reason: 'again' });
  });
});
