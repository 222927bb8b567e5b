/** Shapes that several routes share; they check what comes in, shape what goes out, and make the OpenAPI text. */
import { STATUS_CODES } from 'node:http';
import { type TProperties, Type, type TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify';
import type { Need } from '../protocol/rights.ts';
import { DEVICES } from '../protocol/stream.ts';

/** The app, with handlers typed by their schemas. */
export type App = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

/** What a route is for, as its `config`. */
export const LOOK = { needs: 'look' } as const satisfies { needs: Need };
export const OWN = { needs: 'own' } as const satisfies { needs: Need };
export const MANAGE = { needs: 'manage' } as const satisfies { needs: Need };

/** An object without further properties, so that a misspelt one is refused and not overlooked. */
export function shape<T extends TProperties>(properties: T) {
  return Type.Object(properties, { additionalProperties: false });
}

export const Time = Type.Number({ description: 'Unix ms' });
export const TimeOrNull = Type.Union([Type.Number(), Type.Null()], { description: 'Unix ms, or null' });
/** A name for people: something visible, on one line. */
export const Label = Type.String({ minLength: 1, maxLength: 100, pattern: '^[^\\p{C}]*[^\\p{C}\\s][^\\p{C}]*$' });
export const Empty = Type.Null({ description: 'Nothing' });

export const WIDTHS = ['phone', 'tablet', 'desktop', 'wide'] as const;
export const Device = Type.Enum([...DEVICES], { description: 'By the width of the window' });
export const Size = Type.Unsafe<[vw: number, vh: number, dw: number, dh: number]>({
  type: 'array',
  items: { type: 'number' },
  minItems: 4,
  maxItems: 4,
  description: 'Width and height of the window, then of the document; zeros if not known',
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

/** The error answers of a route, for the OpenAPI text. */
export function problems<S extends number>(...statuses: S[]) {
  const answer = (status: S) => ({
    description: STATUS_CODES[status] ?? 'Error',
    content: { 'application/problem+json': { schema: ProblemShape } },
  });
  return Object.fromEntries(statuses.map((status) => [status, answer(status)])) as Record<S, ReturnType<typeof answer>>;
}
