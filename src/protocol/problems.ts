/**
 * Every problem (RFC 9457) that the server answers: its stable `code`, the statuses it comes with, and what it means.
 * docs/protocol.md has the same table; test/docs.test.ts compares them. A code that is not here does not compile.
 */
import type { FrameErrorCode } from './frame-error.ts';

interface ProblemKind {
  statuses: readonly number[];
  meaning: string;
}

export const PROBLEMS = {
  // Requests
  'bad-request': {
    statuses: [400],
    meaning: 'the request or one of its fields is not valid; `detail` names the field',
  },
  'bad-json': { statuses: [400], meaning: 'the body is not JSON' },
  'not-found': { statuses: [404], meaning: 'nothing is at this address' },
  'bad-method': { statuses: [405], meaning: 'this address does not support the method; `Allow` lists those it does' },
  'too-slow': { statuses: [408], meaning: 'the request took too long to arrive' },
  'too-large': { statuses: [413, 414, 431], meaning: 'the body, the address or the headers are too large' },
  'bad-media-type': { statuses: [415], meaning: 'the body has an unsupported `Content-Type`' },
  'bad-expectation': { statuses: [417], meaning: '`Expect` has another value than `100-continue`' },
  'upgrade-required': { statuses: [426], meaning: 'this address speaks WebSocket, version 13 or 8' },
  'bad-upgrade': { statuses: [501], meaning: 'only GET and HEAD may ask for a protocol other than WebSocket' },
  'bad-version': { statuses: [505], meaning: 'the server speaks HTTP/1.1 and HTTP/1.0' },
  refused: { statuses: [400, 403, 409, 410, 422], meaning: 'the request is refused for another reason' },
  // Sign-in
  'signed-out': { statuses: [401], meaning: 'no session and no token, or not a valid one' },
  'wrong-password': {
    statuses: [401, 403],
    meaning: 'wrong name or password (401); the current password is wrong (403)',
  },
  'bad-link': { statuses: [401], meaning: 'the sign-in link was used, has expired or is not valid' },
  forbidden: { statuses: [403], meaning: 'a viewer may not do this' },
  'cross-site': { statuses: [403], meaning: 'only pages of the dashboard may send this request' },
  'not-for-tokens': { statuses: [403], meaning: 'only a signed-in administrator can do this' },
  'unknown-session': { statuses: [404], meaning: 'the session does not exist' },
  'unknown-token': { statuses: [404], meaning: 'the token does not exist' },
  // Administrators
  'unknown-admin': { statuses: [404], meaning: 'the administrator does not exist' },
  'admin-exists': { statuses: [409], meaning: 'an administrator has this name, or one that looks like it' },
  'last-owner': { statuses: [409], meaning: 'the change would leave no owner' },
  // Sites and the record
  'bad-origin': { statuses: [400], meaning: 'the text is not an origin' },
  'origin-not-allowed': { statuses: [403], meaning: 'the site does not allow this origin' },
  'unknown-site': { statuses: [404], meaning: 'the site does not exist, or this account may not see it' },
  'site-exists': { statuses: [409], meaning: 'a site has this key' },
  'unknown-visit': { statuses: [404], meaning: 'the visit does not exist, or is no longer stored' },
  'bad-page': { statuses: [400], meaning: 'the page is too long, or has control characters or invalid escapes' },
  'too-many-pages': { statuses: [403], meaning: 'the site has reached its maximum of counted pages' },
  // Visitors
  'bad-subprotocol': { statuses: [400], meaning: 'the client offers neither `fieldmouse.v1` nor `json`' },
  'unknown-visitor': { statuses: [409], meaning: 'the resume token is no longer valid' },
  'too-fast': { statuses: [429], meaning: 'the visitor sends more than is allowed' },
  'address-full': { statuses: [429], meaning: 'too many visitors from this address' },
  'address-fast': { statuses: [429], meaning: 'too many new visitors from this address' },
  'worker-full': { statuses: [503], meaning: 'the server cannot take more visitors' },
  'try-later': { statuses: [503], meaning: 'temporarily not possible; `Retry-After` says when to try again' },
  stopping: { statuses: [503], meaning: 'the server is stopping' },
  // Limits and the server
  'too-many-attempts': { statuses: [429], meaning: 'too many attempts to sign in' },
  'too-many-requests': { statuses: [429], meaning: 'too many requests from this address or on this connection' },
  'too-many-streams': {
    statuses: [429, 503],
    meaning: 'too many streams of this account (429) or of the server (503)',
  },
  internal: { statuses: [500], meaning: 'an unexpected error; the log has it' },
  busy: { statuses: [503], meaning: 'too much work is waiting; `Retry-After` says when to try again' },
  damaged: { statuses: [503], meaning: 'part of the store is damaged and cannot be read; the log has the details' },
  draining: { statuses: [503], meaning: 'this worker is about to stop' },
  'primary-hung': { statuses: [503], meaning: 'the primary process does not respond' },
  unavailable: { statuses: [503], meaning: 'the store does not respond, or cannot be written' },
} as const satisfies Record<string, ProblemKind>;

/** Faults of a frame (section 4 of docs/protocol.md) are the code of the answer to a POST. */
export type ProblemCode = keyof typeof PROBLEMS | FrameErrorCode;
/** Statuses that a code of the table comes with. */
export type ProblemStatus<C extends ProblemCode = ProblemCode> = C extends keyof typeof PROBLEMS
  ? (typeof PROBLEMS)[C]['statuses'][number]
  : 400 | 413;
