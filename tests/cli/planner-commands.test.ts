/** `berth simulate`, `generate`, `capacity` and `rebalance`: on files, and against a server. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { barOf } from '../../src/cli/progress.js';
import { escapeHtml } from '../../src/cli/svg-chart.js';
import { STRATEGY_NAMES } from '../../src/model/strategies.js';
import { GOALS } from '../../src/planner/rebalance.js';
import {
  capacitySchema,
  REBALANCE_GOALS,
  rebalanceSchema,
  simulationSchema,
} from '../../src/wire/planner.js';
import { berth, startServer, words, type Call, type Reply, type Server } from './terminal.js';

let folder: string;
let server: Server | undefined;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-plans-'));
  writeFileSync(
    join(folder, 'hosts.csv'),
    'name,zone,cpu,memory,disk\na,x,16,64GiB,1TiB\nb,x,16,64GiB,1TiB\nc,y,8,32GiB,1TiB\n',
  );
  writeFileSync(
    join(folder, 'vms.csv'),
    'name,host,cpu,memory,disk\nv1,a,4,16GiB,10GiB\nv2,a,4,16GiB,10GiB\nv3,a,4,16GiB,10GiB\nv4,c,4,16GiB,10GiB\n',
  );
  writeFileSync(
    join(folder, 'requests.csv'),
    `name,arrival_s,lifetime_s,cpu,memory,disk\n${Array.from({ length: 30 }, (_, at) => `r${at.toString()},${at.toString()},20,2,8GiB,10GiB`).join('\n')}\n`,
  );
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});
afterEach(() => server?.stop());

const file = (name: string): string => join(folder, name);
const inFiles = () => ['--hosts', file('hosts.csv'), '--vms', file('vms.csv')];
const load = () => ['--hosts', file('hosts.csv'), '--requests', file('requests.csv')];

async function run(line: string, answer: (call: Call) => Reply) {
  server = await startServer(answer);
  const outcome = await berth(words(line), { BERTH_URL: server.url, BERTH_TOKEN: 't' });
  return { ...outcome, calls: server.calls };
}

describe('berth simulate', () => {
  it('tells what was placed and refused, and needs no control plane', async () => {
    const { code, stdout, stderr } = await berth(['simulate', ...load()]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(
      'requests       30 on 3 hosts\nplaced         30\nrefused        none',
    );
    expect(stdout).toMatch(/use of cpu {5}mean [\d.]+%, peak 100%/);
  });

  it('ranks every strategy, and writes the report as one file that loads nothing', async () => {
    const html = file('report.html');
    const { code, stdout } = await berth([
      ...['simulate', ...load(), '--compare', '--fill', '1.5', '--html', html],
    ]);
    expect(code).toBe(0);
    for (const name of STRATEGY_NAMES) expect(stdout).toContain(name);
    expect(stdout).toContain('insufficient');
    const report = readFileSync(html, 'utf8');
    expect(report.match(/<figure>/g)?.length).toBe(3 + 3);
    expect(report.match(/<polyline/g)?.length).toBe(6 * STRATEGY_NAMES.length);
    expect(report).not.toMatch(/<script|<link|src=|href=|url\(|NaN/);
  });

  it('prints JSON that the API would answer, and the course as CSV', async () => {
    const { stdout } = await berth([
      'simulate',
      ...load(),
      '--compare',
      'cosine,best-fit',
      '--json',
    ]);
    const results: unknown = JSON.parse(stdout);
    expect(simulationSchema.safeParse({ results }).error).toBeUndefined();
    const csv = (await berth(['simulate', ...load(), '--csv'])).stdout.split('\n');
    expect(csv[0]).toBe(
      'strategy,at_s,load,placed,refused,fragmentation,empty_hosts,cpu_share,memory_share,disk_share',
    );
    expect(csv[1]).toMatch(/^cosine,0,0\.05,1,0,0,2,0\.05,0\.05,/);
    expect(csv).toHaveLength(1 + 60 + 1);
  });

  it.each([
    [['--strategy', 'coin'], 'Allowed choices are'],
    [['--compare', 'cosine,coin'], 'It must be some of'],
    [['--classes', 'CPU'], 'It must be classes'],
    [['--fill', '0'], 'It must be a number above 0'],
    [['--reserve-large', '0'], 'It must be at least 1.'],
    [['--overcommit', 'cpu'], 'It must be a class and a number'],
    [['--requests', '/nowhere.csv'], '/nowhere.csv cannot be read (ENOENT).'],
    [['--html', '/nowhere/r.html'], '/nowhere/r.html cannot be written (ENOENT).'],
  ])('refuses %j', async (more, message) => {
    const { code, stderr } = await berth(['simulate', ...load(), ...more]);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });

  it('keeps room for large VMs when it is asked to', async () => {
    const requests = file('large.csv');
    const rows = ['0,1,16', '2,,1', '10,,16'].map((row) => `${row},1GiB,1GiB`);
    writeFileSync(requests, `arrival_s,lifetime_s,cpu,memory,disk\n${rows.join('\n')}\n`);
    const hosts = file('two.csv');
    writeFileSync(hosts, 'name,cpu,memory,disk\nbig,16,64GiB,1TiB\nsmall,8,32GiB,1TiB\n');
    const line = ['simulate', '--hosts', hosts, '--requests', requests, '--strategy', 'worst-fit'];
    expect((await berth(line)).stdout).toContain('placed         2\n');
    expect((await berth([...line, '--reserve-large', '1'])).stdout).toContain('placed         3\n');
  });

  it('tells what no fleet could be filled with', async () => {
    const { code, stderr } = await berth(['simulate', ...load(), '--fill', '1000000']);
    expect(code).toBe(2);
    expect(stderr).toBe('error: more than 2000000 requests would be needed\n');
  });

  it('names file, line and field of what is wrong', async () => {
    const bad = file('bad.csv');
    writeFileSync(bad, 'cpu,memory\n1,1GiB\n1,1GB\n');
    const { code, stderr } = await berth(['simulate', ...load(), '--requests', bad]);
    expect(code).toBe(2);
    expect(stderr).toContain(`error: ${bad}, line 3, memory: "1GB" must be a whole number of MiB`);
  });
});

describe('berth generate', () => {
  it('writes what simulate reads', async () => {
    const out = file('made');
    const made = await berth(['generate', '--out', out, '--hosts', '5', '--requests', '50']);
    expect(made).toMatchObject({ code: 0, stderr: '' });
    const { code, stdout } = await berth([
      ...['simulate', '--hosts', join(out, 'hosts.csv')],
      ...['--requests', join(out, 'requests.csv')],
    ]);
    expect(code).toBe(0);
    expect(stdout).toContain('50 on 5 hosts');
  });

  it('refuses what nobody can make', async () => {
    expect(await berth(words('generate --out /dev/null/x'))).toMatchObject({ code: 2 });
    expect(await berth(words('generate --out x --hosts 999999'))).toMatchObject({ code: 2 });
  });
});

describe('berth capacity', () => {
  const flavors = ['--flavor', 'big:cpu=8,memory=32GiB', '--flavor', 'small:cpu=2,memory=8GiB'];

  it('counts in files', async () => {
    const { code, stdout } = await berth([
      ...['capacity', ...inFiles(), ...flavors, '--add-host', 'cpu=18,memory=72GiB', '--spare'],
    ]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^big +cpu 8, memory 32GiB +2 +2 +3 +cpu \(3 of 3\) +2 \(2\)$/m);
    expect(stdout).toMatch(/^small +cpu 2, memory 8GiB +12 +4 +12 +cpu \(3 of 3\) +9 \(1\)$/m);
    expect(stdout).toMatch(/^x +2 +10\ny +0 +2$/m);
    expect(stdout).toContain('x: any one of 2 hosts may be lost (N+1).');
    expect(stdout).toContain('y: NOT N+1: the VMs of 1 of 1 host would not all fit on the others.');
  });

  it('asks the control plane for the live fleet', async () => {
    const document = capacitySchema.parse({
      flavors: [
        {
          ...{ name: 'small', resources: { cpu: 2 }, alone: 7, tiered: 7, zones: { x: 7 } },
          ...{ pooled: 9, bottleneck: { resource: 'cpu', hosts: 1, of: 2 }, added: null },
        },
      ],
      spare: null,
    });
    const { code, stdout, calls } = await run('capacity --flavor small:cpu=2', () => ({
      document,
    }));
    expect(code).toBe(0);
    expect(stdout).toMatch(/^small +cpu 2 +7 +7 +9 +cpu \(1 of 2\)$/m);
    const body = { flavors: [{ name: 'small', resources: { cpu: 2 } }], spare: false };
    expect(calls).toMatchObject([{ method: 'POST', path: '/v1/capacity', body }]);
  });

  it.each([
    ['capacity', '--flavor'],
    ['capacity --flavor cpu=2', 'It must be a name and amounts'],
    ['capacity --flavor a:cpu=2 --flavor a:cpu=3', 'There are two flavors a.'],
    ['capacity --flavor a:cpu', 'It must be a class and an amount'],
    ['capacity --flavor a:cpu=1 --vms v.csv', 'go with --hosts'],
  ])('refuses %s', async (line, message) => {
    const { code, stderr } = await berth(words(line));
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });
});

describe('berth rebalance', () => {
  it('advises on files', async () => {
    const { code, stdout } = await berth(['rebalance', ...inFiles()]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^1 +v1 +a +b +0\.\d{3} +16GiB +10GiB$/m);
    expect(stdout).toContain('fullest      a 75% → a 50%');
    expect(stdout).toContain('After these, no move gains enough. Nothing was moved.');
  });

  it('asks the control plane, and tells when nothing is to be gained', async () => {
    const balance = { unevenness: 0.1, emptyHosts: 0, fullest: null };
    const document = rebalanceSchema.parse({
      ...{ goal: 'pack', moves: [], isSettled: true, before: balance, after: balance },
    });
    const { stdout, calls } = await run('rebalance --goal pack --moves 3', () => ({ document }));
    expect(stdout).toContain('No move gains enough: leave everything where it is.');
    const body = { goal: 'pack', gainMin: 0.01, movesMax: 3 };
    expect(calls).toMatchObject([{ method: 'POST', path: '/v1/rebalance', body }]);
  });

  it('has the goals of the planner', () => {
    expect(REBALANCE_GOALS).toEqual(GOALS);
  });
});

describe('what is drawn', () => {
  it('fills', () => {
    expect(barOf(0)).toBe(`${'░'.repeat(24)}   0 %`);
    expect(barOf(0.5)).toBe(`${'█'.repeat(12)}${'░'.repeat(12)}  50 %`);
    expect(barOf(2)).toBe(`${'█'.repeat(24)} 100 %`);
  });

  it('means nothing to a browser', () => {
    expect(escapeHtml('<a b="c&d">')).toBe('&lt;a b=&quot;c&amp;d&quot;&gt;');
  });
});
