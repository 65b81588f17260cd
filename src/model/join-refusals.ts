/** Why a host that is known may not join: the same words from every catalogue. */
import { DomainError } from './errors.js';

export const retiredHost = (id: string): DomainError =>
  new DomainError(
    'state_conflict',
    `Host ${id} was retired. To bring the machine back, let it join as a new host, with an empty data folder.`,
  );

export const anothersHost = (id: string): DomainError =>
  new DomainError(
    'state_conflict',
    `Host ${id} is known and proves itself with something else: it joins with its own token, or with an admin's.`,
  );
