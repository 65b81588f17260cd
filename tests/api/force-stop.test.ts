/** A stop by force over the API: who may ask for it, and what is told when it does not get through. */
import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { DomainError } from '../../src/model/errors.js';
import { startApi, type ApiServer } from '../support/api-server.js';
import { modelVm } from '../support/control-double.js';

let server: ApiServer;
beforeAll(async () => {
  server = await startApi();
});
afterAll(() => server.api.close());
beforeEach(() => {
  server.failure = undefined;
  server.forced.length = 0;
  server.vms.set('vm-a', modelVm({ id: 'vm-a', path: 'acme:web', state: 'running' }));
});

const stop = (body?: object, token?: string) =>
  server.call('/v1/vms/vm-a/stop', {
    method: 'POST',
    ...(body === undefined ? {} : { body }),
    ...(token === undefined ? {} : { token }),
  });

it('is asked for only where it is said', async () => {
  for (const body of [undefined, {}, { force: false }]) {
    expect((await stop(body)).json).toMatchObject({ desiredState: 'stopped' });
  }
  expect(server.forced).toEqual([]);
  const forced = await stop({ force: true });
  expect([forced.status, forced.json]).toMatchObject([202, { desiredState: 'stopped' }]);
  expect(server.forced).toEqual(['vm-a']);
});

it('is for the tenant whose VM it is, and for no other', async () => {
  const tokenOf = (path: string) => server.tokens.add('tenant', { path });
  expect((await stop({ force: true }, tokenOf('other'))).status).toBe(404);
  expect(server.forced).toEqual([]);
  expect((await stop({ force: true }, tokenOf('acme'))).status).toBe(202);
  expect(server.forced).toEqual(['vm-a']);
});

it('says that the host did not answer', async () => {
  server.failure = new DomainError('agent_unreachable', 'The agent did not answer.');
  const reply = await stop({ force: true });
  expect([reply.status, reply.problem().code]).toEqual([502, 'agent_unreachable']);
});
