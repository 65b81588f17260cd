/**
 * resources/berth-agent.service holds what docs/agent.md promises. Method: the unit is read as systemd
 * would read it and judged; where systemd is installed it judges, too.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { VARIABLES } from '../../src/bin/config-variables.js';
import { readText } from './source-tree.js';

const UNIT = 'berth-agent.service';
const text = readText(`resources/${UNIT}`);

interface Line {
  readonly section: string;
  readonly key: string;
  readonly value: string;
}

/** The settings of a unit, in order; comments and blank lines left out. */
function linesOf(unit: string): readonly (Line | string)[] {
  let section = '';
  return unit.split('\n').flatMap((line): (Line | string)[] => {
    if (line === '' || line.startsWith('#')) return [];
    const head = /^\[(\w+)\]$/.exec(line)?.[1];
    if (head !== undefined) {
      section = head;
      return [];
    }
    const [, key, value] = /^([A-Z]\w+)=(.*)$/.exec(line) ?? [];
    return key === undefined || value === undefined ? [line] : [{ section, key, value }];
  });
}

const lines = linesOf(text);
const settings = lines.filter((line): line is Line => typeof line !== 'string');
const valuesOf = (key: string): string[] =>
  settings.filter((line) => line.key === key).flatMap(({ value }) => value.split(' '));

const folder = mkdtempSync(join(tmpdir(), 'berth-unit-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** What systemd says of the unit with a program that is there; null where it is not installed. */
function judged(
  ...args: string[]
): { readonly status: number | null; readonly output: string } | null {
  const path = join(folder, UNIT);
  writeFileSync(path, text.replace('ExecStart=/usr/bin/node ', `ExecStart=${process.execPath} `));
  const { error, status, stdout, stderr } = spawnSync('systemd-analyze', [...args, path], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  return error === undefined ? { status, output: stdout + stderr } : null;
}

describe(UNIT, () => {
  it('consists of sections and settings', () => {
    expect(lines.filter((line) => typeof line === 'string')).toEqual([]);
    expect([...new Set(settings.map(({ section }) => section))]).toEqual([
      'Unit',
      'Service',
      'Install',
    ]);
    const names = settings.map(({ key }) => key).filter((key) => key !== 'DeviceAllow');
    expect(names.filter((name, n) => names.indexOf(name) !== n)).toEqual([]);
  });

  it('is one that systemd takes', () => {
    const verdict = judged('verify');
    if (verdict === null) expect(valuesOf('ExecStart')[0]).toBe('/usr/bin/node');
    else {
      expect(verdict.status).toBe(0);
      // Versions before 254 pass over the one setting that they do not know.
      const said = verdict.output.split('\n').filter((line) => !line.includes('DelegateSubgroup'));
      expect(said.join('')).toBe('');
    }
  });

  it('is exposed no more than a service has to be that makes interfaces', () => {
    const verdict = judged('security', '--offline=true', '--threshold=40', '--no-pager');
    const closed = ['NoNewPrivileges', 'ProtectHome', 'PrivateTmp', 'ProtectKernelModules'];
    for (const key of closed) expect(valuesOf(key)).toEqual(['yes']);
    if (verdict !== null) expect(verdict.status).toBe(0);
  });

  it('starts the program that a build makes, as the guide installs it', () => {
    const { bin } = JSON.parse(readText('package.json')) as { bin: { berth: string } };
    expect(valuesOf('ExecStart')).toEqual(['/usr/bin/node', `/opt/berth/${bin.berth}`, 'agent']);
    const guide = readText('docs/agent.md');
    for (const path of ['/opt/berth', ...valuesOf('EnvironmentFile'), '/var/lib/berth']) {
      expect(guide).toContain(path);
    }
  });

  it('leaves VMs alone when the agent stops, and lets it limit them', () => {
    expect(valuesOf('KillMode')).toEqual(['process']);
    expect(valuesOf('OOMPolicy')).toEqual(['continue']);
    expect(valuesOf('Delegate')).toEqual(['cpu', 'memory', 'pids']);
    // Below its own group: in that it could not be started again beside live VMs.
    expect(valuesOf('DelegateSubgroup')).toEqual(['agent']);
    expect(valuesOf('ProtectControlGroups')).toEqual(['no']);
    for (const name of ['CAP_NET_ADMIN', 'CAP_KILL', 'CAP_SYS_PTRACE'])
      expect(valuesOf('CapabilityBoundingSet')).toContain(name);
    expect(valuesOf('RestrictAddressFamilies')).toContain('AF_NETLINK');
    expect(valuesOf('DeviceAllow')).toContain('/dev/net/tun');
  });

  it('gives no rights over the whole machine', () => {
    const broad = /CAP_(SYS_ADMIN|SYS_MODULE|SYS_RAWIO|DAC_READ_SEARCH|BPF|MKNOD)/;
    expect(valuesOf('CapabilityBoundingSet').filter((name) => broad.test(name))).toEqual([]);
    expect(valuesOf('ProtectSystem')).toEqual(['strict']);
  });

  it('sets only variables that Berth knows', () => {
    const known = VARIABLES.map(({ name }) => name);
    const set = valuesOf('Environment').map((one) => one.split('=')[0]);
    expect(set.filter((name) => name === undefined || !known.includes(name))).toEqual([]);
  });
});
