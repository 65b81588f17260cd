/** Constraints from the wire. */
import type { Constraints } from '../model/constraints.js';
import type { CreateVmBody } from '../wire/vms.js';

/**
 * The same constraints in the model's words. A document has no fields that are there but undefined,
 * which is all that the two types disagree about.
 */
export const constraintsOf = (body: CreateVmBody['constraints']): Constraints | undefined =>
  body as Constraints | undefined;
