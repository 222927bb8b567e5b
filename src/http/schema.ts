/** Schemas that several routes share. They validate requests, serialise responses and generate the OpenAPI text. */
import { STATUS_CODES } from 'node:http';
import { type TProperties, Type, type TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type {
  FastifyBaseLogger,
  FastifyInstance,
  FastifyRequest,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify';
import { isLabel, LABEL, maxUnits, tidy } from '../model/label.ts';
import type { Need } from '../model/rights.ts';
import { DEVICES } from '../model/visitor.ts';
import { Problem } from './problem.ts';

/** The app, with handlers typed by their schemas. */
export type HttpApp = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

/** The permission that a route needs, as its `config`. */
export const LOOK = { needs: 'look' } as const satisfies { needs: Need };
export const OWN = { needs: 'own' } as const satisfies { needs: Need };
export const MANAGE = { needs: 'manage' } as const satisfies { needs: Need };

/** An object without further properties, so that a misspelt one is refused and not ignored. */
export function shape<T extends TProperties>(properties: T) {
  return Type.Object(properties, { additionalProperties: false });
}

/**
 * The query of a stream. Unlike `shape` it allows other parameters: clients of streams add their own, such as `_=…`
 * against caches, and a refusal would end them for good.
 */
export function streamQuery<T extends TProperties>(properties: T) {
  return Type.Object(properties);
}

/** The names that EventSource polyfills use for the last event id in the URL. */
const LAST_EVENT_IDS = ['last_event_id', 'lastEventId', 'last-event-id'];

/**
 * The id of the last event that a reader has. The header is the latest; a parameter, which is the same in each request,
 * may be older.
 */
export function lastEventIdOf({ headers, query }: Pick<FastifyRequest, 'headers' | 'query'>): string | undefined {
  const given = LAST_EVENT_IDS.map((name) => (query as Record<string, unknown>)[name]);
  return [headers['last-event-id'], ...given].find((id): id is string => typeof id === 'string' && id !== '');
}

export const Time = Type.Number({ description: 'Unix ms' });
export const TimeOrNull = Type.Union([Type.Number(), Type.Null()], { description: 'Unix ms, or null' });
const NAME_LIMIT = 100;
/** A name for people: something visible, on one line. Parse it with `nameIn`. */
export const Label = Type.String({
  minLength: 1,
  maxLength: maxUnits(NAME_LIMIT),
  pattern: LABEL,
  description: `1 to ${NAME_LIMIT} visible characters on one line`,
});

/** The name in a body, normalised and without spaces at its ends. Throws Problem if it is too long. */
export function trimmedName({ name }: { name: string }): string {
  const tidied = tidy(name);
  if (isLabel(tidied, NAME_LIMIT)) return tidied;
  throw new Problem(400, 'bad-request', `name may have at most ${NAME_LIMIT} characters`);
}
export const EmptyBody = Type.Null({ description: 'No content' });

export const DEVICE_NAMES = ['phone', 'tablet', 'desktop', 'wide'] as const;
export const DeviceField = Type.Enum([...DEVICES], { description: 'Derived from the width of the window' });
export const SizeField = Type.Unsafe<[vw: number, vh: number, dw: number, dh: number]>({
  type: 'array',
  items: { type: 'number' },
  minItems: 4,
  maxItems: 4,
  description: 'Width and height of the window, then of the document; zeros if unknown',
});
export const NextCursor = Type.Union([Type.String(), Type.Null()], {
  description: '`after` of the next part, or null',
});

const ProblemShape = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Number(),
  detail: Type.Optional(Type.String()),
  code: Type.String(),
});

/** The error responses of a route, for the OpenAPI text. */
export function problems<S extends number>(...statuses: S[]) {
  const answer = (status: S) => ({
    description: STATUS_CODES[status] ?? 'Error',
    content: { 'application/problem+json': { schema: ProblemShape } },
  });
  return Object.fromEntries(statuses.map((status) => [status, answer(status)])) as Record<S, ReturnType<typeof answer>>;
}
