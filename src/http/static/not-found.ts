/** The page that a person's browser gets for an unknown path; programs get the problem itself. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../../config/config.ts';
import { mounted } from '../base-path.ts';
import { Problem, type RaisedError, sendProblem, statusOf } from '../problem.ts';
import { NOT_FOUND } from '../security.ts';
import { accepting } from './fixed-files.ts';

const HTML = accepting('text/html');

/** Answers a request for an unknown path. */
export type AnswerMissing = (request: FastifyRequest, reply: FastifyReply, error?: RaisedError) => FastifyReply;

/** Reads the page from the folder of the files for browsers. */
export function missingPage(publicFolder: string, { development, basePath }: Config): AnswerMissing {
  const page = mounted(readFileSync(join(publicFolder, 'admin', 'missing.html'), 'utf8'), basePath);
  return (request, reply, error = new Problem(404, 'not-found', 'There is nothing at this address.')) => {
    if (!isForPerson(request)) return sendProblem(reply, error, development);
    for (const [name, value] of NOT_FOUND) reply.raw.setHeader(name, value);
    return reply.code(statusOf(error)).header('cache-control', 'no-store').type('text/html; charset=utf-8').send(page);
  };
}

/** Browsers ask for `text/html` when the response is shown in a window; other programs do not by default. */
function isForPerson({ method, headers }: FastifyRequest): boolean {
  return (method === 'GET' || method === 'HEAD') && HTML.test(headers.accept ?? '');
}
