/** Whose request it is, as the guard has found out, and what that allows. */
import type { Actor, Role } from '../model/actor.js';

/** Besides the roles of people and programs: agents, and whoever holds a ticket to become one. */
export type Who = Role | 'host' | 'join';

export interface Principal {
  readonly who: Who;
  readonly actor: Omit<Actor, 'requestId'>;
  /** A tenant sees only what lies at or below this path; null for everybody else. */
  readonly path: string | null;
  /** An agent acts for this host only; null for everybody else. */
  readonly hostId: string | null;
}

/** Who may use a route; the guard refuses everybody else. */
export type Access = 'public' | readonly Who[];

export const PUBLIC = 'public';
export const ADMINS: Access = ['admin'];
/** Who changes the fleet. */
export const OPERATORS: Access = ['admin', 'operator'];
/** Who sees the fleet. */
export const READERS: Access = ['admin', 'operator', 'viewer'];
/** Who changes VMs; a tenant only its own. */
export const USERS: Access = ['admin', 'operator', 'tenant'];
/** Who sees VMs; a tenant only its own. */
export const USERS_AND_READERS: Access = ['admin', 'operator', 'viewer', 'tenant'];
/** Agents, for their own host. */
export const AGENTS: Access = ['host'];
export const JOINERS: Access = ['admin', 'join', 'host'];
