/** Files of hosts, VMs and requests: both layouts, and what is said of mistakes. */
import { describe, expect, it } from '@jest/globals';
import { MILLI_PARTS } from '../../src/planner/amount-columns.js';
import { FileFault, parseCsv } from '../../src/planner/csv.js';
import { generate } from '../../src/planner/generate.js';
import { totalLimits } from '../../src/planner/fleet.js';
import { readHosts, readRequests, readVms } from '../../src/planner/read-files.js';

const NO_POLICY = { overcommit: {}, reserve: {} };
const WHOLE = { parts: {} };
const MILLI = { parts: MILLI_PARTS };

const hostsOf = (text: string, options = WHOLE) =>
  readHosts({ name: 'hosts.csv', text }, NO_POLICY, options);
const HOSTS = hostsOf('name,zone,cpu,memory,disk\na,x,8,16GiB,1TiB\nb,,4,8192,1024\n');
const requestsOf = (text: string, options = WHOLE) =>
  readRequests({ name: 'requests.csv', text }, HOSTS, options);
const vmsOf = (text: string) => readVms({ name: 'vms.csv', text }, HOSTS, WHOLE);

describe('tables', () => {
  it('are read with quotes, comments, blanks, a byte order mark and any end of line', () => {
    const text = '\ufeffname, cpu\r\n# of last week\r\n\r\n"a ""b"", c" , 2\n';
    const { columns, rows } = parseCsv('t.csv', text);
    expect(columns).toEqual(['name', 'cpu']);
    expect(rows.map(({ line, cells }) => [line, ...cells])).toEqual([
      [4, ['name', 'a "b", c'], ['cpu', '2']],
    ]);
  });

  it.each([
    ['', 't.csv, line 1: is empty; its first line must name the columns'],
    ['a,b,a', 't.csv, line 1, a: is named twice; every column must be there once'],
    ['a,b\n1', 't.csv, line 2: has 1 cells; it must have 2'],
    ['a,b\n1,2,3', 't.csv, line 2: has 3 cells; it must have 2'],
    ['a,b\n1,"2', 't.csv, line 2: a quote is not closed, from character 3 on'],
  ])('%j is refused', (text, message) => {
    expect(() => parseCsv('t.csv', text)).toThrow(new Error(message));
  });
});

describe('hosts', () => {
  it('are what their amounts say, in their order', () => {
    expect(HOSTS).toMatchObject([
      { id: 'a', zone: 'x', seq: 0, limits: { cpu: 8, memory: 16_384, disk: 1_048_576 } },
      { id: 'b', zone: 'default', seq: 1, limits: { cpu: 4, memory: 8_192, disk: 1_024 } },
    ]);
  });

  it('may be sold more often, or less, than they have', () => {
    const policy = { overcommit: { cpu: 4 }, reserve: { memory: 0.1 } };
    const [host] = readHosts({ name: 'h', text: 'name,cpu,memory\na,8,1000' }, policy, WHOLE);
    expect(host).toMatchObject({
      capacity: { cpu: 32, memory: 1_000 },
      limits: { cpu: 32, memory: 900 },
    });
  });

  it('come from openb tables, in thousandths for replays', () => {
    const text = 'name,cpu_milli,mem_mib,disk_gib,gpu_milli,model\nn,32000,1024,2,0,\n';
    expect(hostsOf(text, MILLI)).toMatchObject([
      { limits: { cpu: 32_000, memory: 1_024, disk: 2_048 } },
    ]);
    expect(hostsOf(text)).toMatchObject([{ limits: { cpu: 32 } }]);
    expect(hostsOf('sn,cpu_milli,memory_mib,gpu,model\nn,96000,1,8,T4\n')).toMatchObject([
      { name: 'n', limits: { cpu: 96, memory: 1 } },
    ]);
  });

  it.each([
    ['name,cpu\na,4\na,4', 'line 3, name: "a" is there twice; names must differ'],
    ['name,cpu\n,4', 'line 2, name: is missing; it must be 1 to 64 letters'],
    ['name,cpu\na/b,4', 'line 2, name: "a/b" must be 1 to 64 letters'],
    ['name,cpu\na,-4', 'line 2, cpu: "-4" must be a whole number of vCPU, such as 4'],
    ['name,cpu\na,0.5', 'line 2, cpu: "0.5" must be a whole number of vCPU, such as 4'],
    ['name,memory\na,8GB', 'line 2, memory: "8GB" must be a whole number of MiB, such as 4096'],
    ['name,memory\na,0.5', 'line 2, memory: "0.5" must be a whole number of MiB, such as 4096'],
    ['name,cpu,Memory\na,4,5', 'line 1, Memory: is no column known here; use name, zone, or a'],
    ['name,zone\na,x', 'line 1: names no resource class, such as cpu, memory, disk'],
    ['name,zone,cpu\na,x y,4', 'line 2, zone: "x y" must be a name such as zone-a'],
    ['name,cpu', 'line 1: holds no hosts below its first line'],
    ['name,cpu_milli\na,1500', 'line 2, cpu_milli: "1500" must be a multiple of 1000 here'],
  ])('%j are refused', (text, message) => {
    expect(() => hostsOf(text)).toThrow(FileFault);
    expect(() => hostsOf(text)).toThrow(`hosts.csv, ${message}`);
  });
});

