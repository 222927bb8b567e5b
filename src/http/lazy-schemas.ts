/**
 * Compiles the schemas of routes on first use. Compiling all at the start took nearly half of a worker's start time,
 * and most are never used. An invalid schema fails the first request of its route.
 */
import { AjvCompiler } from '@fastify/ajv-compiler';
import { SerializerSelector } from '@fastify/fast-json-stringify-compiler';
import type { FastifyServerOptions } from 'fastify';
import { lazy } from '../lib/lazy.ts';

type Factories = NonNullable<NonNullable<FastifyServerOptions['schemaController']>['compilersFactory']>;
/** Creates the compiler for the schemas of one part of the app. */
type Factory<T> = (...shared: never[]) => (schema: never) => T;
type Serialize = (data: unknown) => string;
type Validate = ((data: unknown) => unknown) & { errors?: unknown };

/** Fastify's own compilers, made lazy. */
export const compilersFactory = {
  buildValidator: putOff<Validate>(AjvCompiler() as never, validator),
  buildSerializer: putOff<Serialize>(SerializerSelector() as never, (serialize) => (data) => serialize()(data)),
} as Factories;

/** `stand` creates the function that is used until the first call. */
function putOff<T>(factory: Factory<T>, stand: (compiled: () => T) => T): Factory<T> {
  return (...shared) => {
    const compiler = lazy(() => factory(...shared));
    return (schema) => stand(lazy(() => compiler()(schema)));
  };
}

/** Fastify reads errors from the function that it called. */
function validator(compiled: () => Validate): Validate {
  const validate: Validate = (data) => {
    const ok = compiled()(data);
    validate.errors = compiled().errors;
    return ok;
  };
  return validate;
}
