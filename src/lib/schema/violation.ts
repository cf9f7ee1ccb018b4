/** An error of a JSON schema's validator, in Ajv's words. */
export interface SchemaError {
  readonly keyword: string;
  /** JSON pointer of the value. */
  readonly instancePath: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly message?: string | undefined;
  /** Set where the value is the name of a field. */
  readonly propertyName?: string | undefined;
  /** The schema that has the keyword; its title says what is wanted where the keyword's own message cannot. */
  readonly parentSchema?: object | undefined;
}

/** One fault of a value, for people. */
export interface Violation {
  readonly code: 'unknown_parameter' | 'missing_parameter' | 'invalid_type' | 'invalid_value';
  readonly message: string;
  /** The field at fault, as in `requests[3].custom_id`; undefined: the whole value. */
  readonly param: string | undefined;
}

/** Names the field at fault and says what it must be. */
export function describeViolation(error: SchemaError): Violation {
  const at = pathOf(error.instancePath);
  if (error.keyword === 'additionalProperties') return unknownField(join(at, error.params['additionalProperty']));
  if (error.keyword === 'required') return missingField(join(at, error.params['missingProperty']));
  return invalidField(error, at);
}

function unknownField(param: string): Violation {
  return { code: 'unknown_parameter', message: `Unknown field '${param}'.`, param };
}

function missingField(param: string): Violation {
  return { code: 'missing_parameter', message: `'${param}' is required.`, param };
}

/** The message says which entry of an array or a map is wrong; `param` is the field that the array or map is. */
function invalidField(error: SchemaError, at: string): Violation {
  const code = error.keyword === 'type' ? 'invalid_type' : 'invalid_value';
  const param = at.replace(/(\[\d+\])+$/, '');
  const value = at ? `'${at}'` : 'The body';
  const subject = error.propertyName === undefined ? value : `A name in ${value}`;
  return { code, message: `${subject} ${wanted(error)}.`, param: param || undefined };
}

function wanted({ keyword, message, params, parentSchema }: SchemaError): string {
  if (keyword === 'isFile') return 'must be a file';
  if (keyword === 'enum') return `must be one of ${String(params['allowedValues']).replaceAll(',', ', ')}`;
  if (keyword === 'type') return `must be ${String(params['type']).replace(',null', ' or null')}`;
  const named = (keyword === 'anyOf' || keyword === 'pattern') && parentSchema && 'title' in parentSchema;
  return named ? `must be ${String(parentSchema.title)}` : (message ?? 'is not valid');
}

/** Turns a JSON pointer into a path: `/requests/3/custom_id` becomes `requests[3].custom_id`. */
function pathOf(instancePath: string): string {
  const segments = instancePath.split('/').slice(1);
  return segments.reduce((path, segment) => (/^\d+$/.test(segment) ? `${path}[${segment}]` : join(path, segment)), '');
}

function join(path: string, property: unknown): string {
  return path ? `${path}.${String(property)}` : String(property);
}