describe('VMs', () => {
  it('take room on their hosts', () => {
    const { hosts, vms } = vmsOf(
      'name,host,cpu,memory,zone,path,groups\nv,a,2,1GiB,x,acme:web,web:anti-affinity\nw,a,1,1,,,\n',
    );
    expect(hosts).toMatchObject([{ allocated: { cpu: 3, memory: 1_025 } }, { allocated: {} }]);
    expect(vms[0]).toEqual({
      ...{ id: 'v', name: 'v', hostId: 'a', isMovable: true, path: 'acme:web' },
      resources: { cpu: 2, memory: 1_024 },
      constraints: { zone: 'x', groups: [{ name: 'web', policy: 'anti-affinity' }] },
    });
  });

  it.each([
    ['name,host,cpu\nv,c,1', 'line 2, host: "c" is not the name of a host in the hosts file'],
    ['name,host,cpu\nv,a,1\nv,a,1', 'line 3, name: "v" is there twice; names must differ'],
    ['name,host,cpu,groups\nv,a,1,web', 'line 2, groups: "web" must be a group and its policy'],
    ['name,host,cpu,path\nv,a,1,x//y', 'line 2, path: "x//y" must be names joined by ":"'],
  ])('%j are refused', (text, message) => {
    expect(() => vmsOf(text)).toThrow(`vms.csv, ${message}`);
  });
});

describe('requests', () => {
  it('come when they say, or one a second', () => {
    const text = 'name,arrival_s,lifetime_s,cpu\nr,10,60.5,2\ns,,,1\n';
    expect(requestsOf(text)).toMatchObject([
      { name: 'r', arrivalS: 10, lifetimeS: 60.5, resources: { cpu: 2 } },
      { name: 's', arrivalS: 1, lifetimeS: null, resources: { cpu: 1 } },
    ]);
    expect(requestsOf('cpu\n0.25\n', MILLI)).toMatchObject([{ resources: { cpu: 250 } }]);
  });

  it('come from openb tables, with their times where they have them', () => {
    const options = { ...WHOLE, classes: ['cpu', 'memory'] };
    const text =
      'name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time\n' +
      'p,12000,100,1,1000,,LS,Running,5,65\n';
    expect(requestsOf(text, options)).toMatchObject([
      { name: 'p', arrivalS: 5, lifetimeS: 60, resources: { cpu: 12, memory: 100 } },
    ]);
    expect(requestsOf('cpu_milli,mem_mib\n1000,5\n')).toMatchObject([
      { name: 'r1', arrivalS: 0, lifetimeS: null },
    ]);
  });

  it.each([
    ['cpu,gpu\n1,1', 'line 2, gpu: no host has this class; hosts have cpu, memory, disk'],
    ['cpu\n0', 'line 2, cpu: asks for nothing; it must ask for something'],
    ['cpu,lifetime_s\n1,0', 'line 2, lifetime_s: must be above 0; leave it empty for ever'],
    ['cpu,arrival_s\n1,noon', 'line 2, arrival_s: "noon" must be a number of seconds'],
    ['cpu', 'line 1: holds no requests'],
  ])('%j are refused', (text, message) => {
    expect(() => requestsOf(text)).toThrow(`requests.csv, ${message}`);
  });
});

describe('generated files', () => {
  const input = { seed: 7, hosts: 40, zones: 2, requests: 4_000, load: 0.8, meanLifetimeS: 3_600 };

  it('are the same for the same seed, and can be read', () => {
    const made = generate(input);
    expect(generate(input)).toEqual(made);
    expect(generate({ ...input, seed: 8 })).not.toEqual(made);
    const hosts = hostsOf(made.hosts);
    const requests = readRequests({ name: 'r', text: made.requests }, hosts, WHOLE);
    expect([hosts.length, requests.length]).toEqual([40, 4_000]);
    expect(new Set(hosts.map(({ zone }) => zone))).toEqual(new Set(['zone-1', 'zone-2']));
  });

  it('ask for about the load that is wanted', () => {
    const made = generate(input);
    const hosts = hostsOf(made.hosts);
    const limits = totalLimits(hosts);
    const requests = readRequests({ name: 'r', text: made.requests }, hosts, WHOLE);
    const lastS = requests.at(-1)?.arrivalS ?? 0;
    // Mean amount that is there at once: amounts times lifetimes over the whole time.
    const loads = ['cpu', 'memory', 'disk'].map(
      (name) =>
        requests.reduce(
          (sum, { resources, lifetimeS }) => sum + (resources[name] ?? 0) * (lifetimeS ?? 0),
          0,
        ) /
        lastS /
        (limits[name] ?? 1),
    );
    expect(Math.max(...loads)).toBeGreaterThan(0.65);
    expect(Math.max(...loads)).toBeLessThan(0.95);
  });
});
