/** The conversation with reserve.lua: how bookings are asked for, and what its outcomes mean. */
import { invariant } from '../model/errors.js';
import type { Booking, BookOutcome } from '../model/ports.js';
import { withoutZeros } from '../model/resources.js';

/** A booking as the script wants it; what is stored as it came is text already. */
export const askFor = ({
  bookingId,
  vmId,
  hostId,
  path,
  resources,
  groups,
  frees,
  set,
}: Booking): object => ({
  bookingId,
  vmId,
  hostId,
  path,
  amounts: JSON.stringify(withoutZeros(resources)),
  ...(groups.length === 0 ? {} : { groups: JSON.stringify(groups) }),
  frees: frees.map((freed) => ({
    bookingId: freed.bookingId,
    vmId: freed.vmId,
    hostId: freed.hostId,
  })),
  ...(set === null ? {} : { set }),
});

/** @param json list of outcomes as the script writes them */
export const outcomesOf = (json: string): readonly BookOutcome[] =>
  (JSON.parse(json) as readonly string[]).map(outcomeOf);

/** A code, and what it says more, divided by blanks. */
function outcomeOf(text: string): BookOutcome {
  const [code, subject = '', requested, used, limit] = text.split(' ');
  switch (code) {
    case 'BOOKED':
      return { kind: 'booked' };
    case 'TAKEN':
      return { kind: 'taken' };
    case 'CLOSED':
      return { kind: 'closed' };
    case 'FREED':
      return { kind: 'freed' };
    case 'SET':
      return { kind: 'set' };
    case 'GROUP':
      return { kind: 'group', key: subject };
    default:
      invariant(code === 'INSUFFICIENT', `the outcome ${text} is known`);
      return {
        kind: 'insufficient',
        resource: subject,
        requested: Number(requested),
        used: Number(used),
        limit: Number(limit),
      };
  }
}
