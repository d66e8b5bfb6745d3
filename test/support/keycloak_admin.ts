// The administrator of a test Keycloak (test/support/peers.ts): its REST API for the realm `platform`, as far as tests
// change something while it runs.
import { request } from 'node:https'
import type { Keycloak } from './peers.ts'

export type KeycloakAdmin = {
  /** Answers JSON of `/admin/realms/platform` plus `path`. Throws on a status of 400 or more. */
  ask(method: 'GET' | 'POST' | 'PUT', path: string, body?: unknown): Promise<unknown>
}

/** Logs in as the administrator; the token lasts a minute. */
export async function keycloakAdmin(keycloak: Keycloak, ca: string): Promise<KeycloakAdmin> {
  const form = 'grant_type=password&client_id=admin-cli&username=admin&password=admin-password'
  const login = await call(`${keycloak.url}/realms/master/protocol/openid-connect/token`, {
    ca,
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: form,
  })
  const authorization = `Bearer ${String(Object(JSON.parse(login)).access_token)}`
  return {
    async ask(method, path, body) {
      const headers = { authorization, 'content-type': 'application/json' }
      const url = `${keycloak.url}/admin/realms/platform${path}`
      const text = await call(url, { ca, method, headers, body: JSON.stringify(body) })
      return text === '' ? undefined : JSON.parse(text)
    },
  }
}

/** A key provider of higher priority: the realm signs with it from then on. */
export async function rotateRealmKeys(admin: KeycloakAdmin): Promise<void> {
  const realm = Object(await admin.ask('GET', ''))
  await admin.ask('POST', '/components', {
    name: 'rsa-next',
    providerId: 'rsa-generated',
    providerType: 'org.keycloak.keys.KeyProvider',
    parentId: realm.id,
    config: {
      priority: ['200'],
      active: ['true'],
      enabled: ['true'],
      algorithm: ['RS256'],
      keySize: ['2048'],
    },
  })
}

/** Gives the service account of a client a verified e-mail address. */
export async function setServiceAccountEmail(
  admin: KeycloakAdmin,
  clientId: string,
  email: string,
): Promise<void> {
  const users: unknown = await admin.ask('GET', `/users?username=service-account-${clientId}&exact=true`)
  const user: unknown = Array.isArray(users) ? users[0] : undefined
  if (user === undefined) throw new Error(`${clientId} has no service account`)
  await admin.ask('PUT', `/users/${Object(user).id}`, { ...Object(user), email, emailVerified: true })
}

type Call = {
  readonly ca: string
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
}

function call(url: string, { body, ...options }: Call): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { ...options, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.once('end', () => {
        if ((response.statusCode ?? 0) < 400) resolve(text)
        else reject(new Error(`Keycloak answers ${response.statusCode}: ${text}`))
      })
    })
    outgoing.once('error', reject)
    outgoing.end(body)
  })
}
