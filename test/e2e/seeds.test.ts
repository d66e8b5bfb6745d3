// What users copy from the documents works as it stands: seed 002's GitLab job and seed 000's client credentials, read from
// the documents, run by sh with real curl and jq, against our broker on a Dex configuration.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { parse } from 'yaml'
import { encodeSubject } from '../../src/core/dex/subject.ts'
import { freePort } from '../support/child_server.ts'
import { readIssuedToken } from '../support/issued_token.ts'
import { startSallyport } from '../support/sallyport.ts'
import { between, dedent, readSeed, withoutSeeds } from '../support/seeds.ts'
import { runShell } from '../support/shell.ts'
import { startUpstream } from './wire/upstream.ts'
import type { Upstream } from './wire/upstream.ts'
import { ciClient, secrets } from './wire/world.ts'

const skip = withoutSeeds()
const DECKHOUSE = '002-deckhouse-ci-cd-access.md'
const OPENDEPOT = '000-opendepot-ci-cd-pipelines.md'

/** The configuration that Deckhouse renders: issuer at the root with a trailing slash, ten minutes, one oidc provider. */
function deckhouseConfig(upstream: Upstream, issuer: string, address: string): Record<string, unknown> {
  return {
    issuer,
    storage: { type: 'memory' },
    web: { https: address, tlsCert: upstream.certFile, tlsKey: upstream.keyFile },
    oauth2: { skipApprovalScreen: true },
    expiry: { idTokens: '10m' },
    staticClients: [
      { id: ciClient, name: 'ci-token-exchange', secret: secrets.ci },
      { id: 'kubernetes', name: 'Kubernetes', secret: secrets.plain, trustedPeers: [ciClient] },
    ],
    connectors: [
      {
        type: 'oidc',
        id: 'gitlab',
        name: 'gitlab',
        config: {
          issuer: upstream.issuer('gitlab'),
          clientID: 'deckhouse',
          clientSecret: 'unused',
          redirectURI: `${issuer}callback`,
          rootCAs: [upstream.caFile],
          userNameKey: 'user_login',
          insecureSkipEmailVerified: true,
          insecureEnableGroups: true,
          claimMapping: { email: 'user_email', groups: 'groups_direct' },
        },
      },
    ],
  }
}

function gitlabToken(upstream: Upstream, audience: string): string {
  const now = Math.floor(Date.now() / 1000)
  return upstream.sign({
    iss: upstream.issuer('gitlab'),
    sub: 'project_path:acme-platform/terraform-aws-eks:ref_type:branch:ref:main',
    aud: audience,
    iat: now,
    nbf: now - 5,
    exp: now + 3600,
    jti: '235b3a54-b797-45c7-ae9a-f72d7bc6ef5b',
    project_id: '48291',
    project_path: 'acme-platform/terraform-aws-eks',
    user_login: 'release-bot',
    user_email: 'release-bot@example.test',
    groups_direct: ['deployers'],
    ref: 'main',
    ref_type: 'branch',
    pipeline_source: 'push',
  })
}

t.test("seed 002's GitLab job gets its kubeconfig token, word for word", { skip }, async (t) => {
  const upstream = await startUpstream({ gitlab: { algorithms: ['RS256'] } })
  t.teardown(() => upstream.stop())
  const port = await freePort()
  const issuer = `https://localhost:${port}/`
  const broker = await startSallyport({
    dexConfig: deckhouseConfig(upstream, issuer, `127.0.0.1:${port}`),
    tls: upstream,
    port,
  })
  t.teardown(() => broker.stop())
  const section = between(readSeed(DECKHOUSE), '### GitLab CI', '### Keycloak')
  const script = dedent(between(section, '- |\n', '```'))
  t.match(script, /curl -q -s -X POST "https:\/\/\$\{DEX_HOST\}\/token"/, 'the lines come from the document')
  const env = {
    DEX_HOST: `localhost:${port}`,
    DEX_CLIENT_ID: ciClient,
    DEX_CLIENT_SECRET: secrets.ci,
    K8S_SERVER: 'https://kubernetes.example.test',
    CURL_CA_BUNDLE: upstream.caFile,
    PATH: `${kubectlStub(t)}:${process.env['PATH'] ?? ''}`,
  }

  const run = await runShell(script, { ...env, GITLAB_OIDC_TOKEN: gitlabToken(upstream, issuer) }, [
    'DEX_TOKEN',
    'RESPONSE',
  ])
  t.equal(run.code, 0, run.stderr)
  const { header, claims } = await readIssuedToken(
    run.variables['DEX_TOKEN'] ?? '',
    `${issuer}keys`,
    upstream.caPem,
    issuer,
  )
  t.same(Object.keys(header), ['alg', 'kid'])
  t.match(claims, {
    sub: encodeSubject('project_path:acme-platform/terraform-aws-eks:ref_type:branch:ref:main', 'gitlab'),
    aud: ['kubernetes', ciClient],
    azp: ciClient,
    email: 'release-bot@example.test',
    email_verified: true,
    groups: ['deployers'],
    name: 'release-bot',
  })
  t.equal(Number(claims['exp']) - Number(claims['iat']), 600)

  const foreign = { ...env, GITLAB_OIDC_TOKEN: gitlabToken(upstream, 'https://vault.example.test') }
  const denied = await runShell(script, foreign, ['RESPONSE'])
  t.equal(denied.variables['RESPONSE'], '{"error":"access_denied"}')
  t.match(broker.audit().at(-1), { decision: 'deny', reason: 'subject_audience_mismatch' })
})

