/** Logs print one JSON object a line and never a secret. */
import { PassThrough } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { DomainError } from '../../src/model/errors.js';
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

  it('makes nothing of a line below its level', () => {
    let looks = 0;
    const stream = new PassThrough();
    const log = createLogger({ level: 'info', pretty: false, stream });
    const fields = {
      get vmId() {
        looks += 1;
        return 'v1';
      },
    };
    log.debug('a detail', { nested: fields });
    expect([looks, String(stream.read())]).toEqual([0, 'null']);
    log.info('a line', { nested: fields });
    expect(looks).toBeGreaterThan(0);
  });

  it('begins every line with time, level and message', () => {
    const [line] = lines((log) => {
      log.child({ agent: 'a1' }).info('vm placed', { attempt: 1 });
    });
    expect(Object.keys(JSON.parse(line ?? '') as object)).toEqual([
      'timestamp',
      'level',
      'message',
      'agent',
      'attempt',
    ]);
  });

  it('tells an expected failure without a stack, and any other with one', () => {
    const refused = Object.assign(new Error(`connect redis://:${SECRET}@cache`), {
      code: 'ECONNREFUSED',
    });
    const error = new DomainError('ledger_unavailable', 'The ledger does not answer.', {
      internal: 'no connection',
      cause: refused,
    });
    const [expected, unexpected] = lines((log) => {
      log.warn('one', { error });
      log.error('two', { error: refused });
    });
    expect((JSON.parse(expected ?? '') as { error: unknown }).error).toEqual({
      name: 'DomainError',
      message: 'The ledger does not answer.',
      code: 'ledger_unavailable',
      internal: 'no connection',
      cause: { code: 'ECONNREFUSED', message: 'connect redis://:***@cache' },
    });
    expect(JSON.parse(unexpected ?? '')).toMatchObject({
      error: { stack: expect.stringContaining('log.test') },
    });
  });
});
