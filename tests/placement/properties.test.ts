/** Decisions on random fleets: explanations are true, choices pure, scores comparable. */
import { describe, it } from '@jest/globals';
import { check } from '../support/properties.js';
import { choiceIsPure, explanationsAreTrue, scoresAreFinite } from './properties.js';

/** Mistakes seeded into ties, limits and summaries were found within the first 700. */
const RUNS = 3_000;

describe('of every decision', () => {
  it('the explanation is true: reasons, amounts, choice', () => {
    check(explanationsAreTrue(), RUNS);
  });

  it('the choice is the same for the same fleet, in whatever order it is told', () => {
    check(choiceIsPure(), RUNS);
  });

  it('every score can be compared, also of nothing and of the largest amounts', () => {
    check(scoresAreFinite(), RUNS);
  });
});
