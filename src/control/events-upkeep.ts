/** What events and the audit log need when nobody looks: to be put in order, and to be forgotten. */
import type { Ports } from './ports.js';
import type { KeepSettings } from './settings.js';
import type { Chore } from './upkeep-loop.js';

/** Followers have their own, faster ticker; this one keeps the outbox short without them. */
const SEQUENCE_MS = 1_000;
const PURGE_MS = 60_000;

/** Calls of one turn; what remains waits for the next. */
const CALLS_MAX = 100;

/** The chores of events and audit log, for the upkeep loop. */
export const eventChores = (
  { catalogue }: Pick<Ports, 'catalogue'>,
  { eventsMs, auditMs }: KeepSettings,
): readonly Chore[] => [
  {
    name: 'put events in order',
    everyMs: SEQUENCE_MS,
    run: () => repeat(async () => (await catalogue.sequenceEvents()).more),
  },
  {
    name: 'forget old events',
    everyMs: PURGE_MS,
    run: () => repeat(async () => (await catalogue.purgeEvents(eventsMs)) > 0),
  },
  {
    name: 'forget old audit entries',
    everyMs: PURGE_MS,
    run: () => repeat(async () => (await catalogue.purgeAudit(auditMs)) > 0),
  },
];

async function repeat(goesOn: () => Promise<boolean>): Promise<void> {
  for (let calls = 0; calls < CALLS_MAX; calls += 1) if (!(await goesOn())) return;
}
