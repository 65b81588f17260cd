/**
 * Default routes from the kernel's tables, /proc/net/route and /proc/net/ipv6_route. Which of them is
 * taken is by the metric, as the kernel does; rejecting routes and those that are down are none.
 */

export interface DefaultRoute {
  readonly interfaceName: string;
  /** The lowest is taken. */
  readonly metric: number;
}

const FLAG_UP = 0x0001;
const FLAG_REJECT = 0x0200;
const LOOPBACK = 'lo';

/** `Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT`; metric in decimal. */
export function parseIpv4Routes(table: string): readonly DefaultRoute[] {
  return table.split('\n').flatMap((line) => {
    const [name, destination, , flags, , , metric, mask] = line.trim().split(/\s+/);
    const isDefault = destination === '00000000' && mask === '00000000';
    return isDefault ? routeOf(name, flags, metric, 10) : [];
  });
}

/** `destination length source length next-hop metric refs use flags interface`, all in hex. */
export function parseIpv6Routes(table: string): readonly DefaultRoute[] {
  return table.split('\n').flatMap((line) => {
    const [destination, length, , , , metric, , , flags, name] = line.trim().split(/\s+/);
    const isDefault = /^0{32}$/.test(destination ?? '') && length === '00';
    return isDefault ? routeOf(name, flags, metric, 16) : [];
  });
}

function routeOf(
  interfaceName: string | undefined,
  flagsHex: string | undefined,
  metricText: string | undefined,
  metricBase: 10 | 16,
): readonly DefaultRoute[] {
  const digits = metricBase === 10 ? /^[0-9]{1,10}$/ : /^[0-9a-f]{1,8}$/i;
  if (interfaceName === undefined || !isInterfaceName(interfaceName)) return [];
  if (!/^[0-9a-f]{1,8}$/i.test(flagsHex ?? '') || !digits.test(metricText ?? '')) return [];
  const flags = Number.parseInt(flagsHex ?? '', 16);
  const isUsable = (flags & FLAG_UP) !== 0 && (flags & FLAG_REJECT) === 0;
  if (!isUsable || interfaceName === LOOPBACK) return [];
  return [{ interfaceName, metric: Number.parseInt(metricText ?? '', metricBase) }];
}

/** A name that the kernel allows, so that it can stand in a path. */
export const isInterfaceName = (name: string): boolean =>
  /^[^\s/:]{1,15}$/.test(name) && name !== '.' && name !== '..';

/** The route that is taken; of equal ones the first. Null when there is none. */
export function bestRoute(routes: readonly DefaultRoute[]): DefaultRoute | null {
  return routes.reduce<DefaultRoute | null>(
    (best, route) => (best === null || route.metric < best.metric ? route : best),
    null,
  );
}
