/**
 * A network namespace of its own for some hosts, so that a cut is one that nobody is told of. Frames
 * go to an address that no card has: neither a refusal nor an unreachable network, and no packet
 * filter is needed.
 */
import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ip = (...words: readonly string[]) => run('ip', words);

/** Names of those that are there. */
const made = new Set<string>();

/** No card has it. */
const NOBODY = '02:00:00:00:00:99';

export class Namespace {
  private constructor(
    readonly name: string,
    /** Of the machine, as the namespace sees it. */
    readonly outside: string,
    /** Of the namespace, as the machine sees it. */
    readonly inside: string,
    private readonly cards: readonly [string, string],
  ) {}

  /** @returns null where the machine does not allow it */
  static async make(): Promise<Namespace | null> {
    const tag = process.pid.toString(36);
    const net = `10.213.${(process.pid % 250).toString()}`;
    const name = `berth-chaos-${tag}`;
    const [outer, inner] = [`bc${tag}o`, `bc${tag}i`] as const;
    const one = new Namespace(name, `${net}.1`, `${net}.2`, [outer, inner]);
    try {
      await ip('netns', 'add', name);
      made.add(name);
      await ip('link', 'add', outer, 'type', 'veth', 'peer', 'name', inner, 'netns', name);
      await ip('addr', 'add', `${net}.1/30`, 'dev', outer);
      await ip('link', 'set', outer, 'up');
      await ip('-n', name, 'addr', 'add', `${net}.2/30`, 'dev', inner);
      await ip('-n', name, 'link', 'set', inner, 'up');
      await ip('-n', name, 'link', 'set', 'lo', 'up');
      return one;
    } catch {
      await one.remove();
      return null;
    }
  }

  /** Words before a command that is to run in it. */
  get prefix(): readonly [string, ...string[]] {
    return ['ip', 'netns', 'exec', this.name];
  }

  /** Nothing gets in or out; `in`: only what goes in is lost. */
  async cut(what: 'in' | 'both'): Promise<void> {
    const [outer, inner] = this.cards;
    await ip(...lose(this.inside, outer));
    if (what === 'both') await ip('-n', this.name, ...lose(this.outside, inner));
  }

  async heal(): Promise<void> {
    const [outer, inner] = this.cards;
    await ip('neigh', 'flush', 'dev', outer, 'nud', 'permanent').catch(() => undefined);
    await ip('neigh', 'del', this.inside, 'dev', outer).catch(() => undefined);
    await ip('-n', this.name, 'neigh', 'del', this.outside, 'dev', inner).catch(() => undefined);
  }

  /** For the end of a process that cannot wait. */
  static removeAll(): void {
    for (const name of made) {
      try {
        // The pair of cards goes with it.
        execFileSync('ip', ['netns', 'del', name], { stdio: 'ignore' });
      } catch {
        // It is being removed already.
      }
    }
  }

  async remove(): Promise<void> {
    await ip('link', 'del', this.cards[0]).catch(() => undefined);
    await ip('netns', 'del', this.name).catch(() => undefined);
    made.delete(this.name);
  }
}

const lose = (address: string, card: string): readonly string[] => [
  'neigh',
  'replace',
  address,
  'lladdr',
  NOBODY,
  'nud',
  'permanent',
  'dev',
  card,
];
