/** Every period that the configuration allows becomes a cron line that ticks evenly. */
import { describe, expect, it } from '@jest/globals';
import { cronOf } from '../../src/control/cron-schedule.js';

describe('the period of the health loop', () => {
  it.each([
    [1, '*/1 * * * * *'],
    [30, '*/30 * * * * *'],
    [60, '0 */1 * * * *'],
    [300, '0 */5 * * * *'],
    [3600, '0 0 * * * *'],
  ])('%d s is %s', (periodS, expression) => {
    expect(cronOf(periodS)).toBe(expression);
  });
});
