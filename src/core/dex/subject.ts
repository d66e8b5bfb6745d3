// Dex's `sub`: base64url without padding of a proto3 message, field 1 the user id, field 2 the connector id
// (reference: dex server/internal/types.proto, IDTokenSubject).

const USER_ID_TAG = 0x0a
const CONNECTOR_ID_TAG = 0x12

export type SubjectParts = { readonly userId: string; readonly connectorId: string }

/**
 * Proto3 drops empty strings, tag included. Both must be well-formed Unicode (mapIdentity denies what is not); anything
 * else is a broken invariant and throws, as Dex's marshaller fails.
 */
export function encodeSubject(userId: string, connectorId: string): string {
  const bytes = Buffer.allocUnsafe(fieldRoom(userId) + fieldRoom(connectorId))
  const end = writeField(bytes, writeField(bytes, 0, USER_ID_TAG, userId), CONNECTOR_ID_TAG, connectorId)
  return bytes.toString('base64url', 0, end)
}

/**
 * The exact reverse: `undefined` for everything `encodeSubject` would not have written (padding, unknown or repeated
 * fields, another order, long varints, broken UTF-8), so that two spellings never mean one user.
 */
export function decodeSubject(sub: string): SubjectParts | undefined {
  const bytes = Buffer.from(sub, 'base64url')
  if (bytes.length === 0 || bytes.toString('base64url') !== sub) return undefined
  const userId = readField(bytes, 0, USER_ID_TAG)
  if (userId === undefined) return undefined
  const connectorId = readField(bytes, userId.end, CONNECTOR_ID_TAG)
  if (connectorId === undefined || connectorId.end !== bytes.length) return undefined
  return { userId: userId.text, connectorId: connectorId.text }
}

/** Tag, length and text: a character is three bytes at most, and a length five. */
function fieldRoom(text: string): number {
  return 1 + 5 + 3 * text.length
}

/** Writes the field from `start` on, nothing for an empty one, and gives where it ends. */
function writeField(bytes: Buffer, start: number, tag: number, text: string): number {
  if (text === '') return start
  if (!text.isWellFormed()) throw new RangeError('a subject must be well-formed Unicode')
  const from = writeVarint(bytes, bytes.writeUInt8(tag, start), Buffer.byteLength(text, 'utf8'))
  return from + bytes.write(text, from, 'utf8')
}

function writeVarint(bytes: Buffer, start: number, value: number): number {
  let [at, rest] = [start, value]
  for (; rest >= 0x80; rest >>>= 7) at = bytes.writeUInt8((rest & 0x7f) | 0x80, at)
  return bytes.writeUInt8(rest, at)
}

/** Bytes of a length in its one spelling. */
function varintBytes(value: number): number {
  let bytes = 1
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) bytes += 1
  return bytes
}

type FieldRead = { readonly text: string; readonly end: number }

/** The field of `tag` at `start`, empty when another one stands there; `undefined` when it is malformed. */
function readField(bytes: Buffer, start: number, tag: number): FieldRead | undefined {
  if (bytes[start] !== tag) return { text: '', end: start }
  const length = readVarint(bytes, start + 1)
  // Zero would have been left out; a length in more bytes than needed would be a second spelling.
  if (length === undefined || length.value === 0 || varintBytes(length.value) !== length.end - start - 1) {
    return undefined
  }
  const end = length.end + length.value
  if (end > bytes.length) return undefined
  const text = bytes.toString('utf8', length.end, end)
  return Buffer.from(text, 'utf8').equals(bytes.subarray(length.end, end)) ? { text, end } : undefined
}

/** At most four bytes: 2^28 is more than any token can hold. */
function readVarint(bytes: Buffer, start: number): { value: number; end: number } | undefined {
  let value = 0
  for (let index = 0; index < 4; index += 1) {
    const byte = bytes[start + index]
    if (byte === undefined) return undefined
    value |= (byte & 0x7f) << (7 * index)
    if (byte < 0x80) return { value, end: start + index + 1 }
  }
  return undefined
}
