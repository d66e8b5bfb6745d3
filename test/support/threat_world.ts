// The broker of the threat table where one kind of issuer is not enough: a connector and a policy for each kind, all of
// them over one test issuer, and jobs of the fixtures that hold them.
import type { Test } from 'tap'
import { issuerClaims } from './issuer_fixtures.ts'
import { startTestBroker } from './test_broker.ts'
import type { Config, Form, Reply, TestBroker } from './test_broker.ts'
import type { TestIssuer } from './test_issuer.ts'

/** Connector id -> its type, the claims that its policy pins, and what else it is configured with. */
const FORGES = {
  github: {
    type: 'github-actions',
    fixture: 'github-legacy-main',
    claims: { repository_id: '739500857', repository_owner_id: '41903210' },
  },
  forgejo: { type: 'forgejo-actions', fixture: 'forgejo16-immutable-main', claims: { repository_id: '456' } },
  gitea: { type: 'gitea-actions', fixture: 'gitea-main', claims: { repository_id: '345' } },
  keycloak: {
    type: 'keycloak',
    fixture: 'keycloak-service-account',
    claims: { sub: 'd952cf23-bf92-4c8f-a3ff-4972b4f2bc5b', azp: 'ci-deployer' },
  },
  kubernetes: {
    type: 'kubernetes',
    fixture: 'k8s-projected',
    claims: { '/kubernetes.io/serviceaccount/uid': 'e6a8680e-d103-4cce-80ea-03acbbeacf7d' },
  },
} as const

export type ForgeId = keyof typeof FORGES

export async function startForgeBroker(
  t: Test,
  change: (config: Config, issuer: TestIssuer) => void = () => {},
): Promise<TestBroker> {
  return startTestBroker(t, {
    change: (config, issuer) => {
      for (const [id, { type, claims }] of Object.entries(FORGES)) addForge(config, { id, type, claims })
      change(config, issuer)
    },
  })
}

type Forge = { readonly id: string; readonly type: string; readonly claims: object; readonly grant?: object }

/** A connector over the test's issuer, and one policy of the same name for it. */
export function addForge(config: Config, { id, type, claims, grant }: Forge, over: object = {}): void {
  const [connectors, policies] = [listOf(config, 'connectors'), listOf(config, 'policies')]
  const [{ issuer, caFile } = { issuer: '', caFile: '' }] = connectors
  connectors.push({ id, type, issuer, caFile, singleUse: 'off', ...over })
  policies.push({ name: id, connector: id, claims, grant: { audiences: ['app'], ...grant } })
}

export function addPolicy(config: Config, policy: Config): void {
  listOf(config, 'policies').push({ connector: 'gitlab', grant: { audiences: ['app'] }, ...policy })
}

/** A list of the configuration, to be changed in place. */
export function listOf(config: Config, name: string): Config[] {
  const list = config[name]
  if (!Array.isArray(list)) throw new Error(`${name} is no list`)
  return list
}

/** The one entry of a list of the configuration that has this id or name. */
export function entryOf(config: Config, list: string, id: string): Config {
  const entry = listOf(config, list).find((one) => one['id'] === id || one['name'] === id)
  if (entry === undefined) throw new Error(`there is no ${id} in ${list}`)
  return entry
}

/** The token of a fixture's job, as the test's issuer would sign it now for this broker. */
export function jobToken(
  world: TestBroker,
  fixture: string,
  claims: Readonly<Record<string, unknown>> = {},
): string {
  const { iss: _iss, iat: _iat, nbf: _nbf, exp: _exp, jti: _jti, ...job } = issuerClaims(fixture)
  return world.issuer.mint({ ...job, aud: world.config.issuer, ...claims })
}

/** The valid exchange of a job at the connector of its kind; `fixture` and `claims` are what a test changes. */
export function jobExchange(
  forge: ForgeId,
  {
    fixture = FORGES[forge].fixture,
    claims = {},
    form = {},
  }: { fixture?: string; claims?: Readonly<Record<string, unknown>>; form?: Form } = {},
): (world: TestBroker) => Promise<Reply> {
  return (world) =>
    world.exchange({
      connector_id: forge,
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      subject_token: jobToken(world, fixture, claims),
      ...form,
    })
}

/** Seconds since the epoch, as the broker sees it. */
export function nowOf(world: TestBroker): number {
  return Math.floor(world.clock.now / 1000)
}
