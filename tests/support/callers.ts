/** Who asks, in tests of control and catalogue. */
import type { Caller } from '../../src/control/caller.js';
import { BERTH, type Actor } from '../../src/model/actor.js';
import { silentLog } from './log.js';

export const TESTER: Actor = { ...BERTH, kind: 'token', id: 'tester', name: 'tester' };

export const tester: Caller = { actor: TESTER, log: silentLog };
