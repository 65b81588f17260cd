/**
 * Who is cut off when many hosts go missing at once: they, or we? Pure; the catalogue goes by it
 * while it holds the row of the watch, so that replicas judge one after another.
 *
 * When in doubt it is us: while the breaker is open, and in the grace after a gap of our own looks,
 * no host goes beyond `suspect` and nothing follows from what is missing.
 */
import { MISSED_POLLS_MAX, type HostState } from './host-liveness.js';

export interface BreakerRule {
  /** Of the hosts that answered when the window began: more than this share missing opens it. */
  readonly share: number;
  /** With fewer hosts missing it never opens. */
  readonly hostsMin: number;
  /** Hosts that went missing within this time count together. */
  readonly windowMs: number;
}

/** As the configuration says it. */
export interface BreakerSettings {
  readonly share: number;
  readonly hostsMin: number;
  readonly windowS?: number | undefined;
}

export interface WatchRules extends BreakerRule {
  readonly periodMs: number;
  /** How long hosts are spared after a gap. */
  readonly graceMs: number;
  /** A look that took longer was held up here: what it missed says nothing. */
  readonly lookMsMax: number;
}

/** Periods that a window and a grace last: the time that it takes a host to go down. */
const PERIODS = MISSED_POLLS_MAX;

/** A look of this many deadlines, and longer than a period, did not wait for agents alone. */
const DEADLINES_MAX = 3;

/** @param windowS as long as it takes a host to go down, where absent */
export function watchRules(
  periodS: number,
  deadlineMs: number,
  { share, hostsMin, windowS }: BreakerSettings,
): WatchRules {
  const periodMs = periodS * 1_000;
  return {
    share,
    hostsMin,
    windowMs: windowS === undefined ? periodMs * PERIODS : windowS * 1_000,
    periodMs,
    graceMs: periodMs * PERIODS,
    lookMsMax: Math.max(periodMs, deadlineMs * DEADLINES_MAX),
  };
}

/** What is kept between two looks. Times are milliseconds since 1970 of the catalogue's clock. */
export interface Watch {
  /** When the newest look that was judged began, and when it was judged. */
  readonly lookedAt: number | null;
  readonly finishedAt: number | null;
  readonly graceUntil: number | null;
  readonly isOpen: boolean;
  /** When it opened or closed last. */
  readonly changedAt: number | null;
  readonly reason: string | null;
  /** As of the last look: hosts that count, and those of them that are missing. */
  readonly hosts: number;
  readonly missing: number;
  /** Hosts missing since then or before are really lost: an operator has said so. */
  readonly dismissedAt: number | null;
  /** Misses of looks that began before this, or in the same millisecond, do not count. */
  readonly anewAt: number | null;
}

export const FIRST_WATCH: Watch = {
  lookedAt: null,
  finishedAt: null,
  graceUntil: null,
  isOpen: false,
  changedAt: null,
  reason: null,
  hosts: 0,
  missing: 0,
  dismissedAt: null,
  anewAt: null,
};

/** A host as it was before a look. */
export interface WatchedHost {
  readonly id: string;
  readonly state: HostState;
  /** When the first of its present misses was; null: it answered last time. */
  readonly missingSince: number | null;
}

export interface Look {
  /** When it began, by the catalogue's clock. */
  readonly askedAt: number;
  readonly missed: ReadonlySet<string>;
}

export interface Judgement {
  /**
   * - `stale`: a later look was judged before; this one says nothing any more.
   * - `late`: it was held up on our side; only answers count.
   */
  readonly kind: 'judged' | 'late' | 'stale';
  /** Whether misses of this look make no host more than `suspect`. */
  readonly held: boolean;
  readonly change: 'opened' | 'closed' | null;
  readonly watch: Watch;
  /** Hosts that are missing from this look on. */
  readonly newlyMissing: readonly string[];
}

/** A gap may be this much longer than a period: replicas let others go first, timers are late. */
const GAP_SLACK = 1.5;

export const isHeld = ({ isOpen, graceUntil }: Watch, now: number): boolean =>
  isOpen || (graceUntil !== null && graceUntil > now);

