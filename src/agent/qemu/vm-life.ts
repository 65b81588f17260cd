/**
 * One process of a VM, from its start or its adoption to its end: what QEMU says of it, and how it
 * is ended. It never starts a process, and what its end means for the VM is not decided here; see
 * machine.ts and ending.ts.
 */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, Log } from '../../model/ports.js';
import type { Reason } from '../../model/vm.js';
import { qmpShutdownSchema, qmpStatusSchema, qmpUuidSchema } from '../../wire/qemu.js';
import { QMP_SOCKET, RESCUE_SOCKET } from './arguments.js';
import { BOOT_LIMIT_MS, bootSuspicion } from './boot-watch.js';
import { readConsole, shortenLog } from './console-log.js';
import { BROKEN_STATUS, type Ending } from './ending.js';
import type { Child, ProcessEnd } from './launch.js';
import { isAlive, killProcess, processStat, TICKS_PER_S, type VmProcess } from './process.js';
import { openQmp, QmpError, type QmpClient, type QmpEvent } from './qmp.js';
import type { VmDirectory } from './vm-directory.js';

export interface LifeOptions {
  readonly process: VmProcess;
  /** Null when somebody else is its parent: it was adopted. */
  readonly child: Child | null;
  readonly directory: VmDirectory;
  /** Where its part of the console begins; null when that is not known. */
  readonly consoleFrom: number | null;
  readonly clock: Clock;
  readonly log: Log;
  /** Status or suspicion is another than before. */
  readonly onChange: () => void;
}

/** A conversation: QEMU answers in milliseconds unless its machine is drowning. */
const QMP_LIMIT_MS = 3_000;
/** A QEMU that we have started and that has not said a word until now never will. */
const FIRST_WORD_LIMIT_MS = 60_000;
const CONNECT_EVERY_MS = 50;
/** A process that is not our child is looked at this often, and at once when it hangs up. */
const LOOK_EVERY_MS = 500;
/** A guest that is not listening yet loses the button's press, so it is pressed again. */
const POWER_BUTTON_EVERY_MS = 1_500;
const QUIT_LIMIT_MS = 3_000;
const KILL_AGAIN_MS = 1_000;
const UPKEEP_EVERY_MS = 5_000;
/** So much of the console tells whether the guest has spoken. */
const CONSOLE_HEAD_BYTES = 16 * 1024;

export class VmLife {
  /** How it ended; null when we have let go of it. */
  readonly ended: Promise<Ending | null>;
  readonly #options: LifeOptions;
  readonly #letGo = new AbortController();
  readonly #startedAt: number;
  #client: QmpClient | null = null;
  #status: string | null = null;
  #suspicion: Reason | null = null;
  #shutdown: Ending['shutdown'] = null;
  #isOver = false;
  #isToEnd = false;
  #isBroken = false;
  /** Its end without the guest, once that has begun: then nothing else is tried any more. */
  #finishing: Promise<void> | null = null;
  #isStranger = false;

  constructor(options: LifeOptions) {
    this.#options = options;
    this.#startedAt = options.clock.monotonic();
    this.ended = this.#watch();
    this.#inBackground(this.#converse());
    this.#inBackground(this.#upkeep());
  }

  get process(): VmProcess {
    return this.#options.process;
  }

  /** QEMU's word of how the guest is (`running`, `paused`, `io-error`, …); null before it spoke. */
  get status(): string | null {
    return this.#status;
  }

  /** Why the guest is suspected to hang. */
  get suspicion(): Reason | null {
    return this.#suspicion;
  }

  /** An adopted process that says of itself that it runs another VM; it was let go of. */
  get isStranger(): boolean {
    return this.#isStranger;
  }

  /** Presses the power button until the guest is off; after the limit it is ended. */
  async powerOff(limitMs: number): Promise<void> {
    const { clock } = this.#options;
    this.#isToEnd = true;
    const until = clock.monotonic() + limitMs;
    while (this.#goesOn() && this.#finishing === null && clock.monotonic() < until) {
      await this.#tell('system_powerdown');
      await this.#endOr(POWER_BUTTON_EVERY_MS);
    }
    await this.end();
  }

  /** Ends it without asking the guest, also while the guest is being asked. */
  async end(): Promise<void> {
    this.#isToEnd = true;
    await this.#finish();
  }

  /** Stops watching it; it goes on. */
  letGo(): void {
    this.#letGo.abort();
    this.#client?.close();
    this.#options.child?.letGo();
  }

