// Ids that become subjects. Outside the dex profile a job is `<connector>:<user id>` and a client's own token `<client id>`:
// no two of them may read alike, and none like a name that is reserved (RFC 9068 §5).
import { reservedPrefix } from '#core/policy/outputs.ts'

type Identified = { readonly id: string }

/** The reserved prefix with which every subject of the connector would begin. */
export function reservedConnector(id: string): string | undefined {
  return reservedPrefix(`${id}:`)
}

/** The connector whose jobs' subjects can read like those of connector `id`: `a` with the user `b:1`, `a:b` with `1`. */
export function shadowedConnector(id: string, connectors: readonly Identified[]): Identified | undefined {
  return connectors.find((other) => other.id !== id && id.startsWith(`${other.id}:`))
}

/** Why a token for the client itself cannot bear its id as subject, and what to write instead. */
type ClientIdProblem = {
  readonly code: 'client_id_reserved' | 'client_id_ambiguous'
  readonly message: string
  readonly wayOut: string
}

export function clientIdProblem(id: string, connectors: readonly Identified[]): ClientIdProblem | undefined {
  const reserved = reservedPrefix(id)
  const connector = connectors.find((other) => id.startsWith(`${other.id}:`))
  const begin = reserved ?? (connector === undefined ? undefined : `${connector.id}:`)
  if (begin === undefined) return undefined
  const wayOut = `choose an id that does not begin with ${JSON.stringify(begin)}`
  if (reserved !== undefined) {
    const message = `its own tokens would have a subject that begins with the reserved ${JSON.stringify(reserved)}`
    return { code: 'client_id_reserved', message, wayOut }
  }
  const message = `its own tokens would have the subject of a job of connector ${JSON.stringify(connector?.id)}`
  return { code: 'client_id_ambiguous', message, wayOut }
}
