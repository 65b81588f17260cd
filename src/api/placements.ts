/** The handler of `/v1/placements`: the decision and its reasons; nothing is booked. */
import { NO_CONSTRAINTS } from '../model/constraints.js';
import { ROOT_PATH } from '../model/path.js';
import { withoutZeros } from '../model/resources.js';
import type { PlacementRequestBody } from '../wire/placements.js';
import type { Answer, ApiPorts, Call } from './route.js';

export async function explainPlacement(
  { body }: Call<undefined, undefined, PlacementRequestBody>,
  { control }: ApiPorts,
): Promise<Answer> {
  const { resources, constraints = NO_CONSTRAINTS, path = ROOT_PATH, strategy } = body;
  const request = { resources: withoutZeros(resources), constraints, path };
  const explanation = await control.explain(request, strategy);
  return { status: 200, json: explanation };
}
