/**
 * The pages for people: the API (rapidoc, from our own origin, no CDN) and the error codes, where
 * the `type` of every problem leads.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { ERROR_CODES, type ErrorCode } from '../model/errors.js';
import { ERROR_GUIDE } from './error-guide.js';
import type { Answer, ApiPorts, Call } from './route.js';

const HTML = 'text/html; charset=utf-8';
const SCRIPT = 'text/javascript; charset=utf-8';

/** Seconds; the viewer changes only with a release. */
const SCRIPT_CACHE_CONTROL = 'private, max-age=3600';

/** Where the page loads the viewer from. */
export const VIEWER_PATH = '/docs/rapidoc.js';

export const showOpenApi = (_call: Call, { openApi }: ApiPorts): Answer => ({
  status: 200,
  text: openApi,
  contentType: 'application/json; charset=utf-8',
});

export const showDocs = (): Answer => ({ status: 200, text: DOCS_PAGE, contentType: HTML });

/** Where somebody begins who knows nothing but the address. */
export const showTheWay = (): Answer => ({
  status: 302,
  location: '/docs',
  text: 'The documentation is at /docs.\n',
  contentType: 'text/plain; charset=utf-8',
});

export const showErrorGuide = (): Answer => ({ status: 200, text: ERROR_PAGE, contentType: HTML });

let viewer: string | undefined;

/** Read once, when somebody first looks at the page. */
export async function showViewer(): Promise<Answer> {
  viewer ??= await readFile(createRequire(import.meta.url).resolve('rapidoc'), 'utf8');
  return { status: 200, text: viewer, contentType: SCRIPT, cacheControl: SCRIPT_CACHE_CONTROL };
}

// Fonts would come from elsewhere; the policy of our pages forbids that.
const DOCS_PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>Berth API</title>
    <script type="module" src="${VIEWER_PATH}"></script>
  </head>
  <body>
    <rapi-doc
      spec-url="/openapi.json"
      render-style="read"
      schema-style="table"
      theme="light"
      primary-color="#0b6e99"
      load-fonts="false"
      show-header="false"
      allow-server-selection="false"
      allow-spec-url-load="false"
      allow-spec-file-load="false"
      persist-auth="false"
    ></rapi-doc>
    <noscript>This page needs JavaScript; <a href="/openapi.json">the document itself</a> does not.</noscript>
  </body>
</html>
`;

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** The guide is written with backticks around code, as docs/errors.md is. */
const prose = (text: string): string => escaped(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>');

function errorSection(code: ErrorCode): string {
  const { status, title } = ERROR_CODES[code];
  const { when, remedy, adds } = ERROR_GUIDE[code];
  return `<section id="${code}">
      <h2><a href="#${code}">${code}</a> <small>${status.toString()}</small></h2>
      <p><strong>${escaped(title)}.</strong> ${prose(when)}</p>
      <p>${prose(remedy)}</p>${adds === undefined ? '' : `\n      <p>Adds ${prose(adds)}</p>`}
    </section>`;
}

const ERROR_PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>Berth: error codes</title>
    <style>
      body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif; }
      h2 { font-size: 1.1rem; margin-bottom: 0; }
      small { color: #666; }
      section:target { background: #fff6d6; }
    </style>
  </head>
  <body>
    <h1>Error codes</h1>
    <p>Every failure is a problem document (RFC 9457) with one of these codes. See also <a href="/docs">the API</a>.</p>
    ${(Object.keys(ERROR_CODES) as ErrorCode[]).map(errorSection).join('\n    ')}
  </body>
</html>
`;
