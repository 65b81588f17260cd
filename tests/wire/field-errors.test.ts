/** What callers read about their mistakes. */
import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { fieldErrors } from '../../src/wire/field-errors.js';
import { createVmSchema, createVmsSchema } from '../../src/wire/vms.js';

const schema = z.strictObject({
  count: z.int().min(1).max(9).optional(),
  size: z.number().optional(),
  name: z.string().min(2).max(3).optional(),
  mode: z.enum(['on', 'off']).optional(),
  inner: z.strictObject({ list: z.array(z.string()).max(1) }).optional(),
  amounts: z.record(z.string().regex(/^[a-z]+$/, 'must be a class'), z.int()).optional(),
  either: z.union([z.string(), z.boolean()]).optional(),
});

const ONES = { cpu: 1, memory: 1, disk: 1 };

const errorsOf = (value: unknown) => {
  const parsed = schema.safeParse(value);
  return parsed.success ? [] : fieldErrors(parsed.error);
};

describe('field errors', () => {
  it.each<[unknown, string, string]>([
    [undefined, '(body)', 'is required'],
    [null, '(body)', 'must be an object'],
    [[], '(body)', 'must be an object'],
    [{ count: 1.5 }, 'count', 'must be a whole number'],
    [{ count: 0 }, 'count', 'must be at least 1'],
    [{ count: 10 }, 'count', 'must be at most 9'],
    [{ size: '1' }, 'size', 'must be a number'],
    [{ name: 'a' }, 'name', 'must have at least 2 characters'],
    [{ name: 7 }, 'name', 'must be a string'],
    [{ mode: 'auto' }, 'mode', 'must be one of "on", "off"'],
    [{ inner: {} }, 'inner.list', 'is required'],
    [{ inner: { list: {} } }, 'inner.list', 'must be a list'],
    [{ inner: { list: ['a', 'b'] } }, 'inner.list', 'must have at most 1 entries'],
    [{ inner: { list: [1] } }, 'inner.list.0', 'must be a string'],
    [{ inner: { list: [], more: 1 } }, 'inner.more', 'is not known here; remove it'],
    [{ more: 1 }, 'more', 'is not known here; remove it'],
    [{ amounts: { 'A B': 1 } }, 'amounts.A B', 'its name must be a class'],
    [{ amounts: 3 }, 'amounts', 'must be an object'],
    [{ either: {} }, 'either', 'must be a string, or must be true or false'],
  ])('%j', (value, field, message) => {
    expect(errorsOf(value)).toEqual([{ field, message }]);
  });

  it('tells all mistakes at once, each of them once', () => {
    expect(errorsOf({ count: 'x', mode: 1, a: 1, b: 2 }).map(({ field }) => field)).toEqual([
      'count',
      'mode',
      'a',
      'b',
    ]);
    const resources = { cpu: 'two', memory: 1, disk: 1 };
    const parsed = createVmSchema.safeParse({ resources });
    expect(parsed.success ? [] : fieldErrors(parsed.error)).toEqual([
      { field: 'resources.cpu', message: 'must be a whole number' },
    ]);
  });

  it.each<[unknown, string, string]>([
    [{}, 'resources', 'is required'],
    [{ resources: { memory: 1, disk: 1 } }, 'resources.cpu', 'is required'],
    [{ resources: { ...ONES, cpu: null } }, 'resources.cpu', 'must be a whole number'],
    [{ resources: { ...ONES, cpu: 1.5 } }, 'resources.cpu', 'must be a whole number'],
    [{ resources: { ...ONES, cpu: 0 } }, 'resources.cpu', 'must be at least 1'],
    [{ resources: { ...ONES, cpu: -1 } }, 'resources.cpu', 'must be at least 1'],
    [{ resources: { ...ONES, gpu: -1 } }, 'resources.gpu', 'must not be negative'],
    [{ resources: { ...ONES, cpu: 2 ** 53 } }, 'resources.cpu', 'must be at most 9007199254740991'],
    [{ resources: { ...ONES, gpu: 1e300 } }, 'resources.gpu', 'must be at most 9007199254740991'],
    [{ resources: { ...ONES, gpu: -1e300 } }, 'resources.gpu', 'must not be negative'],
  ])('of the VM %j', (value, field, message) => {
    const parsed = createVmSchema.safeParse(value);
    expect(parsed.success ? [] : fieldErrors(parsed.error)).toEqual([{ field, message }]);
  });

  it.each<[unknown, string[]]>([
    [{ vms: [{ colour: 'red' }] }, ['vms.0.resources', 'vms.0.colour']],
    [{ resources: ONES, constraints: { rack: 'r1' } }, ['constraints.rack']],
    [{ name: 7, colour: 'red' }, ['resources', 'name', 'colour']],
  ])('of one or many VMs %j: it is clear which is meant', (value, fields) => {
    const parsed = createVmsSchema.safeParse(value);
    const found = parsed.success ? [] : fieldErrors(parsed.error);
    expect(found.map(({ field }) => field).sort()).toEqual([...fields].sort());
  });

  it('does not repeat what a hostile caller makes long', () => {
    const body = Object.fromEntries(
      Array.from({ length: 500 }, (_, n) => [`${'k'.repeat(5000)}${n.toString()}`, 1]),
    );
    const errors = errorsOf(body);
    expect(errors.length).toBeLessThanOrEqual(50);
    for (const { field } of errors) expect(field.length).toBeLessThanOrEqual(200);
  });
});