/** Judges a look before anything of it is saved. @param hosts all that are not retired */
export function judgeLook(
  stored: Watch,
  hosts: readonly WatchedHost[],
  look: Look,
  rules: WatchRules,
  now: number,
): Judgement {
  const { askedAt, missed } = look;
  const before = believed(stored, rules, now);
  if (before.lookedAt !== null && before.lookedAt > askedAt) {
    return { kind: 'stale', held: true, change: null, watch: stored, newlyMissing: [] };
  }
  const isLate = now - askedAt > rules.lookMsMax;
  const isGap = isLate || before !== stored || gapMs(before, askedAt) > rules.periodMs * GAP_SLACK;
  const graceUntil = isGap ? now + rules.graceMs : before.graceUntil;
  const seen = { ...before, lookedAt: askedAt, finishedAt: now, graceUntil };
  if (isLate) return { kind: 'late', held: true, change: null, watch: seen, newlyMissing: [] };

  const { fleet, missing } = census(before, hosts, look, rules);
  const isOpen = missing >= rules.hostsMin && missing > rules.share * fleet;
  const watch = { ...seen, hosts: fleet, missing };
  const newlyMissing = hosts
    .filter((host) => isMissing(host, missed) && host.missingSince === null)
    .map(({ id }) => id);
  const held = isHeld(watch, now) || isOpen;
  if (isOpen === before.isOpen) {
    return { kind: 'judged', held, change: null, watch, newlyMissing };
  }
  const share = `${missing.toString()} of ${fleet.toString()} hosts`;
  const changed = { ...watch, isOpen, changedAt: now };
  return isOpen
    ? {
        kind: 'judged',
        held: true,
        change: 'opened',
        watch: { ...changed, reason: `${share} went missing at once` },
        newlyMissing,
      }
    : {
        kind: 'judged',
        // What is missing still begins its misses anew, with the next look.
        held: true,
        change: 'closed',
        watch: { ...changed, anewAt: now, reason: `${share} are missing still` },
        newlyMissing,
      };
}

const gapMs = ({ finishedAt }: Watch, askedAt: number): number =>
  finishedAt === null ? 0 : askedAt - finishedAt;

/**
 * The catalogue's clock has gone back (set right, or another server took over) where what was noted
 * lies ahead: when that was, nobody knows any more.
 */
function believed(stored: Watch, { graceMs }: WatchRules, now: number): Watch {
  const { lookedAt, finishedAt, graceUntil, changedAt, dismissedAt, anewAt } = stored;
  const isAhead = (at: number | null) => at !== null && at > now;
  if (![lookedAt, finishedAt, changedAt, dismissedAt, anewAt].some(isAhead)) return stored;
  const orNow = (at: number | null) => (at === null ? null : Math.min(at, now));
  return {
    ...stored,
    lookedAt: isAhead(lookedAt) ? null : lookedAt,
    finishedAt: orNow(finishedAt),
    graceUntil: graceUntil === null ? null : Math.min(graceUntil, now + graceMs),
    changedAt: orNow(changedAt),
    dismissedAt: orNow(dismissedAt),
    anewAt: orNow(anewAt),
  };
}

/** The watch after an operator has said that what is missing is really lost. */
export const closedByWord = (before: Watch, reason: string, now: number): Watch => ({
  ...before,
  isOpen: false,
  changedAt: now,
  reason,
  dismissedAt: now,
  anewAt: now,
});

const isMissing = ({ id, state }: WatchedHost, missed: ReadonlySet<string>): boolean =>
  missed.has(id) && (state === 'up' || state === 'suspect');

/**
 * Hosts that answered when the window began, and those of them that are missing. Hosts that are
 * joining, were down, or went missing before the window are neither. While it is open, the window
 * stays where it was when it opened, and hosts that join do not make the missing ones fewer.
 */
function census(
  { isOpen, changedAt, dismissedAt, hosts: counted }: Watch,
  hosts: readonly WatchedHost[],
  { askedAt, missed }: Look,
  { windowMs }: BreakerRule,
): { readonly fleet: number; readonly missing: number } {
  const from = (isOpen ? (changedAt ?? askedAt) : askedAt) - windowMs;
  let fleet = 0;
  let missing = 0;
  for (const host of hosts) {
    const { id, state, missingSince } = host;
    if (state === 'joining' || (state === 'down' && missed.has(id))) continue;
    if (!isMissing(host, missed)) {
      fleet += 1;
      continue;
    }
    const since = missingSince ?? askedAt;
    if (since <= from || (dismissedAt !== null && since <= dismissedAt)) continue;
    fleet += 1;
    missing += 1;
  }
  return { fleet: isOpen ? Math.max(missing, Math.min(fleet, counted)) : fleet, missing };
}