  #finish(): Promise<void> {
    this.#finishing ??= this.#finishNow();
    return this.#finishing;
  }

  async #finishNow(): Promise<void> {
    if (!this.#goesOn()) return;
    await this.#tell('quit');
    await this.#endOr(QUIT_LIMIT_MS);
    while (this.#goesOn()) {
      await killProcess(this.#options.process);
      await this.#endOr(KILL_AGAIN_MS);
    }
  }

  #goesOn(): boolean {
    return !this.#isOver && !this.#letGo.signal.aborted;
  }

  async #watch(): Promise<Ending | null> {
    const end = await this.#exit();
    this.#isOver = true;
    if (end === null) return null;
    // What QEMU said last may still be on its way through the socket.
    if (this.#client !== null) {
      await Promise.race([this.#client.closed, this.#options.clock.sleep(QMP_LIMIT_MS)]);
    }
    return {
      ...end,
      wasWanted: this.#isToEnd,
      shutdown: this.#shutdown,
      neverSpoke: this.#status === null && this.#options.child !== null,
      isBroken: this.#isBroken,
      hasLeftSockets: await hasLeftSockets(this.#options.directory),
    };
  }

  async #exit(): Promise<ProcessEnd | null> {
    const { child, process, clock } = this.#options;
    const { signal } = this.#letGo;
    if (child !== null) {
      return Promise.race([
        child.ended,
        new Promise<null>((resolve) => {
          signal.addEventListener('abort', () => {
            resolve(null);
          });
        }),
      ]);
    }
    for (;;) {
      if (signal.aborted) return null;
      if (!(await isAlive(process))) return { code: null, signal: null };
      const hungUp = this.#client?.closed ?? new Promise<never>(() => undefined);
      await Promise.race([clock.sleep(LOOK_EVERY_MS, signal), hungUp]);
    }
  }

  /** Talks with QEMU as long as both live; who hangs up is called again. */
  async #converse(): Promise<void> {
    const { clock, child, process, log } = this.#options;
    while (this.#goesOn()) {
      this.#client = await this.#connect();
      if (this.#client !== null) {
        await this.#greet(this.#client);
        await this.#client.closed;
        this.#client = null;
      }
      const isMute = this.#status === null && child !== null;
      if (isMute && clock.monotonic() - this.#startedAt > FIRST_WORD_LIMIT_MS) {
        log.error('a QEMU says nothing and is ended');
        await killProcess(process);
        return;
      }
      await clock.sleep(CONNECT_EVERY_MS, this.#letGo.signal);
    }
  }

  /** One of the two sockets may be in use by somebody who looks for a fault. */
  async #connect(): Promise<QmpClient | null> {
    for (const socket of [QMP_SOCKET, RESCUE_SOCKET]) {
      try {
        return await openQmp(this.#options.directory.runDir, socket, {
          limitMs: QMP_LIMIT_MS,
          onEvent: (event) => {
            this.#hear(event);
          },
        });
      } catch (error) {
        // Before QEMU has made its sockets there is nobody to talk with.
        if (!(error instanceof QmpError)) return null;
      }
    }
    return null;
  }

  /** Makes sure of whom we talk with, and how the guest is: events may have been missed. */
  async #greet(client: QmpClient): Promise<void> {
    const { child, directory, log } = this.#options;
    try {
      const { UUID } = qmpUuidSchema.parse(await client.execute('query-uuid'));
      if (UUID !== directory.key) {
        this.#isStranger = child === null;
        throw new Error('it runs another VM');
      }
      await this.#askStatus(client);
    } catch (error) {
      log.warn('a QEMU does not say how its VM is', { error });
      client.close();
      if (this.#isStranger) this.letGo();
    }
  }

  async #askStatus(client: QmpClient): Promise<void> {
    const { status } = qmpStatusSchema.parse(await client.execute('query-status'));
    // On its way out; its end is news, not this.
    if (status === this.#status || status === 'shutdown') return;
    this.#status = status;
    if (status === BROKEN_STATUS) {
      this.#isBroken = true;
      this.#inBackground(this.#finish());
    }
    this.#options.onChange();
  }

  #hear({ event, data }: QmpEvent): void {
    if (event === 'SHUTDOWN') {
      const shutdown = qmpShutdownSchema.safeParse(data);
      if (shutdown.success) this.#shutdown = shutdown.data;
    }
    const client = this.#client;
    if ((event === 'STOP' || event === 'RESUME') && client !== null) {
      this.#inBackground(this.#askStatus(client));
    }
  }

  /** Keeps its logs short and sees whether the guest gets anywhere. */
  async #upkeep(): Promise<void> {
    const { directory, log } = this.#options;
    while (this.#goesOn()) {
      await this.#endOr(UPKEEP_EVERY_MS);
      if (!this.#goesOn()) return;
      try {
        await this.#lookAtBoot();
        await shortenLog(directory.consoleLog);
        await shortenLog(directory.qemuLog);
      } catch (error) {
        log.warn('the logs of a VM cannot be kept in order', { error });
      }
    }
  }

  async #lookAtBoot(): Promise<void> {
    const { consoleFrom, process, clock, directory, onChange, log } = this.#options;
    const ageMs = clock.monotonic() - this.#startedAt;
    if (consoleFrom === null || ageMs < BOOT_LIMIT_MS) return;
    const cpuTicks = (await processStat(process.pid))?.cpuTicks ?? 0;
    const suspicion = bootSuspicion({
      ageMs,
      cpuShare: (cpuTicks * 1_000) / TICKS_PER_S / ageMs,
      console: await readConsole(directory.consoleLog, consoleFrom, CONSOLE_HEAD_BYTES),
    });
    if (suspicion?.code === this.#suspicion?.code) return;
    this.#suspicion = suspicion;
    if (suspicion !== null) log.warn('a guest may hang', { reason: suspicion });
    onChange();
  }

  /** Says something to QEMU; whether it was heard shows in what happens. */
  async #tell(command: string): Promise<void> {
    await this.#client?.execute(command).catch((error: unknown) => {
      this.#options.log.debug('QEMU did not take a command', { command, error });
    });
  }

  async #endOr(ms: number): Promise<void> {
    const enough = new AbortController();
    await Promise.race([this.ended, this.#options.clock.sleep(ms, enough.signal)]);
    enough.abort();
  }

  #inBackground(work: Promise<void>): void {
    work.catch((error: unknown) => {
      this.#options.log.warn('watching a VM went wrong; it is watched on', { error });
    });
  }
}

/** Whether a QEMU that has ended left its sockets behind, as it does when it is killed. */
export async function hasLeftSockets({ runDir }: VmDirectory): Promise<boolean> {
  return access(join(runDir, QMP_SOCKET)).then(
    () => true,
    () => false,
  );
}
