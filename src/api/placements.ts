/** The handler of `/v1/placements`: the decision and its reasons; nothing is booked. */
import { NO_CONSTRAINTS } from '../model/constraints.js';
import { withoutZeros } from '../model/resources.js';
import type { PlacementRequestBody } from '../wire/placements.js';
import type { Answer, ApiPorts, Call } from './route.js';

export async function explainPlacement(
  { body }: Call<undefined, undefined, PlacementRequestBody>,
  { control }: ApiPorts,
): Promise<Answer> {
  const explanation = await control.explain({
    resources: withoutZeros(body.resources),
    constraints: body.constraints ?? NO_CONSTRAINTS,
  });
  return { status: 200, json: explanation };
}
