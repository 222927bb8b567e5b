/**
 * Compiles the schemas of routes when they are first needed. All of them at once took nearly half of a worker's start, and most are not
 * asked for in its life. A schema that is none fails the first request of its route.
 */
import { AjvCompiler } from '@fastify/ajv-compiler';
import { SerializerSelector } from '@fastify/fast-json-stringify-compiler';
import type { FastifyServerOptions } from 'fastify';
import { lazy } from '../lib/lazy.ts';

type Factories = NonNullable<NonNullable<FastifyServerOptions['schemaController']>['compilersFactory']>;
/** Makes what compiles the schemas of an app's part. */
type Factory<T> = (...shared: never[]) => (schema: never) => T;
type Serialize = (data: unknown) => string;
type Validate = ((data: unknown) => unknown) & { errors?: unknown };

/** Fastify's own compilers, put off. */
export const compilersFactory = {
  buildValidator: putOff<Validate>(AjvCompiler() as never, validator),
  buildSerializer: putOff<Serialize>(SerializerSelector() as never, (serialize) => (data) => serialize()(data)),
} as Factories;

/** `stand` makes what is there until it is first called. */
function putOff<T>(factory: Factory<T>, stand: (compiled: () => T) => T): Factory<T> {
  return (...shared) => {
    const compiler = lazy(() => factory(...shared));
    return (schema) => stand(lazy(() => compiler()(schema)));
  };
}

/** Fastify looks for errors at the function that it called. */
function validator(compiled: () => Validate): Validate {
  const validate: Validate = (data) => {
    const ok = compiled()(data);
    validate.errors = compiled().errors;
    return ok;
  };
  return validate;
}
