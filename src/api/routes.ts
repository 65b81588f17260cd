/**
 * The table of all routes: what can be asked, by whom, with what, and what is answered. Express,
 * the checks, the guard, the OpenAPI document and the tests are all made from it.
 */
import type { Route } from './route.js';
import { BREAKER_ROUTES } from './routes/breaker.js';
import { DOCUMENTATION_ROUTES } from './routes/documentation.js';
import { DRAIN_ROUTES } from './routes/drains.js';
import { EVENT_ROUTES } from './routes/events.js';
import { HOST_ROUTES } from './routes/hosts.js';
import { IMAGE_ROUTES } from './routes/images.js';
import { OPERATION_ROUTES } from './routes/operations.js';
import { ORPHAN_ROUTES } from './routes/orphans.js';
import { PLACEMENT_ROUTES } from './routes/placements.js';
import { PLANNER_ROUTES } from './routes/planner.js';
import { RESERVATION_ROUTES } from './routes/reservations.js';
import { TOKEN_ROUTES } from './routes/tokens.js';
import { USAGE_ROUTES } from './routes/usage.js';
import { VERIFY_ROUTES } from './routes/verify.js';
import { VM_ROUTES } from './routes/vms.js';

export const ROUTES: readonly Route[] = [
  ...VM_ROUTES,
  ...RESERVATION_ROUTES,
  ...PLACEMENT_ROUTES,
  ...PLANNER_ROUTES,
  ...HOST_ROUTES,
  ...IMAGE_ROUTES,
  ...DRAIN_ROUTES,
  ...USAGE_ROUTES,
  ...OPERATION_ROUTES,
  ...ORPHAN_ROUTES,
  ...VERIFY_ROUTES,
  ...BREAKER_ROUTES,
  ...TOKEN_ROUTES,
  ...EVENT_ROUTES,
  ...DOCUMENTATION_ROUTES,
];
