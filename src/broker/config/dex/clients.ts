// Dex's staticClients: who may ask, and (each of them being an audience, too) who may ask for them.
import type { Audience } from '#core/audience.ts'
import type { Client, ClientAuth } from '#core/client.ts'
import type { RandomBytes } from '#core/clock.ts'
import { CLIENT_CREDENTIALS } from '#core/oauth/names.ts'
import type { GrantType } from '#core/oauth/names.ts'
import { hashGeneratedSecret, saltBytes } from '#core/secret_hash.ts'
import { isKnown } from './grants.ts'
import { flagOf, objectsOf, pathOf, sectionOf, textOf, textsOf } from './read_keys.ts'
import type { DexObject } from './read_keys.ts'
import type { Reporter } from './report.ts'

/** What a configuration in native form says instead of a hash: client id -> environment variable of its secret. */
export type SecretVariables = ReadonlyMap<string, string>

export type ClientDeps = {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly randomBytes: RandomBytes
  readonly grants: readonly GrantType[]
  readonly report: Reporter
  /** How a secret that stands in the file is hashed. */
  readonly hashLiteral: ((secret: string) => string) | undefined
}

export type DexClients = {
  readonly clients: readonly Client[]
  readonly audiences: readonly Audience[]
  readonly secretVariables: SecretVariables
}

export function readClients(root: DexObject, deps: ClientDeps): DexClients {
  const entries = objectsOf(root, 'staticClients').map((entry) => ({
    entry,
    client: readClient(entry, deps),
  }))
  const clients = entries.flatMap(({ client }) => (client === undefined ? [] : [client]))
  const audiences: Audience[] = []
  const secretVariables = new Map<string, string>()
  const seen = new Set<string>()
  for (const { entry, client } of entries) {
    if (client === undefined) continue
    if (seen.has(client.id)) {
      const message = `two clients have the id ${JSON.stringify(client.id)}; Dex silently takes one of them`
      deps.report.refuse(pathOf(entry, 'id'), 'client_id_repeated', message, 'remove one of them')
    }
    seen.add(client.id)
    if (textOf(entry, 'secretEnv') !== '') secretVariables.set(client.id, textOf(entry, 'secretEnv'))
    audiences.push({
      id: client.id,
      profile: 'dex',
      trustedPeers: textsOf(entry, 'trustedPeers'),
      resources: [],
      maxTtlSeconds: undefined,
    })
  }
  for (const { entry } of entries) checkPeers(entry, seen, deps.report)
  return { clients, audiences, secretVariables }
}

function readClient(entry: DexObject, deps: ClientDeps): Client | undefined {
  const id = readId(entry, deps)
  const name = textOf(entry, 'name')
  if (name === '') {
    const message = 'invalid config: Name field is required for a client'
    deps.report.refuse(pathOf(entry, 'name'), 'client_name_missing', message, 'write name:')
  }
  if (id === undefined) return undefined
  const auth = readAuth(entry, id, deps)
  if (auth === undefined) return undefined
  return {
    id,
    name,
    auth,
    ...(flagOf(entry, 'public') ? { isPublic: true } : {}),
    grants: readClientGrants(entry, deps),
    connectors: textsOf(entry, 'allowedConnectors'),
    defaultAudiences: [],
    subject: 'dex',
    groups: textsOf(sectionOf(entry, 'clientCredentialsClaims'), 'groups'),
    ttlSeconds: undefined,
  }
}

function readId(entry: DexObject, deps: ClientDeps): string | undefined {
  const [id, idEnv] = [textOf(entry, 'id'), textOf(entry, 'idEnv')]
  const { report } = deps
  if (id !== '' && idEnv !== '') {
    const message = `invalid config: ID and IDEnv fields are exclusive for client ${JSON.stringify(id)}`
    report.refuse(pathOf(entry, 'idEnv'), 'client_id_twice', message, 'keep one of them')
    return undefined
  }
  if (idEnv === '') {
    if (id !== '') return reportLiteral(id, entry, 'id', report)
    const message = 'invalid config: ID or IDEnv field is required for a client'
    report.refuse(pathOf(entry, 'id'), 'client_id_missing', message, 'write id:')
    return undefined
  }
  const value = deps.env[idEnv]
  if (value !== undefined && value !== '') return value
  const message = `the variable ${idEnv} is not set: Dex would run a client with an empty id`
  report.refuse(pathOf(entry, 'idEnv'), 'variable_unset', message, `set ${idEnv}`)
  return undefined
}

