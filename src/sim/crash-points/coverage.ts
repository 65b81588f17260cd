/**
 * What the matrix must have covered: every call of the three ports, or the reason why not. The types
 * make it complete: a method that comes to a port must be put here.
 */
import type { Agents, Catalogue, Ledger, PlacementTurn } from '../../model/ports.js';
import type { LedgerInspection, VerifyStore } from '../../model/stores/verify.js';
import type { Site } from './planned-calls.js';

/** The trips that a method makes, or why no journey has it. */
type Cover = readonly string[] | string;

const READ_BY_API = 'the API alone asks it, and it changes nothing';
const CHECKS = 'checks alone ask it, for what there is as of one instant, and it changes nothing';
const LAST = 'the end of a process: nothing comes after it';

const LEDGER: Readonly<Record<keyof Ledger<unknown>, Cover>> = {
  state: ['state'],
  openTurn: ['lock', 'fence', 'load', 'unlock'],
  view: ['read', 'load'],
  commit: ['commit'],
  release: ['release'],
  pushHosts: ['pushHosts'],
  overdueBookings: ['overdue'],
  totals: ['totals'],
  stage: ['stage'],
  swap: ['swap'],
  clearAway: ['clearAway'],
  close: LAST,
};

const TURN: Readonly<Record<keyof PlacementTurn<unknown>, Cover>> = {
  fleet: [],
  epoch: [],
  isWanted: [],
  catchUp: ['extend', 'read'],
  book: ['book'],
  end: ['unlock'],
};

/** One trip of its own name. */
const ONE = null;

const AGENTS: Readonly<Record<keyof Agents, Cover | null>> = {
  resolve: 'a question to the name service, before anything is changed',
  status: ONE,
  ensureVm: ONE,
  startVm: ONE,
  stopVm: ONE,
  removeVm: ONE,
};

const CATALOGUE: Readonly<Record<keyof Catalogue, Cover | null>> = {
  ping: ONE,
  close: LAST,
  epoch: ONE,
  nextEpoch: ONE,
  agree: ONE,
  snapshot: CHECKS,
  mark: ONE,
  bookings: ONE,
  changesSince: ONE,
  changedHosts: ONE,
  bookedSums: ONE,
  purgeEnded: ONE,
  recordedBookings: ONE,
  pendingReleases: ONE,
  settleReleases: ONE,
  record: ONE,
  vm: ONE,
  vmByRequest: ONE,
  vms: READ_BY_API,
  want: ONE,
  takeWork: ONE,
  saveProgress: ONE,
  releaseVm: ONE,
  purgeDeleted: ONE,
  joinHost: ONE,
  host: ONE,
  hosts: ONE,
  patchHost: ONE,
  endCordons: ONE,
  contacts: ONE,
  saveHostPolls: ONE,
  judgeLook: ONE,
  cordonFlapping: ONE,
  fleetWatch: READ_BY_API,
  closeBreaker: 'one transaction of an operator; a repeat is refused',
  saveHostReport: ONE,
  reportVms: ONE,
  reportsWithNews: ONE,
  loseVms: ONE,
  acquireLease: ONE,
  releaseLease: ONE,
  startDrain: ONE,
  drain: READ_BY_API,
  cancelDrain: ONE,
  openDrains: ONE,
  saveMoves: ONE,
  noteTried: ONE,
  finishDrain: ONE,
  vmsOn: ONE,
  beginMove: ONE,
  leaveHost: ONE,
  retireHost: ONE,
  fenceHost: ONE,
  fencedVms: ONE,
  forgetFencedVms: ONE,
  liftFence: ONE,
  beginRequest: ONE,
  extendRequest: ONE,
  keepAnswer: ONE,
  reopenRequest: ONE,
  forgetRequest: ONE,
  purgeRequests: ONE,
  reservation: ONE,
  reservations: READ_BY_API,
  endReservation: ONE,
  expiredReservations: ONE,
  enqueueVm: ONE,
  waitingLine: ONE,
  waitingVms: ONE,
  expireWaiting: ONE,
  createToken: ONE,
  tokens: READ_BY_API,
  revokeToken: ONE,
  credential: ONE,
  noteStrangers: ONE,
  orphans: ONE,
  missingVms: ONE,
  adoptOrphan: ONE,
  dismissOrphan: ONE,
  forgetOrphan: ONE,
  renewAssignment: ONE,
  sequenceEvents: ONE,
  events: READ_BY_API,
  positionOf: READ_BY_API,
  newestBelow: READ_BY_API,
  purgeEvents: ONE,
  audit: READ_BY_API,
  note: ONE,
  purgeAudit: ONE,
  usage: READ_BY_API,
  fleetCounts: READ_BY_API,
  sampleUsage: ONE,
  rollUpUsage: ONE,
  usageHistory: READ_BY_API,
};

const VERIFY: Readonly<Record<keyof VerifyStore, Cover | null>> = {
  inspectBooks: ONE,
  recountHosts: ONE,
  endLeftovers: ONE,
  regroup: 'the double keeps no members of groups apart, so nothing of them can be wrong',
  renumber: 'the double numbers by its own count, which nothing overtakes',
};

const INSPECTION: Readonly<Record<keyof LedgerInspection, Cover | null>> = {
  mark: ONE,
  inspect: ONE,
};

const sitesOf = (
  port: 'catalogue' | 'agents' | 'ledger',
  covers: Readonly<Record<string, Cover | null>>,
) =>
  Object.entries(covers).flatMap(([method, cover]): readonly Site[] => {
    if (typeof cover === 'string') return [];
    return (cover ?? [method]).map((name): Site => `${port}.${name}`);
  });

/** Every site that some journey must reach. */
export const SITES: ReadonlySet<Site> = new Set([
  ...sitesOf('ledger', LEDGER),
  ...sitesOf('ledger', TURN),
  ...sitesOf('catalogue', CATALOGUE),
  ...sitesOf('catalogue', VERIFY),
  ...sitesOf('ledger', INSPECTION),
  ...sitesOf('agents', AGENTS),
]);

/**
 * Sites that take something back. They are done twice in other ways, too: once more when the next
 * try has long begun, and with a retry that fails itself.
 */
export const UNDOS: ReadonlySet<Site> = new Set<Site>([
  'ledger.release',
  'ledger.unlock',
  'catalogue.releaseVm',
  'catalogue.releaseLease',
  'catalogue.settleReleases',
  'catalogue.endReservation',
  'catalogue.cancelDrain',
  'catalogue.retireHost',
  'catalogue.forgetOrphan',
  'catalogue.forgetFencedVms',
  'catalogue.liftFence',
  'catalogue.dismissOrphan',
  'catalogue.reopenRequest',
  'catalogue.forgetRequest',
  'catalogue.revokeToken',
  'catalogue.endCordons',
  'catalogue.expireWaiting',
  'agents.removeVm',
]);
