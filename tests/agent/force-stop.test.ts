/** A stop by force, as an agent takes the order. */
import { afterEach, expect, it } from '@jest/globals';
import { order, startFixture, until, type AgentFixture, type Answer } from './agent-fixture.js';

let fixture: AgentFixture;
afterEach(() => fixture.close());

const AN_HOUR_MS = 3_600_000;

const stop = (body: object) => fixture.call('POST', '/v1/vms/vm-1/stop', body);
const show = () => fixture.call('GET', '/v1/vms/vm-1');
const stateOf = ({ body }: Answer) => body.state;

it('overtakes a stop that takes its time, is written down, and may be repeated', async () => {
  fixture = await startFixture({ bootMs: 5, stopMs: AN_HOUR_MS });
  await fixture.call('PUT', '/v1/vms/vm-1', order(1));
  await until(show, (answer) => stateOf(answer) === 'running');
  expect(stateOf(await stop({ assignment: 1 }))).toBe('stopping');
  expect(stateOf(await stop({ assignment: 1, force: false }))).toBe('stopping');
  expect(stateOf(await stop({ assignment: 1, force: true }))).toBe('stopped');
  expect(stateOf(await stop({ assignment: 1, force: true }))).toBe('stopped');
  await fixture.restart();
  expect(stateOf(await show())).toBe('stopped');
});

it('ends also a VM that is still booting', async () => {
  fixture = await startFixture({ bootMs: AN_HOUR_MS, stopMs: AN_HOUR_MS });
  await fixture.call('PUT', '/v1/vms/vm-1', order(1));
  expect(stateOf(await stop({ assignment: 1, force: true }))).toBe('stopped');
});

it('is refused when it is older than what was obeyed, or says something else than yes or no', async () => {
  fixture = await startFixture();
  await fixture.call('PUT', '/v1/vms/vm-1', order(2));
  await until(show, (answer) => stateOf(answer) === 'running');
  expect((await stop({ assignment: 1, force: true })).body).toMatchObject({
    code: 'stale_assignment',
    newest: 2,
  });
  expect((await stop({ assignment: 2, force: 'yes' })).body).toMatchObject({
    code: 'invalid_request',
    errors: [{ field: 'force' }],
  });
  expect(stateOf(await show())).toBe('running');
});
