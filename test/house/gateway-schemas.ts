import type { AnySchema } from 'ajv';

// The parts that we use of resources whose schemas no package of a registry has.

const name = { type: 'string', minLength: 1, maxLength: 253 };
const port = {
  type: 'object',
  required: ['number'],
  additionalProperties: false,
  properties: { number: { type: 'integer', minimum: 1, maximum: 65_535 } },
};

/** @see https://gateway-api-inference-extension.sigs.k8s.io/reference/spec (v1) */
const inferencePool = {
  type: 'object',
  required: ['selector', 'targetPorts', 'endpointPickerRef'],
  additionalProperties: false,
  properties: {
    selector: {
      type: 'object',
      required: ['matchLabels'],
      additionalProperties: false,
      properties: {
        matchLabels: { type: 'object', minProperties: 1, maxProperties: 64, additionalProperties: { type: 'string' } },
      },
    },
    targetPorts: { type: 'array', minItems: 1, maxItems: 8, items: port },
    endpointPickerRef: {
      type: 'object',
      // A Service's port is required.
      required: ['name', 'port'],
      additionalProperties: false,
      properties: { name, port, failureMode: { enum: ['FailOpen', 'FailClose'] } },
    },
  },
};

/** @see https://gateway-api.sigs.k8s.io/reference/spec/#httproute (v1) */
const httpRoute = {
  type: 'object',
  additionalProperties: false,
  properties: {
    parentRefs: {
      type: 'array',
      maxItems: 32,
      items: { type: 'object', required: ['name'], additionalProperties: false, properties: { name } },
    },
    rules: {
      type: 'array',
      minItems: 1,
      maxItems: 16,
      items: {
        type: 'object',
        additionalProperties: false,
        properties: {
          matches: {
            type: 'array',
            items: {
              type: 'object',
              additionalProperties: false,
              properties: {
                path: {
                  type: 'object',
                  additionalProperties: false,
                  properties: {
                    type: { enum: ['Exact', 'PathPrefix', 'RegularExpression'] },
                    value: { type: 'string', pattern: '^/', maxLength: 1024 },
                  },
                },
              },
            },
          },
          backendRefs: {
            type: 'array',
            items: {
              type: 'object',
              required: ['name'],
              additionalProperties: false,
              properties: {
                group: { type: 'string' },
                kind: { type: 'string' },
                name,
                port: { type: 'integer', minimum: 1, maximum: 65535 },
              },
            },
          },
        },
      },
    },
  },
};

/** Schemas of `spec`, by kind. */
export const gatewaySchemas: Readonly<Record<string, AnySchema>> = {
  'inference.networking.k8s.io/v1 InferencePool': inferencePool,
  'gateway.networking.k8s.io/v1 HTTPRoute': httpRoute,
};
