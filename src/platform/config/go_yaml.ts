// What a scalar means to the YAML reader of Kubernetes (go-yaml v2.4 under sigs.k8s.io/yaml v1.6): YAML 1.1 booleans,
// octal and binary numbers with underscores, dates as text. A reader of YAML 1.2 takes `claim: on` for a text;
// kube-apiserver refuses it.
import type { Scalar } from 'yaml'

export type ScalarRead =
  | { readonly ok: true; readonly value: string | number | boolean | null }
  | { readonly ok: false; readonly reason: string }

const TAG = 'tag:yaml.org,2002:'
const WORDS: ReadonlyMap<string, boolean | null> = new Map([
  ...['y', 'Y', 'yes', 'Yes', 'YES', 'true', 'True', 'TRUE', 'on', 'On', 'ON'].map(
    (word) => [word, true] as const,
  ),
  ...['n', 'N', 'no', 'No', 'NO', 'false', 'False', 'FALSE', 'off', 'Off', 'OFF'].map(
    (word) => [word, false] as const,
  ),
  ...['', '~', 'null', 'Null', 'NULL'].map((word) => [word, null] as const),
])
const NOT_JSON = /^(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/
const INTEGER = /^[-+]?(?:0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+|0[0-7]*|[1-9][0-9]*)$/
const FLOAT = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/

/** The value of a scalar of the failsafe schema, whose own value is its text. */
export function readGoScalar(scalar: Scalar): ScalarRead {
  const text = typeof scalar.value === 'string' ? scalar.value : (scalar.source ?? '')
  const { tag } = scalar
  if (tag === undefined || tag === '!') {
    return scalar.type === 'PLAIN' && tag === undefined ? plain(text) : { ok: true, value: text }
  }
  return tag.startsWith(TAG) ? tagged(tag.slice(TAG.length), text) : { ok: true, value: text }
}

function tagged(name: string, text: string): ScalarRead {
  if (name === 'binary') return binary(text)
  if (!['bool', 'int', 'float', 'null', 'timestamp'].includes(name)) return { ok: true, value: text }
  const read = plain(text)
  if (!read.ok || kindOf(read.value) === name) return read
  if (name === 'float' && kindOf(read.value) === 'int') return read
  if (name === 'timestamp' && /^\d{4}-\d{1,2}-\d{1,2}/.test(text)) return { ok: true, value: text }
  return { ok: false, reason: `this is no !!${name}` }
}

function kindOf(value: string | number | boolean | null): string {
  if (value === null) return 'null'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'string') return 'str'
  return Number.isInteger(value) ? 'int' : 'float'
}

/** Go's base64.StdEncoding. */
function binary(text: string): ScalarRead {
  const packed = text.replaceAll(/[\r\n]/g, '')
  const isBase64 = packed.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(packed)
  if (!isBase64) return { ok: false, reason: 'this is no base64' }
  return { ok: true, value: Buffer.from(packed, 'base64').toString('utf8') }
}

function plain(text: string): ScalarRead {
  const word = WORDS.get(text)
  if (word !== undefined) return { ok: true, value: word }
  if (NOT_JSON.test(text)) return { ok: false, reason: `${text} is a number that JSON does not know` }
  return { ok: true, value: number(text) ?? text }
}

function number(text: string): number | undefined {
  // a number that begins with its point may not have underscores
  const digits = text.startsWith('.') ? text : text.replaceAll('_', '')
  if (!/^[-+.0-9]/.test(text)) return undefined
  if (INTEGER.test(digits)) return integer(digits)
  const value = FLOAT.test(digits) ? Number(digits) : Number.NaN
  return Number.isFinite(value) ? value : undefined
}

/** Decimal digits beyond 64 bits are a float, others are a text. */
function integer(digits: string): number | undefined {
  const sign = digits.startsWith('-') ? -1 : 1
  const plainDigits = digits.replace(/^[-+]/, '')
  const isOctal = /^0[0-7]+$/.test(plainDigits)
  const value = BigInt(isOctal ? `0o${plainDigits.slice(1)}` : plainDigits)
  const isDecimal = /^\d+$/.test(plainDigits)
  const most = sign === -1 ? 2n ** 63n : 2n ** 64n - 1n
  if (value > most && (!isDecimal || !Number.isFinite(Number(plainDigits)))) return undefined
  return sign * Number(value)
}
