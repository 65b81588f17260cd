/** `berth config show`: what is in force, and where it comes from. */
import { describeConfig, type Config } from './config.js';

/** @returns a table, or JSON for programs; secrets are starred in both */
export function printConfig(config: Config, json: boolean): string {
  const lines = describeConfig(config);
  if (json) return `${JSON.stringify({ file: config.file, settings: lines }, null, 2)}\n`;
  const width = Math.max(...lines.map(({ key }) => key.length));
  const rows = lines.map(({ key, value, origin, variable }) => {
    const from = origin === 'env' ? `env ${variable ?? ''}` : origin;
    return `${key.padEnd(width)}  ${(value === '' ? '-' : value).padEnd(28)}  ${from}`;
  });
  return `${[`# ${config.file}`, ...rows].join('\n')}\n`;
}
