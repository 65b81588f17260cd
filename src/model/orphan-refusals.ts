/** Why an orphan is not adopted: the same words from every catalogue. */
import { DomainError } from './errors.js';
import { RESERVATION_PREFIX } from './reservation.js';
import { ASSIGNMENT_BELIEVED_MAX, type Orphan } from './stores/orphans.js';

/** @throws DomainError `id_conflict`, `state_conflict` when it cannot become a VM */
export function refuseUnadoptable(orphan: Orphan): void {
  const { vmId, state, leaving, assignment } = orphan;
  if (vmId.startsWith(RESERVATION_PREFIX)) {
    throw new DomainError(
      'id_conflict',
      `Ids that begin with ${RESERVATION_PREFIX} are not for VMs.`,
    );
  }
  if (leaving || state === 'failed' || assignment > ASSIGNMENT_BELIEVED_MAX) {
    const detail = leaving
      ? 'It was told to go.'
      : state === 'failed'
        ? 'It has failed on its host; destroy it instead.'
        : 'Its assignment is beyond what a host can have been given; destroy it instead.';
    throw new DomainError('state_conflict', detail, { extra: { state } });
  }
}

export const noSuchOrphan = (hostId: string, vmId: string): DomainError =>
  new DomainError('not_found', `Host ${hostId} has no VM ${vmId} without a record.`);

export const recordedElsewhere = ({ vmId, recordedOn }: Orphan): DomainError =>
  new DomainError(
    'id_conflict',
    recordedOn === null
      ? `The id ${vmId} belongs to a VM that has no host; delete that one first.`
      : `The id ${vmId} belongs to a VM on host ${recordedOn.name}.`,
  );
