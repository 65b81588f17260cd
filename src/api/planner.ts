/** The handlers of `/v1/capacity`, `/v1/rebalance` and `/v1/simulations`: plans; nothing is booked. */
import { NO_CONSTRAINTS } from '../model/constraints.js';
import { DomainError } from '../model/errors.js';
import type { FleetHost } from '../model/host.js';
import { ROOT_PATH } from '../model/path.js';
import type { LoadRequest } from '../planner/load.js';
import {
  PLAN_LIMITS,
  type CapacityRequestBody,
  type RebalanceRequestBody,
  type SimulationRequestBody,
} from '../wire/planner.js';
import type { Answer, ApiPorts, Call } from './route.js';

export async function planCapacity(
  { body }: Call<undefined, undefined, CapacityRequestBody>,
  { control }: ApiPorts,
): Promise<Answer> {
  const { flavors, addHost = null, spare } = body;
  return { status: 200, json: await control.capacity({ flavors, addHost, spare }) };
}

export async function adviseMoves(
  { body }: Call<undefined, undefined, RebalanceRequestBody>,
  { control }: ApiPorts,
): Promise<Answer> {
  return { status: 200, json: await control.rebalance(body) };
}

export async function simulateLoad(
  { body }: Call<undefined, undefined, SimulationRequestBody>,
  { control }: ApiPorts,
): Promise<Answer> {
  const { hosts, requests, strategies } = body;
  const results = await control.simulate({
    hosts: hosts?.map(emptyHost) ?? null,
    requests: expanded(requests),
    strategies: [...new Set(strategies)],
  });
  return { status: 200, json: { results } };
}

type HostBody = NonNullable<SimulationRequestBody['hosts']>[number];

const emptyHost = ({ name, zone, resources }: HostBody, seq: number): FleetHost => ({
  ...{ id: `${seq.toString()}-${name}`, name, zone, seq },
  ...{ revision: 0, labels: {}, state: 'up', mode: 'enabled' },
  ...{ capacity: resources, limits: resources, allocated: {} },
});

/** One request each. @throws DomainError `invalid_request` when that are too many */
function expanded(requests: SimulationRequestBody['requests']): readonly LoadRequest[] {
  const total = requests.reduce((sum, { count }) => sum + count, 0);
  if (total > PLAN_LIMITS.requests) {
    const message = `must ask for at most ${PLAN_LIMITS.requests.toString()} in all, not ${total.toString()}`;
    throw new DomainError('invalid_request', 'There are too many requests.', {
      errors: [{ field: 'requests', message }],
    });
  }
  return requests.flatMap(({ arrivalS, lifetimeS, resources, constraints, count }, index) =>
    Array.from({ length: count }, (): LoadRequest => ({
      ...{ name: `r${index.toString()}`, arrivalS, lifetimeS, path: ROOT_PATH, resources },
      constraints: constraints ?? NO_CONSTRAINTS,
    })),
  );
}
