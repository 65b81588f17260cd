/**
 * The link that VMs share: the interface of the best default route, IPv6 included, and how fast it
 * is. Virtual links do not say; then the speed is unknown, unless an operator gives it.
 */
import { parseLinkSpeed } from '../../std/quantity.js';
import { bestRoute, isInterfaceName, parseIpv4Routes, parseIpv6Routes } from '../../std/routes.js';
import type { MeasuredTotal } from '../../model/inventory.js';
import { readSys } from './sys-files.js';

export interface Uplink {
  /** Bytes per second. */
  readonly network: MeasuredTotal;
  /** Null when no default route names one. */
  readonly interfaceName: string | null;
}

export interface UplinkSettings {
  /** Instead of the interface of the default route. */
  readonly uplink?: string | undefined;
  /** Instead of the speed that the link says. */
  readonly networkBytesPerS?: number | undefined;
}

export async function measureUplink(root: string, settings: UplinkSettings): Promise<Uplink> {
  const interfaceName = settings.uplink ?? (await routedInterface(root));
  const { networkBytesPerS } = settings;
  if (networkBytesPerS !== undefined) {
    return { network: { total: networkBytesPerS, source: 'configured' }, interfaceName };
  }
  const speed = interfaceName === null ? null : await speedOf(root, interfaceName);
  return {
    network:
      speed === null ? { total: 0, source: 'unknown' } : { total: speed, source: 'detected' },
    interfaceName,
  };
}

/** Of equal metrics, that of IPv4. */
async function routedInterface(root: string): Promise<string | null> {
  const [ipv4, ipv6] = await Promise.all([
    readSys(root, '/proc/net/route'),
    readSys(root, '/proc/net/ipv6_route'),
  ]);
  const routes = [...parseIpv4Routes(ipv4 ?? ''), ...parseIpv6Routes(ipv6 ?? '')];
  return bestRoute(routes)?.interfaceName ?? null;
}

async function speedOf(root: string, interfaceName: string): Promise<number | null> {
  if (!isInterfaceName(interfaceName)) return null;
  const text = await readSys(root, `/sys/class/net/${interfaceName}/speed`);
  return text === null ? null : parseLinkSpeed(text);
}
