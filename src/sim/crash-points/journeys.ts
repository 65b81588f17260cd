/** All journeys of the matrix. */
import type { Journey } from './journey.js';
import { OF_BOOKS } from './journeys/books.js';
import { CREATES } from './journeys/create.js';
import { OF_HOSTS } from './journeys/hosts.js';
import { OF_REPLICAS } from './journeys/replicas.js';
import { REQUESTS } from './journeys/requests.js';
import { STRAYS } from './journeys/strays.js';
import { OF_VMS } from './journeys/vms.js';

export const JOURNEYS: readonly Journey[] = [
  ...CREATES,
  ...OF_VMS,
  ...OF_HOSTS,
  ...STRAYS,
  ...OF_BOOKS,
  ...OF_REPLICAS,
  ...REQUESTS,
];