/** A `d8` that does nothing, because the job's last line calls it; the cluster is not what is tested. */
function kubectlStub(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-d8-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, 'd8'), '#!/bin/sh\nexit 0\n')
  chmodSync(join(folder, 'd8'), 0o755)
  return folder
}

t.test("seed 000's client-credentials line gets a token, word for word", { skip }, async (t) => {
  const upstream = await startUpstream({})
  t.teardown(() => upstream.stop())
  const port = await freePort()
  const issuer = `https://localhost:${port}/dex`
  const document = readSeed(OPENDEPOT)
  const values: unknown = parse(`dex:\n${between(document, '\ndex:\n', '\nCreate a GroupBinding')}`)
  const secret = 'opendepot-pipeline-secret-0123456789'
  const line = between(document, 'TOKEN=$(', "| jq -r '.access_token')")
  const host = 'https://dex.defdev.io/dex'
  t.match(line, `curl -sf -X POST ${host}/token`, 'the line comes from the document')
  const script = `TOKEN=$(${line.replace(host, issuer)}| jq -r '.access_token')`
  const env = { CC_CLIENT_SECRET: secret, CURL_CA_BUNDLE: upstream.caFile }

  const start = (overlay: Readonly<Record<string, unknown>> | undefined) =>
    startSallyport({
      dexConfig: withListener(values, upstream, issuer, `127.0.0.1:${port}`),
      ...(overlay === undefined ? {} : { overlay }),
      issuer,
      tls: upstream,
      port,
      env: {
        ...process.env,
        OPENDEPOT_DEX_CLIENT_SECRET: 'opendepot-web-secret-0123456789',
        OPENDEPOT_CC_CLIENT_SECRET: secret,
      },
    })
  const claimsOf = async (token: string | undefined) =>
    (await readIssuedToken(token ?? '', `${issuer}/keys`, upstream.caPem, issuer)).claims

  await t.test('as Dex would issue it', async (t) => {
    const broker = await start(undefined)
    t.teardown(() => broker.stop())
    const run = await runShell(script, env, ['TOKEN'])
    t.equal(run.code, 0, run.stderr)
    t.match(await claimsOf(run.variables['TOKEN']), {
      sub: encodeSubject('ci-pipeline', ''),
      aud: 'ci-pipeline',
    })
  })

  await t.test(
    "with the overlay, for the registry and with the group that the document's binding expects",
    async (t) => {
      const broker = await start({
        clients: { 'ci-pipeline': { subject: 'plain', defaultAudiences: ['opendepot'] } },
      })
      t.teardown(() => broker.stop())
      const run = await runShell(script, env, ['TOKEN'])
      t.equal(run.code, 0, run.stderr)
      t.match(await claimsOf(run.variables['TOKEN']), {
        sub: 'ci-pipeline',
        aud: ['opendepot', 'ci-pipeline'],
      })

      const wrong = await runShell(script, { ...env, CC_CLIENT_SECRET: 'wrong' }, ['TOKEN'])
      t.equal(wrong.variables['TOKEN'], '')
      t.match(broker.audit().at(-1), { decision: 'deny', reason: 'client_secret_wrong' })
    },
  )
})

/** The document's Helm values say nothing of listeners; a real installation adds them beside. */
function withListener(
  values: unknown,
  upstream: Upstream,
  issuer: string,
  address: string,
): Readonly<Record<string, unknown>> {
  const { dex } = Object(values)
  const web = { https: address, tlsCert: upstream.certFile, tlsKey: upstream.keyFile }
  const config = { issuer, storage: { type: 'memory' }, web, ...dex.config }
  return { ...Object(values), dex: { ...dex, config } }
}
