/**
 * What each error code means to somebody who meets it. Shown at /docs/errors; docs/errors.md says
 * the same, and a test compares the two.
 */
import type { ErrorCode } from '../model/errors.js';

export interface ErrorAdvice {
  readonly when: string;
  /** What the caller, or the operator, can do. */
  readonly remedy: string;
  /** What the problem document carries besides its standard fields. */
  readonly adds?: string;
}

export const ERROR_GUIDE: Readonly<Record<ErrorCode, ErrorAdvice>> = {
  invalid_request: {
    when: 'A field, a query parameter or the path is missing, unknown or not what it must be, a query parameter is given twice, or the request is not HTTP as it should be.',
    remedy:
      'Correct every field that `errors` names; repeating the request as it is will not help.',
    adds: '`errors`: a list of `{field, message}`. `(body)`, `(path)`, `(query)` and `(request)` stand for the whole; a header goes by its name.',
  },
  invalid_json: {
    when: 'The body cannot be read as JSON.',
    remedy: 'Send valid JSON in UTF-8.',
    adds: '`errors`: names `(body)`.',
  },
  unauthenticated: {
    when: 'There is no token, or it is not the right one.',
    remedy:
      'Send `Authorization: Bearer <token>`; a token that has expired or is revoked is none. `berth up` keeps its token in the data folder.',
  },
  forbidden: {
    when: 'The token is valid, but its role does not allow this, or what is asked lies outside the path or the host that it is bound to.',
    remedy: 'Use a token with another role; an admin makes them with `berth token create`.',
  },
  not_found: {
    when: 'There is no VM, host or path of this name. A deleted VM is no longer found.',
    remedy: 'Look at the id; lists show what there is.',
  },
  method_not_allowed: {
    when: 'The path exists, but not for this method.',
    remedy: 'Use a method that `allow` names.',
    adds: '`allow`: the methods, as in the `Allow` header.',
  },
  request_timeout: {
    when: 'The headers or the body did not arrive in time: 10 s for the headers, 30 s for the body; a file may take longer, but not pause so long.',
    remedy: 'Send it again over a new connection. An operator may look at what stands between.',
  },
  no_feasible_host: {
    when: 'No host has room for the VM, or none meets its constraints. Nothing was booked.',
    remedy:
      'Look at `summary`, or ask `POST /v1/placements` for every host. Ask for less, loosen constraints, free room or add hosts; or send it with `whenFull: "queue"` and wait.',
    adds: '`summary`: `considered`, `feasible`, `byReason` (how many hosts each reason kept away) and `nearest` (the open host that lacks least, and what it lacks). In a batch also `index`: which one of the request found no host.',
  },
  id_conflict: {
    when: 'The id belongs to another VM, to one that was deleted, or to one that runs on a host without a record. The same request again is not a conflict: it gets the same VM.',
    remedy: 'Choose another id, or leave it out.',
    adds: '`errors`: names `id`.',
  },
  name_conflict: {
    when: 'Another host has this name, as its name or as its id.',
    remedy: 'Give the host a name of its own.',
  },
  state_conflict: {
    when: 'What is asked does not go with the present state: a VM that waits for room, is being deleted or has failed cannot be started or stopped.',
    remedy:
      'Look at `state`, `desiredState` and `reason` of the VM; delete a failed one and create another.',
  },
  claim_refused: {
    when: 'An agent finds that its host has no room for the VM, whatever the books say. Only agents answer this; Berth tries the next best host.',
    remedy:
      'Nothing for callers. An operator may compare the totals of the host with what else runs on it.',
    adds: '`shortfalls`: a list of `{resource, requested, available, limit}`.',
  },
  stale_assignment: {
    when: 'An agent was given an order that a newer one has replaced. Only agents answer this.',
    remedy: 'Nothing: the newer order stands.',
    adds: '`newest`: the newest assignment that the agent knows.',
  },
  idempotency_in_progress: {
    when: 'A request with the same Idempotency-Key is being answered right now.',
    remedy: 'Send it again, with the same key, after the time in `Retry-After`.',
  },
  host_not_empty: {
    when: 'The host still has VMs, so it cannot be retired.',
    remedy:
      'Drain it first. If it is lost for good, retire it with `force` and a reason: its VMs then count as failed.',
    adds: '`vms`: how many it has.',
  },
  events_expired: {
    when: 'The event named in `Last-Event-ID` is not kept any more, or never was.',
    remedy:
      'Read the lists for the present state, then follow events from now on, without `Last-Event-ID`.',
  },
  body_too_large: {
    when: 'The body has more bytes than this call takes (64 KiB unless configured otherwise).',
    remedy: 'Send less; no request needs as much.',
    adds: '`errors`: names `(body)`.',
  },
  image_missing: {
    when: 'The host does not have the image that the VM is to start from. Berth tries the next host; a VM that found none with it fails with this reason.',
    remedy:
      'Add the image to the hosts (`berth image add`), delete the VM and create it again; `berth image list` tells which host has which.',
    adds: '`image`: its name.',
  },
  unsupported_media_type: {
    when: 'The body is not `application/json`, not in UTF-8, or compressed.',
    remedy: 'Send plain JSON with `Content-Type: application/json`.',
    adds: '`accepted`: the media type that is, and `errors`: names the header.',
  },
  disk_too_small: {
    when: 'The VM asks for less disk than its image has.',
    remedy: 'Ask for at least `leastMib` of disk.',
    adds: '`image`: its name, and `leastMib`: the least disk, in MiB.',
  },
  image_invalid: {
    when: 'The file is not taken as an image: it is not in the format it is said to be, it has a backing file or keeps its data in another file, it is encrypted or corrupt, or its disk is larger than allowed.',
    remedy:
      'Make one file of it (`qemu-img convert -O qcow2`), and say its format when that is raw.',
  },
  plan_too_long: {
    when: 'A capacity count, advice on moves or a simulation was not done in time. Nothing was changed.',
    remedy:
      'Ask for less: fewer flavors, requests or strategies, no `spare`. Or plan on your own machine, from files, with `berth simulate`.',
    adds: '`limitMs`: how long a plan may take.',
  },
  idempotency_key_reused: {
    when: 'The Idempotency-Key was used before, by the same token, for a request with another body or path.',
    remedy: 'Use a new key for each new request.',
    adds: '`errors`: names `idempotency-key`.',
  },
  overloaded: {
    when: 'This replica has more requests in flight, or more that wait for a place, than it takes on; or no place could be decided in time. Nothing was booked.',
    remedy: 'Try again after `Retry-After`, with the same id if you chose one.',
  },
  rate_limited: {
    when: 'The token, or the address, has sent more requests than it may.',
    remedy: 'Send it again after the time in `Retry-After`, and fewer at once.',
  },
  headers_too_large: {
    when: 'The headers, with the path, have more than 16 KiB.',
    remedy: 'Send fewer or shorter headers.',
  },
  internal_error: {
    when: 'Something happened that nobody foresaw. What was asked may or may not have been done.',
    remedy:
      'Give `requestId` to your operator: the log tells more under it. Look at the state before trying again.',
  },
  agent_unreachable: {
    when: 'The agent of a host gave no usable answer. What it was asked may or may not have been done.',
    remedy: 'Wait: Berth asks again by itself. An operator may look at the host.',
  },
  agent_refused: {
    when: 'The agent of a host refused what it was asked.',
    remedy: 'Compare the versions and the configuration of agent and control plane.',
  },
  ledger_rebuilding: {
    when: 'The ledger is being rebuilt from the catalogue, so nothing can be placed for a moment.',
    remedy: 'Try again after `Retry-After`.',
  },
  ledger_unavailable: {
    when: 'Redis does not answer. Reads and deletes go on.',
    remedy:
      'Try again after `Retry-After`, with the same id if you chose one. An operator may look at `/readyz`.',
  },
  catalogue_unavailable: {
    when: 'PostgreSQL does not answer.',
    remedy:
      'Try again after `Retry-After`. A create may have been recorded: repeat it with the same id.',
  },
  create_in_progress: {
    when: 'A create with this id was begun a moment ago, and its end is not known yet.',
    remedy: 'Try again after `Retry-After`, with the same id.',
  },
  shutting_down: {
    when: 'This replica is stopping.',
    remedy:
      'Try again after `Retry-After`: another replica, or the next start of this one, answers.',
  },
  image_storage_full: {
    when: 'An image would leave a host less than 5 GiB of disk, or take more than the share of it that images may have.',
    remedy:
      'Remove images that no VM needs, or have the operator of the host give more room: `MAX_IMAGE_STORAGE`, `DISK_LIMIT`.',
    adds: '`requested`, `available` and `limit`, in bytes.',
  },
};
