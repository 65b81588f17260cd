/** Help and wrong usage: nothing is sent, and the exit code says whose mistake it was. */
import { describe, expect, it } from '@jest/globals';
import { berth, words } from './terminal.js';

/** Nobody listens here: a command that sent something would end with 5. */
const NOWHERE = { BERTH_URL: 'http://127.0.0.1:1', BERTH_TOKEN: 't' };

const COMMANDS = [
  'vm create',
  'vm list',
  'vm show',
  'vm start',
  'vm stop',
  'vm delete',
  'place',
  'host list',
  'host show',
  'host cordon',
  'host uncordon',
  'orphan list',
  'orphan adopt',
  'orphan destroy',
  'rebuild',
];

describe('help', () => {
  it.each(COMMANDS)('of %s ends well and has an example', async (command) => {
    const { code, stdout, stderr } = await berth(words(`${command} --help`), NOWHERE);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(`\nExample:\n  $ berth ${command}`);
    expect(stdout).toContain('--json');
  });

  it('of berth lists exit codes and variables', async () => {
    const { code, stdout } = await berth(['--help'], NOWHERE);
    expect(code).toBe(0);
    for (const exitCode of [0, 1, 2, 3, 4, 5]) {
      expect(stdout).toMatch(new RegExp(`^ {2}${exitCode.toString()} {2}\\w`, 'm'));
    }
    expect(stdout).toContain('BERTH_URL');
    expect(stdout).toContain('BERTH_TOKEN');
  });
});

describe('wrong usage', () => {
  it.each([
    ['vm create --memory 2GB', /option '--memory <size>'.*write GiB/],
    ['vm create --memory lots', /It must be a size such as/],
    ['vm create --cpu 1.5', /It must be a whole number/],
    ['vm create --cpu 0', /It must be at least 1/],
    ['vm create --timeout 301', /It must be at most 300/],
    ['vm create --require ssd', /such as disk=ssd/],
    ['vm create --forbid disk=a b', /too many arguments|unknown/i],
    ['vm create --resource gpu', /such as gpu=1/],
    ['vm create --colour red', /unknown option '--colour'/],
    ['vm create stray', /too many arguments/],
    ['vm list --state asleep', /Allowed choices are waiting, placed, creating/],
    ['vm list --limit 0', /It must be at least 1/],
    ['vm show', /missing required argument 'vm'/],
    ['vm', /Usage: berth vm/],
    ['host cordon', /missing required argument 'host'/],
    ['host show a/b', /neither the id nor the name of a host/],
    ['place --disk -1', /It must be a size|argument missing/],
    ['rebuild --dry', /unknown option '--dry'/],
    ['up --colour', /unknown option '--colour'/],
    ['sail', /unknown command 'sail'/],
  ])('%s ends with 2', async (line, message) => {
    const { code, stdout, stderr } = await berth(words(line), NOWHERE);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/\n\s+at /);
  });
});
