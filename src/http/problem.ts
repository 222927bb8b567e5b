/** Every error as RFC 9457 `application/problem+json`. protocol/problems.ts lists the codes. */
import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { PROBLEMS, ProblemCode, ProblemStatus } from '../protocol/problems.ts';
import { isAwayCode } from '../server/raw-problem.ts';
import { type Fields, flat } from './security.ts';

/** An error for the client. `detail` is a sentence for people. */
export class Problem<C extends ProblemCode = ProblemCode> extends Error {
  readonly statusCode: ProblemStatus<C>;
  readonly code: C;
  readonly headers: Record<string, string>;

  constructor(statusCode: ProblemStatus<C>, code: C, detail: string, headers: Record<string, string> = {}) {
    super(detail);
    this.name = 'Problem';
    this.statusCode = statusCode;
    this.code = code;
    this.headers = headers;
  }
}

/** Returns a 429 or 503 with `retry-after`. */
export function comeBackLater<C extends ProblemCode>(
  status: ProblemStatus<C> & (429 | 503),
  code: C,
  detail: string,
  waitMs: number,
): Problem<C> {
  return new Problem(status, code, detail, { 'retry-after': String(Math.ceil(waitMs / 1000)) });
}

/** Codes of errors that Fastify raises, by status. */
const CODES: Record<number, keyof typeof PROBLEMS> = {
  400: 'bad-request',
  404: 'not-found',
  405: 'bad-method',
  408: 'too-slow',
  413: 'too-large',
  414: 'too-large',
  415: 'bad-media-type',
  429: 'too-many-requests',
  431: 'too-large',
  503: 'unavailable',
};

/** What Fastify and its parsers add to an error. */
export type RaisedError = Error & { statusCode?: number; code?: string; validation?: Fault[] };

/** A validation error of Ajv. */
interface Fault {
  instancePath: string;
  keyword: string;
  params: Record<string, unknown>;
  message?: string;
}

/** When clients should retry while the store is unreachable, milliseconds. */
const AWAY_MS = 2000;

/** True if the store reported that it is unreachable. */
export function isStoreAway(error: RaisedError): boolean {
  return isAwayCode(error.code) && !(error instanceof Problem);
}

/**
 * Returns the problem for a store that is unreachable or damaged. The log already has the details. Returns other errors
 * unchanged.
 */
export function problemOf(error: RaisedError): RaisedError {
  if (error.code === 'damaged' && !(error instanceof Problem)) return new Problem(503, 'damaged', DAMAGED_TEXT);
  if (!isStoreAway(error)) return error;
  return comeBackLater(503, 'unavailable', error.code === 'moved' ? MOVED_TEXT : REDIS_AWAY_TEXT, AWAY_MS);
}

const REDIS_AWAY_TEXT = 'Fieldmouse cannot reach Redis at the moment.';
const MOVED_TEXT = "The store's file was moved away or replaced. Nothing is written until it is back.";
const DAMAGED_TEXT =
  'Part of the store is damaged and cannot be read. The log names it; fieldmouse verify finds all damage.';

/** Returns the status of an error; 500 if it has no valid one. */
export function statusOf(error: RaisedError): number {
  const status = error.statusCode;
  return status !== undefined && Number.isInteger(status) && status >= 400 && status <= 599 ? status : 500;
}

/**
 * Returns the response body for an error. The texts of unexpected errors with status 500 and above are left out, except
 * with `development`, which also adds the stack.
 */
export function problemBody(error: RaisedError, development: boolean): object {
  const status = statusOf(error);
  const isOurs = error instanceof Problem;
  const [fault] = ('validation' in error && error.validation) || [];
  const isShown = isOurs || status < 500 || development;
  return {
    type: 'about:blank',
    title: STATUS_CODES[status] ?? 'Error',
    status,
    ...(isShown && { detail: fault ? faultText(fault) : error.message }),
    code: isOurs ? error.code : codeOf(error, status),
    ...(development && status >= 500 && !isOurs && { stack: error.stack }),
  };
}

/** Describes a validation error in plain words. */
function faultText({ instancePath, keyword, params, message }: Fault): string {
  const field = instancePath.slice(1).replaceAll('/', ' ') || 'the request';
  switch (keyword) {
    case 'minLength':
      return params.limit === 1 ? `${field} is empty` : `${field} needs at least ${params.limit} characters`;
    case 'maxLength':
      return `${field} may have at most ${params.limit} characters`;
    case 'pattern':
      return `${field} does not have the required format`;
    case 'required':
      return `${params.missingProperty} is missing`;
    case 'additionalProperties':
      return `${params.additionalProperty} is not a known field`;
    case 'enum':
      return `${field} must be one of ${(params.allowedValues as string[]).join(', ')}`;
    default:
      return `${field} ${message ?? 'is not valid'}`;
  }
}

function codeOf(error: RaisedError, status: number): ProblemCode {
  if (error.code === 'FST_ERR_CTP_INVALID_JSON_BODY' || error.code === 'FST_ERR_CTP_EMPTY_JSON_BODY') return 'bad-json';
  return CODES[status] ?? (status < 500 ? 'refused' : 'internal');
}

export function sendProblem(reply: FastifyReply, error: RaisedError, development: boolean): FastifyReply {
  if (error instanceof Problem) reply.headers(error.headers);
  return reply
    .code(statusOf(error))
    .header('cache-control', 'no-store')
    .type('application/problem+json')
    .send(JSON.stringify(problemBody(error, development)));
}

/** Like `sendProblem`, for requests that are answered without Fastify. `fields` are sent first. */
export function writeProblem(response: ServerResponse, error: RaisedError, fields: Fields, development: boolean): void {
  const body = JSON.stringify(problemBody(error, development));
  const own: Fields = [
    ...Object.entries(error instanceof Problem ? error.headers : {}),
    ['cache-control', 'no-store'],
    ['content-type', 'application/problem+json; charset=utf-8'],
    ['content-length', String(Buffer.byteLength(body))],
  ];
  response.writeHead(statusOf(error), flat(fields, own)).end(body);
}

/** Problems for errors of Node's HTTP parser, by error code. */
const UNREADABLE: Record<string, Problem> = {
  HPE_INVALID_VERSION: new Problem(505, 'bad-version', 'The server speaks HTTP/1.1 and HTTP/1.0.'),
  HPE_HEADER_OVERFLOW: new Problem(431, 'too-large', 'The headers are too large.'),
  ERR_HTTP_REQUEST_TIMEOUT: new Problem(408, 'too-slow', 'The request took too long to arrive.'),
};

/** Answers a request that cannot be parsed or came too late, and ends the connection. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const problem = UNREADABLE[error.code ?? ''] ?? new Problem(400, 'bad-request', 'This is not HTTP.');
  const body = JSON.stringify(problemBody(problem, false));
  const head = [
    `HTTP/1.1 ${problem.statusCode} ${STATUS_CODES[problem.statusCode]}`,
    'content-type: application/problem+json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}
