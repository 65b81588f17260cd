import { describe, expect, it } from '@jest/globals';
import { uuidFrom } from '../../src/std/uuid.js';

describe('a UUID that follows from a text', () => {
  it('is of version 8, and always the same', () => {
    const uuid = uuidFrom('web-1');
    expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(uuidFrom('web-1')).toBe(uuid);
    expect(uuidFrom('web-2')).not.toBe(uuid);
  });
});
