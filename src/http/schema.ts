/** Shapes that several routes share; they check what comes in, shape what goes out, and make the OpenAPI text. */

import { type TProperties, Type, type TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify';

/** The app, with handlers typed by their schemas. */
export type App = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

/** An object without further properties, so that a misspelt one is refused and not overlooked. */
export function shape<T extends TProperties>(properties: T) {
  return Type.Object(properties, { additionalProperties: false });
}

export const Time = Type.Number({ description: 'Unix ms' });
export const TimeOrNull = Type.Union([Type.Number(), Type.Null()], { description: 'Unix ms, or null' });
/** A name for people: something visible, on one line. */
export const Label = Type.String({ minLength: 1, maxLength: 100, pattern: '^[^\\p{C}]*[^\\p{C}\\s][^\\p{C}]*$' });
export const Empty = Type.Null({ description: 'Nothing' });
