/** All seeded bugs. */
import { AGENT_BUGS } from './agent-bugs.js';
import { CATALOGUE_BUGS } from './catalogue-bugs.js';
import { CONTROL_BUGS } from './control-bugs.js';
import { LEDGER_BUGS } from './ledger-bugs.js';
import { PURE_BUGS } from './pure-bugs.js';
import type { SeededBug } from './seeded-bug.js';

export const SEEDED_BUGS: readonly SeededBug[] = [
  ...LEDGER_BUGS,
  ...CATALOGUE_BUGS,
  ...AGENT_BUGS,
  ...CONTROL_BUGS,
  ...PURE_BUGS,
];
