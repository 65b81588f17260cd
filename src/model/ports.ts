/**
 * The hands that `control` is given: ledger, catalogue, agents, and what it needs of its process.
 * They speak domain values only. Each has a real implementation in its own folder.
 */
export type * from './ports/agents.js';
export type * from './ports/catalogue.js';
export type * from './ports/ledger.js';
export type * from './ports/process.js';
export { CHECKPOINTS } from './ports/process.js';
export type * from './ports/host-files.js';
