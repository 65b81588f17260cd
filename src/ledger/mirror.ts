/**
 * A copy of the ledger's hosts and groups in memory, kept current from the change stream: the cost is that of
 * the changes, not of the hosts. Entries carry sums and not differences, so that reading one twice
 * does no harm and a full reading need not be atomic. Never writes, except for the fence.
 */
import type { Redis } from 'ioredis';
import type { HostFacts } from '../model/host.js';
import type { Resources } from '../model/resources.js';
import { HostTable } from '../placement/host-table.js';
import { rebuilding, replies, unavailable } from './failures.js';
import type { HighWater } from './high-water.js';
import { entriesOf, entriesOfHash } from './group-hash.js';
import { hostOfHash, sumsOf } from './host-hash.js';
import type { CellKeys } from './keys.js';
import { readHashes } from './read-hashes.js';

/** Entries that one reading of the stream brings. */
const ENTRIES_MAX = 1_000;

/** Full readings in one catching up, when the ledger is replaced meanwhile. */
const LOADS_MAX = 3;

/** A stream entry: id, then field, value, field, value, … */
type Entry = readonly [id: string, fields: readonly string[]];

/**
 * What an entry tells: `next` follows on what is known, `break` does not (a reset, or entries
 * between have been trimmed), `reused` has a number that is known already.
 */
type Step = 'next' | 'break' | 'reused';

export interface MirrorOptions {
  readonly redis: Redis;
  readonly keys: CellKeys;
  readonly highWater: HighWater;
  /** As whom this process waits for the placement lock. */
  readonly waiter: string;
}

/** What a change left behind, as scripts write it; see sumsOf and entriesOf. */
export interface Sums {
  readonly used: string;
  readonly groups: string;
}

export class Mirror {
  readonly table = new HostTable();
  readonly #redis: Redis;
  readonly #keys: CellKeys;
  readonly #highWater: HighWater;
  readonly #waiter: string;
  #incarnation = '';
  #epoch = 0;
  #seq = 0;
  #entryId = '0-0';
  #dirty = true;
  #lockIsWanted = false;
  /** Readings follow one another: two at once would apply entries in the wrong order. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: MirrorOptions) {
    this.#redis = options.redis;
    this.#keys = options.keys;
    this.#highWater = options.highWater;
    this.#waiter = options.waiter;
  }

  get incarnation(): string {
    return this.#incarnation;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** Number of the last change that the table shows. */
  get seq(): number {
    return this.#seq;
  }

  /** Whether another process waited for the placement lock when this last looked. */
  get lockIsWanted(): boolean {
    return this.#lockIsWanted;
  }

  /** The table is not to be believed: read everything next time. */
  markDirty(): void {
    this.#dirty = true;
  }

  /**
   * Reads what has changed.
   * @throws DomainError `ledger_unavailable`, `ledger_rebuilding`
   */
  async catchUp(): Promise<void> {
    await this.#inTurn(() => this.#catchUp(false));
  }

  /**
   * Takes the next fence, which shuts out every earlier turn, and reads what has changed, in one
   * round trip.
   */
  async catchUpFenced(): Promise<number> {
    return this.#inTurn(() => this.#catchUp(true));
  }

