// What PostgreSQL and the way to it say when something fails, as an operator would say it. Never a value: an error's
// details can quote a row, and rows hold signing keys.
import { StoreFailure } from './store.ts'

/** The failure for whatever was thrown: the place and the reason. */
export function postgresFailure(place: string, cause: unknown): StoreFailure {
  if (cause instanceof StoreFailure) return cause
  const reason = reasonOf(cause)
  // The server's own errors stay behind, for what they quote; those of the network say where they come from.
  return sqlState(cause) === undefined
    ? new StoreFailure(`${place}: ${reason}`, { cause })
    : new StoreFailure(`${place}: ${reason}`)
}

/** SQLSTATE, where the server itself has answered. */
export function sqlState(error: unknown): string | undefined {
  const code = codeOf(error)
  return code !== undefined && /^[0-9A-Z]{5}$/.test(code) && 'severity' in Object(error) ? code : undefined
}

/** The server rolled back for the sake of others, and the same may be tried again. */
export function isCollision(error: unknown): boolean {
  return ['40001', '40P01'].includes(sqlState(error) ?? '')
}

/** Whether the connection is as good as before. Of whatever else went wrong nobody knows what it left. */
export function isConnectionSound(error: unknown): boolean {
  const state = sqlState(error) ?? ''
  return isCollision(error) || SOUND.has(state) || state.startsWith('42')
}

const SOUND = new Set(['57014', '55P03', '53100', '22021', '21000'])

const REASONS: ReadonlyMap<string, string> = new Map([
  ['25006', 'it takes no writes: a standby, or set to read only'],
  ['28P01', 'the user or the password is refused'],
  ['3D000', 'there is no such database'],
  ['53100', 'the disk is full'],
  ['53200', 'it is out of memory'],
  ['53300', 'it has no connection left for us'],
  ['55P03', 'a lock was not let go in time'],
  ['57014', 'no answer in time'],
  ['57P01', 'it was shut down'],
  ['57P02', 'it has crashed'],
  ['57P03', 'it is starting up or shutting down'],
  ['ECONNREFUSED', 'nobody listens there'],
  ['ECONNRESET', 'the connection was cut'],
  ['EPIPE', 'the connection was cut'],
  ['ENOENT', 'there is no such socket'],
  ['ENOTFOUND', 'the host has no address'],
  ['EAI_AGAIN', 'the address of the host cannot be looked up'],
  ['ETIMEDOUT', 'it cannot be reached in time'],
  ['EHOSTUNREACH', 'it cannot be reached'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'its certificate is not trusted: tls.caFile names who signs it'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'its certificate is not trusted: tls.caFile names who signs it'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'its certificate is not trusted: tls.caFile names who signs it'],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'its certificate is not trusted: tls.caFile names who signs it'],
  ['CERT_HAS_EXPIRED', 'its certificate has expired'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'its certificate is for another name: tls.serverName says which'],
])

/** Nobody has answered, so whoever waits behind would only wait as long again. */
export function isSilence(error: unknown): boolean {
  return ['57014', '55P03'].includes(sqlState(error) ?? '') || reasonOf(error).endsWith('in time')
}

/** Texts of pg and pg-pool, which have no codes. */
const DRIVER_REASONS: ReadonlyMap<string, string> = new Map([
  ['Query read timeout', 'no answer in time'],
  ['timeout exceeded when trying to connect', 'no connection was free in time'],
  ['Connection terminated due to connection timeout', 'it cannot be reached in time'],
  ['timeout expired', 'it cannot be reached in time'],
  ['Connection terminated unexpectedly', 'the connection was cut'],
  ['Connection terminated', 'the connection was cut'],
  ['The server does not support SSL connections', 'it does not speak TLS'],
  ['Cannot use a pool after calling end on the pool', 'is closed'],
])

function reasonOf(cause: unknown): string {
  const known = REASONS.get(codeOf(cause) ?? '')
  if (known !== undefined) return known
  if (!(cause instanceof Error)) return String(cause)
  if (cause.message.includes('client password must be'))
    return 'it asks for a password, and none is configured'
  return DRIVER_REASONS.get(cause.message) ?? cause.message
}

function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined
  return error.code
}
