// One field of a value that nobody has judged yet.

/** `undefined` of what is no object. What Object.prototype has is no field. */
export function ownField(value: unknown, key: string | number): unknown {
  return isKeyed(value) && Object.hasOwn(value, key) ? value[key] : undefined
}

function isKeyed(value: unknown): value is Readonly<Record<string | number, unknown>> {
  return typeof value === 'object' && value !== null
}
