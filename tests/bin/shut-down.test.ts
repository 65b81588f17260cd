/** The order in which things stop. */
import { describe, expect, it } from '@jest/globals';
import { ShutDown } from '../../src/bin/shut-down.js';
import { silentLog } from '../support/log.js';

describe('ShutDown', () => {
  it('stops the control plane, then hosts, then stores; within each the last one first', async () => {
    const stopped: string[] = [];
    const shutDown = new ShutDown(silentLog, 1_000);
    const add = (stage: Parameters<ShutDown['add']>[0], name: string) => {
      shutDown.add(stage, name, () => {
        stopped.push(name);
        return Promise.resolve();
      });
    };
    add('stores', 'redis');
    add('stores', 'catalogue');
    add('control plane', 'control');
    add('control plane', 'api');
    add('hosts', 'agent');
    add('hosts', 'simulated');
    await shutDown.stop();
    expect(stopped).toEqual(['api', 'control', 'simulated', 'agent', 'catalogue', 'redis']);
  });

  it('goes on after a part that fails, and stops everything once', async () => {
    let stops = 0;
    const shutDown = new ShutDown(silentLog, 1_000);
    shutDown.add('stores', 'redis', () => {
      stops += 1;
      return Promise.resolve();
    });
    shutDown.add('hosts', 'agent', () => Promise.reject(new Error('broken')));
    await Promise.all([shutDown.stop(), shutDown.stop()]);
    expect(stops).toBe(1);
  });
});
