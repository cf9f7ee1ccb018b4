import ajvCompiler from '@fastify/ajv-compiler';
import serializerCompiler from '@fastify/fast-json-stringify-compiler';
import type { FastifySchemaCompiler, FastifySerializerCompiler, FastifyServerOptions } from 'fastify';

type CompilersFactory = NonNullable<NonNullable<FastifyServerOptions['schemaController']>['compilersFactory']>;
/** What makes compilers: its arguments are Fastify's, and are handed on as they are. */
type Factory<Compiler> = (...setup: unknown[]) => Compiler;
type ValidatorCompiler = FastifySchemaCompiler<unknown>;
type SerializerCompiler = FastifySerializerCompiler<unknown>;

/**
 * Fastify's own compilers, which compile a route's schema when a request first needs it: to compile all of them takes a quarter of a
 * second, which no start has to wait for. A schema that cannot be compiled fails the requests that need it.
 */
export const schemaCompilers = { buildValidator, buildSerializer } as CompilersFactory;

function buildValidator(...setup: unknown[]): ValidatorCompiler {
  const compile = once(() => (ajvCompiler() as Factory<ValidatorCompiler>)(...setup));
  return (route) => {
    const validator = once(() => compile()(route));
    const validate: ReturnType<ValidatorCompiler> = (value) => validator()(value);
    // Where Ajv leaves the errors of its last call, and Fastify looks for them.
    return Object.defineProperty(validate, 'errors', { get: () => validator().errors });
  };
}

function buildSerializer(...setup: unknown[]): SerializerCompiler {
  const compile = once(() => (serializerCompiler() as Factory<SerializerCompiler>)(...setup));
  return (route) => {
    const serializer = once(() => compile()(route));
    return (value) => serializer()(value);
  };
}

/** A function that makes its value at the first call. */
function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