/** Dex expands no variables in staticClients: an id `$X` is the two characters. Harmless, but hardly meant. */
function reportLiteral(id: string, entry: DexObject, key: string, report: Reporter): string {
  if (!looksLikeVariable(id)) return id
  const message = `Dex expands no variables here: the ${key} is the text ${id} itself`
  report.warn(pathOf(entry, key), 'variable_literal', message, `write ${key}Env: ${variableName(id)}`)
  return id
}

function readAuth(entry: DexObject, id: string, deps: ClientDeps): ClientAuth | undefined {
  const { report } = deps
  const [isPublic, secretEnv] = [flagOf(entry, 'public'), textOf(entry, 'secretEnv')]
  const quoted = JSON.stringify(id)
  let secret = textOf(entry, 'secret')
  if (secret !== '' && secretEnv !== '') {
    const message = `invalid config: Secret and SecretEnv fields are exclusive for client ${quoted}`
    report.refuse(pathOf(entry, 'secretEnv'), 'client_secret_twice', message, 'keep one of them')
    return undefined
  }
  if (looksLikeVariable(secret)) return literalSecret(entry, secret, report)
  if (secretEnv !== '') {
    secret = deps.env[secretEnv] ?? ''
    if (secret === '') return emptySecret(entry, secretEnv, report)
  }
  if (secret === '' && isPublic) return { method: 'none' }
  if (secret === '') {
    const message = `invalid config: Secret or SecretEnv field is required for client ${quoted}`
    const wayOut = 'write secretEnv: NAME; for a client that cannot keep a secret, public: true'
    report.refuse(pathOf(entry, 'secret'), 'client_secret_empty', message, wayOut)
    return undefined
  }
  if (isPublic) {
    const message =
      'the client is public and has a secret: Dex asks for the secret, and refuses client_credentials'
    report.warn(pathOf(entry, 'public'), 'client_public_with_secret', message, 'keep one of the two')
  }
  // Only in memory: whoever reads it there has the file or the environment as well, so scrypt would protect nothing.
  const hash = secretEnv === '' ? deps.hashLiteral?.(secret) : undefined
  return {
    method: 'client_secret',
    hashes: [hash ?? hashGeneratedSecret(secret, deps.randomBytes(saltBytes))],
  }
}

/** Everybody who has read the file, or guesses its habit, knows the "secret". */
function literalSecret(entry: DexObject, secret: string, report: Reporter): undefined {
  const name = variableName(secret)
  const message = `Dex expands no variables here: the secret of this client is the text ${secret} itself`
  report.refuse(pathOf(entry, 'secret'), 'client_secret_literal', message, `write secretEnv: ${name}`)
}

function emptySecret(entry: DexObject, name: string, report: Reporter): undefined {
  const message = `the variable ${name} is not set: Dex would let anybody in as this client without a secret`
  report.refuse(pathOf(entry, 'secretEnv'), 'variable_unset', message, `set ${name}`)
}

function readClientGrants(entry: DexObject, deps: ClientDeps): readonly GrantType[] | undefined {
  const { report, grants } = deps
  const listed = textsOf(entry, 'grantTypes')
  const path = pathOf(entry, 'grantTypes')
  if (listed.length === 0) return undefined
  const message =
    'Dex does not know this key and lets the client use every grant; here it is kept to the list'
  report.note(path, 'client_grants_honoured', message)
  for (const name of listed.filter((grant) => !isKnown(grant))) {
    const unknown = `${JSON.stringify(name)} is no grant that Dex knows`
    report.warn(path, 'grant_unknown', unknown, 'write the name as oauth2.grantTypes does')
  }
  const known = listed.filter(isKnown)
  for (const grant of known.filter((name) => name === CLIENT_CREDENTIALS && !grants.includes(name))) {
    const off = `${grant} is not enabled: oauth2.grantTypes does not list it`
    report.warn(path, 'client_grant_off', off, `add ${grant} to oauth2.grantTypes`)
  }
  return known
}

function checkPeers(entry: DexObject, known: ReadonlySet<string>, report: Reporter): void {
  for (const peer of textsOf(entry, 'trustedPeers').filter((id) => !known.has(id))) {
    const message = `there is no client ${JSON.stringify(peer)} in this file: nobody gains anything by it`
    report.warn(
      pathOf(entry, 'trustedPeers'),
      'peer_unknown',
      message,
      'define the client or remove the peer',
    )
  }
}

function looksLikeVariable(text: string): boolean {
  return /^\$(?:[A-Za-z_]\w*|\{[A-Za-z_]\w*\})$/.test(text)
}

function variableName(text: string): string {
  return text.replaceAll(/[${}]/g, '')
}