  /**
   * Takes over the sums that a script has answered. The position moves only if nobody else's
   * change lies between; otherwise this one is read once more, after those.
   * @param seq number of the change, or of the last one when nothing was changed
   * @param entryId its entry in the stream; empty when nothing was changed
   */
  apply(sums: Sums, seq: number, entryId: string): void {
    this.#setSums(sums);
    if (entryId !== '' && seq === this.#seq + 1) {
      this.#seq = seq;
      this.#entryId = entryId;
    }
    this.#highWater.note(this.#incarnation, seq);
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task, task);
    this.#last = result;
    // A failure is the caller's; the next in line only waits.
    result.catch(() => undefined);
    return result;
  }

  async #catchUp(raiseFence: boolean): Promise<number> {
    for (let loads = 0; ;) {
      if (this.#dirty) {
        if (loads === LOADS_MAX) throw unavailable('the ledger changes faster than it can be read');
        loads += 1;
        await this.#load();
      }
      const news = await this.#ask(raiseFence);
      if (news.incarnation !== this.#incarnation) {
        this.#dirty = true;
        continue;
      }
      if (news.seq < news.seenBefore) throw this.#lost('its sequence number went back');
      const step = this.#replay(news.entries);
      if (step === 'reused') throw this.#lost('a sequence number was used twice');
      if (step === 'break') {
        this.#dirty = true;
      } else if (this.#seq >= news.seq) {
        return news.fence;
      } else if (news.entries.length < ENTRIES_MAX) {
        // The end of the stream is missing, and with it what it told.
        this.#dirty = true;
      }
    }
  }

  async #ask(raiseFence: boolean) {
    const seenBefore = this.#highWater.seen(this.#incarnation);
    const { meta, log, lockWaiters } = this.#keys;
    const pipeline = this.#redis.pipeline();
    // Who takes the next fence has the lock, and waits for it no longer.
    if (raiseFence) pipeline.hincrby(meta, 'fence', 1).hdel(lockWaiters, this.#waiter);
    pipeline.hmget(meta, 'incarnation', 'seq');
    pipeline.xrange(log, `(${this.#entryId}`, '+', 'COUNT', ENTRIES_MAX);
    pipeline.hkeys(lockWaiters);
    const answers = await replies(pipeline);
    const [fence] = raiseFence ? (answers.splice(0, 2) as [number]) : [0];
    const [known, entries, waiters] = answers as [
      readonly (string | null)[],
      readonly Entry[],
      readonly string[],
    ];
    this.#lockIsWanted = waiters.some((waiter) => waiter !== this.#waiter);
    const [incarnation, seq] = known;
    if (incarnation === null || incarnation === undefined) throw rebuilding('there is no ledger');
    if (this.#highWater.isLost(incarnation)) throw rebuilding('Redis has lost changes');
    return { incarnation, seq: Number(seq), fence, entries, seenBefore };
  }

  #replay(entries: readonly Entry[]): Step {
    for (const [id, fields] of entries) {
      const step = this.#tryToReplay(id, fields);
      if (step !== 'next') return step;
    }
    if (entries.length > 0) this.#highWater.note(this.#incarnation, this.#seq);
    return 'next';
  }

  /** An entry that cannot be read tells nothing; what is so is read from the hashes. */
  #tryToReplay(id: string, fields: readonly string[]): Step {
    try {
      return this.#replayOne(id, fields);
    } catch {
      return 'break';
    }
  }

  #replayOne(id: string, fields: readonly string[]): Step {
    let seq = Number.NaN;
    let used = '{}';
    let groups = '{}';
    let facts: HostFacts | null = null;
    for (let at = 0; at < fields.length; at += 2) {
      const value = fields[at + 1] ?? '';
      if (fields[at] === 'n') seq = Number(value);
      else if (fields[at] === 'used') used = value;
      else if (fields[at] === 'groups') groups = value;
      else if (fields[at] === 'facts') facts = JSON.parse(value) as HostFacts;
      else if (fields[at] === 'reset') return 'break';
    }
    if (seq <= this.#seq) return 'reused';
    if (seq !== this.#seq + 1) return 'break';
    if (facts !== null) this.#setHost(facts, {});
    this.#setSums({ used, groups });
    this.#seq = seq;
    this.#entryId = id;
    return 'next';
  }

  /** A retired host is no host any more, except that its groups know of its VMs. */
  #setHost(facts: HostFacts, used: Resources): void {
    if (facts.mode === 'retired') this.table.remove(facts.id);
    else this.table.upsert(facts, used);
  }

  #setSums({ used, groups }: Sums): void {
    for (const [hostId, amounts] of sumsOf(used)) this.table.setAllocated(hostId, amounts);
    for (const entry of entriesOf(groups)) this.table.groups.set(...entry);
  }

  /**
   * Reads all hosts and groups. Changes that happen meanwhile are in the stream after the position noted
   * first, and are replayed over what was read here.
   */
  async #load(): Promise<void> {
    const { meta, log, ledger } = this.#keys;
    const [known, newest] = (await replies(
      this.#redis
        .multi()
        .hmget(meta, 'incarnation', 'epoch', 'seq')
        .xrevrange(log, '+', '-', 'COUNT', 1),
    )) as [readonly (string | null)[], readonly Entry[]];
    const [incarnation, epoch, seq] = known;
    if (incarnation === null || incarnation === undefined) throw rebuilding('there is no ledger');
    // If it is replaced and cleared away meanwhile, the next look at the stream tells.
    const { hosts, groups, host, group } = ledger(incarnation);
    const [hostIds, groupKeys] = (await replies(
      this.#redis.pipeline().smembers(hosts).smembers(groups),
    )) as [readonly string[], readonly string[]];
    const hostHashes = await readHashes(this.#redis, hostIds.map(host));
    const groupHashes = await readHashes(this.#redis, groupKeys.map(group));
    this.table.clear();
    this.#incarnation = incarnation;
    try {
      for (const hash of hostHashes) {
        const found = hostOfHash(hash);
        if (found !== null) this.#setHost(found.facts, found.used);
      }
      for (const [index, key] of groupKeys.entries()) {
        for (const entry of entriesOfHash(key, groupHashes[index] ?? {})) {
          this.table.groups.set(...entry);
        }
      }
    } catch {
      // It is made anew from the catalogue, like one that is not there.
      throw this.#lost('a hash cannot be read');
    }
    this.#epoch = Number(epoch);
    this.#seq = Number(seq);
    this.#entryId = newest[0]?.[0] ?? '0-0';
    this.#dirty = false;
  }

  #lost(how: string): Error {
    this.#highWater.markLost(this.#incarnation);
    this.#dirty = true;
    return rebuilding(`Redis has lost changes: ${how}`);
  }
}
