/**
 * Strategy `cosine-banded`: as `cosine`, but hosts whose directions differ by less than a hundredth
 * count as equal, and of those the one with the smallest leftover wins. Fills as well as `cosine`
 * and loses less when VMs come and go; large VMs are still refused early where one class decides.
 *
 *   band  = ⌊100 cosine⌋          see cosine.ts; a cosine within 1e-9 of a band belongs to it
 *   score = band − left / 2       see leftover.ts: from 0 to 1, so the band goes first
 */
import { cosine } from './cosine.js';
import type { HostTable } from './host-table.js';
import { leftover } from './leftover.js';
import { rounded } from './rounded.js';
import type { Strategy } from './strategy.js';

const BANDS_PER_ONE = 100;
/** Two parallel vectors have a cosine of 1 but for the last bits. */
const TOLERANCE = 1e-9;
const LEFTOVER_FACTOR = 0.5;

type Score = Strategy['score'];

const bandOf: Score = (...host) => Math.floor((cosine.score(...host) + TOLERANCE) * BANDS_PER_ONE);

const leftoverOf: Score = (...host) => 0 - LEFTOVER_FACTOR * leftover(...host);

export const cosineBanded: Strategy = {
  name: 'cosine-banded',
  sees: 'largest',
  merit: 'of the hosts that are most like the request, least would be left over on it',
  score: (table: HostTable, row: number, requested: Float64Array, weights: Float64Array): number =>
    rounded(bandOf(table, row, requested, weights) + leftoverOf(table, row, requested, weights)),
  addends: (...host) => ({ band: bandOf(...host), leftover: leftoverOf(...host) }),
};
