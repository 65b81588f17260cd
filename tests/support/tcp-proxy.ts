/**
 * A TCP proxy on loopback that spoils what passes through it: latency, little bandwidth, silence in
 * one or both directions, cuts, resets, slow closes, cuts after so many bytes, and replies that are
 * lost after the server has done its work. For one connection, or for all and those to come.
 *
 *   client ──up──► proxy ──up──► server
 *   client ◄─down─ proxy ◄─down─ server
 */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export type Direction = 'up' | 'down';

export interface Toxics {
  /** Each piece of data arrives so much later; jitter adds up to so much more, order is kept. */
  readonly latencyMs?: number;
  readonly jitterMs?: number;
  readonly bytesPerSecond?: number;
  /** What goes in these directions is swallowed, its end included; nobody is told. */
  readonly silent?: readonly Direction[];
  /** An end of either side is passed on so much later. */
  readonly slowCloseMs?: number;
  /** The connection is reset once so many bytes have passed, counted from when this is set. */
  readonly cutAfterBytes?: number;
}

export interface ReplyLoss {
  /** Only the reply to what matches; to anything, when absent. */
  readonly to?: RegExp;
  /** What the client meets instead of the reply. Default: a reset. */
  readonly then?: 'reset' | 'hang';
}

interface Loss {
  readonly to: RegExp | null;
  readonly then: 'reset' | 'hang';
  readonly done: () => void;
}

/** Above this much waiting in one direction, its source waits, too. */
const MAX_WAITING = 64;
/** So much of the last piece is kept, since what a loss looks for may come in two. */
const KEPT_BYTES = 256;

/** One client's connection through the proxy. */
export class Link {
  #toxics: Toxics;
  #passed = 0;
  #loss: Loss | null = null;
  /** The request whose reply is to be lost is on its way to the server. */
  #armed = false;
  #lastSent = '';
  /** Something was swallowed. */
  #holed = false;
  readonly #over = new AbortController();

  constructor(
    readonly client: Socket,
    readonly server: Socket,
    toxics: Toxics,
    private readonly random: () => number,
  ) {
    this.#toxics = toxics;
    this.#flow('up', client, server);
    this.#flow('down', server, client);
  }

  get open(): boolean {
    return !this.#over.signal.aborted;
  }

  /** Replaces every toxic of this connection. */
  set(toxics: Toxics): void {
    this.#toxics = toxics;
    this.#passed = 0;
  }

  /** All is well from here on; a stream with a hole in it is no use to anybody and is reset. */
  heal(): void {
    this.lose(null);
    this.set({});
    if (this.#holed) this.reset();
  }

  /** The next reply does not arrive although the server did its work. Resolves when it is lost. */
  loseReply({ to, then = 'reset' }: ReplyLoss = {}): Promise<void> {
    return new Promise((done) => {
      this.lose({ to: to ?? null, then, done });
    });
  }

  /** @internal also the proxy's way to hand one loss to all connections */
  lose(loss: Loss | null): void {
    this.#loss = loss;
    this.#armed = loss !== null && loss.to === null;
  }

  /** Both sides see a reset at once. */
  reset(): void {
    this.#over.abort();
    for (const socket of [this.client, this.server]) {
      // A reset would wait for the connection first.
      if (socket.connecting) socket.destroy();
      else socket.resetAndDestroy();
    }
  }

  #flow(direction: Direction, from: Socket, to: Socket): void {
    let waiting = 0;
    let tail = Promise.resolve();
    const then = (step: () => Promise<void>) => {
      waiting += 1;
      if (waiting > MAX_WAITING) from.pause();
      tail = tail.then(step).then(
        () => {
          waiting -= 1;
          if (waiting === 0 && this.open) from.resume();
        },
        // Nothing but the end of the connection makes a step fail.
        () => undefined,
      );
    };
    from.setNoDelay(true);
    from.on('data', (chunk: Buffer) => {
      const due = performance.now() + this.#delayMs();
      then(() => this.#pass(direction, chunk, to, due));
    });
    from.on('end', () => {
      then(() => this.#passEnd(direction, to));
    });
    from.on('error', () => {
      this.reset();
    });
    from.on('close', () => {
      if (this.client.destroyed && this.server.destroyed) this.#over.abort();
    });
  }

  #delayMs(): number {
    const { latencyMs = 0, jitterMs = 0 } = this.#toxics;
    return latencyMs + this.random() * jitterMs;
  }

  async #pass(direction: Direction, chunk: Buffer, to: Socket, due: number): Promise<void> {
    await this.#wait(due - performance.now());
    const { bytesPerSecond, silent = [], cutAfterBytes = Infinity } = this.#toxics;
    if (bytesPerSecond !== undefined) await this.#wait((chunk.length / bytesPerSecond) * 1_000);
    if (silent.includes(direction)) {
      this.#holed = true;
      return;
    }
    if (direction === 'up') this.#look(chunk);
    else if (this.#armed) {
      this.#loseIt();
      return;
    }
    const left = cutAfterBytes - this.#passed;
    this.#passed += chunk.length;
    if (chunk.length >= left) {
      to.write(chunk.subarray(0, left), () => {
        this.reset();
      });
    } else if (!to.write(chunk)) await once(to, 'drain', { signal: this.#over.signal });
  }

  /** Notices the request whose reply is to be lost. */
  #look(chunk: Buffer): void {
    const sent = this.#lastSent + chunk.toString('latin1');
    this.#lastSent = sent.slice(-KEPT_BYTES);
    if (this.#loss?.to?.test(sent) === true) this.#armed = true;
  }

  #loseIt(): void {
    const loss = this.#loss;
    this.lose(null);
    if (loss?.then === 'reset') {
      this.#over.abort();
      this.client.resetAndDestroy();
      // An end, not a reset: the server still does all that it was sent.
      this.server.end();
      this.server.resume();
    } else {
      this.#toxics = { ...this.#toxics, silent: ['down'] };
      this.#holed = true;
    }
    loss?.done();
  }

  async #passEnd(direction: Direction, to: Socket): Promise<void> {
    const { slowCloseMs = 0, silent = [] } = this.#toxics;
    await this.#wait(slowCloseMs);
    if (!silent.includes(direction)) to.end();
    else this.#holed = true;
  }

