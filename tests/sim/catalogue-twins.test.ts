/**
 * The catalogue's double beside PostgreSQL: the same calls, drawn from a seed, and the same answers.
 * The contract says what a catalogue must do; this finds what nobody has thought to say.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { openCatalogue } from '../../src/catalogue/catalogue.js';
import { catalogueDouble } from '../../src/sim/catalogue/catalogue.js';
import { silentLog } from '../support/log.js';
import { freshDatabase } from '../support/postgres.js';
import { actor, drawer } from './twin-acts.js';
import { answerOf, lookAt } from './twin-answers.js';

const SEEDS = [1, 2, 3, 4];
const ACTS = 500;
/** After so many acts everything is compared. */
const LOOK_EVERY = 20;

describe('the double beside PostgreSQL', () => {
  type Real = Awaited<ReturnType<typeof openCatalogue>>;
  const opened: Real[] = [];
  let open: () => Promise<Real>;
  beforeAll(() => {
    open = async () => {
      const databaseUrl = await freshDatabase();
      const real = await openCatalogue({ databaseUrl }, { log: silentLog, missingGraceMs: 0 });
      opened.push(real);
      return real;
    };
  });
  afterAll(() => Promise.all(opened.map((real) => real.close())));

  it.each(SEEDS)(
    'answers every call alike: seed %d',
    async (seed) => {
      const real = await open();
      let ids = 0;
      const newId = () => {
        ids += 1;
        return `id ${ids.toString()}`;
      };
      const clock = { now: () => Date.now() };
      const { catalogue, tables } = catalogueDouble({ clock, newId, missingGraceMs: 0 });
      const next = actor(tables, drawer(seed));
      let seen = 0;
      for (let count = 1; count <= ACTS; count += 1) {
        const act = next();
        const expected = await answerOf(act, real);
        const told = { seed, count, act: act.name };
        expect({ ...told, answer: await answerOf(act, catalogue) }).toEqual({
          ...told,
          answer: expected,
        });
        if (count % LOOK_EVERY !== 0) continue;
        const looked = { ...told, sees: await lookAt(real, seen) };
        expect({ ...told, sees: await lookAt(catalogue, seen) }).toEqual(looked);
        seen = tables.head.position;
      }
    },
    120_000,
  );
});
