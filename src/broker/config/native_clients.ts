// Clients of a native configuration and their credentials. Secrets are hashed here; nothing below sees them.
import type { Client, ClientAuth } from '#core/client.ts'
import type { GrantType } from '#core/oauth/names.ts'
import { ownText } from '#core/own_text.ts'
import { reservedPrefix } from '#core/policy/outputs.ts'
import { hashGeneratedSecret, looksGenerated, parsePhc, saltBytes } from '#core/secret_hash.ts'
import type { YamlPath } from '#platform/config/yaml_document.ts'
import {
  checkPrivate,
  checkReference,
  checkUnique,
  entries,
  readNamedFile,
  reportError,
  reportWarning,
} from './load_context.ts'
import type { Entry, LoadContext } from './load_context.ts'
import { checkTtl, seconds } from './native_server.ts'
import { checkPublicKeys, readJwksFile } from './public_keys.ts'
import { ClientSchema, GRANT_WORDS } from './client_schema.ts'
import type { ClientAuthFile, ClientFile } from './client_schema.ts'

type Known = { readonly connectors: ReadonlySet<string>; readonly policies: ReadonlySet<string> }
type AuthFile<M extends ClientAuthFile['method']> = Extract<ClientAuthFile, { method: M }>

export function readClients(context: LoadContext, known: Known): Entry<Client>[] {
  checkUnique(context, 'clients', 'id')
  return entries(context, 'clients', ClientSchema).map(({ path, value }) => ({
    path,
    value: readClient(context, path, value, known),
  }))
}

function readClient(context: LoadContext, path: YamlPath, file: ClientFile, known: Known): Client {
  const ttlSeconds = seconds(file.ttl)
  checkTtl(context, [...path, 'ttl'], ttlSeconds)
  checkOutputs(context, path, file)
  for (const [index, name] of (file.connectors ?? []).entries()) {
    checkReference(context, [...path, 'connectors', index], {
      name,
      kind: 'connector',
      known: known.connectors,
    })
  }
  if (file.auth.method === 'none') checkPublic(context, path, file)
  return {
    id: file.id,
    name: file.name ?? file.id,
    auth: readAuth(context, [...path, 'auth'], file.auth, known),
    grants: (file.grants ?? ['token-exchange']).map((word): GrantType => GRANT_WORDS[word]),
    connectors: file.connectors ?? [],
    defaultAudiences: file.defaultAudiences ?? [],
    subject: file.subject ?? 'dex',
    groups: file.groups ?? [],
    ttlSeconds,
  }
}

function checkOutputs(context: LoadContext, path: YamlPath, file: ClientFile): void {
  for (const [index, group] of (file.groups ?? []).entries()) {
    const prefix = reservedPrefix(group)
    if (prefix === undefined) continue
    const message = `${JSON.stringify(group)} begins with the reserved ${JSON.stringify(prefix)}`
    const wayOut = 'choose another name and bind the role to that'
    reportError(context, {
      code: 'client_output_reserved',
      path: [...path, 'groups', index],
      message,
      wayOut,
    })
  }
}

function checkPublic(context: LoadContext, path: YamlPath, file: ClientFile): void {
  if ((file.connectors ?? []).length === 0) {
    const message = 'a public client is anybody; it must say whose tokens it exchanges'
    const wayOut = 'list them: connectors: [...]'
    reportError(context, { code: 'client_public_without_connectors', path, message, wayOut })
  }
  if (file.grants?.includes('client_credentials') === true) {
    const message = 'a public client has no credentials to be asked for'
    const wayOut = 'drop client_credentials, or give the client a secret'
    reportError(context, { code: 'client_public_credentials', path: [...path, 'grants'], message, wayOut })
  }
}

/** Credentials of one client, hashed; what cannot be read is reported. */
export function readAuth(
  context: LoadContext,
  path: YamlPath,
  auth: ClientAuthFile,
  known: Known,
): ClientAuth {
  switch (auth.method) {
    case 'none':
      return { method: 'none' }
    case 'client_secret':
      return { method: 'client_secret', hashes: readSecrets(context, path, auth) }
    case 'private_key_jwt':
      return { method: 'private_key_jwt', jwks: readClientKeys(context, path, auth) }
    case 'federated_jwt': {
      const { connector, policy } = auth
      checkReference(context, [...path, 'connector'], {
        name: connector,
        kind: 'connector',
        known: known.connectors,
      })
      checkReference(context, [...path, 'policy'], { name: policy, kind: 'policy', known: known.policies })
      return { method: 'federated_jwt', connector, policy }
    }
  }
}

