// A real Keycloak: seed 002's two commands word for word, its key rotation, and its token for somebody else.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { encodeSubject } from '../../src/core/dex/subject.ts'
import { freePort } from '../support/child_server.ts'
import { readIssuedToken } from '../support/issued_token.ts'
import { keycloakAdmin, rotateRealmKeys } from '../support/keycloak_admin.ts'
import { keycloakHome, peerOrSkip, startKeycloak } from '../support/peers.ts'
import type { Keycloak } from '../support/peers.ts'
import { startSallyport } from '../support/sallyport.ts'
import { between, readSeed, withoutSeeds } from '../support/seeds.ts'
import { runShell } from '../support/shell.ts'
import { parseObject } from './wire/compare.ts'
import { makeCertificates } from './wire/upstream.ts'
import type { CertificateFiles } from './wire/upstream.ts'
import { ciClient, secrets } from './wire/world.ts'

const home = await peerOrSkip(keycloakHome)
const skip = home.skip === false ? withoutSeeds() : home.skip
const USER_ID = /^[0-9a-f-]{36}$/

/** What a Deckhouse DexProvider for Keycloak renders to, with the two keys that a service account needs. */
function dexConfig(issuer: string, keycloak: Keycloak, files: CertificateFiles, address: string) {
  return {
    issuer,
    storage: { type: 'memory' },
    web: { https: address, tlsCert: files.certFile, tlsKey: files.keyFile },
    expiry: { idTokens: '10m' },
    staticClients: [
      { id: ciClient, name: 'ci-token-exchange', secret: secrets.ci },
      { id: 'kubernetes', name: 'Kubernetes', secret: secrets.plain, trustedPeers: [ciClient] },
    ],
    connectors: [
      {
        type: 'oidc',
        id: 'keycloak',
        name: 'keycloak',
        config: {
          issuer: keycloak.issuer,
          clientID: 'deckhouse',
          clientSecret: 'unused',
          redirectURI: `${issuer}callback`,
          rootCAs: [files.caFile],
          getUserInfo: true,
          scopes: ['openid'],
          userNameKey: 'preferred_username',
        },
      },
    ],
  }
}

// Keycloak alone takes up to a minute to start.
t.setTimeout(600_000)

t.test('a real Keycloak', { skip, timeout: 600_000 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-keycloak-test-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const files = await makeCertificates(folder)
  const port = await freePort()
  const issuer = `https://localhost:${port}/`
  const keycloak = await startKeycloak({ ...files, brokerAudience: issuer })
  t.teardown(() => keycloak.stop())
  const broker = await startSallyport({
    dexConfig: dexConfig(issuer, keycloak, files, `127.0.0.1:${port}`),
    tls: files,
    port,
  })
  t.teardown(() => broker.stop())

  const section = between(readSeed('002-deckhouse-ci-cd-access.md'), '### Keycloak', '### Diagnostics')
  const [login = '', exchange = ''] = [...section.matchAll(/```shell\n(.*?)```/gs)].map(([, text]) => text)
  const env = {
    DEX_HOST: `localhost:${port}`,
    DEX_CLIENT_ID: ciClient,
    DEX_CLIENT_SECRET: secrets.ci,
    CURL_CA_BUNDLE: files.caFile,
  }

  /** The document's first command with its four placeholders filled in. */
  const logIn = async (client: string, secret: string): Promise<string> => {
    const filled = login
      .replace('<KEYCLOAK_HOST>', `localhost:${keycloak.port}`)
      .replace('<REALM>', 'platform')
      .replace('<KEYCLOAK_CLIENT_ID>', client)
      .replace('<KEYCLOAK_CLIENT_SECRET>', secret)
    const run = await runShell(filled, env, ['KEYCLOAK_TOKEN'])
    return run.variables['KEYCLOAK_TOKEN'] ?? ''
  }
  /** The document's second command, up to the call of the cluster. */
  const trade = async (token: string) => {
    const script = exchange.replace(/^d8 .*$/m, '')
    const run = await runShell(script, { ...env, KEYCLOAK_TOKEN: token }, ['RESPONSE', 'DEX_TOKEN'])
    return { response: run.variables['RESPONSE'] ?? '', token: run.variables['DEX_TOKEN'] ?? '' }
  }
  const deployer = () => logIn('ci-deployer', 'ci-deployer-secret-0123456789')

  await t.test(
    "its service account's token is worth a token for Kubernetes, by seed 002's lines",
    async (t) => {
      t.match(login, /curl -q -s -X POST "https:\/\/<KEYCLOAK_HOST>/, 'the lines come from the document')
      const subject = await deployer()
      const { token, response } = await trade(subject)
      t.notMatch(response, /error/)
      const { claims } = await readIssuedToken(token, `${issuer}keys`, files.caPem, issuer)
      const userId = String(claimsIn(subject)['sub'])
      t.match(userId, USER_ID)
      t.match(claims, {
        sub: encodeSubject(userId, 'keycloak'),
        aud: ['kubernetes', ciClient],
        azp: ciClient,
        name: 'service-account-ci-deployer',
        preferred_username: 'service-account-ci-deployer',
        email_verified: false,
      })
      t.notOk('groups' in claims)
      t.match(broker.audit().at(-1), {
        decision: 'allow',
        connector: 'keycloak',
        client: ciClient,
        issued: { jti: claims['jti'] },
      })
    },
  )

  await t.test('a token that was issued for somebody else is denied without saying why', async (t) => {
    const subject = await logIn('ci-plain', 'ci-plain-secret-0123456789')
    t.equal(claimsIn(subject)['aud'], 'account')
    const { response } = await trade(subject)
    t.equal(response, '{"error":"access_denied"}')
    t.match(broker.audit().at(-1), {
      decision: 'deny',
      reason: 'subject_audience_mismatch',
      evidence: { got: ['account'] },
    })
  })

  await t.test(
    'a new key of its realm is accepted at once, and tokens of the old one still are',
    async (t) => {
      const before = await deployer()
      await rotateRealmKeys(await keycloakAdmin(keycloak, files.caPem))
      const after = await deployer()
      t.not(headerIn(after)['kid'], headerIn(before)['kid'], 'Keycloak signs with its new key')
      for (const subject of [after, before]) {
        const { token, response } = await trade(subject)
        t.notMatch(response, /error/)
        await readIssuedToken(token, `${issuer}keys`, files.caPem, issuer)
      }
    },
  )

  await t.test('a token whose signature was changed is denied', async (t) => {
    const subject = await deployer()
    const last = subject.lastIndexOf('.') + 10
    const changed = subject.slice(0, last) + (subject[last] === 'A' ? 'B' : 'A') + subject.slice(last + 1)
    const { response } = await trade(changed)
    t.equal(response, '{"error":"access_denied"}')
    t.match(broker.audit().at(-1), { decision: 'deny', reason: 'subject_signature_invalid' })
  })
})

function claimsIn(token: string): Readonly<Record<string, unknown>> {
  return parseObject(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
}

function headerIn(token: string): Readonly<Record<string, unknown>> {
  return parseObject(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString())
}
