/** Starts the PostgreSQL that all suites of a test run share. */
import { tsImport } from 'tsx/esm/api';

export default async function globalSetup() {
  const { SERVER_VARIABLE, startPostgres } = await tsImport('./postgres.ts', import.meta.url);
  globalThis.testPostgres = await startPostgres();
  process.env[SERVER_VARIABLE] = globalThis.testPostgres.url;
}