function readSecrets(context: LoadContext, path: YamlPath, auth: AuthFile<'client_secret'>): string[] {
  const fromEnv = listOf(auth.secretEnv).map((name) => readSecretEnv(context, [...path, 'secretEnv'], name))
  const fromFile = listOf(auth.secretFile).map((file) =>
    readSecretFile(context, [...path, 'secretFile'], file),
  )
  const hashed = (auth.secretHashes ?? []).map((hash, index) =>
    checkHash(context, [...path, 'secretHashes', index], hash),
  )
  const given = [...fromEnv, ...fromFile, ...hashed]
  if (given.length === 0) {
    const wayOut = 'give secretEnv, secretFile or secretHashes'
    reportError(context, { code: 'client_secret_missing', path, message: 'there is no secret', wayOut })
  }
  if (given.length > 2) {
    const message = `${given.length} secrets; two are enough while one replaces the other`
    reportError(context, { code: 'client_secrets_too_many', path, message, wayOut: 'keep two at most' })
  }
  return given.filter((hash) => hash !== undefined)
}

function listOf(value: string | readonly string[] | undefined): readonly string[] {
  if (value === undefined) return []
  return typeof value === 'string' ? [value] : value
}

function readSecretEnv(context: LoadContext, path: YamlPath, name: string): string | undefined {
  const secret = context.env.env[name]
  if (secret !== undefined) return hashSecret(context, path, secret)
  const message = `the environment variable ${name} is not set`
  const wayOut = 'set it for the process, or use secretFile'
  reportError(context, { code: 'env_unset', path, message, wayOut })
  return undefined
}

function readSecretFile(context: LoadContext, path: YamlPath, file: string): string | undefined {
  const text = readNamedFile(context, path, file)
  checkPrivate(context, path, file)
  // an editor ends a file with a line break that is no part of the secret
  return text === undefined ? undefined : hashSecret(context, path, text.replace(/\r?\n$/, ''))
}

function hashSecret(context: LoadContext, path: YamlPath, secret: string): string | undefined {
  if (secret.trim() === '') {
    const message = 'the secret is empty: anybody would be this client'
    reportError(context, { code: 'client_secret_empty', path, message, wayOut: 'openssl rand -base64 32' })
    return undefined
  }
  if (!looksGenerated(secret)) {
    const message = 'the secret does not look generated: it can be guessed'
    reportWarning(context, {
      code: 'client_secret_guessable',
      path,
      message,
      wayOut: 'openssl rand -base64 32',
    })
  }
  // Only in memory: whoever reads it there has the environment or the file as well, so scrypt would protect nothing.
  return hashGeneratedSecret(secret, context.env.randomBytes(saltBytes))
}

function checkHash(context: LoadContext, path: YamlPath, hash: string): string | undefined {
  // In memory of its own: what was right is remembered by the very hashes (platform/guess_limit.ts), and must not keep the file.
  if (parsePhc(hash) !== undefined) return ownText(hash)
  const message = 'this is not a hash of a secret'
  const wayOut = 'sallyport hash-secret prints one'
  reportError(context, { code: 'client_secret_hash_malformed', path, message, wayOut })
  return undefined
}

function readClientKeys(
  context: LoadContext,
  path: YamlPath,
  auth: AuthFile<'private_key_jwt'>,
): readonly Readonly<Record<string, unknown>>[] {
  const { jwks, jwksFile } = auth
  if ((jwks === undefined) === (jwksFile === undefined)) {
    const message = 'its public keys stand either in jwks or in jwksFile'
    reportError(context, { code: 'client_keys_missing', path, message, wayOut: 'give one of the two' })
    return []
  }
  if (jwksFile !== undefined) return readJwksFile(context, [...path, 'jwksFile'], jwksFile) ?? []
  return checkPublicKeys(context, [...path, 'jwks'], jwks?.keys ?? []) ?? []
}
