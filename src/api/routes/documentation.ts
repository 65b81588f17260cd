/** Pages for people. */
import {
  showDocs,
  showErrorGuide,
  showOpenApi,
  showTheWay,
  showViewer,
  VIEWER_PATH,
} from '../documentation.js';
import { route, type AnswerDoc, type Route, type RouteSpec } from '../route.js';
import { USERS_AND_READERS } from '../principal.js';

type Show = RouteSpec<undefined, undefined, undefined>['handle'];

/** A page that any known caller may open in a browser, whatever its query. */
const page = (
  path: string,
  name: string,
  summary: string,
  handle: Show,
  status: number,
  answer: AnswerDoc,
): Route =>
  route({
    method: 'get',
    path,
    name,
    summary,
    tag: 'Documentation',
    access: USERS_AND_READERS,
    browser: true,
    anyQuery: true,
    answers: { [status]: answer },
    errors: [],
    example: { status },
    handle,
  });

export const DOCUMENTATION_ROUTES: readonly Route[] = [
  page('/openapi.json', 'openApi', 'This document', showOpenApi, 200, {
    description: 'OpenAPI 3.1',
    contentType: 'application/json',
  }),
  page('/', 'root', 'Leads to the page at /docs', showTheWay, 302, {
    description: 'To /docs',
    contentType: 'text/plain',
  }),
  page('/docs', 'docs', 'This document, for people', showDocs, 200, {
    description: 'A page',
    contentType: 'text/html',
  }),
  page(
    '/docs/errors',
    'errorGuide',
    'What each error code means; the type of every problem leads here',
    showErrorGuide,
    200,
    { description: 'A page', contentType: 'text/html' },
  ),
  page(VIEWER_PATH, 'viewer', 'The script of the page at /docs', showViewer, 200, {
    description: 'A script',
    contentType: 'text/javascript',
  }),
];