  async #wait(ms: number): Promise<void> {
    if (ms > 0) await sleep(ms, undefined, { signal: this.#over.signal });
    this.#over.signal.throwIfAborted();
  }
}

/** Where the real server stands. */
export interface Upstream {
  readonly host?: string;
  readonly port: number;
}

export class TcpProxy {
  /** Told of each connection as it comes, to spoil some of them only. */
  onLink: (link: Link) => void = () => undefined;
  readonly #links = new Set<Link>();
  #toxics: Toxics = {};
  #cut = false;
  #loss: Loss | null = null;

  private constructor(
    private readonly listener: Server,
    private upstream: Upstream,
    private readonly random: () => number,
  ) {
    listener.on('connection', (client) => {
      this.#accept(client);
    });
  }

  /** @param options.random for jitter; `bind` is the address to listen on */
  static async start(
    upstream: Upstream,
    options: { readonly random?: () => number; readonly bind?: string } = {},
  ): Promise<TcpProxy> {
    const { random = Math.random, bind = '127.0.0.1' } = options;
    const listener = createServer({ allowHalfOpen: true }).listen(0, bind);
    await once(listener, 'listening');
    return new TcpProxy(listener, upstream, random);
  }

  get port(): number {
    return (this.listener.address() as AddressInfo).port;
  }

  /** Connections that are open now. */
  get links(): readonly Link[] {
    return [...this.#links].filter(({ open }) => open);
  }

  /** Connections to come go there. */
  leadTo(upstream: Upstream): void {
    this.upstream = upstream;
  }

  /** Replaces every toxic of all connections and of those to come. */
  set(toxics: Toxics): void {
    this.#toxics = toxics;
    for (const link of this.#links) link.set(toxics);
  }

  /** Ends every connection with a reset and lets none in until `heal`. */
  cut(): void {
    this.#cut = true;
    this.reset();
  }

  /** Everything is accepted and swallowed, in these directions, until `heal`. */
  hang(silent: readonly Direction[] = ['up', 'down']): void {
    this.set({ silent });
  }

  /** Resets the connections of now. */
  reset(): void {
    for (const link of this.#links) link.reset();
  }

  /**
   * The next reply on any connection, also of those to come, does not arrive although the server did
   * its work; replies after it do not either on that connection. Resolves when it is lost.
   */
  loseReply({ to, then = 'reset' }: ReplyLoss = {}): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#loss = null;
        for (const link of this.#links) link.lose(null);
        resolve();
      };
      this.#loss = { to: to ?? null, then, done };
      for (const link of this.#links) link.lose(this.#loss);
    });
  }

  /** All is well from here on; see `Link.heal`. */
  heal(): void {
    this.#cut = false;
    this.#loss = null;
    this.#toxics = {};
    for (const link of this.#links) link.heal();
  }

  async stop(): Promise<void> {
    const closed = once(this.listener, 'close');
    this.listener.close();
    this.reset();
    await closed;
  }

  #accept(client: Socket): void {
    if (this.#cut) {
      client.on('error', () => undefined);
      client.resetAndDestroy();
      return;
    }
    const { host = '127.0.0.1', port } = this.upstream;
    const server = connect({ host, port, allowHalfOpen: true });
    const link = new Link(client, server, this.#toxics, this.random);
    if (this.#loss !== null) link.lose(this.#loss);
    this.#links.add(link);
    for (const socket of [client, server]) {
      socket.once('close', () => {
        if (client.closed && server.closed) this.#links.delete(link);
      });
    }
    this.onLink(link);
  }
}
