/** Whether a value is an object; arrays are objects too. */
export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
