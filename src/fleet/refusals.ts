/**
 * What an agent's 4xx means. A refusal is definite: nothing was done. Only a problem document that
 * reads like one of our agent's counts; a page of some proxy proves nothing.
 */
import { DomainError, hasCode } from '../model/errors.js';
import type { AgentContact } from '../model/ports.js';
import { claimRefusedSchema, imageRefusedSchema, staleAssignmentSchema } from '../wire/agent.js';
import { problemSchema } from '../wire/problem.js';

/** Statuses that say "not now": what they were an answer to may be asked again. */
const PASSING: readonly number[] = [408, 425, 429];

const DETAIL_LENGTH_MAX = 300;

/** Whether an agent refused because it has no such VM. */
export const saysUnknown = (error: unknown): boolean =>
  hasCode(error, 'agent_refused') && error.extra.agentCode === 'not_found';

/** @returns the refusal, or null when the answer cannot be relied on */
export function refusalOf(
  contact: AgentContact,
  status: number,
  body: unknown,
): DomainError | null {
  const problem = problemSchema.safeParse(body);
  if (PASSING.includes(status) || !problem.success || problem.data.status !== status) return null;
  const { code, detail } = problem.data;
  const internal = detail.slice(0, DETAIL_LENGTH_MAX);
  switch (code) {
    case 'claim_refused': {
      const extra = claimRefusedSchema.safeParse(body);
      if (!extra.success) return null;
      const classes = extra.data.shortfalls.map(({ resource }) => resource).join(', ');
      const lacking = classes === '' ? '' : `: it is short of ${classes}`;
      const message = `Host ${contact.hostId} has no room for the VM${lacking}.`;
      return new DomainError(code, message, { internal, extra: extra.data });
    }
    case 'image_missing': {
      const extra = imageRefusedSchema.safeParse(body);
      if (!extra.success) return null;
      const message = `Host ${contact.hostId} does not have the image ${extra.data.image}.`;
      return new DomainError(code, message, { internal, extra: extra.data });
    }
    case 'disk_too_small': {
      const { data } = imageRefusedSchema.safeParse(body);
      if (data?.leastMib === undefined) return null;
      const message = `The image ${data.image} needs a disk of ${data.leastMib.toString()} MiB.`;
      return new DomainError(code, message, { internal, extra: data });
    }
    case 'stale_assignment': {
      const extra = staleAssignmentSchema.safeParse(body);
      if (!extra.success) return null;
      const message = `Host ${contact.hostId} has seen a newer assignment of the VM.`;
      return new DomainError(code, message, { internal, extra: extra.data });
    }
    default:
      return new DomainError(
        'agent_refused',
        `The agent of host ${contact.hostId} refused the order: ${code}.`,
        { internal, extra: { agentCode: code } },
      );
  }
}
