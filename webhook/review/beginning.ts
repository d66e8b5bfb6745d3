// What kube-apiserver writes before the objects, read without parsing them: the fields of a request come in the order of its Go type
// (uid, kind, resource, name, namespace, operation, userInfo, object, ...).
import { printable } from '#core/module/printable.ts'

/** Names and namespaces have 316 characters, the rest is ours. */
const HEAD_BYTES = 4096
const UID_BYTES = 512

/** For the answer to a review that the thread was lost over; '' where it stands elsewhere. */
export function uidAtBeginning(body: Uint8Array): string {
  return printable(/"request":\s*\{\s*"uid":\s*"([!-~]{1,128}?)"/.exec(beginning(body, UID_BYTES))?.[1] ?? '')
}

/**
 * Who asks, as it is written and no longer than 256 characters: to tell one user from another, and for nothing else. '' where it stands
 * elsewhere, so that all of those count as one. A quote in a name comes as \", so no name can look like the field.
 */
export function userAtBeginning(body: Uint8Array): string {
  const found = /"userInfo":\s*\{\s*"username":\s*"((?:[^"\\]|\\.){1,256})/.exec(beginning(body, HEAD_BYTES))
  return found?.[1] ?? ''
}

function beginning(body: Uint8Array, bytes: number): string {
  return Buffer.from(body.buffer, body.byteOffset, Math.min(body.byteLength, bytes)).toString('utf8')
}
