/** Each way of spoiling a connection, against a server that counts what it was asked. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from './cluster.js';
import { TcpProxy } from './tcp-proxy.js';

/** Long enough for a piece of data to cross loopback twice on a busy machine. */
const QUIET_MS = 200;

interface Client {
  readonly socket: Socket;
  received: string;
  /** `ECONNRESET` or the like; null for an orderly end. */
  readonly ended: Promise<string | null>;
}

describe('the TCP proxy of the tests', () => {
  let server: Server;
  let proxy: TcpProxy;
  let heard: string;
  const sockets: Socket[] = [];

  beforeEach(async () => {
    heard = '';
    server = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => undefined);
      socket.on('data', (chunk) => {
        heard += chunk.toString();
        socket.write(`<${chunk.toString()}>`);
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    proxy = await TcpProxy.start({ port: (server.address() as AddressInfo).port });
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await proxy.stop();
    server.close();
  });

  const open = async (): Promise<Client> => {
    const socket = connect(proxy.port, '127.0.0.1');
    sockets.push(socket);
    let code: string | null = null;
    const ended = new Promise<string | null>((resolve) => {
      socket.on('error', (error: NodeJS.ErrnoException) => (code = error.code ?? 'unknown'));
      socket.on('close', () => resolve(code));
    });
    const client: Client = { socket, received: '', ended };
    socket.on('data', (chunk) => (client.received += chunk.toString()));
    await once(socket, 'connect');
    return client;
  };
  const receives = (client: Client, text: string) =>
    until(`'${text}' (so far '${client.received}')`, async () => client.received === text);
  const hears = (text: string) =>
    until(`'${text}' at the server (so far '${heard}')`, async () => heard === text);

  it('passes everything on, and the end', async () => {
    const client = await open();
    client.socket.write('one');
    await receives(client, '<one>');
    const big = 'x'.repeat(3_000_000);
    client.socket.write(big);
    await until('all of it', async () => heard.length === big.length + 3);
    client.socket.end();
    expect(await client.ended).toBeNull();
  });

  it('is late by latency and jitter, and keeps the order', async () => {
    proxy.set({ latencyMs: 60, jitterMs: 60 });
    const client = await open();
    const began = performance.now();
    for (const letter of 'abcdefgh') {
      client.socket.write(letter);
      await sleep(2);
    }
    await until('the last one', async () => client.received.includes('h'));
    expect(performance.now() - began).toBeGreaterThanOrEqual(119);
    expect(heard).toBe('abcdefgh');
  });

  it('lets so many bytes through in a second', async () => {
    proxy.set({ bytesPerSecond: 10_000 });
    const client = await open();
    const began = performance.now();
    client.socket.write('x'.repeat(2_000));
    await until('all of it', async () => client.received.length >= 2_000);
    expect(performance.now() - began).toBeGreaterThanOrEqual(390);
  });

  it('resets what is cut and lets nobody in until it is healed', async () => {
    const before = await open();
    before.socket.write('one');
    await receives(before, '<one>');
    proxy.cut();
    expect(await before.ended).toBe('ECONNRESET');
    const refused = connect(proxy.port, '127.0.0.1');
    const [error] = (await once(refused, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ECONNRESET');
    proxy.heal();
    const after = await open();
    after.socket.write('two');
    await receives(after, '<two>');
  });

  it('swallows both directions, or one', async () => {
    const client = await open();
    proxy.hang();
    client.socket.write('one');
    await sleep(QUIET_MS);
    expect([heard, client.received, client.socket.destroyed]).toEqual(['', '', false]);
    proxy.hang(['down']);
    client.socket.write('two');
    await hears('two');
    await sleep(QUIET_MS);
    expect(client.received).toBe('');
    // A stream with a hole is of no use.
    proxy.heal();
    expect(await client.ended).toBe('ECONNRESET');
  });

  it('keeps connections that lost nothing when it is healed', async () => {
    const client = await open();
    proxy.hang();
    proxy.heal();
    client.socket.write('one');
    await receives(client, '<one>');
  });

  it('loses a reply after the effect, by a reset', async () => {
    const client = await open();
    client.socket.write('one');
    await receives(client, '<one>');
    const lost = proxy.loseReply();
    client.socket.write('two');
    await lost;
    expect(await client.ended).toBe('ECONNRESET');
    await hears('onetwo');
    expect(client.received).toBe('<one>');
    // One reply, and no other.
    const next = await open();
    next.socket.write('three');
    await receives(next, '<three>');
  });

  it('loses the reply to what matches only, by silence, also when it comes in two pieces', async () => {
    const client = await open();
    const lost = proxy.loseReply({ to: /COMMIT/, then: 'hang' });
    client.socket.write('insert ');
    await receives(client, '<insert >');
    client.socket.write('COM');
    await receives(client, '<insert ><COM>');
    client.socket.write('MIT');
    await lost;
    await hears('insert COMMIT');
    await sleep(QUIET_MS);
    expect([client.received, client.socket.destroyed]).toEqual(['<insert ><COM>', false]);
    proxy.heal();
    expect(await client.ended).toBe('ECONNRESET');
  });

  it('spoils one connection alone', async () => {
    const one = await open();
    one.socket.write('1');
    await receives(one, '<1>');
    const two = await open();
    two.socket.write('2');
    await receives(two, '<2>');
    proxy.links[0]?.set({ silent: ['up'] });
    one.socket.write('3');
    two.socket.write('4');
    await receives(two, '<2><4>');
    expect(heard).toBe('124');
    proxy.links[0]?.reset();
    expect(await one.ended).toBe('ECONNRESET');
    expect(proxy.links).toHaveLength(1);
  });

  it('cuts after so many bytes', async () => {
    const client = await open();
    proxy.set({ cutAfterBytes: 5 });
    client.socket.write('one');
    // A reset right behind data looks like an end to Node's own client.
    await client.ended;
    expect(client.received).toBe('<o');
  });

  it('closes slowly', async () => {
    proxy.set({ slowCloseMs: 150 });
    const client = await open();
    client.socket.write('one');
    await receives(client, '<one>');
    const began = performance.now();
    client.socket.end();
    expect(await client.ended).toBeNull();
    expect(performance.now() - began).toBeGreaterThanOrEqual(149);
  });

  it('leads later connections to another server', async () => {
    const other = createServer((socket) => socket.end('other')).listen(0, '127.0.0.1');
    await once(other, 'listening');
    proxy.leadTo({ port: (other.address() as AddressInfo).port });
    const client = await open();
    await receives(client, 'other');
    other.close();
  });
});
