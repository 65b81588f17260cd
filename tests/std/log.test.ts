/** Logs print one JSON object a line and never a secret. */
import { PassThrough } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { createLogger } from '../../src/std/log.js';

const SECRET = 'hunter2-hunter2-hunter2';

function lines(write: (log: ReturnType<typeof createLogger>) => void): string[] {
  const stream = new PassThrough();
  write(createLogger({ level: 'debug', pretty: false, stream }));
  return String(stream.read() ?? '')
    .trim()
    .split('\n');
}

describe('log', () => {
  it('prints one JSON object an event, with its fields and those of its parents', () => {
    const [line] = lines((log) => {
      log.child({ requestId: 'r1' }).info('vm placed', { vmId: 'v1', seconds: 0.5 });
    });
    expect(JSON.parse(line ?? '')).toMatchObject({
      level: 'info',
      message: 'vm placed',
      requestId: 'r1',
      vmId: 'v1',
      seconds: 0.5,
    });
  });

  it('prints no secret, however deep it hides', () => {
    const cause = new Error(`connect postgres://berth:${SECRET}@db:5432/berth failed`);
    const printed = lines((log) => {
      log.child({ adminToken: SECRET }).warn('one', { credential: SECRET });
      log.error('two', { request: { headers: { Authorization: SECRET } } });
      log.error(`three redis://:${SECRET}@cache`, { error: new Error('outer', { cause }) });
    }).join('\n');
    expect(printed).not.toContain(SECRET);
    expect(printed).toContain('outer');
  });

  it('prints what cannot be JSON: cycles and errors', () => {
    const cycle: Record<string, unknown> = {};
    cycle.self = cycle;
    const [line] = lines((log) => {
      log.warn('odd', { cycle, error: new RangeError('too far') });
    });
    expect(JSON.parse(line ?? '')).toMatchObject({
      error: { name: 'RangeError', message: 'too far' },
    });
  });
});
