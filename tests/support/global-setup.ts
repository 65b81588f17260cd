/** Starts the PostgreSQL that all suites of a test run share. */
import { SERVER_VARIABLE, startPostgres, type TestPostgres } from './postgres.js';

declare global {
  var testPostgres: TestPostgres | undefined;
}

export default async function globalSetup(): Promise<void> {
  globalThis.testPostgres = await startPostgres();
  process.env[SERVER_VARIABLE] = globalThis.testPostgres.url;
}
